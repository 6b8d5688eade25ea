//! One spelling for each value, so that equal values are equal bytes.
//!
//! Indicators and events go through the same functions, the ones when a set is compiled, the
//! others as they are matched.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use event::IndicatorType;

use super::keys::{Sort, ip_key};
use crate::fold::fold_into;

/// Bytes of an indicator's value at most.
pub(super) const VALUE_BYTES_MAX: usize = 4_096;
/// The shortest network that is an indicator: a shorter one is a continent, not an attacker.
const V4_BITS_MIN: u8 = 8;
const V6_BITS_MIN: u8 = 16;

/// Why a value can't be an indicator: a lowercase fragment.
pub(super) type Unusable = String;

/// Writes the key of an indicator.
pub(super) fn key(kind: IndicatorType, value: &str, out: &mut Vec<u8>) -> Result<(), Unusable> {
    out.clear();
    let value = value.trim();
    if value.is_empty() {
        return Err("the value is empty".to_owned());
    }
    if value.len() > VALUE_BYTES_MAX {
        return Err(format!("the value has {} bytes; at most {VALUE_BYTES_MAX}", value.len()));
    }
    let mut text = String::new();
    match kind {
        IndicatorType::Ip => network_key(value, out),
        IndicatorType::Domain => {
            let written = domain(value, &mut text) && text.contains('.');
            if !written || value.parse::<IpAddr>().is_ok() {
                return Err(format!("{value:?} is no domain name of at least two labels"));
            }
            write(Sort::Domain, text.as_bytes(), out);
            Ok(())
        }
        IndicatorType::Url => {
            let url =
                Url::parse(value).ok_or_else(|| format!("{value:?} is no URL with a host"))?;
            write(Sort::Url, url.whole().as_bytes(), out);
            Ok(())
        }
        IndicatorType::Hash => digest_key(Sort::Hash, value, &[16, 20, 32], out),
        IndicatorType::Certificate => digest_key(Sort::Certificate, value, &[16, 20, 32], out),
        IndicatorType::Ja3 => digest_key(Sort::Ja3, value, &[16], out),
        IndicatorType::Email => {
            if email(value, &mut text).is_none() {
                return Err(format!("{value:?} is no e-mail address"));
            }
            write(Sort::Email, text.as_bytes(), out);
            Ok(())
        }
        IndicatorType::UserAgent => {
            write(Sort::UserAgent, value.as_bytes(), out);
            Ok(())
        }
        IndicatorType::FileName => {
            file_name(value, &mut text);
            if text.is_empty() {
                return Err(format!("{value:?} names a folder, no file"));
            }
            write(Sort::FileName, text.as_bytes(), out);
            Ok(())
        }
    }
}

/// Makes `out` the key of `sort` and `bytes`.
pub(super) fn write(sort: Sort, bytes: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.push(sort as u8);
    out.extend_from_slice(bytes);
}

/// What a key says, for people: the canonical spelling.
pub(super) fn shown(key: &[u8]) -> String {
    let Some((sort, bytes)) = key.split_first() else { return String::new() };
    if *sort == Sort::Ip as u8 {
        return shown_network(bytes).unwrap_or_default();
    }
    if [Sort::Hash as u8, Sort::Certificate as u8, Sort::Ja3 as u8].contains(sort) {
        return bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    }
    String::from_utf8_lossy(bytes).into_owned()
}

fn shown_network(bytes: &[u8]) -> Option<String> {
    let (length, address) = bytes.split_first()?;
    let ip = match *address {
        [a, b, c, d] => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        _ => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?)),
    };
    Some(match (ip, *length) {
        (IpAddr::V4(_), 32) | (IpAddr::V6(_), 128) => ip.to_string(),
        (_, length) => format!("{ip}/{length}"),
    })
}

fn network_key(value: &str, out: &mut Vec<u8>) -> Result<(), Unusable> {
    let wrong = || {
        format!("{value:?} is no address and no network such as 198.51.100.0/24 or 2001:db8::/48")
    };
    let (address, length) = match value.split_once('/') {
        Some((address, length)) => (address, Some(length.parse::<u8>().map_err(|_| wrong())?)),
        None => (value, None),
    };
    let given = address.parse::<IpAddr>().map_err(|_| wrong())?;
    let ip = given.to_canonical();
    let (bits, least) = match ip {
        IpAddr::V4(_) => (32, V4_BITS_MIN),
        IpAddr::V6(_) => (128, V6_BITS_MIN),
    };
    // `::ffff:192.0.2.0/120` counts its bits from the front of the longer form.
    let mapped = if given.is_ipv6() && ip.is_ipv4() { 96 } else { 0 };
    let length = match length {
        None => bits,
        Some(length) => {
            length.checked_sub(mapped).filter(|length| *length <= bits).ok_or_else(wrong)?
        }
    };
    if length < least {
        return Err(format!("{value:?} is too wide for an indicator; /{least} at most"));
    }
    let mut key = [0; 18];
    let used = ip_key(ip, length, &mut key);
    out.extend_from_slice(&key[..used]);
    Ok(())
}

fn digest_key(
    sort: Sort,
    value: &str,
    lengths: &[usize],
    out: &mut Vec<u8>,
) -> Result<(), Unusable> {
    write(sort, &[], out);
    if digest(value, out) && lengths.contains(&(out.len() - 1)) {
        return Ok(());
    }
    let digits: Vec<_> = lengths.iter().map(|length| (2 * length).to_string()).collect();
    Err(format!("{value:?} is no hash of {} hexadecimal digits", digits.join(", ")))
}

