//! Which version of an object the client means: `If-Match` and `If-None-Match` of RFC 9110.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::problem::{Kind, Problem};

/// The entity tag of an object's version, strong.
pub(crate) fn etag(version: u64) -> HeaderValue {
    // Digits between quotes are always a valid value.
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Whether the client has `version` already.
pub(crate) fn is_known(headers: &HeaderMap, version: u64) -> bool {
    // Read leniently: whatever is not understood only costs a whole answer.
    tags(headers, &header::IF_NONE_MATCH).is_some_and(|tags| {
        tags.iter().any(|tag| *tag == "*" || names(tag.trim_start_matches("W/"), version))
    })
}

/// The version that a change must find: `None` where the client sets no condition, and a
/// problem where `current` is none that it names.
pub(crate) fn expected(headers: &HeaderMap, current: u64) -> Result<Option<u64>, Problem> {
    if !headers.contains_key(header::IF_MATCH) {
        return Ok(None);
    }
    let tags = tags(headers, &header::IF_MATCH).unwrap_or_default();
    let is_tag = |tag: &&str| {
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        tag.len() >= 2 && tag.starts_with('"') && tag.ends_with('"')
    };
    if tags == ["*"] {
        return Ok(None);
    }
    if tags.is_empty() || !tags.iter().all(is_tag) {
        return Err(Problem::parameter(
            "If-Match",
            "If-Match is the ETag of an answer before, quotes included, e.g. \"3\"",
        ));
    }
    if tags.iter().any(|tag| names(tag, current)) {
        return Ok(Some(current));
    }
    Err(Problem::new(
        Kind::Changed,
        format!(
            "the incident is at version {current} now, which If-Match does not name; read it \
             again and repeat the change"
        ),
    ))
}

fn names(tag: &str, version: u64) -> bool {
    etag(version).to_str().is_ok_and(|etag| etag == tag)
}

fn tags<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Vec<&'a str>> {
    let mut tags = Vec::new();
    for value in headers.get_all(name) {
        tags.extend(value.to_str().ok()?.split(',').map(str::trim).filter(|tag| !tag.is_empty()));
    }
    Some(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_change_names_its_version() {
        let expected = |value| expected(&headers(header::IF_MATCH, value), 3);
        assert_eq!(super::expected(&HeaderMap::new(), 3).unwrap(), None);
        assert_eq!(expected("*").unwrap(), None);
        assert_eq!(expected("\"3\"").unwrap(), Some(3));
        assert_eq!(expected("\"2\", \"3\"").unwrap(), Some(3));
        for changed in ["\"2\"", "W/\"3\"", "\"x\""] {
            assert!(
                format!("{:?}", expected(changed).unwrap_err()).contains("Changed"),
                "{changed}"
            );
        }
        for wrong in ["", "3", "\"", "*, \"3\"", "\"3\", x"] {
            assert!(format!("{:?}", expected(wrong).unwrap_err()).contains("Parameter"), "{wrong}");
        }
    }

    #[test]
    fn what_is_known_is_not_sent_again() {
        let known = |value| is_known(&headers(header::IF_NONE_MATCH, value), 3);
        assert!(known("\"3\"") && known("W/\"3\"") && known("*") && known("\"1\", \"3\""));
        assert!(!known("\"4\"") && !known("3") && !known(""));
    }
}
