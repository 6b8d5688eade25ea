//! The leanest way from a record to what the engine matches: every member of the flat object
//! as event data, and what routing reads. It leaves out all that makes an event useful to
//! analysts (ECS, times, entities), so it bounds what decoding could cost, and compares like
//! with like: the peers are given no more.
//!
//! One pass marks quotes and backslashes, a second goes from mark to mark. Strings without escapes
//! are parts of the text, others are unescaped behind it; the text is put together once at the
//! end. A key that follows the key it usually follows is compared, not searched.

use std::cell::RefCell;

use bytes::Bytes;
use event::{Event, EventBuilder, EventId, FieldId, Namespace, Record, Unescaped, fields as f};

use wide::u8x16;

use crate::corpus;

/// Decodes flat JSON objects.
pub(crate) struct Lean {
    data: Namespace,
    record: Record,
    memory: RefCell<Memory>,
}

/// What is kept from record to record.
#[derive(Default)]
struct Memory {
    known: Vec<Key>,
    /// Where known keys are, by [`Key::digest`].
    places: Vec<u16>,
    /// What the last record had unescaped; only its allocation is of use.
    unescaped: Vec<u8>,
    /// The marks of the last record; the same.
    marks: Vec<u64>,
}

/// A key met before.
struct Key {
    name: Box<str>,
    /// As it stands in a record: in quotes, and with the colon.
    written: Box<[u8]>,
    field: FieldId,
    /// A field that routing reads, which has the value too.
    also: Option<FieldId>,
    /// The key that followed it last: most records of one source have their keys in one order.
    next: usize,
}

/// Bits of a digest of a key.
const DIGEST_BITS: u32 = 12;

/// A number that a key of few has for itself, of its ends and its length.
#[inline]
fn digest(name: &[u8]) -> usize {
    let ends = match (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        (Some(first), Some(last)) => u32::from_le_bytes(*first) ^ u32::from_le_bytes(*last) << 3,
        _ => name.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)),
    };
    let len = u32::try_from(name.len()).unwrap_or(0);
    ((ends ^ len).wrapping_mul(0x9e37_79b1) >> (32 - DIGEST_BITS)) as usize
}

/// Whether two names are the same; short ones, so that a call would take longer.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    // The last word covers what is left, and some of what was compared before.
    if let (Some(a_last), Some(b_last)) = (a.last_chunk::<8>(), b.last_chunk::<8>()) {
        let (a_words, b_words) = (a.as_chunks::<8>().0, b.as_chunks::<8>().0);
        let mut at = 0;
        while at < a_words.len() && at < b_words.len() {
            if a_words[at] != b_words[at] {
                return false;
            }
            at += 1;
        }
        return a_last == b_last;
    }
    let mut at = 0;
    while at < a.len() && at < b.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

impl Memory {
    fn is(&self, place: usize, name: &[u8]) -> bool {
        self.known.get(place).is_some_and(|key| same(key.name.as_bytes(), name))
    }

    /// The key that usually follows the one at `last`, where it stands at the beginning of
    /// `text`, with the length of what stands there.
    #[inline]
    fn usual(&self, last: usize, text: &[u8]) -> Option<(usize, usize)> {
        let place = self.known.get(last)?.next;
        let written = &*self.known.get(place)?.written;
        same(text.get(..written.len())?, written).then_some((place, written.len()))
    }

    /// The place of `name` among the known keys, which followed the key at `last`.
    fn place(&mut self, data: &Namespace, last: usize, name: &[u8]) -> Option<usize> {
        let place = self.search(data, name)?;
        if let Some(key) = self.known.get_mut(last) {
            key.next = place;
        }
        Some(place)
    }

    fn search(&mut self, data: &Namespace, name: &[u8]) -> Option<usize> {
        self.places.resize(1 << DIGEST_BITS, u16::MAX);
        let digest = digest(name);
        let guess = usize::from(self.places[digest]);
        if self.is(guess, name) {
            return Some(guess);
        }
        let place = match self.known.iter().position(|key| same(key.name.as_bytes(), name)) {
            Some(place) => place,
            None => {
                let name = std::str::from_utf8(name).ok()?;
                let (field, also) = (data.field(name)?, route_field(name));
                let written = format!("\"{name}\":").into_bytes().into();
                self.known.push(Key { name: name.into(), written, field, also, next: 0 });
                self.known.len() - 1
            }
        };
        self.places[digest] = u16::try_from(place).unwrap_or(u16::MAX);
        Some(place)
    }
}

