//! `key=value` in the ways of firewalls, and the extension of CEF.

use std::borrow::Cow;

use crate::formats::{declared::record::Record, json::Json};

/// Bytes of a key at most; what is longer is no key but text with a `=` in it.
const KEY_BYTES_MAX: usize = 128;

/// How a vendor writes pairs.
#[derive(Clone, Copy, Debug)]
pub(in crate::formats::declared) struct Style {
    /// What stands between key and value.
    pub(in crate::formats::declared) assign: u8,
    /// Whether a value in quotes ends at the closing quote, rather than being all up to the
    /// next key.
    pub(in crate::formats::declared) quotes: bool,
    /// Whether `\=`, `\|`, `\\`, `\n` and `\r` are escapes, as in CEF.
    pub(in crate::formats::declared) escapes: bool,
}

impl Style {
    pub(in crate::formats::declared) const KEY_VALUE: Self =
        Self { assign: b'=', quotes: true, escapes: false };
    pub(super) const CEF: Self = Self { assign: b'=', quotes: false, escapes: true };
}

/// Adds the pairs of `text`. A value without quotes reaches to the next key, so it may contain
/// spaces and commas. What stands before the first key is kept as `unparsed`.
pub(in crate::formats::declared) fn read<'t>(
    text: &'t str,
    style: Style,
    record: &mut Record<'_, 't>,
) {
    let mut at = 0;
    match find_key(text, 0, style.assign) {
        Some((start, _)) => {
            let before = text.get(..start).unwrap_or_default().trim_matches(is_separator);
            if !before.is_empty() {
                record.add_text("unparsed", before);
            }
            at = start;
        }
        None if text.trim().is_empty() => return,
        None => record.add_text("unparsed", text.trim()),
    }
    while let Some((start, end)) = find_key(text, at, style.assign) {
        let key = text.get(start..end).unwrap_or_default();
        let (value, next) = value(text, end + 1, style);
        record.add(key, Json::Str(value));
        // Each turn passes at least a key and its sign.
        at = next;
    }
}

fn is_separator(c: char) -> bool {
    matches!(c, ' ' | ',' | ';' | '\t' | '\r' | '\n' | '|')
}

fn is_separator_byte(byte: u8) -> bool {
    matches!(byte, b' ' | b',' | b';' | b'\t' | b'\r' | b'\n' | b'|' | b'[')
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'@' | b'/')
}

/// The first key at or behind `from` that stands at the beginning or behind a separator: where
/// it begins and where its sign is.
fn find_key(text: &str, from: usize, assign: u8) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut at = from;
    while let Some(found) = memchr::memchr(assign, bytes.get(at..)?) {
        let sign = at + found;
        let mut start = sign;
        while start > from && sign - start < KEY_BYTES_MAX && is_key_byte(bytes[start - 1]) {
            start -= 1;
        }
        let first = bytes.get(start).copied().unwrap_or(b' ');
        let alone = start == 0 || is_separator_byte(bytes[start - 1]);
        let escaped = sign > 0 && bytes[sign - 1] == b'\\';
        // Colons stand in times and addresses too, but not with a space or quote behind them.
        let meant = assign != b':' || matches!(bytes.get(sign + 1), Some(b' ' | b'"') | None);
        if start < sign
            && alone
            && meant
            && !escaped
            && (first.is_ascii_alphabetic() || first == b'_')
        {
            return Some((start, sign));
        }
        at = sign + 1;
    }
    None
}

/// The value at `at`, and where the next key may begin.
fn value(text: &str, at: usize, style: Style) -> (Cow<'_, str>, usize) {
    let rest = text.get(at..).unwrap_or_default();
    // Some write a space before the value.
    let spaces = rest.len() - rest.trim_start_matches(' ').len();
    if style.quotes
        && let Some(quote @ ('"' | '\'')) = rest[spaces..].chars().next()
        && let Some((value, len)) = quoted(&rest[spaces + 1..], quote, style.assign)
    {
        return (value, at + spaces + 1 + len);
    }
    let end = find_key(text, at, style.assign).map_or(text.len(), |(start, _)| start);
    let raw = text.get(at..end).unwrap_or_default();
    let raw = if style.escapes { raw.trim() } else { raw.trim_matches(is_separator) };
    let value = match style.escapes && raw.contains('\\') {
        true => Cow::Owned(unescape(raw)),
        false => Cow::Borrowed(raw),
    };
    (value, end)
}

