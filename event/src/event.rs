//! One normalised record.

use std::{borrow::Cow, fmt, sync::Arc};

use bytes::Bytes;

use crate::{
    CommuneId, Context, EventId, FeedId, FieldId, FormatName, Timestamp, ValueRef, fields,
};

/// One normalised record with its ECS fields, flat: pairs of dotted name and value in the
/// order they were decoded, a field with several values (an array) being several pairs.
///
/// All text lives in one buffer, so an event costs three allocations however many fields it
/// has, two fields with the same value (or with a part of it) share its bytes, and a matcher
/// reads contiguous memory. Where a decoder lent the record's text
/// ([`EventBuilder::with_lent`](crate::EventBuilder::with_lent)), the buffer begins with it,
/// and most values are slices of it. `@timestamp`, `event.id`, `event.ingested` and `event.original` are members rather
/// than pairs; [`get`](Self::get) knows them all the same, except `event.id`, which is
/// [`id`](Self::id).
#[derive(Clone)]
pub struct Event {
    pub(crate) id: EventId,
    pub(crate) commune: CommuneId,
    pub(crate) feed: FeedId,
    pub(crate) format: FormatName,
    pub(crate) received: Timestamp,
    pub(crate) timestamp: Timestamp,
    pub(crate) timestamp_text: Span,
    pub(crate) received_text: Span,
    pub(crate) original: Bytes,
    /// Where `text` begins with the original: how long that is.
    pub(crate) original_text: Option<Span>,
    /// See [`distinct_text`](Self::distinct_text).
    pub(crate) repeated: Span,
    pub(crate) text: String,
    pub(crate) context: Option<Arc<Context>>,
    /// The pairs' names. Apart from the values, so that a search reads nothing else.
    pub(crate) fields: Vec<FieldId>,
    /// The pairs' values, as many.
    pub(crate) vals: Vec<Val>,
}

/// Text in an event's buffer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

impl Span {
    /// A record is bounded by the collectors far below 4 GiB; past it the text is empty.
    #[inline]
    pub(crate) fn new(start: usize, len: usize) -> Self {
        match (u32::try_from(start), u32::try_from(len)) {
            (Ok(start), Ok(len)) => Self { start, len },
            _ => Self { start: 0, len: 0 },
        }
    }

    #[inline]
    pub(crate) fn of(self, text: &str) -> &str {
        let start = self.start as usize;
        text.get(start..start + self.len as usize).unwrap_or_default()
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Val {
    Null,
    Bool(bool),
    I64(i64),
    U64(u64),
    F64(f64),
    Str(Span),
}

impl Val {
    #[inline]
    pub(crate) fn of(self, text: &str) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Bool(b) => ValueRef::Bool(b),
            Self::I64(n) => ValueRef::I64(n),
            Self::U64(n) => ValueRef::U64(n),
            Self::F64(n) => ValueRef::F64(n),
            Self::Str(span) => ValueRef::Str(span.of(text)),
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

    /// What the shipper said of the record beside it.
    pub fn context(&self) -> Option<&Arc<Context>> {
        self.context.as_ref()
    }

    /// The raw record, byte for byte.
    pub fn original(&self) -> &Bytes {
        &self.original
    }

    /// The raw record as text; what is not UTF-8 in it shows as U+FFFD.
    pub fn original_text(&self) -> Cow<'_, str> {
        match self.original_text {
            Some(span) => Cow::Borrowed(span.of(&self.text)),
            None => String::from_utf8_lossy(&self.original),
        }
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
            fields::TIMESTAMP => Some(self.timestamp_text.of(&self.text)),
            fields::EVENT_INGESTED => Some(self.received_text.of(&self.text)),
            fields::EVENT_ORIGINAL => match self.original_text {
                Some(span) => Some(span.of(&self.text)),
                None => std::str::from_utf8(&self.original).ok(),
            },
            _ => None,
        };
        member.map(ValueRef::Str).into_iter().chain(
            self.fields
                .iter()
                .zip(&self.vals)
                .filter(move |(name, _)| **name == field)
                .map(|(_, val)| val.of(&self.text)),
        )
    }

    /// All pairs in the order they were decoded, without the members (see the type).
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (FieldId, ValueRef<'_>)> {
        self.fields.iter().zip(&self.vals).map(|(field, val)| (*field, val.of(&self.text)))
    }

    /// The names of all pairs, in the order of [`iter`](Self::iter).
    #[inline]
    pub fn fields(&self) -> &[FieldId] {
        &self.fields
    }

    /// The value of the pair at this place.
    #[inline]
    pub fn value_at(&self, index: usize) -> Option<ValueRef<'_>> {
        self.vals.get(index).map(|val| val.of(&self.text))
    }

    /// A text that every text value is a part of, so that all can be searched at once. Other
    /// things may stand in it too, and where one value ends another may begin.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether [`text`](Self::text) has the raw record too.
    #[inline]
    pub fn text_has_original(&self) -> bool {
        self.original_text.is_some()
    }

    /// The parts of [`text`](Self::text) that hold all it holds of what has no `"`, no `\` and no
    /// control character. Between them stand values that differ from the record that stands
    /// in front only by escapes of those.
    #[inline]
    pub fn distinct_text(&self) -> (&str, &str) {
        let (from, len) = (self.repeated.start as usize, self.repeated.len as usize);
        let parts = self.text.get(..from).zip(self.text.get(from + len..));
        parts.filter(|_| len > 0).unwrap_or((&self.text, ""))
    }

    /// Whether it is a record that could not be decoded.
    pub fn is_pipeline_error(&self) -> bool {
        self.get_str(fields::EVENT_KIND) == Some("pipeline_error")
    }

    /// How much memory it holds, in bytes, roughly.
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>()
            + self.text.capacity()
            + self.fields.capacity() * size_of::<FieldId>()
            + self.vals.capacity() * size_of::<Val>()
            + self.original.len()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.id)?;
        f.debug_map().entries(self.iter()).finish()
    }
}