fn route_field(name: &str) -> Option<FieldId> {
    Some(match name {
        "EventID" => f::EVENT_CODE,
        "Channel" => f::WINLOG_CHANNEL,
        "SourceName" | "ProviderName" => f::WINLOG_PROVIDER_NAME,
        "Message" => f::MESSAGE,
        "NewProcessName" => f::PROCESS_EXECUTABLE,
        "ParentProcessName" => f::PROCESS_PARENT_EXECUTABLE,
        _ => return None,
    })
}

thread_local! {
    static OF_THREAD: Option<Lean> = Lean::new().ok();
}

/// The event, by this thread's own decoder.
pub(crate) fn decode_here(raw: &Bytes, id: EventId) -> Option<Event> {
    OF_THREAD.with(|lean| lean.as_ref()?.decode(raw, id))
}

impl Lean {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            data: Namespace::new("winlog.event_data"),
            record: corpus::record_of(Bytes::new())?,
            memory: RefCell::default(),
        })
    }

    /// The event; `None` where the record is no JSON object as shippers write it.
    pub(crate) fn decode(&self, raw: &Bytes, id: EventId) -> Option<Event> {
        let Record { commune, feed, format, received, .. } = &self.record;
        let record = Record {
            commune: commune.clone(),
            feed: feed.clone(),
            format: format.clone(),
            received: *received,
            raw: raw.clone(),
            context: None,
        };
        let mut builder = EventBuilder::new(record, id);
        let text = simdutf8::basic::from_utf8(raw).ok()?;
        let mut memory = self.memory.borrow_mut();
        let mut unescaped = std::mem::take(&mut memory.unescaped);
        // What is unescaped is shorter than the text, so there is always room, and some more so
        // that it can be copied in blocks.
        if unescaped.len() < text.len() + BLOCK {
            unescaped.resize(text.len() + BLOCK, 0);
        }
        let mut marks = std::mem::take(&mut memory.marks);
        mark(text.as_bytes(), &mut marks);
        let mut json = Scanner {
            text: text.as_bytes(),
            at: 0,
            marks: &marks,
            unescaped,
            to: 0,
            differs: Unescaped::Repeats,
        };
        json.take(b'{')?;
        let mut last = usize::MAX;
        loop {
            json.peek()?;
            let place = match memory.usual(last, json.rest()) {
                Some((place, len)) => {
                    json.at += len;
                    place
                }
                None => {
                    json.take(b'"')?;
                    let key = json.string()?;
                    let name = match key.end.checked_sub(text.len()) {
                        None | Some(0) => text.as_bytes().get(key)?,
                        // A key with escapes.
                        Some(end) => json.unescaped.get(key.start - text.len()..end)?,
                    };
                    let place = memory.place(&self.data, last, name)?;
                    json.take(b':')?;
                    place
                }
            };
            let Key { field, also, .. } = memory.known[place];
            last = place;
            match json.peek()? {
                b'"' => {
                    json.at += 1;
                    let range = json.string()?;
                    builder.push_range(field, range);
                }
                b'{' | b'[' => {
                    let range = json.container()?;
                    builder.push_range(field, range);
                }
                _ => {
                    let range = json.scalar();
                    match text.get(range.clone())? {
                        "true" => builder.push_bool(field, true),
                        "false" => builder.push_bool(field, false),
                        "null" => builder.push_null(field),
                        digits => match digits.parse() {
                            Ok(number) => builder.push_i64(field, number),
                            Err(_) => builder.push_range(field, range),
                        },
                    }
                }
            }
            if let Some(also) = also {
                builder.also(also);
            }
            match json.peek()? {
                b',' => json.at += 1,
                _ => break,
            }
        }
        json.take(b'}')?;
        let unescaped = simdutf8::basic::from_utf8(json.unescaped.get(..json.to)?).ok()?;
        builder.set_text(text, unescaped, json.differs);
        // Routing asks for it.
        builder.push_str(f::EVENT_MODULE, "windows");
        memory.unescaped = json.unescaped;
        memory.marks = marks;
        Some(builder.build())
    }
}

type Range = std::ops::Range<usize>;

/// Bytes that are copied at once.
const BLOCK: usize = 16;

/// Marks quotes and backslashes: bit by bit, 64 places a word.
fn mark(text: &[u8], marks: &mut Vec<u64>) {
    let (quote, slash) = (u8x16::splat(b'"'), u8x16::splat(b'\\'));
    let special = |part: &[u8; 64]| {
        let (parts, _) = part.as_chunks::<16>();
        parts.iter().rev().fold(0, |word, part| {
            let part = u8x16::new(*part);
            let found = part.simd_eq(quote) | part.simd_eq(slash);
            word << 16 | u64::from(found.to_bitmask())
        })
    };
    marks.clear();
    let (parts, rest) = text.as_chunks::<64>();
    marks.extend(parts.iter().map(special));
    let mut last = [0; 64];
    last[..rest.len()].copy_from_slice(rest);
    marks.push(special(&last));
}

