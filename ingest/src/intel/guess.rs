//! What a bare value is.

use std::{borrow::Cow, net::IpAddr};

use event::IndicatorType;

/// What `value` looks like; `None` where it looks like nothing that is compared.
///
/// Hexadecimal of 32, 40 or 64 digits is a file's hash, as lists of certificates and JA3 are
/// rarer and say so.
pub fn guess(value: &str) -> Option<IndicatorType> {
    let value = value.trim();
    let address = value.split_once('/').map_or(value, |(address, _)| address);
    if address.parse::<IpAddr>().is_ok() {
        let length = value.split_once('/').map(|(_, length)| length.parse::<u8>());
        // `192.0.2.1/login` is a URL without its scheme.
        return Some(match length {
            Some(Err(_)) => IndicatorType::Url,
            _ => IndicatorType::Ip,
        });
    }
    if matches!(value.len(), 32 | 40 | 64) && value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Some(IndicatorType::Hash);
    }
    if value.contains("://") {
        return Some(IndicatorType::Url);
    }
    if value.is_empty() || value.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return None;
    }
    let host = value.split(['/', '?', ':']).next().unwrap_or_default();
    if value.contains('@') && !value.contains('/') {
        return Some(IndicatorType::Email);
    }
    let named = host.contains('.') && host.chars().any(char::is_alphabetic);
    match (named, host.len() == value.len()) {
        (true, true) => Some(IndicatorType::Domain),
        (true, false) => Some(IndicatorType::Url),
        // `192.0.2.1:8080/x`
        _ if host.parse::<IpAddr>().is_ok() => Some(IndicatorType::Url),
        _ => None,
    }
}

/// `value` as it was before somebody made it harmless to click: `hxxp` is `http` again, and
/// `[.]`, `(.)`, `[dot]`, `{.}`, `[:]`, `[://]`, `[@]` and `[at]` lose their brackets.
pub fn refang(value: &str) -> Cow<'_, str> {
    let value = value.trim();
    let scheme = value.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("hxxp"));
    if !scheme && !value.contains(['[', '(', '{', '\\']) {
        return Cow::Borrowed(value);
    }
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    if scheme {
        out.push_str("http");
        rest = &value[4..];
    }
    'next: while let Some(c) = rest.chars().next() {
        for (armed, plain) in FANGS {
            let head = rest.as_bytes().get(..armed.len());
            if head.is_some_and(|head| head.eq_ignore_ascii_case(armed.as_bytes())) {
                out.push_str(plain);
                rest = &rest[armed.len()..];
                continue 'next;
            }
        }
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    Cow::Owned(out)
}

/// Ways in which people write what must not be clicked.
const FANGS: &[(&str, &str)] = &[
    ("[.]", "."),
    ("(.)", "."),
    ("{.}", "."),
    ("[dot]", "."),
    ("(dot)", "."),
    ("\\.", "."),
    ("[:]", ":"),
    ("[://]", "://"),
    ("[/]", "/"),
    ("[@]", "@"),
    ("[at]", "@"),
    ("(at)", "@"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_apart() {
        use IndicatorType::*;
        for (value, expected) in [
            ("192.0.2.1", Some(Ip)),
            ("192.0.2.0/24", Some(Ip)),
            ("2001:db8::/32", Some(Ip)),
            ("192.0.2.1/login.php", Some(Url)),
            ("192.0.2.1:8080/x", Some(Url)),
            ("evil.example", Some(Domain)),
            ("évil.example", Some(Domain)),
            ("evil.example/x", Some(Url)),
            ("https://evil.example", Some(Url)),
            ("x@evil.example", Some(Email)),
            ("00112233445566778899aabbccddeeff", Some(Hash)),
            ("0011223344", None),
            ("two words", None),
            ("localhost", None),
            ("", None),
        ] {
            assert_eq!(guess(value), expected, "{value}");
        }
    }

    #[test]
    fn what_was_made_harmless_reads_as_before() {
        for (value, expected) in [
            ("hxxp://evil[.]example/a", "http://evil.example/a"),
            ("hXXps[://]evil(.)example", "https://evil.example"),
            ("192[.]0[.]2[.]1", "192.0.2.1"),
            ("x[at]evil[dot]example", "x@evil.example"),
            ("evil\\.example", "evil.example"),
            ("http://[2001:db8::1]/é[x]", "http://[2001:db8::1]/é[x]"),
            (" evil.example ", "evil.example"),
        ] {
            assert_eq!(refang(value), expected);
        }
    }
}
