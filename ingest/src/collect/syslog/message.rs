//! From one message to the key that it carries and the record that is kept of it.
//!
//! The record is
//! - the message proper, where that is a JSON object: relays such as NXLog wrap a product's
//!   JSON in a syslog header of their own, and decoders know the product, not the wrapping.
//!   What the header says is then the relay's word for what the object says itself (its host,
//!   time and severity), so nothing of the event is lost with it;
//! - otherwise the whole line, header included, as for CEF, key-value or plain text the header
//!   belongs to the event.
//!
//! Either way without the feed's key: secrets are never stored in clear.

use bytes::{BufMut, Bytes, BytesMut};
use serde::de::IgnoredAny;

use super::{header, sd};

/// Keys that are tried in one message.
const CANDIDATES_MAX: usize = 8;

/// What stands where a key was that is no parameter.
const REDACTED: &[u8] = b"***";

/// A parsed message.
#[derive(Debug)]
pub(super) struct Message {
    line: Bytes,
    params: Vec<sd::Param>,
    json: Option<Bytes>,
}

impl Message {
    /// Finds keys and payload of `line`, which may be anything.
    pub(super) fn parse(line: Bytes) -> Self {
        let header = header::read(&line);
        let mut params = header.params;
        let mut json = None;
        for start in header.message_starts {
            let start = skip_bom(&line, start);
            // Where the header has no place for structured data it may lead the message; there
            // only what is surely a key counts.
            let (leading, end) = sd::read(&line, start);
            params.extend(leading.into_iter().filter(|param| param.is_certain));
            json = json_object(&line, end);
            if json.is_some() || end > start {
                break;
            }
        }
        Self { line, params, json }
    }

    /// Values that may be the feed's key, the likeliest first.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        let certain = self.params.iter().filter(|param| param.is_certain);
        let others = self.params.iter().filter(|param| !param.is_certain);
        certain.chain(others).map(|param| param.value.as_str()).take(CANDIDATES_MAX)
    }

    /// What is kept of it, without `key`, which opened the feed, or any other that surely is one.
    pub(super) fn into_record(self, key: Option<&str>) -> Bytes {
        let raw = match self.json {
            Some(json) => json,
            None => cut(&self.line, &self.params, key),
        };
        redact(raw, key)
    }
}

/// Behind a byte order mark and spaces.
fn skip_bom(line: &[u8], at: usize) -> usize {
    let rest = &line[at..];
    let bom = if rest.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    at + bom + rest[bom..].iter().take_while(|byte| **byte == b' ').count()
}

/// The JSON object that `line` holds from `at` to its end, if it does, without the cookie that
/// marks it for some relays.
fn json_object(line: &Bytes, at: usize) -> Option<Bytes> {
    let at = skip_bom(line, at);
    let at = match line[at..].strip_prefix(b"@cee:") {
        Some(_) => skip_bom(line, at + 5),
        None => at,
    };
    let text = line[at..].trim_ascii_end();
    let is_object = text.first() == Some(&b'{')
        && std::str::from_utf8(text)
            .is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
    is_object.then(|| line.slice(at..at + text.len()))
}

/// `line` without the parameters that are keys.
fn cut(line: &Bytes, params: &[sd::Param], key: Option<&str>) -> Bytes {
    let mut secrets: Vec<_> = params
        .iter()
        .filter(|param| param.is_certain || key == Some(param.value.as_str()))
        .map(|param| param.range.clone())
        .collect();
    if secrets.is_empty() {
        return line.clone();
    }
    // Where an element is broken off the header's end and the message's beginning are read twice.
    secrets.sort_by_key(|secret| secret.start);
    let mut out = BytesMut::with_capacity(line.len());
    let mut at = 0;
    for secret in secrets {
        out.put_slice(&line[at..secret.start.max(at)]);
        at = secret.end.max(at);
    }
    out.put_slice(&line[at..]);
    out.freeze()
}

