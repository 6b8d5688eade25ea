//! The leanest way from a record to what the engine matches: every member of the flat object
//! as event data, and what routing reads. It leaves out all that makes an event useful to
//! analysts (ECS, times, entities), so it bounds what decoding could cost, and compares like
//! with like: the peers are given no more.
//!
//! One pass over the text. Strings without escapes are parts of it, others are unescaped behind
//! it; the text is put together once at the end.

use std::cell::RefCell;

use bytes::Bytes;
use event::{Event, EventBuilder, EventId, FieldId, Namespace, Record, Unescaped, fields as f};

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
}

/// A key met before.
struct Key {
    name: Box<str>,
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
    let ((a_words, a_rest), (b_words, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    a.len() == b.len()
        && a_words
            .iter()
            .zip(b_words)
            .all(|(a, b)| u64::from_le_bytes(*a) == u64::from_le_bytes(*b))
        && a_rest.iter().zip(b_rest).all(|(a, b)| a == b)
}

impl Memory {
    fn is(&self, place: usize, name: &[u8]) -> bool {
        self.known.get(place).is_some_and(|key| same(key.name.as_bytes(), name))
    }

    /// The place of `name` among the known keys, which followed the key at `last`.
    #[inline]
    fn place(&mut self, data: &Namespace, last: usize, name: &[u8]) -> Option<usize> {
        let guess = self.known.get(last).map_or(0, |key| key.next);
        if self.is(guess, name) {
            return Some(guess);
        }
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
                self.known.push(Key { name: name.into(), field, also, next: 0 });
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
        let mut builder = EventBuilder::new(Record { raw: raw.clone(), ..self.record.clone() }, id);
        let text = simdutf8::basic::from_utf8(raw).ok()?;
        let mut memory = self.memory.borrow_mut();
        let mut unescaped = std::mem::take(&mut memory.unescaped);
        unescaped.clear();
        let mut json = Scanner {
            text: text.as_bytes(),
            at: 0,
            unescaped,
            keep: text.len(),
            differs: Unescaped::Repeats,
        };
        json.take(b'{')?;
        let mut last = usize::MAX;
        loop {
            json.take(b'"')?;
            let key = json.string()?;
            let name = match key.end.checked_sub(text.len()) {
                None | Some(0) => text.as_bytes().get(key)?,
                // A key with escapes.
                Some(end) => json.unescaped.get(key.start - text.len()..end)?,
            };
            let place = memory.place(&self.data, last, name)?;
            let Key { field, also, .. } = memory.known[place];
            last = place;
            json.take(b':')?;
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
        let unescaped = simdutf8::basic::from_utf8(&json.unescaped).ok()?;
        builder.set_text(text, unescaped, json.differs);
        // Routing asks for it.
        builder.push_str(f::EVENT_MODULE, "windows");
        memory.unescaped = json.unescaped;
        Some(builder.build())
    }
}

type Range = std::ops::Range<usize>;

struct Scanner<'t> {
    text: &'t [u8],
    at: usize,
    unescaped: Vec<u8>,
    /// Where what is unescaped begins in the event's text.
    keep: usize,
    differs: Unescaped,
}

impl Scanner<'_> {
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

    /// How far it is from `at` to the next quote or backslash.
    #[inline]
    fn plain(&self, at: usize) -> Option<usize> {
        let rest = self.text.get(at..)?;
        let (words, _) = rest.as_chunks::<8>();
        for (place, word) in words.iter().enumerate() {
            let found = special(u64::from_le_bytes(*word));
            if found != 0 {
                return Some(place * 8 + found.trailing_zeros() as usize / 8);
            }
        }
        let done = words.len() * 8;
        let last = rest[done..].iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        Some(done + last)
    }

    /// Where the text of a string is whose quote is behind us.
    #[inline]
    fn string(&mut self) -> Option<Range> {
        let start = self.at;
        let end = start + self.plain(start)?;
        if self.text[end] == b'"' {
            self.at = end + 1;
            return Some(start..end);
        }
        self.unescape(start, end)
    }

    /// The same for a string whose first escape is at `first`.
    fn unescape(&mut self, start: usize, first: usize) -> Option<Range> {
        let from = self.unescaped.len();
        let (mut at, mut to) = (first, from + first - start);
        self.unescaped.extend_from_slice(&self.text[start..first]);
        loop {
            // Always room for eight bytes, so that they can be copied before it is known how
            // many of them count.
            if self.unescaped.len() < to + 8 {
                self.unescaped.resize(to + 256, 0);
            }
            let Some(word) = self.text.get(at..at + 8).and_then(|word| word.first_chunk()) else {
                let byte = *self.text.get(at)?;
                match byte {
                    b'"' => break,
                    b'\\' => at = self.escape(at, &mut to)?,
                    byte => {
                        self.unescaped[to] = byte;
                        (at, to) = (at + 1, to + 1);
                    }
                }
                continue;
            };
            self.unescaped[to..to + 8].copy_from_slice(word);
            let found = special(u64::from_le_bytes(*word));
            if found == 0 {
                (at, to) = (at + 8, to + 8);
                continue;
            }
            let plain = found.trailing_zeros() as usize / 8;
            (at, to) = (at + plain, to + plain);
            if self.text[at] == b'"' {
                break;
            }
            at = self.escape(at, &mut to)?;
        }
        self.unescaped.truncate(to);
        self.at = at + 1;
        Some(self.keep + from..self.keep + to)
    }

    /// Resolves the escape at `at`; gives what follows it. There is room for eight bytes.
    #[inline]
    fn escape(&mut self, at: usize, to: &mut usize) -> Option<usize> {
        let byte = match *self.text.get(at + 1)? {
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
                *to += c.encode_utf8(&mut self.unescaped[*to..]).len();
                return Some(at + 6);
            }
            b'/' => {
                self.differs = Unescaped::Differs;
                b'/'
            }
            byte => byte,
        };
        self.unescaped[*to] = byte;
        *to += 1;
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
                    let before = self.unescaped.len();
                    self.string()?;
                    self.unescaped.truncate(before);
                }
                _ => {}
            }
        }
    }
}

/// The high bit of each byte that is a quote or a backslash; bits above the lowest one may be
/// set wrongly.
#[inline]
fn special(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let quote = word ^ (ONES * b'"' as u64);
    let slash = word ^ (ONES * b'\\' as u64);
    ((quote.wrapping_sub(ONES) & !quote) | (slash.wrapping_sub(ONES) & !slash)) & HIGH
}
