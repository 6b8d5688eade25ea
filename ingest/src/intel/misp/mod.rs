//! MISP events: attributes, and those of objects, that are marked for detection.

use event::{Indicator, IndicatorType, Timestamp, Tlp};
use serde_json::{Error, Value};

use super::{
    sink::{Options, Refused, Sink, shown},
    stix::is_technique,
};

/// Characters of an event's title that are kept.
const TITLE_CHARS_MAX: usize = 300;

/// Reads a MISP event as `{"Event": …}`, a list of those, or the `response` of a search.
pub(super) fn read(bytes: &[u8], options: &Options, sink: &mut dyn Sink) -> Result<(), Error> {
    let document: Value = serde_json::from_slice(bytes)?;
    let list = document.get("response").unwrap_or(&document);
    match list {
        Value::Array(events) => events.iter().for_each(|one| event(one, options, sink)),
        one => event(one, options, sink),
    }
    Ok(())
}

fn text<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// MISP writes truth as `true`, `1` or `"1"`.
fn is_true(object: &Value, name: &str) -> bool {
    match object.get(name) {
        Some(Value::Bool(value)) => *value,
        Some(Value::Number(number)) => number.as_u64() == Some(1),
        Some(Value::String(text)) => text == "1" || text == "true",
        _ => false,
    }
}

fn list<'a>(object: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    object.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn event(document: &Value, options: &Options, sink: &mut dyn Sink) {
    let event = document.get("Event").unwrap_or(document);
    let Some(uuid) = text(event, "uuid") else {
        let reason = "it is no MISP event: it has no uuid".to_owned();
        return sink.refused(Refused { place: "an event".to_owned(), reason });
    };
    let attributes = list(event, "Attribute").chain(
        list(event, "Object").filter(|o| !is_true(o, "deleted")).flat_map(|o| list(o, "Attribute")),
    );
    for attribute in attributes {
        if is_true(attribute, "to_ids") && !is_true(attribute, "deleted") {
            one(event, uuid, attribute, options, sink);
        }
    }
}

fn one(event: &Value, uuid: &str, attribute: &Value, options: &Options, sink: &mut dyn Sink) {
    let id = text(attribute, "uuid").unwrap_or(uuid);
    let refuse = |reason: String| Refused { place: format!("attribute {id}"), reason };
    let (Some(kind), Some(value)) = (text(attribute, "type"), text(attribute, "value")) else {
        return sink.refused(refuse("it has no type or no value".to_owned()));
    };
    let values = values(kind, value);
    if values.is_empty() {
        return sink.refused(refuse(format!("MISP's type {} is not compared", shown(kind, 60))));
    }
    let time = |name: &str| text(attribute, name).and_then(Timestamp::parse);
    let date = seconds(attribute.get("timestamp")).or_else(|| seconds(event.get("timestamp")));
    let tags: Vec<&str> = list(event, "Tag")
        .chain(list(attribute, "Tag"))
        .filter_map(|tag| text(tag, "name"))
        .collect();
    let place = format!("attribute {id}");
    for (kind, value) in values {
        let indicator = Indicator {
            id: Some(id.to_owned()),
            valid_from: time("first_seen"),
            tlp: tags
                .iter()
                .filter_map(|tag| Tlp::from_label(tag).filter(|_| tag.contains(':')))
                .max(),
            tags: techniques(&tags),
            description: text(event, "info").map(|info| shown(info, TITLE_CHARS_MAX)),
            reference: Some(format!("misp:event:{uuid}")),
            ..Indicator::new(kind, value)
        };
        options.give(indicator, (Some(uuid), &place), date, sink);
    }
}

/// MISP's timestamps: seconds, as a number or as text.
pub(super) fn seconds(value: Option<&Value>) -> Option<Timestamp> {
    let seconds = match value? {
        Value::String(text) => text.parse().ok()?,
        value => value.as_i64()?,
    };
    Some(Timestamp::from_secs(seconds))
}