struct Scanner<'t> {
    text: &'t [u8],
    at: usize,
    marks: &'t [u64],
    unescaped: Vec<u8>,
    /// How much of it counts.
    to: usize,
    differs: Unescaped,
}

impl Scanner<'_> {
    #[inline]
    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    #[inline]
    fn peek(&mut self) -> Option<u8> {
        loop {
            match *self.text.get(self.at)? {
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    #[inline]
    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Where the next quote or backslash is, from `at` on.
    #[inline]
    fn next_mark(&self, at: usize) -> Option<usize> {
        let mut place = at / 64;
        let mut word = *self.marks.get(place)? & u64::MAX << (at % 64);
        while word == 0 {
            place += 1;
            word = *self.marks.get(place)?;
        }
        Some(place * 64 + word.trailing_zeros() as usize)
    }

    /// Where the text of a string is whose quote is behind us.
    #[inline]
    fn string(&mut self) -> Option<Range> {
        let start = self.at;
        let end = self.next_mark(start)?;
        if *self.text.get(end)? == b'"' {
            self.at = end + 1;
            return Some(start..end);
        }
        self.unescape(start, end)
    }

    /// The same for a string whose first escape is at `first`.
    fn unescape(&mut self, start: usize, first: usize) -> Option<Range> {
        let from = self.to;
        let (mut at, mut end) = (start, first);
        loop {
            self.copy(at, end)?;
            if self.text[end] == b'"' {
                break;
            }
            at = self.escape(end)?;
            end = self.next_mark(at)?;
        }
        self.at = end + 1;
        let keep = self.text.len();
        Some(keep + from..keep + self.to)
    }

    /// Copies what stands from `at` to `end`, and perhaps some of what follows, which is
    /// written over.
    #[inline]
    fn copy(&mut self, mut at: usize, end: usize) -> Option<()> {
        let mut to = self.to;
        self.to += end - at;
        while at < end {
            match self.text.get(at..).and_then(|rest| rest.first_chunk::<BLOCK>()) {
                Some(block) => *self.unescaped.get_mut(to..)?.first_chunk_mut()? = *block,
                None => {
                    let rest = self.text.get(at..end)?;
                    self.unescaped.get_mut(to..to + rest.len())?.copy_from_slice(rest);
                    break;
                }
            }
            (at, to) = (at + BLOCK, to + BLOCK);
        }
        Some(())
    }

    /// Resolves the escape at `at`; gives what follows it.
    #[inline]
    fn escape(&mut self, at: usize) -> Option<usize> {
        let byte = match *self.text.get(at + 1)? {
            // By far the most: paths.
            b'\\' => {
                *self.unescaped.get_mut(self.to)? = b'\\';
                self.to += 1;
                return Some(at + 2);
            }
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 8,
            b'f' => 12,
            b'u' => {
                self.differs = Unescaped::Differs;
                let hex = std::str::from_utf8(self.text.get(at + 2..at + 6)?).ok()?;
                let code = u32::from_str_radix(hex, 16).ok()?;
                // Halves of a pair are rare enough here to be replaced one by one.
                let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                self.to += c.encode_utf8(self.unescaped.get_mut(self.to..)?).len();
                return Some(at + 6);
            }
            b'/' => {
                self.differs = Unescaped::Differs;
                b'/'
            }
            byte => byte,
        };
        *self.unescaped.get_mut(self.to)? = byte;
        self.to += 1;
        Some(at + 2)
    }

    fn scalar(&mut self) -> Range {
        let start = self.at;
        let rest = &self.text[start..];
        let len = rest
            .iter()
            .position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\r' | b'\n'))
            .unwrap_or(rest.len());
        self.at += len;
        start..self.at
    }

    fn container(&mut self) -> Option<Range> {
        let (start, mut open) = (self.at, 0_usize);
        loop {
            let byte = *self.text.get(self.at)?;
            self.at += 1;
            match byte {
                b'{' | b'[' => open += 1,
                b'}' | b']' => {
                    open -= 1;
                    if open == 0 {
                        return Some(start..self.at);
                    }
                }
                b'"' => {
                    let before = self.to;
                    self.string()?;
                    self.to = before;
                }
                _ => {}
            }
        }
    }
}
