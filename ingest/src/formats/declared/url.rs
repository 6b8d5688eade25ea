//! Parts of a URL, cut and not interpreted, so that what attackers write wrong stays visible.

/// A part of a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Scheme,
    Domain,
    Port,
    Path,
    Query,
    Fragment,
}

/// The part of `url`, where it has one. A URL without scheme begins with its path where it
/// begins with `/`, and with its host otherwise.
pub(super) fn part(url: &str, part: Part) -> Option<&str> {
    let url = url.trim();
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) if scheme.bytes().all(is_scheme) && !scheme.is_empty() => {
            (Some(scheme), rest)
        }
        _ => (None, url),
    };
    let cut = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at_checked(cut)?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port))
            if !port.is_empty()
                && port.bytes().all(|byte| byte.is_ascii_digit())
                && (!host.contains(':') || host.ends_with(']')) =>
        {
            (host, Some(port))
        }
        _ => (authority, None),
    };
    let (before, fragment) = match tail.split_once('#') {
        Some((before, fragment)) => (before, Some(fragment)),
        None => (tail, None),
    };
    let (path, query) = match before.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (before, None),
    };
    match part {
        Part::Scheme => scheme,
        Part::Domain => Some(host.trim_start_matches('[').trim_end_matches(']')),
        Part::Port => port,
        Part::Path => Some(path),
        Part::Query => query,
        Part::Fragment => fragment,
    }
    .filter(|part| !part.is_empty())
}

fn is_scheme(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_cut_where_they_begin() {
        let parts = |url| {
            [Part::Scheme, Part::Domain, Part::Port, Part::Path, Part::Query, Part::Fragment]
                .map(|wanted| part(url, wanted).unwrap_or("-"))
        };
        assert_eq!(
            parts("https://u:p@a.example:8443/x/y?q=1#f"),
            ["https", "a.example", "8443", "/x/y", "q=1", "f"]
        );
        assert_eq!(parts("/only/path?x"), ["-", "-", "-", "/only/path", "x", "-"]);
        assert_eq!(parts("http://[2001:db8::1]:80"), ["http", "2001:db8::1", "80", "-", "-", "-"]);
        assert_eq!(parts("a.example"), ["-", "a.example", "-", "-", "-", "-"]);
        assert_eq!(parts(""), ["-"; 6]);
    }
}
