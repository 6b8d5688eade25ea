//! STRUCTURED-DATA of RFC 5424: `[id name="value" …][id …]`.

use std::ops::Range;

/// Parameters that are looked at in one message.
const PARAMS_MAX: usize = 64;

/// One parameter that may be a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Param {
    /// From the space before its name to behind its closing quote.
    pub(super) range: Range<usize>,
    /// Its value without escapes.
    pub(super) value: String,
    /// Whether it can be nothing else: it is called `intake_key`, or is the `key` of an element
    /// `jacquemart@…`. Any other `key` may be the sender's own affair.
    pub(super) is_certain: bool,
}

/// The parameters called `key` or `intake_key` of the elements that begin at `at`, and where
/// the elements end. A malformed one ends them; what was read until then counts.
pub(super) fn read(line: &[u8], mut at: usize) -> (Vec<Param>, usize) {
    let mut params = Vec::new();
    while line.get(at) == Some(&b'[') {
        match element(line, at, &mut params) {
            Some(end) => at = end,
            None => break,
        }
    }
    (params, at)
}

/// Reads the element at `at`; gives where it ends.
fn element(line: &[u8], at: usize, params: &mut Vec<Param>) -> Option<usize> {
    let id_end = at + 1 + line[at + 1..].iter().position(|byte| matches!(byte, b' ' | b']'))?;
    let is_ours = line[at + 1..id_end].starts_with(b"jacquemart@");
    let mut at = id_end;
    loop {
        let start = at;
        at += line[at..].iter().take_while(|byte| **byte == b' ').count();
        if line.get(at)? == &b']' {
            return Some(at + 1);
        }
        let equals = at + memchr::memchr(b'=', &line[at..])?;
        let name = &line[at..equals];
        if line.get(equals + 1)? != &b'"' || name.iter().any(|byte| b" ]\"".contains(byte)) {
            return None;
        }
        let end = value_end(line, equals + 2)?;
        let is_intake_key = name.eq_ignore_ascii_case(b"intake_key");
        if (is_intake_key || name.eq_ignore_ascii_case(b"key")) && params.len() < PARAMS_MAX {
            params.push(Param {
                range: start..end + 1,
                value: unescape(&line[equals + 2..end]),
                is_certain: is_intake_key || is_ours,
            });
        }
        at = end + 1;
    }
}

/// Where the quote is that closes the value which begins at `at`.
fn value_end(line: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match line.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// `\"`, `\\` and `\]` stand for what follows them; any other backslash for itself.
fn unescape(value: &[u8]) -> String {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        match (byte, rest.peek()) {
            (b'\\', Some(&next @ (b'"' | b'\\' | b']'))) => {
                out.push(next);
                rest.next();
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