/// ATT&CK techniques in tags such as `misp-galaxy:mitre-attack-pattern="Phishing - T1566"`.
fn techniques(tags: &[&str]) -> Vec<String> {
    let mut found: Vec<String> = tags
        .iter()
        .filter(|tag| tag.contains("mitre-"))
        .filter_map(|tag| tag.trim_end_matches('"').rsplit(" - ").next())
        .filter(|id| is_technique(id))
        .map(|id| format!("attack.{}", id.to_ascii_lowercase()))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// What MISP's type is, for those with one value.
pub(super) fn kind_of(kind: &str) -> Option<IndicatorType> {
    Some(match kind {
        "ip-src" | "ip-dst" => IndicatorType::Ip,
        "domain" | "hostname" => IndicatorType::Domain,
        "url" | "uri" => IndicatorType::Url,
        "md5" | "sha1" | "sha256" => IndicatorType::Hash,
        "filename" => IndicatorType::FileName,
        "email" | "email-src" | "email-dst" | "email-reply-to" | "target-email" => {
            IndicatorType::Email
        }
        "user-agent" | "http-user-agent" => IndicatorType::UserAgent,
        "x509-fingerprint-md5" | "x509-fingerprint-sha1" | "x509-fingerprint-sha256" => {
            IndicatorType::Certificate
        }
        "ja3-fingerprint-md5" => IndicatorType::Ja3,
        _ => return None,
    })
}

/// The values of an attribute; two parts are joined by `|`. A port narrows an address down and
/// is left out; the name beside a hash adds nothing to it; a domain and its address are both
/// bad.
fn values<'a>(kind: &str, value: &'a str) -> Vec<(IndicatorType, &'a str)> {
    if let Some(single) = kind_of(kind) {
        return vec![(single, value)];
    }
    let Some((first, second)) = value.split_once('|') else { return Vec::new() };
    match kind {
        "ip-src|port" | "ip-dst|port" => vec![(IndicatorType::Ip, first)],
        "hostname|port" => vec![(IndicatorType::Domain, first)],
        "domain|ip" => vec![(IndicatorType::Domain, first), (IndicatorType::Ip, second)],
        "malware-sample" | "filename|md5" | "filename|sha1" | "filename|sha256" => {
            vec![(IndicatorType::Hash, second)]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::{super::sink::Collected, *};

    #[test]
    fn attributes_for_detection_become_indicators() {
        let attribute = |kind: &str, value: &str, more: &Value| {
            let mut attribute = json!({"uuid": format!("a-{value}"), "type": kind, "value": value, "to_ids": true, "timestamp": "1767225600"});
            attribute.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            attribute
        };
        let document = json!({"response": [{"Event": {
            "uuid": "e-1", "info": "Campaign", "timestamp": "1767225600",
            "Tag": [{"name": "tlp:amber"}, {"name": "misp-galaxy:mitre-attack-pattern=\"Phishing - T1566\""}],
            "Attribute": [
                attribute("domain", "evil.example", &json!({"Tag": [{"name": "tlp:red"}]})),
                attribute("ip-dst|port", "192.0.2.1|443", &json!({"to_ids": "1"})),
                attribute("domain", "not-marked.example", &json!({"to_ids": false})),
                attribute("domain", "deleted.example", &json!({"deleted": "1"})),
                attribute("mutex", "Global\\x", &json!({})),
            ],
            "Object": [
                {"name": "file", "Attribute": [
                    attribute("filename|md5", "a.exe|00112233445566778899aabbccddeeff", &json!({})),
                    attribute("domain|ip", "two.example|192.0.2.2", &json!({})),
                ]},
                {"name": "file", "deleted": true, "Attribute": [attribute("domain", "gone.example", &json!({}))]},
            ],
        }}]});
        let options = Options { valid_for: Some(Duration::from_hours(24)), ..Options::default() };
        let mut sink = Collected::default();
        read(document.to_string().as_bytes(), &options, &mut sink).unwrap();
        let values: Vec<_> =
            sink.indicators.iter().map(|(_, i)| (i.kind, i.value.as_str())).collect();
        assert_eq!(
            values,
            [
                (IndicatorType::Domain, "evil.example"),
                (IndicatorType::Ip, "192.0.2.1"),
                (IndicatorType::Hash, "00112233445566778899aabbccddeeff"),
                (IndicatorType::Domain, "two.example"),
                (IndicatorType::Ip, "192.0.2.2"),
            ]
        );
        let (group, first) = &sink.indicators[0];
        assert_eq!((group.as_deref(), first.tlp), (Some("e-1"), Some(Tlp::Red)));
        assert_eq!(first.tags, ["attack.t1566"]);
        assert_eq!(first.valid_until, Timestamp::parse("2026-01-02T00:00:00Z"));
        assert_eq!(sink.indicators[1].1.tlp, Some(Tlp::Amber));
        assert_eq!(sink.refused.len(), 1);
        assert!(sink.refused[0].reason.contains("mutex"), "{:?}", sink.refused);
    }
}
