//! Making events.

use std::{fmt::Write as _, ops::Range};

use bytes::Bytes;

use crate::{
    Context, Event, EventId, FeedId, FieldId, Lent, Record, Timestamp, Unescaped, ValueRef,
    event::{Span, Val},
    fields,
    space::Region,
};

/// Levels of nesting that [`EventBuilder::push_json`] follows; deeper parts are kept as
/// JSON text.
const DEPTH_MAX: usize = 32;

/// Room for what [`EventBuilder::build`] adds to the text.
const BUILD_BYTES: usize = 192;

/// Pairs that an event has room for at once.
const PAIRS: usize = 96;

/// Makes an [`Event`], field by field.
///
/// Begin with [`new`](Self::new), push what the record says, and [`build`](Self::build).
/// `organization.id` and `jacquemart.feed` are added by `build`.
pub struct EventBuilder {
    id: EventId,
    record: Record,
    timestamp: Option<Timestamp>,
    text: String,
    fields: Vec<FieldId>,
    vals: Vec<Val>,
    /// Which of the fields with small ids, all that the code names among them, have a value;
    /// others are searched for. Invariant: a bit is set if and only if `fields` has the field.
    known: [u64; fields::KNOWN.len().div_ceil(64)],
    /// Memory whose content `text` has; empty but within [`with_lent`](Self::with_lent).
    lent: [Region; 2],
    original_text: Option<Span>,
    /// See [`Event::distinct_text`].
    repeated: Span,
}

impl AsMut<EventBuilder> for EventBuilder {
    fn as_mut(&mut self) -> &mut EventBuilder {
        self
    }
}

impl EventBuilder {
    /// An event without fields, for `record` known as `id`.
    pub fn new(record: Record, id: EventId) -> Self {
        Self {
            id,
            record,
            timestamp: None,
            text: String::new(),
            fields: Vec::with_capacity(PAIRS),
            vals: Vec::with_capacity(PAIRS),
            known: [0; _],
            lent: [Region::default(); 2],
            original_text: None,
            repeated: Span::default(),
        }
    }

    /// The record that is being decoded. `Bytes` clones without copying, so a decoder takes
    /// `builder.raw().clone()` first and parses that.
    pub fn raw(&self) -> &Bytes {
        &self.record.raw
    }

    /// When the record was received.
    pub fn received(&self) -> Timestamp {
        self.record.received
    }

    /// The feed that the record came by.
    #[inline]
    pub fn feed(&self) -> &FeedId {
        &self.record.feed
    }

    /// Sets `@timestamp`; the last one set stands.
    pub fn set_timestamp(&mut self, timestamp: Timestamp) {
        self.timestamp = Some(timestamp);
    }

