//! One normalised record.

use std::{borrow::Cow, fmt, fmt::Write as _};

use bytes::Bytes;

use crate::{CommuneId, EventId, FeedId, FieldId, FormatName, Record, Timestamp, fields};

/// One normalised record with its ECS fields, flat: pairs of dotted name and value in the
/// order they were decoded, a field with several values (an array) being several pairs.
///
/// All text lives in one buffer, so an event costs three allocations however many fields it
/// has, two fields with the same value can share its bytes, and a matcher reads contiguous
/// memory. `@timestamp`, `event.id`, `event.ingested` and `event.original` are members rather
/// than pairs; [`get`](Self::get) knows them all the same, except `event.id`, which is
/// [`id`](Self::id).
#[derive(Clone)]
pub struct Event {
    id: EventId,
    commune: CommuneId,
    feed: FeedId,
    format: FormatName,
    received: Timestamp,
    timestamp: Timestamp,
    timestamp_text: Span,
    received_text: Span,
    original: Bytes,
    text: String,
    entries: Vec<(FieldId, Val)>,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    len: u32,
}

#[derive(Clone, Copy, Debug)]
enum Val {
    Null,
    Bool(bool),
    I64(i64),
    U64(u64),
    F64(f64),
    Str(Span),
}

/// A value of a field, borrowed from its event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueRef<'a> {
    /// JSON `null`: there, but without value.
    Null,
    /// JSON `true` or `false`.
    Bool(bool),
    /// A whole number.
    I64(i64),
    /// A whole number beyond `i64`.
    U64(u64),
    /// Any other number that a double holds; what neither holds stays text.
    F64(f64),
    /// Text.
    Str(&'a str),
}

impl<'a> ValueRef<'a> {
    /// The text, where it is text.
    pub fn as_str(self) -> Option<&'a str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The value as text, as a rule or an analyst would write it; `""` for null.
    pub fn to_text(self) -> Cow<'a, str> {
        match self {
            Self::Null => Cow::Borrowed(""),
            Self::Bool(true) => Cow::Borrowed("true"),
            Self::Bool(false) => Cow::Borrowed("false"),
            Self::I64(n) => Cow::Owned(n.to_string()),
            Self::U64(n) => Cow::Owned(n.to_string()),
            Self::F64(n) => Cow::Owned(n.to_string()),
            Self::Str(text) => Cow::Borrowed(text),
        }
    }

    /// The value as a whole number, where it is one or is text that spells one.
    pub fn as_i64(self) -> Option<i64> {
        match self {
            Self::I64(n) => Some(n),
            Self::U64(n) => i64::try_from(n).ok(),
            Self::Str(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// The value as JSON.
    pub fn to_json(self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(b) => b.into(),
            Self::I64(n) => n.into(),
            Self::U64(n) => n.into(),
            Self::F64(n) => n.into(),
            Self::Str(text) => text.into(),
        }
    }
}

impl Event {
    /// Its id, from its place on the bus.
    pub fn id(&self) -> EventId {
        self.id
    }

    /// Whose it is.
    pub fn commune(&self) -> &CommuneId {
        &self.commune
    }

    /// The feed it came by.
    pub fn feed(&self) -> &FeedId {
        &self.feed
    }

    /// What decoded it.
    pub fn format(&self) -> &FormatName {
        &self.format
    }

    /// When it was received.
    pub fn received(&self) -> Timestamp {
        self.received
    }

    /// When it happened by its own account; when it was received where it has none.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// The raw record, byte for byte.
    pub fn original(&self) -> &Bytes {
        &self.original
    }

    /// The raw record as text; what is not UTF-8 in it shows as U+FFFD.
    pub fn original_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.original)
    }

    fn value(&self, val: Val) -> ValueRef<'_> {
        match val {
            Val::Null => ValueRef::Null,
            Val::Bool(b) => ValueRef::Bool(b),
            Val::I64(n) => ValueRef::I64(n),
            Val::U64(n) => ValueRef::U64(n),
            Val::F64(n) => ValueRef::F64(n),
            Val::Str(span) => ValueRef::Str(self.span(span)),
        }
    }

    fn span(&self, span: Span) -> &str {
        &self.text[span.start as usize..(span.start + span.len) as usize]
    }

    /// The first value of `field`. `event.original` is there where it is UTF-8.
    pub fn get(&self, field: FieldId) -> Option<ValueRef<'_>> {
        self.get_all(field).next()
    }

    /// The first value of `field`, where it is text.
    pub fn get_str(&self, field: FieldId) -> Option<&str> {
        self.get(field).and_then(ValueRef::as_str)
    }

    /// Every value of `field`.
    pub fn get_all(&self, field: FieldId) -> impl Iterator<Item = ValueRef<'_>> {
        let member = match field {
            fields::TIMESTAMP => Some(self.span(self.timestamp_text)),
            fields::EVENT_INGESTED => Some(self.span(self.received_text)),
            fields::EVENT_ORIGINAL => std::str::from_utf8(&self.original).ok(),
            _ => None,
        };
        member.map(ValueRef::Str).into_iter().chain(
            self.entries
                .iter()
                .filter(move |(name, _)| *name == field)
                .map(|(_, val)| self.value(*val)),
        )
    }

    /// All pairs in the order they were decoded, without the members (see the type).
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (FieldId, ValueRef<'_>)> {
        self.entries.iter().map(|(field, val)| (*field, self.value(*val)))
    }

    /// Whether it is a record that could not be decoded.
    pub fn is_pipeline_error(&self) -> bool {
        self.get_str(fields::EVENT_KIND) == Some("pipeline_error")
    }

    /// How much memory it holds, in bytes, roughly.
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>()
            + self.text.capacity()
            + self.entries.capacity() * size_of::<(FieldId, Val)>()
            + self.original.len()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.id)?;
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Levels of nesting that [`EventBuilder::push_json`] follows; deeper parts are kept as
/// JSON text.
const DEPTH_MAX: usize = 32;