/// Appends the bytes that `text` spells in hexadecimal, of either case, with or without colons
/// between them; whether it does and is an MD5, a SHA-1 or a SHA-256.
pub(super) fn digest(text: &str, out: &mut Vec<u8>) -> bool {
    let mut high = None;
    let before = out.len();
    for byte in text.trim().bytes() {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b':' | b' ' if high.is_none() => continue,
            _ => return false,
        };
        match high.take() {
            Some(high) => out.push(high << 4 | digit),
            None => high = Some(digit),
        }
        if out.len() - before > 32 {
            return false;
        }
    }
    high.is_none() && matches!(out.len() - before, 16 | 20 | 32)
}

/// The address that `text` is, without a zone, and IPv4 where it is only mapped into IPv6.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    // Most values that are none end here.
    let first = *text.as_bytes().first()?;
    if !(first.is_ascii_hexdigit() || matches!(first, b':' | b'[')) {
        return None;
    }
    let text = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let text = text.split_once('%').map_or(text, |(address, _)| address);
    text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

/// Makes `out` the domain name that `text` is: lower case, internationalised labels in punycode,
/// no dot at the end. False where it is none.
pub(super) fn domain(text: &str, out: &mut String) -> bool {
    out.clear();
    let text = text.trim();
    if text.is_ascii() {
        out.push_str(text);
        out.make_ascii_lowercase();
    } else {
        // UTS 46 as browsers apply it: folds case and width, and makes punycode.
        match idna::domain_to_ascii(text) {
            Ok(ascii) => out.push_str(&ascii),
            Err(_) => return false,
        }
    }
    if out.ends_with('.') {
        out.pop();
    }
    out.len() <= 253
        && out.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        })
}

/// Makes `out` the address that `text` is, in lower case; where its domain begins. Takes
/// `Name <address>` and `mailto:address` too.
pub(super) fn email(text: &str, out: &mut String) -> Option<usize> {
    let text = text.trim();
    let text = match (text.rfind('<'), text.ends_with('>')) {
        (Some(start), true) => &text[start + 1..text.len() - 1],
        _ => text,
    };
    let text = match text.get(..7) {
        Some(scheme) if scheme.eq_ignore_ascii_case("mailto:") => &text[7..],
        _ => text,
    };
    let (local, host) = text.trim().rsplit_once('@')?;
    if local.is_empty() || local.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return None;
    }
    let mut name = String::new();
    if !domain(host, &mut name) {
        return None;
    }
    out.clear();
    fold_into(local, out);
    out.push('@');
    let start = out.len();
    out.push_str(&name);
    Some(start)
}

/// Makes `out` the name at the end of a path of either kind, folded.
pub(super) fn file_name(path: &str, out: &mut String) {
    out.clear();
    fold_into(path.rsplit(['/', '\\']).next().unwrap_or_default().trim(), out);
}

/// A URL in the form that is compared: `host[:port]/path[?query]`, with another scheme than
/// `http` and `https` before it.
pub(super) struct Url {
    text: String,
    host: url::Host,
    query: Option<usize>,
}

impl Url {
    /// Reads `text` as a browser does (WHATWG); without a scheme it is taken as `http`. `None`
    /// where it has no host.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let bare = !has_scheme(text);
        // `user@host` without a scheme is somebody's address.
        let host_end = text.find(['/', '?', '#']).unwrap_or(text.len());
        if bare && (host_end == 0 || text[..host_end].contains('@')) {
            return None;
        }
        let given = match bare {
            true => Cow::Owned(format!("http://{text}")),
            false => Cow::Borrowed(text),
        };
        let parsed = url::Url::parse(&given).ok()?;
        let host = parsed.host()?.to_owned();
        let mut out = match parsed.scheme() {
            "http" | "https" => String::with_capacity(given.len()),
            scheme => format!("{scheme}://"),
        };
        match &host {
            url::Host::Domain(name) => out.push_str(name.strip_suffix('.').unwrap_or(name)),
            other => out.push_str(&other.to_string()),
        }
        // Without a scheme either default may be meant.
        if let Some(port) = parsed.port().filter(|port| !(bare && *port == 443)) {
            out.push_str(&format!(":{port}"));
        }
        unify_escapes(if parsed.path().is_empty() { "/" } else { parsed.path() }, &mut out);
        let query = parsed.query().map(|query| {
            let at = out.len();
            out.push('?');
            unify_escapes(query, &mut out);
            at
        });
        Some(Self { text: out, host, query })
    }

    /// All of it.
    pub(super) fn whole(&self) -> &str {
        &self.text
    }

    /// It without its query, where it has one.
    pub(super) fn without_query(&self) -> Option<&str> {
        self.query.map(|at| &self.text[..at])
    }

    /// Its host, as the domain or address that it is.
    pub(super) fn host(&self) -> Cow<'_, str> {
        match &self.host {
            url::Host::Domain(name) => Cow::Borrowed(name.as_str()),
            url::Host::Ipv4(ip) => Cow::Owned(ip.to_string()),
            url::Host::Ipv6(ip) => Cow::Owned(ip.to_string()),
        }
    }
}

fn has_scheme(text: &str) -> bool {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.as_bytes());
    scheme.is_some_and(|scheme| {
        scheme.first().is_some_and(u8::is_ascii_alphabetic)
            && scheme.iter().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(b))
    })
}

/// Appends `text` with escapes in capitals, and without those that stand for letters, digits and
/// `-._~`, which mean the same unescaped (RFC 3986, 6.2.2).
fn unify_escapes(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let byte = rest.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                out.push(char::from(byte));
                rest = &rest[at + 3..];
            }
            Some(byte) => {
                out.push_str(&format!("%{byte:02X}"));
                rest = &rest[at + 3..];
            }
            None => {
                out.push('%');
                rest = &rest[at + 1..];
            }
        }
    }
    out.push_str(rest);
}

#[cfg(test)]
#[path = "canonical_tests.rs"]
mod tests;