    /// `@timestamp`, where it is set.
    #[inline]
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.timestamp
    }

    /// Runs `run` on the `owner` of a builder, while texts that lie in what `lent` has
    /// borrowed are taken over without a copy: pushing a value that was parsed, or a part of
    /// it, costs a comparison of addresses.
    pub fn with_lent<B: AsMut<Self>, R>(
        owner: &mut B,
        lent: Lent<'_>,
        run: impl FnOnce(&mut B) -> R,
    ) -> R {
        let builder = owner.as_mut();
        let before = std::mem::replace(&mut builder.lent, lent.regions);
        let base = builder.text.len();
        if lent.source.as_ptr() == builder.record.raw.as_ptr()
            && lent.source.len() == builder.record.raw.len()
        {
            builder.original_text = Some(Span::new(base, lent.source.len()));
        }
        if base == 0 {
            if lent.repeats {
                let from = lent.source.len();
                builder.repeated = Span::new(from, lent.copy.len() - from);
            }
            builder.text = lent.copy;
        } else {
            builder.text.push_str(&lent.copy);
            builder.lent.iter_mut().for_each(|region| region.base += base);
        }
        let result = run(owner);
        owner.as_mut().lent = before;
        result
    }

    #[inline]
    fn store(&mut self, text: &str) -> Span {
        if let Some(start) = self.lent.iter().find_map(|region| region.find(text)) {
            return Span::new(start, text.len());
        }
        if self.text.capacity() == 0 {
            self.text.reserve(self.record.raw.len().min(1 << 20) + 256);
        }
        let start = self.text.len();
        self.text.push_str(text);
        Span::new(start, text.len())
    }

    #[inline]
    fn entry(&mut self, field: FieldId, val: Val) {
        if let Some(word) = self.known.get_mut(field.index() / 64) {
            *word |= 1 << (field.index() % 64);
        }
        self.fields.push(field);
        self.vals.push(val);
    }

    /// Adds a text value.
    #[inline]
    pub fn push_str(&mut self, field: FieldId, text: &str) {
        let span = self.store(text);
        self.entry(field, Val::Str(span));
    }

    /// Adds a text value that stands at `range` (in bytes) of the text that
    /// [`set_text`](Self::set_text) is given before [`build`](Self::build), for decoders that
    /// find all values before the text is put together. Until then it reads as empty, as does a
    /// range that is none of that text.
    #[inline]
    pub fn push_range(&mut self, field: FieldId, range: Range<usize>) {
        self.entry(field, Val::Str(Span::new(range.start, range.len())));
    }

    /// Sets the text that [`push_range`](Self::push_range) is about: the record's own text, and
    /// behind it what was unescaped, with how that differs. Nothing else has pushed text before.
    pub fn set_text(&mut self, original: &str, unescaped: &str, differs: Unescaped) {
        debug_assert!(self.text.is_empty(), "text that was pushed before would be lost");
        let len = original.len() + unescaped.len();
        self.text = String::with_capacity(len + BUILD_BYTES);
        self.text.push_str(original);
        self.text.push_str(unescaped);
        if original.len() == self.record.raw.len() {
            self.original_text = Some(Span::new(0, original.len()));
        }
        if differs == Unescaped::Repeats {
            self.repeated = Span::new(original.len(), unescaped.len());
        }
    }

    /// Adds a text value that `write` appends to the buffer it is given, without a copy.
    #[inline]
    pub fn push_with(&mut self, field: FieldId, write: impl FnOnce(&mut String)) {
        let start = self.text.len();
        write(&mut self.text);
        // What stands before is other values'; writing means appending.
        let span = Span::new(start, self.text.len().saturating_sub(start));
        self.entry(field, Val::Str(span));
    }

    /// Gives `to` the part `range` (in bytes) of the first text value of `from`, sharing the
    /// bytes. Does nothing where there is no such value, or the range does not fit it.
    #[inline]
    pub fn push_part(&mut self, to: FieldId, from: FieldId, range: Range<usize>) {
        let Some(span) = self.span_of(from) else { return };
        if span.of(&self.text).get(range.clone()).is_some() {
            let part = Span::new(span.start as usize + range.start, range.len());
            self.entry(to, Val::Str(part));
        }
    }

    /// Adds a text value unless it is empty or `-`, the ways in which many sources write
    /// "nothing".
    pub fn push_present(&mut self, field: FieldId, text: &str) {
        if !matches!(text.trim(), "" | "-") {
            self.push_str(field, text);
        }
    }

    /// Adds a whole number.
    #[inline]
    pub fn push_i64(&mut self, field: FieldId, number: i64) {
        self.entry(field, Val::I64(number));
    }

    /// Adds a whole number.
    #[inline]
    pub fn push_u64(&mut self, field: FieldId, number: u64) {
        self.entry(field, i64::try_from(number).map_or(Val::U64(number), Val::I64));
    }

    /// Adds a number.
    pub fn push_f64(&mut self, field: FieldId, number: f64) {
        self.entry(field, Val::F64(number));
    }

    /// Adds a truth value.
    pub fn push_bool(&mut self, field: FieldId, value: bool) {
        self.entry(field, Val::Bool(value));
    }

    /// Adds a null.
    pub fn push_null(&mut self, field: FieldId) {
        self.entry(field, Val::Null);
    }

    /// Adds a value that borrows from elsewhere.
    #[inline]
    pub fn push(&mut self, field: FieldId, value: ValueRef<'_>) {
        match value {
            ValueRef::Null => self.push_null(field),
            ValueRef::Bool(b) => self.push_bool(field, b),
            ValueRef::I64(n) => self.push_i64(field, n),
            ValueRef::U64(n) => self.push_u64(field, n),
            ValueRef::F64(n) => self.push_f64(field, n),
            ValueRef::Str(text) => self.push_str(field, text),
        }
    }

    /// Gives `to` the value that was pushed last too, sharing its bytes.
    #[inline]
    pub fn also(&mut self, to: FieldId) {
        if let Some(val) = self.vals.last().copied() {
            self.entry(to, val);
        }
    }

    /// Gives `to` every value that `from` has now, sharing the bytes.
    #[inline]
    pub fn alias(&mut self, to: FieldId, from: FieldId) {
        if !self.has(from) {
            return;
        }
        for index in 0..self.fields.len() {
            if self.fields[index] == from {
                self.entry(to, self.vals[index]);
            }
        }
    }

    #[inline]
    fn spans_of(&self, field: FieldId) -> impl Iterator<Item = Span> {
        // A field that is known to have no value is not searched for.
        let end = if self.has_bit(field) == Some(false) { 0 } else { self.fields.len() };
        self.fields[..end].iter().zip(&self.vals).filter_map(move |(name, val)| match val {
            Val::Str(span) if *name == field => Some(*span),
            _ => None,
        })
    }

    #[inline]
    fn span_of(&self, field: FieldId) -> Option<Span> {
        self.spans_of(field).next()
    }

    /// The first text value that `field` has now.
    #[inline]
    pub fn get_str(&self, field: FieldId) -> Option<&str> {
        self.span_of(field).map(|span| span.of(&self.text))
    }

    /// All text values that `field` has now.
    pub fn get_all_str(&self, field: FieldId) -> impl Iterator<Item = &str> {
        self.spans_of(field).map(|span| span.of(&self.text))
    }

    #[inline]
    fn has_bit(&self, field: FieldId) -> Option<bool> {
        self.known.get(field.index() / 64).map(|word| word >> (field.index() % 64) & 1 == 1)
    }

    /// Whether `field` has a value now.
    #[inline]
    pub fn has(&self, field: FieldId) -> bool {
        self.has_bit(field).unwrap_or_else(|| self.fields.contains(&field))
    }

    /// Takes every value of `field` away.
    pub fn remove(&mut self, field: FieldId) {
        if !self.has(field) {
            return;
        }
        let mut kept = 0;
        for index in 0..self.fields.len() {
            if self.fields[index] != field {
                self.fields[kept] = self.fields[index];
                self.vals[kept] = self.vals[index];
                kept += 1;
            }
        }
        self.fields.truncate(kept);
        self.vals.truncate(kept);
        if let Some(word) = self.known.get_mut(field.index() / 64) {
            *word &= !(1 << (field.index() % 64));
        }
    }

    /// Adds `value` as `prefix.key`, interning the name; where the name is refused, as
    /// `name=value` under [`fields::UNMAPPED`]. Objects and arrays are followed: an object's
    /// keys lengthen the name, an array's members become values of one field. `prefix` may
    /// be empty. Names that are new are charged to the feed ([`FieldId::intern_for`]).
    pub fn push_json(&mut self, prefix: &str, key: &str, value: &serde_json::Value) {
        let mut name = String::with_capacity(prefix.len() + key.len() + 1);
        name.push_str(prefix);
        if !prefix.is_empty() {
            name.push('.');
        }
        name.push_str(key);
        self.push_json_at(&mut name, value, 0);
    }

    fn push_json_at(&mut self, name: &mut String, value: &serde_json::Value, depth: usize) {
        match value {
            serde_json::Value::Object(map) if depth < DEPTH_MAX => {
                let len = name.len();
                for (key, value) in map {
                    if !name.is_empty() {
                        name.push('.');
                    }
                    name.push_str(key);
                    self.push_json_at(name, value, depth + 1);
                    name.truncate(len);
                }
            }
            serde_json::Value::Array(items) if depth < DEPTH_MAX => {
                for item in items {
                    self.push_json_at(name, item, depth + 1);
                }
            }
            leaf => match FieldId::intern_for(&self.record.feed, name) {
                Some(field) => self.push_leaf(field, leaf),
                None => {
                    let pair = format!(
                        "{name}={}",
                        leaf.as_str().map_or_else(|| leaf.to_string(), str::to_owned)
                    );
                    self.push_str(fields::UNMAPPED, &pair);
                }
            },
        }
    }

    /// Adds `value` to `field` itself: a scalar as it is, an array member by member, an
    /// object as JSON text.
    pub fn push_value(&mut self, field: FieldId, value: &serde_json::Value) {
        match value {
            serde_json::Value::Array(items) => {
                for item in items {
                    self.push_leaf(field, item);
                }
            }
            leaf => self.push_leaf(field, leaf),
        }
    }

    fn push_leaf(&mut self, field: FieldId, value: &serde_json::Value) {
        match value {
            serde_json::Value::Null => self.push_null(field),
            serde_json::Value::Bool(b) => self.push_bool(field, *b),
            serde_json::Value::Number(n) => {
                if let Some(n) = n.as_i64() {
                    self.push_i64(field, n);
                } else if let Some(n) = n.as_u64() {
                    self.push_u64(field, n);
                } else if let Some(n) = n.as_f64() {
                    self.push_f64(field, n);
                }
            }
            serde_json::Value::String(text) => self.push_str(field, text),
            nested => self.push_with(field, |out| {
                // Writing to a String cannot fail.
                let _ = write!(out, "{nested}");
            }),
        }
    }

    /// Forgets all fields pushed so far and makes it a record that could not be decoded, for
    /// `reason`: what went wrong, where and how to mend it.
    pub fn build_pipeline_error(mut self, reason: &str) -> Event {
        self.fields.clear();
        self.vals.clear();
        self.known = [0; _];
        self.text.clear();
        self.original_text = None;
        self.repeated = Span::default();
        self.lent = [Region::default(); 2];
        self.timestamp = None;
        self.push_str(fields::EVENT_KIND, "pipeline_error");
        self.push_str(fields::ERROR_MESSAGE, reason);
        self.build()
    }

    /// The event.
    pub fn build(mut self) -> Event {
        if let Some(context) = self.record.context.clone() {
            self.add_context(&context);
        }
        let timestamp = self.timestamp.unwrap_or(self.record.received);
        self.remove(fields::ORGANIZATION_ID);
        self.remove(fields::FEED_ID);
        for (field, text) in [
            (fields::ORGANIZATION_ID, self.record.commune.as_str()),
            (fields::FEED_ID, self.record.feed.as_str()),
        ] {
            let span = Span::new(self.text.len(), text.len());
            self.text.push_str(text);
            self.fields.push(field);
            self.vals.push(Val::Str(span));
        }
        for member in
            [fields::TIMESTAMP, fields::EVENT_ID, fields::EVENT_INGESTED, fields::EVENT_ORIGINAL]
        {
            self.remove(member);
        }
        let timestamp_text = self.store_time(timestamp);
        let received_text = match self.record.received == timestamp {
            true => timestamp_text,
            false => self.store_time(self.record.received),
        };
        // Most of the room for unescaped text is not needed.
        if self.text.capacity() - self.text.len() > self.text.len() / 4 {
            self.text.shrink_to_fit();
        }
        Event {
            id: self.id,
            commune: self.record.commune,
            feed: self.record.feed,
            format: self.record.format,
            received: self.record.received,
            timestamp,
            timestamp_text,
            received_text,
            original: self.record.raw,
            original_text: self.original_text,
            repeated: self.repeated,
            text: self.text,
            context: self.record.context,
            fields: self.fields,
            vals: self.vals,
        }
    }

    /// What the shipper said beside the record, where the record does not say it itself.
    fn add_context(&mut self, context: &Context) {
        match (self.timestamp, context.time) {
            (None, time) => self.timestamp = time,
            // When it was first read is what ECS calls created.
            (Some(_), Some(time)) if !self.has(fields::EVENT_CREATED) => {
                self.push_str(fields::EVENT_CREATED, &time.to_string());
            }
            _ => {}
        }
        if let Some(host) = context.host.as_deref() {
            match self.get_str(fields::HOST_NAME) {
                None => self.push_str(fields::HOST_NAME, host),
                Some(own) if own.eq_ignore_ascii_case(host) => {}
                Some(_) => self.push_str(fields::SHIPPER_HOST, host),
            }
        }
        for (name, value) in &context.fields {
            match FieldId::intern_for(&self.record.feed, name) {
                Some(field) => self.push_str(field, value),
                None => self.push_str(fields::UNMAPPED, &format!("{name}={value}")),
            }
        }
    }

    fn store_time(&mut self, time: Timestamp) -> Span {
        let start = self.text.len();
        time.write(&mut self.text);
        Span::new(start, self.text.len() - start)
    }
}

#[cfg(test)]
mod tests;