/// Makes an [`Event`], field by field.
///
/// Begin with [`new`](Self::new), push what the record says, and [`build`](Self::build).
/// `organization.id` and `jacquemart.feed` are added by `build`.
pub struct EventBuilder {
    id: EventId,
    record: Record,
    timestamp: Option<Timestamp>,
    text: String,
    entries: Vec<(FieldId, Val)>,
}

impl EventBuilder {
    /// An event without fields, for `record` known as `id`.
    pub fn new(record: Record, id: EventId) -> Self {
        let text = String::with_capacity(record.raw.len().min(1 << 20) + 128);
        Self { id, record, timestamp: None, text, entries: Vec::with_capacity(64) }
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

    /// Sets `@timestamp`; the last one set stands.
    pub fn set_timestamp(&mut self, timestamp: Timestamp) {
        self.timestamp = Some(timestamp);
    }

    /// `@timestamp`, where it is set.
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.timestamp
    }

    fn store(&mut self, text: &str) -> Span {
        // A record is bounded by the collectors far below 4 GiB.
        let start = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        self.text.push_str(text);
        Span { start, len: u32::try_from(text.len()).unwrap_or(0) }
    }

    /// Adds a text value.
    pub fn push_str(&mut self, field: FieldId, text: &str) {
        let span = self.store(text);
        self.entries.push((field, Val::Str(span)));
    }

    /// Adds a text value that `write` appends to the buffer it is given, without a copy.
    pub fn push_with(&mut self, field: FieldId, write: impl FnOnce(&mut String)) {
        let start = self.text.len();
        write(&mut self.text);
        let span = Span {
            start: u32::try_from(start).unwrap_or(u32::MAX),
            len: u32::try_from(self.text.len() - start).unwrap_or(0),
        };
        self.entries.push((field, Val::Str(span)));
    }

    /// Adds a text value unless it is empty or `-`, the ways in which many sources write
    /// "nothing".
    pub fn push_present(&mut self, field: FieldId, text: &str) {
        if !matches!(text.trim(), "" | "-") {
            self.push_str(field, text);
        }
    }

    /// Adds a whole number.
    pub fn push_i64(&mut self, field: FieldId, number: i64) {
        self.entries.push((field, Val::I64(number)));
    }

    /// Adds a whole number.
    pub fn push_u64(&mut self, field: FieldId, number: u64) {
        self.entries.push((field, i64::try_from(number).map_or(Val::U64(number), Val::I64)));
    }

    /// Adds a number.
    pub fn push_f64(&mut self, field: FieldId, number: f64) {
        self.entries.push((field, Val::F64(number)));
    }

    /// Adds a truth value.
    pub fn push_bool(&mut self, field: FieldId, value: bool) {
        self.entries.push((field, Val::Bool(value)));
    }

    /// Adds a null.
    pub fn push_null(&mut self, field: FieldId) {
        self.entries.push((field, Val::Null));
    }

    /// Adds a value that borrows from elsewhere.
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
    pub fn also(&mut self, to: FieldId) {
        if let Some((_, val)) = self.entries.last().copied() {
            self.entries.push((to, val));
        }
    }

    /// Gives `to` every value that `from` has now, sharing the bytes.
    pub fn alias(&mut self, to: FieldId, from: FieldId) {
        for index in 0..self.entries.len() {
            let (name, val) = self.entries[index];
            if name == from {
                self.entries.push((to, val));
            }
        }
    }

    /// The first text value that `field` has now.
    pub fn get_str(&self, field: FieldId) -> Option<&str> {
        self.entries.iter().find_map(|(name, val)| match val {
            Val::Str(span) if *name == field => {
                Some(&self.text[span.start as usize..(span.start + span.len) as usize])
            }
            _ => None,
        })
    }

