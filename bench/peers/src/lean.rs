//! The leanest way from a record to what the engine matches: every member of the flat object
//! as event data, and what routing reads. It leaves out all that makes an event useful to
//! analysts (ECS, times, entities), so it bounds what decoding could cost, and compares like
//! with like: the peers are given no more.

use std::cell::RefCell;

use bytes::Bytes;
use event::{Event, EventBuilder, EventId, FieldId, Namespace, Record, fields as f};
use memchr::memchr2;

use crate::corpus;

/// Decodes flat JSON objects.
pub(crate) struct Lean {
    data: Namespace,
    record: Record,
    /// Keys met before, each at a place that follows from its ends; few collide.
    known: RefCell<Vec<Option<(Box<str>, FieldId)>>>,
}

/// Places for known keys.
const KNOWN: usize = 4_096;

impl Lean {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            data: Namespace::new("winlog.event_data"),
            record: corpus::record_of(Bytes::new())?,
            known: RefCell::new(vec![None; KNOWN]),
        })
    }

    fn field(&self, key: &str) -> Option<FieldId> {
        let bytes = key.as_bytes();
        let ends = match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            (Some(first), Some(last)) => {
                u32::from_le_bytes(*first) ^ u32::from_le_bytes(*last) << 3
            }
            _ => bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)),
        };
        let sum = (ends ^ u32::try_from(bytes.len()).unwrap_or(0)).wrapping_mul(0x9e37_79b1);
        let place = (sum >> 20) as usize % KNOWN;
        let mut known = self.known.borrow_mut();
        match &known[place] {
            Some((name, field)) if **name == *key => Some(*field),
            _ => {
                let field = self.data.field(key)?;
                known[place] = Some((key.into(), field));
                Some(field)
            }
        }
    }

    /// The event; `None` where the record is no JSON object as shippers write it.
    pub(crate) fn decode(&self, raw: &Bytes, id: EventId) -> Option<Event> {
        let mut builder = EventBuilder::new(Record { raw: raw.clone(), ..self.record.clone() }, id);
        builder.push_str(f::EVENT_MODULE, "windows");
        let text = std::str::from_utf8(raw).ok()?;
        let mut json = Scanner { text, at: 0 };
        json.take(b'{')?;
        loop {
            json.take(b'"')?;
            let key = json.string()?;
            json.take(b':')?;
            let field = self.field(key)?;
            match json.peek()? {
                b'"' => {
                    json.at += 1;
                    let raw = json.string()?;
                    builder.push_with(field, |out| unescape(raw, out));
                }
                b'{' | b'[' => builder.push_str(field, json.container()?),
                _ => match json.scalar() {
                    "true" => builder.push_bool(field, true),
                    "false" => builder.push_bool(field, false),
                    "null" => builder.push_null(field),
                    digits => match digits.parse() {
                        Ok(number) => builder.push_i64(field, number),
                        Err(_) => builder.push_str(field, digits),
                    },
                },
            }
            match key {
                "EventID" => builder.also(f::EVENT_CODE),
                "Channel" => builder.also(f::WINLOG_CHANNEL),
                "SourceName" | "ProviderName" => builder.also(f::WINLOG_PROVIDER_NAME),
                "Message" => builder.also(f::MESSAGE),
                "NewProcessName" => builder.also(f::PROCESS_EXECUTABLE),
                "ParentProcessName" => builder.also(f::PROCESS_PARENT_EXECUTABLE),
                _ => {}
            }
            match json.peek()? {
                b',' => json.at += 1,
                _ => break,
            }
        }
        json.take(b'}')?;
        Some(builder.build())
    }
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scanner<'t> {
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.at)? {
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// The inside of a string whose quote is behind us, escapes as they are.
    fn string(&mut self) -> Option<&'t str> {
        let start = self.at;
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let len = memchr2(b'"', b'\\', rest)?;
            self.at += len + 1;
            if rest[len] == b'"' {
                return self.text.get(start..self.at - 1);
            }
            self.at += 1;
            if self.at > self.text.len() {
                return None;
            }
        }
    }

    fn scalar(&mut self) -> &'t str {
        let start = self.at;
        let rest = &self.text.as_bytes()[start..];
        let len = rest
            .iter()
            .position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\r' | b'\n'))
            .unwrap_or(rest.len());
        self.at += len;
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn container(&mut self) -> Option<&'t str> {
        let (start, mut open) = (self.at, 0_usize);
        loop {
            let byte = *self.text.as_bytes().get(self.at)?;
            self.at += 1;
            match byte {
                b'{' | b'[' => open += 1,
                b'}' | b']' => {
                    open -= 1;
                    if open == 0 {
                        return self.text.get(start..self.at);
                    }
                }
                b'"' => {
                    self.string()?;
                }
                _ => {}
            }
        }
    }
}

fn unescape(raw: &str, out: &mut String) {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let mut behind = at + 2;
        match rest.as_bytes().get(at + 1) {
            Some(b'n') => out.push('\n'),
            Some(b'r') => out.push('\r'),
            Some(b't') => out.push('\t'),
            Some(b'b') => out.push('\u{8}'),
            Some(b'f') => out.push('\u{c}'),
            Some(b'u') => {
                let hex = rest.get(behind..behind + 4);
                let code = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok());
                // Halves of a pair are rare enough here to be replaced one by one.
                out.push(code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER));
                behind += hex.map_or(0, str::len);
            }
            Some(byte) if byte.is_ascii() => out.push(char::from(*byte)),
            _ => behind -= 1,
        }
        rest = rest.get(behind..).unwrap_or_default();
    }
    out.push_str(rest);
}
