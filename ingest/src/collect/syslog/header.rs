//! How far a message's header reaches: RFC 5424, and what passes for RFC 3164.
//!
//! Only places are found here; nothing is interpreted, so that an odd header costs no record.

use super::sd;

/// What a header says about where things are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    /// Parameters of the structured data.
    pub(super) params: Vec<sd::Param>,
    /// Where the message proper may begin, the likeliest first; not past the line's end.
    pub(super) message_starts: Vec<usize>,
}

/// Reads the header of `line`.
pub(super) fn read(line: &[u8]) -> Header {
    let Some(after_pri) = after_pri(line) else {
        return Header { params: Vec::new(), message_starts: vec![skip_spaces(line, 0)] };
    };
    match after_version(line, after_pri) {
        Some(at) => rfc5424(line, at).unwrap_or_default(),
        None => rfc3164(line, after_pri),
    }
}

/// Behind `<0>` to `<191>`.
fn after_pri(line: &[u8]) -> Option<usize> {
    let end = line.iter().take(5).position(|byte| *byte == b'>')?;
    let digits = line.get(1..end)?;
    let value = digits.iter().fold(0, |n, digit| n * 10 + u32::from(digit.wrapping_sub(b'0')));
    let valid = line[0] == b'<'
        && !digits.is_empty()
        && digits.iter().all(u8::is_ascii_digit)
        && value <= 191;
    valid.then_some(end + 1)
}

/// Behind the version of RFC 5424 and its space.
fn after_version(line: &[u8], at: usize) -> Option<usize> {
    let rest = &line[at..];
    let digits = rest.iter().take(3).take_while(|byte| byte.is_ascii_digit()).count();
    let is_version = digits > 0 && rest[0] != b'0' && rest.get(digits) == Some(&b' ');
    is_version.then_some(at + digits + 1)
}

/// TIMESTAMP SP HOSTNAME SP APP-NAME SP PROCID SP MSGID SP STRUCTURED-DATA [SP MSG].
fn rfc5424(line: &[u8], mut at: usize) -> Option<Header> {
    for _ in 0..5 {
        at = skip_spaces(line, token_end(line, at)?);
    }
    let (params, end) = match line.get(at)? {
        b'-' => (Vec::new(), at + 1),
        b'[' => sd::read(line, at),
        // Some senders leave the structured data out.
        _ => (Vec::new(), at),
    };
    Some(Header { params, message_starts: vec![skip_spaces(line, end)] })
}

/// [TIMESTAMP] [HOST] [TAG:] MSG, each of which some senders leave out.
fn rfc3164(line: &[u8], at: usize) -> Header {
    let at = skip_spaces(line, at);
    let (at, stamped) = match after_timestamp(line, at) {
        Some(at) => (skip_spaces(line, at), true),
        None => (at, false),
    };
    let mut message_starts = vec![at];
    if let Some(end) = token_end(line, at) {
        let first_is_tag = line[at..end].ends_with(b":");
        let next = skip_spaces(line, end);
        if stamped || first_is_tag {
            message_starts.push(next);
        }
        // Only a host and a tag may stand before the message: a third word belongs to it.
        if let Some(end) = token_end(line, next)
            && stamped
            && !first_is_tag
            && line[next..end].ends_with(b":")
        {
            message_starts.push(skip_spaces(line, end));
        }
    }
    Header { params: Vec::new(), message_starts }
}

/// Behind `Oct  9 22:33:20`, with a year or fractions where devices add them, or behind the
/// RFC 3339 time of rsyslog's forward format; with or without a colon.
fn after_timestamp(line: &[u8], at: usize) -> Option<usize> {
    const MONTHS: [&[u8]; 12] = [
        b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov",
        b"Dec",
    ];
    let rest = &line[at..];
    let is_date = rest.len() > 10
        && rest[..4].iter().all(u8::is_ascii_digit)
        && rest[4] == b'-'
        && rest[7] == b'-';
    if is_date {
        return token_end(line, at);
    }
    if !MONTHS.iter().any(|month| rest.starts_with(month)) || rest.get(3) != Some(&b' ') {
        return None;
    }
    let is_digits = |from: usize, to: usize| line[from..to].iter().all(u8::is_ascii_digit);
    let day = skip_spaces(line, at + 3);
    let day_end = token_end(line, day).filter(|end| end - day <= 2 && is_digits(day, *end))?;
    let mut time = skip_spaces(line, day_end);
    let mut time_end = token_end(line, time)?;
    if time_end - time == 4 && is_digits(time, time_end) {
        time = skip_spaces(line, time_end);
        time_end = token_end(line, time)?;
    }
    let clock = &line[time..time_end];
    (clock.len() >= 8 && clock[2] == b':' && clock[5] == b':').then_some(time_end)
}

/// The end of the word at `at`, which has at least one byte.
fn token_end(line: &[u8], at: usize) -> Option<usize> {
    let rest = line.get(at..)?;
    let len = memchr::memchr(b' ', rest).unwrap_or(rest.len());
    (len > 0).then_some(at + len)
}

fn skip_spaces(line: &[u8], at: usize) -> usize {
    let rest = line.get(at..).unwrap_or_default();
    at.min(line.len()) + rest.iter().take_while(|byte| **byte == b' ').count()
}