/// The text up to the closing `quote`, and how far it reaches, quote included; `None` where it
/// does not close. A quote behind a backslash closes where a key or the end follows, as paths
/// end in backslashes too.
fn quoted(text: &str, quote: char, assign: u8) -> Option<(Cow<'_, str>, usize)> {
    let bytes = text.as_bytes();
    let quote = u8::try_from(quote).ok()?;
    let mut at = 0;
    let mut escaped = false;
    loop {
        let close = at + memchr::memchr(quote, bytes.get(at..)?)?;
        at = close + 1;
        let behind_backslash = close > 0 && bytes[close - 1] == b'\\';
        if behind_backslash && !ends_here(text, at, assign) {
            escaped = true;
            continue;
        }
        let raw = text.get(..close)?;
        let value = match escaped {
            true => {
                let quote = char::from(quote);
                Cow::Owned(raw.replace(&format!("\\{quote}"), &quote.to_string()))
            }
            false => Cow::Borrowed(raw),
        };
        return Some((value, at));
    }
}

/// Whether nothing or the next key stands at `at`.
fn ends_here(text: &str, at: usize, assign: u8) -> bool {
    let rest = text.get(at..).unwrap_or_default();
    let next = rest.trim_start_matches(is_separator);
    if next.is_empty() {
        return true;
    }
    let key = next.bytes().take(KEY_BYTES_MAX).take_while(|byte| is_key_byte(*byte)).count();
    next.len() < rest.len() && key > 0 && next.as_bytes().get(key) == Some(&assign)
}

/// Undoes the escapes of CEF.
pub(super) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, chars.clone().next()) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('r')) => out.push('\r'),
            ('\\', Some(next @ ('\\' | '=' | '|'))) => out.push(next),
            _ => {
                out.push(c);
                continue;
            }
        }
        chars.next();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::declared::record::{Keys, text_of};

    fn pairs(text: &str, style: Style) -> Vec<(String, String)> {
        let keys = Keys::default();
        let mut record = Record::new(&keys);
        read(text, style, &mut record);
        record
            .unread()
            .into_iter()
            .map(|(key, value)| (key.to_owned(), text_of(value).unwrap_or_default().to_owned()))
            .collect()
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn values_reach_to_the_next_key() {
        for (text, expected) in [
            ("a=1 b=\"x y\" c=z", &[("a", "1"), ("b", "x y"), ("c", "z")][..]),
            (
                "a=1,b=\"x\",c=2018-07-26 10:00:00,d=",
                &[("a", "1"), ("b", "x"), ("c", "2018-07-26 10:00:00"), ("d", "")],
            ),
            ("<1>x a=1", &[("unparsed", "<1>x"), ("a", "1")]),
            (r#"a="say \"hi\" then" d=1"#, &[("a", "say \"hi\" then"), ("d", "1")]),
            (r#"a="C:\dir\" b=1"#, &[("a", r"C:\dir\"), ("b", "1")]),
            ("a=\"cut b=1", &[("a", "\"cut"), ("b", "1")]),
            ("url=/x?y=1&z=2 b=3", &[("url", "/x?y=1&z=2"), ("b", "3")]),
            ("no pairs", &[("unparsed", "no pairs")]),
            ("", &[]),
            ("=", &[("unparsed", "=")]),
            ("é=1 a=é", &[("unparsed", "é=1"), ("a", "é")]),
        ] {
            assert_eq!(pairs(text, Style::KEY_VALUE), owned(expected), "{text}");
        }
    }

    #[test]
    fn cef_has_its_own_escapes() {
        assert_eq!(
            pairs(r"msg=a\=b \\ c|d\n cs1Label=x cs1=y z", Style::CEF),
            owned(&[("msg", "a=b \\ c|d\n"), ("cs1Label", "x"), ("cs1", "y z")])
        );
    }
}
