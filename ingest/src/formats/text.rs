//! Small readings of text that several formats share. Pure; a reading that fails is `None`.

use std::{borrow::Cow, net::IpAddr};

use event::Timestamp;

/// `raw` as text; what is no UTF-8 becomes U+FFFD, and the text is a copy then.
pub(crate) fn lossy(raw: &[u8]) -> Cow<'_, str> {
    match simdutf8::basic::from_utf8(raw) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(raw),
    }
}

/// Whether `text` says something: many sources write "nothing" as an empty text or `-`.
pub(crate) fn is_present(text: &str) -> bool {
    // The usual case needs no trimming: it begins with a letter, a digit or a sign of ASCII
    // and is no lone `-`.
    match text.as_bytes() {
        [first, ..] if first.is_ascii_graphic() && *first != b'-' => true,
        _ => !matches!(text.trim(), "" | "-"),
    }
}

/// What stands behind the last `\` or `/`; all of `path` where there is none.
pub(crate) fn basename(path: &str) -> &str {
    match memchr::memrchr2(b'\\', b'/', path.as_bytes()) {
        Some(cut) => path.get(cut + 1..).unwrap_or_default(),
        None => path,
    }
}

/// What stands before the last `\` or `/`; a root keeps it (`C:\`, `/`).
pub(crate) fn dirname(path: &str) -> Option<&str> {
    let cut = memchr::memrchr2(b'\\', b'/', path.as_bytes())?;
    let root = cut == 0 || path[..cut].ends_with(':');
    Some(if root { &path[..=cut] } else { &path[..cut] })
}

/// The extension of a path's last part, without the dot.
pub(crate) fn extension(path: &str) -> Option<&str> {
    let (stem, extension) = basename(path).rsplit_once('.')?;
    (!stem.is_empty() && !extension.is_empty() && !extension.contains(' ')).then_some(extension)
}

/// `DOMAIN\name` as domain and name; a name alone has no domain.
pub(crate) fn account(full: &str) -> (Option<&str>, &str) {
    match full.split_once('\\') {
        Some((domain, name)) => (Some(domain).filter(|d| is_present(d)), name),
        None => (None, full),
    }
}

/// A whole number, decimal or with `0x`.
pub(crate) fn whole(text: &str) -> Option<i64> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// An IP address; an IPv4 address mapped into IPv6 comes back as IPv4, and a zone
/// (`fe80::1%4`) is left out.
pub(crate) fn ip(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_start_matches('[').trim_end_matches(']');
    let text = text.split_once('%').map_or(text, |(address, _)| address);
    text.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// Pairs of algorithm and digest in Sysmon's `SHA1=…,MD5=…`; a text without `=` is told by
/// its length.
pub(crate) fn hashes(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split([',', ';', '|']).filter_map(|part| match part.split_once('=') {
        Some((algorithm, digest)) => Some((algorithm.trim(), digest.trim())),
        None => hash_kind(part.trim()).map(|algorithm| (algorithm, part.trim())),
    })
}

/// The algorithm that a hexadecimal digest's length belongs to.
pub(crate) fn hash_kind(digest: &str) -> Option<&'static str> {
    if !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    match digest.len() {
        32 => Some("MD5"),
        40 => Some("SHA1"),
        64 => Some("SHA256"),
        _ => None,
    }
}

/// A time that says its zone, or that its source defines as UTC: RFC 3339 with or without
/// zone, milliseconds or seconds since 1970.
pub(crate) fn utc(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(number) = text.parse::<i64>() {
        return Some(epoch(number));
    }
    if !text.as_bytes().first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    Timestamp::parse(text)
}

/// A count since 1970 that is large enough to be milliseconds is taken as such.
pub(crate) fn epoch(number: i64) -> Timestamp {
    if number.unsigned_abs() < 100_000_000_000 {
        Timestamp::from_secs(number)
    } else {
        Timestamp::from_millis(number)
    }
}

/// Whether a time says its zone: ends in `Z` or in an offset such as `+02:00`.
pub(crate) fn is_zoned(text: &str) -> bool {
    let text = text.trim();
    let time = text.split_once(['T', ' ']).map_or("", |(_, time)| time);
    text.ends_with(['Z', 'z']) || time.contains(['+', '-'])
}

/// Sets the ASCII letters of `text` to lower case at the end of `out`.
pub(crate) fn push_lower(out: &mut String, text: &str) {
    let start = out.len();
    out.push_str(text);
    if let Some(tail) = out.get_mut(start..) {
        tail.make_ascii_lowercase();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cut_on_either_slash() {
        assert_eq!(basename(r"C:\Windows\a.exe"), "a.exe");
        assert_eq!(basename("/bin/sh"), "sh");
        assert_eq!(dirname(r"C:\a.exe"), Some(r"C:\"));
        assert_eq!(dirname("/etc/passwd"), Some("/etc"));
        assert_eq!(dirname("/x"), Some("/"));
        assert_eq!(dirname("x"), None);
        assert_eq!(extension(r"C:\x.y\a"), None);
        assert_eq!(extension(".bashrc"), None);
        assert_eq!(extension("a.tar.gz"), Some("gz"));
    }

    #[test]
    fn accounts_numbers_and_addresses() {
        assert_eq!(account(r"DIJON\a.martin"), (Some("DIJON"), "a.martin"));
        assert_eq!(account("SYSTEM"), (None, "SYSTEM"));
        assert_eq!(whole("0x1f"), Some(31));
        assert_eq!(whole(" 12 "), Some(12));
        assert_eq!(whole("0xZZ"), None);
        assert_eq!(ip("::ffff:192.0.2.1").unwrap().to_string(), "192.0.2.1");
        assert_eq!(ip("fe80::1%12").unwrap().to_string(), "fe80::1");
        assert_eq!(ip("LOCAL"), None);
    }

    #[test]
    fn times_know_their_zone() {
        assert!(is_zoned("2024-01-02T03:04:05Z"));
        assert!(is_zoned("2024-01-02 03:04:05.1+01:00"));
        assert!(!is_zoned("2024-01-02 03:04:05"));
        assert_eq!(utc("1700000000000"), utc("1700000000"));
        assert_eq!(utc("tomorrow"), None);
        assert_eq!(utc("-"), None);
    }

    #[test]
    fn hashes_with_and_without_names() {
        let md5 = "0".repeat(32);
        let text = format!("SHA1=AB,IMPHASH=CD,{md5}");
        let all: Vec<_> = hashes(&text).collect();
        assert_eq!(all, [("SHA1", "AB"), ("IMPHASH", "CD"), ("MD5", md5.as_str())]);
    }
}