/// `raw` with every other copy of `key` made unreadable, e.g. where a relay wrapped a whole
/// message in another.
fn redact(raw: Bytes, key: Option<&str>) -> Bytes {
    let Some(key) = key.map(str::as_bytes).filter(|key| !key.is_empty()) else { return raw };
    let finder = memchr::memmem::Finder::new(key);
    if finder.find(&raw).is_none() {
        return raw;
    }
    let mut out = BytesMut::with_capacity(raw.len());
    let mut at = 0;
    for found in finder.find_iter(&raw) {
        out.put_slice(&raw[at..found]);
        out.put_slice(REDACTED);
        at = found + key.len();
    }
    out.put_slice(&raw[at..]);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "k3y-0123456789abcdef";

    fn record(line: &str) -> (Vec<String>, String) {
        let message = Message::parse(Bytes::copy_from_slice(line.as_bytes()));
        let keys: Vec<String> = message.keys().map(str::to_owned).collect();
        let key = keys.iter().find(|key| *key == KEY).cloned();
        let raw = message.into_record(key.as_deref());
        (keys, String::from_utf8_lossy(&raw).into_owned())
    }

    #[test]
    fn json_is_taken_out_of_every_header() {
        for header in [
            "",
            "<13>",
            "<13>1 2026-03-01T03:00:00Z ws-17 nxlog 812 - - ",
            "<13>1 2026-03-01T03:00:00Z ws-17 nxlog 812 - - \u{feff}",
            "<13>1 - - - - - - @cee: ",
            "<13>1 - ws-17 app - ID1 [origin ip=\"192.0.2.1\"][x@1 a=\"b\\]\\\"\"] ",
            "<191>Mar  1 03:00:00 ws-17 ",
            "<13>Mar 1 03:00:00 ws-17 nxlog[812]: ",
            "<13>Mar 01 2026 03:00:00.123 ws-17 nxlog: ",
            "<13>Mar 01 03:00:00 nxlog: @cee:",
            "<134>2026-03-01T03:00:00.000+01:00 ws-17 nxlog: ",
            "<134>nxlog: ",
        ] {
            let (keys, raw) = record(&format!("{header}{{\"a\": [1, {{}}]}} "));
            assert_eq!((keys.len(), raw.as_str()), (0, "{\"a\": [1, {}]}"), "{header:?}");
        }
    }

    /// Found by fuzzing: the element is read as the header's and as the message's.
    #[test]
    fn a_key_in_a_broken_element_is_cut_once() {
        for end in ["@]", "", " x]", " a=\"b"] {
            let (keys, raw) =
                record(&format!("<34>1 - h a 1 - [jacquemart@1 key=\"{KEY}\"{end} text"));
            assert!(keys.iter().all(|key| key == KEY) && !keys.is_empty(), "{keys:?}");
            assert_eq!(raw, format!("<34>1 - h a 1 - [jacquemart@1{end} text"));
        }
    }

    #[test]
    fn what_is_no_json_object_keeps_its_line() {
        for line in [
            "<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
            "<189>date=2026-03-01 time=03:00:00 devname=\"fw\"",
            "<134>CEF:0|Vendor|Product|1|100|name|5|src=192.0.2.1",
            "<13>Mar  1 03:00:00 ws-17 app: failed {\"a\":1}",
            "<13>Mar  1 03:00:00 ws-17 app: {\"a\":1} trailing",
            "<13>1 - - - - - - {\"cut\": \"sho",
            "<192>{\"a\":1}",
            "<>",
            "<1",
            "<13>",
            "<13>1 ",
            "<13>1 - - -",
            "<13>1 - - - - - [",
            "<13>1 - - - - - [x a=",
            "<13>1 - - - - - [x a=\"\\",
            "<13>Mar",
            "<13>Mar  1 ",
            "plain",
            "é<13>",
            "[",
            "[x key=\"a\"]",
        ] {
            assert_eq!(record(line).1, line);
        }
    }

    #[test]
    fn keys_are_found_and_never_kept() {
        for (line, kept) in [
            (
                format!("<13>1 - h a p LOG [SEKOIA@53288 intake_key=\"{KEY}\"] text"),
                "<13>1 - h a p LOG [SEKOIA@53288] text",
            ),
            (
                format!(
                    "<13>1 - h a p - [meta seq=\"1\"][jacquemart@32473 x=\"y\" key=\"{KEY}\" z=\"\"]"
                ),
                "<13>1 - h a p - [meta seq=\"1\"][jacquemart@32473 x=\"y\" z=\"\"]",
            ),
            (format!("<13>1 - h a p - [x@1 key=\"{KEY}\"] {{\"a\":1}}"), "{\"a\":1}"),
            (format!("<13>1 - h a p - [x@1 key=\"{KEY}\"] {{\"a\":\"{KEY}\"}}"), "{\"a\":\"***\"}"),
            (
                format!("<13>Mar  1 03:00:00 h a: [jacquemart@1 key=\"{KEY}\"] text"),
                "<13>Mar  1 03:00:00 h a: [jacquemart@1] text",
            ),
            (format!("<13>Mar  1 03:00:00 h a: [y@1 intake_key=\"{KEY}\"] {{}}"), "{}"),
            (
                format!("<13>1 - h a p - [x@1 key=\"{KEY}\"] <13>1 - [x@1 key=\"{KEY}\"] text"),
                "<13>1 - h a p - [x@1] <13>1 - [x@1 key=\"***\"] text",
            ),
            (
                format!("<13>1 - h a p - [x@1 key=\"other\"][x@1 key=\"{KEY}\"] text"),
                "<13>1 - h a p - [x@1 key=\"other\"][x@1] text",
            ),
        ] {
            let (keys, raw) = record(&line);
            assert!(keys.iter().any(|key| key == KEY), "{line}");
            assert_eq!(raw, kept);
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_gives_a_record(
            line in "(<[0-9]{0,3}>)?(1 )?((- |h |Mar  1 |03:00:00 |2026-03-01T0 |\\[x@1( key=\"[a-b\\\\]*\"?)?\\]? ?|\u{feff}|@cee:|\\{|\\}|:|\u{e9}| )){0,12}",
            cut in 0_usize..200,
        ) {
            let bytes = Bytes::from(line.into_bytes());
            let bytes = bytes.slice(..cut.min(bytes.len()));
            let message = Message::parse(bytes.clone());
            let key = message.keys().next().map(str::to_owned);
            proptest::prop_assert!(message.into_record(key.as_deref()).len() <= bytes.len() * 3);
        }

        #[test]
        fn whatever_bytes_come_are_kept_where_no_key_is(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60),
        ) {
            let line = Bytes::from([b"<13>1 ", &bytes[..]].concat());
            proptest::prop_assert_eq!(Message::parse(line.clone()).into_record(None), line);
        }
    }
}