    /// All text values that `field` has now.
    pub fn get_all_str(&self, field: FieldId) -> impl Iterator<Item = &str> {
        self.entries.iter().filter_map(move |(name, val)| match val {
            Val::Str(span) if *name == field => {
                Some(&self.text[span.start as usize..(span.start + span.len) as usize])
            }
            _ => None,
        })
    }

    /// Whether `field` has a value now.
    pub fn has(&self, field: FieldId) -> bool {
        self.entries.iter().any(|(name, _)| *name == field)
    }

    /// Takes every value of `field` away.
    pub fn remove(&mut self, field: FieldId) {
        self.entries.retain(|(name, _)| *name != field);
    }

    /// Adds `value` as `prefix.key`, interning the name; where the name is refused, as
    /// `name=value` under [`fields::UNMAPPED`]. Objects and arrays are followed: an object's
    /// keys lengthen the name, an array's members become values of one field. `prefix` may
    /// be empty.
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
            leaf => match FieldId::intern(name) {
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
        self.entries.clear();
        self.text.clear();
        self.timestamp = None;
        self.push_str(fields::EVENT_KIND, "pipeline_error");
        self.push_str(fields::ERROR_MESSAGE, reason);
        self.build()
    }

    /// The event.
    pub fn build(mut self) -> Event {
        let timestamp = self.timestamp.unwrap_or(self.record.received);
        let commune = self.record.commune.clone();
        let feed = self.record.feed.clone();
        self.remove(fields::ORGANIZATION_ID);
        self.push_str(fields::ORGANIZATION_ID, commune.as_str());
        self.remove(fields::FEED_ID);
        self.push_str(fields::FEED_ID, feed.as_str());
        for member in
            [fields::TIMESTAMP, fields::EVENT_ID, fields::EVENT_INGESTED, fields::EVENT_ORIGINAL]
        {
            self.remove(member);
        }
        let timestamp_text = self.store(&timestamp.to_string());
        let received_text = self.store(&self.record.received.to_string());
        Event {
            id: self.id,
            commune,
            feed,
            format: self.record.format,
            received: self.record.received,
            timestamp,
            timestamp_text,
            received_text,
            original: self.record.raw,
            text: self.text,
            entries: self.entries,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder(raw: &'static [u8]) -> EventBuilder {
        let record = Record {
            commune: CommuneId::new("dijon").unwrap(),
            feed: FeedId::new("dijon-pc").unwrap(),
            format: FormatName::new("windows").unwrap(),
            received: Timestamp::from_millis(1_000),
            raw: Bytes::from_static(raw),
        };
        EventBuilder::new(record, EventId::from_bytes([1; 16]))
    }

    #[test]
    fn values_come_back_as_pushed() {
        let mut b = builder(b"raw");
        b.push_str(fields::PROCESS_EXECUTABLE, "C:\\a.exe");
        b.alias(fields::PROCESS_NAME, fields::PROCESS_EXECUTABLE);
        b.push_i64(fields::PROCESS_PID, 4);
        b.push_json(
            "x",
            "y",
            &serde_json::json!({"z": [1, null, {"w": "é"}], "big": 18446744073709551615u64}),
        );
        b.push_json("", "bad\u{1}name", &serde_json::json!("v"));
        let event = b.build();
        assert_eq!(event.get_str(fields::PROCESS_NAME), Some("C:\\a.exe"));
        assert_eq!(event.get(fields::PROCESS_PID), Some(ValueRef::I64(4)));
        let z: Vec<_> = event.get_all(FieldId::lookup("x.y.z").unwrap()).collect();
        assert_eq!(z, [ValueRef::I64(1), ValueRef::Null]);
        assert_eq!(event.get_str(FieldId::lookup("x.y.z.w").unwrap()), Some("é"));
        assert_eq!(event.get(FieldId::lookup("x.y.big").unwrap()), Some(ValueRef::U64(u64::MAX)));
        assert_eq!(event.get_str(fields::UNMAPPED), Some("bad\u{1}name=v"));
        assert_eq!(event.get_str(fields::ORGANIZATION_ID), Some("dijon"));
        assert_eq!(event.get_str(fields::TIMESTAMP), Some("1970-01-01T00:00:01Z"));
        assert_eq!(event.get_str(fields::EVENT_ORIGINAL), Some("raw"));
    }

    #[test]
    fn a_record_cannot_name_its_own_commune() {
        let mut b = builder(b"{}");
        b.push_str(fields::ORGANIZATION_ID, "talant");
        let event = b.build();
        let all: Vec<_> = event.get_all(fields::ORGANIZATION_ID).collect();
        assert_eq!(all, [ValueRef::Str("dijon")]);
    }

    #[test]
    fn deep_nesting_is_kept_as_text() {
        let mut value = serde_json::json!("end");
        for _ in 0..100 {
            value = serde_json::json!({ "n": value });
        }
        let mut b = builder(b"{}");
        b.push_json("deep", "x", &value);
        let event = b.build();
        assert!(event.iter().any(|(_, v)| v.as_str().is_some_and(|t| t.contains("\"end\""))));
    }
}
