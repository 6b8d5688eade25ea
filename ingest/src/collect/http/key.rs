//! Where a request shows its feed's key.
//!
//! Shippers each have their own place for a secret and can seldom be taught another, so the
//! same key is taken in all of them. A request that shows two different keys is refused: which
//! one counts would be a guess.

use super::problem::Refusal;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// What SEKOIA.IO's forwarders put the key of an intake into.
const INTAKE_KEY: HeaderName = HeaderName::from_static("x-sekoiaio-intake-key");

/// Characters of base64 that a header may carry; keys are far shorter.
const BASE64_CHARS_MAX: usize = 4_096;

/// The key that the headers show; `None` where they show none, or several that differ.
///
/// | place | who sends it |
/// |---|---|
/// | `Authorization: Bearer KEY` | curl, Fluent Bit, Vector |
/// | `Authorization: Basic base64(anything:KEY)` | Beats, Logstash, rsyslog, the intake's clients |
/// | `Authorization: ApiKey base64(anything:KEY)` | Elasticsearch clients; the bare `KEY` too |
/// | `Authorization: Splunk KEY` | senders to Splunk's event collector |
/// | `X-SEKOIAIO-INTAKE-KEY: KEY` | SEKOIA.IO's forwarders |
pub(super) fn of(headers: &HeaderMap) -> Option<String> {
    let one = |name: HeaderName| {
        let mut values = headers.get_all(name).iter();
        let first = values.next();
        // A header that comes twice was joined by someone in between; which one counts?
        values.next().is_none().then_some(first)
    };
    let authorization = one(header::AUTHORIZATION)?.map(of_authorization);
    let intake = one(INTAKE_KEY)?.map(|value| Some(value.to_str().ok()?.trim().to_owned()));
    let key = match (authorization, intake) {
        (Some(key), None) | (None, Some(key)) => key?,
        (Some(one), Some(other)) if one == other => one?,
        _ => return None,
    };
    (!key.is_empty()).then_some(key)
}

/// Puts a key that stood elsewhere into the headers, where [`of`] finds it; beside another one
/// it makes two, which are none.
pub(super) fn show(headers: &mut HeaderMap, key: &str) -> Result<(), Refusal> {
    let value = HeaderValue::from_str(key).map_err(|_| Refusal::KeyWrong)?;
    headers.append(INTAKE_KEY, value);
    Ok(())
}

fn of_authorization(value: &HeaderValue) -> Option<String> {
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim();
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Some(rest.to_owned()),
        "splunk" => Some(rest.to_owned()),
        "basic" => password(rest),
        // A key may be given bare, by whoever reads "API key" and has one.
        "apikey" => password(rest).or_else(|| Some(rest.to_owned())),
        _ => None,
    }
}

/// What follows the first colon of the pair that `text` encodes.
fn password(text: &str) -> Option<String> {
    let pair = String::from_utf8(base64(text)?).ok()?;
    pair.split_once(':').map(|(_, key)| key.to_owned())
}

/// RFC 4648 base64, with or without its padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    use base64::{Engine as _, engine};
    const CONFIG: engine::GeneralPurposeConfig = engine::GeneralPurposeConfig::new()
        .with_decode_padding_mode(engine::DecodePaddingMode::Indifferent);
    let engine = engine::GeneralPurpose::new(&base64::alphabet::STANDARD, CONFIG);
    (text.len() <= BASE64_CHARS_MAX).then(|| engine.decode(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn key(headers: &[(&str, &str)]) -> Option<String> {
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        of(request.body(()).unwrap().headers())
    }

    #[test]
    fn every_place_is_looked_at() {
        // `a:jqk_1` and `jqk_1` in base64.
        for headers in [
            &[("authorization", "Bearer jqk_1")][..],
            &[("authorization", "bearer   jqk_1 ")],
            &[("authorization", "Splunk jqk_1")],
            &[("authorization", "Basic YTpqcWtfMQ==")],
            &[("authorization", "Basic YTpqcWtfMQ")],
            &[("authorization", "ApiKey YTpqcWtfMQ==")],
            &[("authorization", "ApiKey jqk_1")],
            &[("x-sekoiaio-intake-key", "jqk_1")],
            &[("x-sekoiaio-intake-key", "jqk_1"), ("authorization", "Bearer jqk_1")],
        ] {
            assert_eq!(key(headers).as_deref(), Some("jqk_1"), "{headers:?}");
        }
    }

    #[test]
    fn no_key_or_two_are_none() {
        for headers in [
            &[][..],
            &[("authorization", "Bearer ")],
            &[("authorization", "jqk_1")],
            &[("authorization", "Digest jqk_1")],
            &[("authorization", "Basic jqk_1")],
            &[("authorization", "Basic !!!!")],
            &[("x-sekoiaio-intake-key", " ")],
            &[("x-sekoiaio-intake-key", "jqk_2"), ("authorization", "Bearer jqk_1")],
            &[("authorization", "Bearer jqk_1"), ("authorization", "Bearer jqk_1")],
        ] {
            assert_eq!(key(headers), None, "{headers:?}");
        }
    }
}
