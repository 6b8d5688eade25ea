//! The JSON that EVTX dumps and OpenWEC have, and what event XML is read into: `Event` with `System` and `EventData` or `UserData`, and
//! XML attributes under `#attributes`, `<Element>_attributes` or `@Name`.

use event::{FieldId, fields as f};

use super::parts::{Extra, Parts};
use crate::formats::json::{Json, Object, find};

/// The elements of `System` that are plain values.
const PLAIN: &[(&str, FieldId)] = &[
    ("EventID", f::WINLOG_EVENT_ID),
    ("Version", f::WINLOG_VERSION),
    ("Level", f::WINLOG_LEVEL),
    ("Task", f::WINLOG_TASK),
    ("Opcode", f::WINLOG_OPCODE),
    ("Keywords", f::WINLOG_KEYWORDS),
    ("EventRecordID", f::WINLOG_RECORD_ID),
    ("Channel", f::WINLOG_CHANNEL),
    ("Computer", f::WINLOG_COMPUTER_NAME),
    ("UserID", f::WINLOG_USER_IDENTIFIER),
];

/// The attributes of elements of `System`.
const ATTRIBUTES: &[(&str, &str, FieldId)] = &[
    ("Provider", "Name", f::WINLOG_PROVIDER_NAME),
    ("Provider", "Guid", f::WINLOG_PROVIDER_GUID),
    ("TimeCreated", "SystemTime", f::WINLOG_TIME_CREATED),
    ("Correlation", "ActivityID", f::WINLOG_ACTIVITY_ID),
    ("Correlation", "RelatedActivityID", f::WINLOG_RELATED_ACTIVITY_ID),
    ("Execution", "ProcessID", f::WINLOG_PROCESS_PID),
    ("Execution", "ThreadID", f::WINLOG_PROCESS_THREAD_ID),
    ("Security", "UserID", f::WINLOG_USER_IDENTIFIER),
];

/// Takes an `Event` apart.
pub(super) fn parts<'j>(event: &'j Object<'j>) -> Parts<'j> {
    let mut parts = Parts::default();
    for (name, value) in event {
        match name.as_ref() {
            "System" => system(&mut parts, value),
            "EventData" => event_data(&mut parts, value),
            "UserData" => user_data(&mut parts, value),
            "RenderingInfo" => rendering(&mut parts, value),
            // The namespace says nothing about the event.
            "#attributes" | "Event_attributes" => {
                parts.extra.push((Extra::System, "xml".into(), value));
            }
            _ => parts.extra.push((Extra::System, name.as_ref().into(), value)),
        }
    }
    parts
}

/// Attributes of an element: its own, or those that stand beside it.
fn is_attributes(name: &str) -> bool {
    name == "#attributes" || name.ends_with("_attributes")
}

/// The text of an element that may have attributes.
fn content<'j>(value: &'j Json<'j>) -> &'j Json<'j> {
    value.get("#text").unwrap_or(value)
}

fn system<'j>(parts: &mut Parts<'j>, system: &'j Json<'j>) {
    let Some(pairs) = system.object() else {
        return parts.extra.push((Extra::System, "system".into(), system));
    };
    for (name, value) in pairs {
        let element = name.strip_suffix("_attributes").unwrap_or(name);
        if element == name.as_ref()
            && let Some((_, field)) = PLAIN.iter().find(|(plain, _)| plain == name)
        {
            parts.system(*field, name, content(value));
            for (inner, value) in value.object().unwrap_or_default() {
                if is_attributes(inner) {
                    attributes(parts, element, value);
                }
            }
            continue;
        }
        match value {
            Json::Object(_) => attributes(parts, element, value),
            Json::Null => {}
            Json::Str(_) if element == "TimeCreated" => {
                parts.time(f::WINLOG_TIME_CREATED, "TimeCreated", value);
            }
            _ => parts.extra.push((Extra::System, name.as_ref().into(), value)),
        }
    }
}

/// The attributes of `element`, however the dump wraps them.
fn attributes<'j>(parts: &mut Parts<'j>, element: &str, value: &'j Json<'j>) {
    for (name, value) in value.object().unwrap_or_default() {
        if is_attributes(name) {
            attributes(parts, element, value);
            continue;
        }
        let name = name.strip_prefix('@').unwrap_or(name);
        let known = ATTRIBUTES.iter().find(|(e, a, _)| *e == element && *a == name);
        match known {
            Some((_, _, f::WINLOG_TIME_CREATED)) => {
                parts.time(f::WINLOG_TIME_CREATED, "SystemTime", value);
            }
            Some((_, _, field)) => parts.system(*field, name, value),
            None => {
                parts.extra.push((Extra::System, format!("{element}.{name}").into(), value));
            }
        }
    }
}

fn event_data<'j>(parts: &mut Parts<'j>, data: &'j Json<'j>) {
    match data {
        Json::Object(pairs) => {
            for (name, value) in pairs {
                if is_attributes(name) {
                    parts.extra.push((Extra::System, "event_data_attributes".into(), value));
                } else {
                    element(parts, name, value);
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|item| element(parts, "Data", item)),
        Json::Null => {}
        _ => parts.data.push(("Data".into(), data)),
    }
    // Sysmon's own time is finer than the log's.
    let utc = parts.data.iter().find(|(name, _)| name == "UtcTime");
    if let Some(text) = utc.and_then(|(_, value)| value.present()) {
        parts.times.insert(0, text);
    }
}

/// An element of the event's data; an array of them, or one with a name of its own
/// (`{"#attributes": {"Name": …}, "#text": …}`).
fn element<'j>(parts: &mut Parts<'j>, name: &'j str, value: &'j Json<'j>) {
    match value {
        Json::Array(items) => items.iter().for_each(|item| element(parts, name, item)),
        Json::Object(pairs) => match find(pairs, "#text") {
            Some(text) => {
                let own = ["#attributes", "@Name"].iter().find_map(|key| find(pairs, key));
                let own = own.and_then(|own| own.get("Name").unwrap_or(own).text());
                element(parts, own.unwrap_or(name), text);
            }
            None => parts.data.push((name.into(), value)),
        },
        leaf => parts.data.push((name.into(), leaf)),
    }
}

/// `UserData` has one element, named after the event, with the values in it.
fn user_data<'j>(parts: &mut Parts<'j>, data: &'j Json<'j>) {
    for (name, value) in data.object().unwrap_or_default() {
        match value {
            Json::Object(pairs) if !is_attributes(name) => {
                for (name, value) in pairs {
                    if is_attributes(name) {
                        parts.extra.push((Extra::System, "user_data_attributes".into(), value));
                    } else {
                        element(parts, name, value);
                    }
                }
            }
            _ => parts.extra.push((Extra::System, format!("user_data.{name}").into(), value)),
        }
    }
}

/// What a forwarder rendered: the message in the source's language.
fn rendering<'j>(parts: &mut Parts<'j>, info: &'j Json<'j>) {
    for (name, value) in info.object().unwrap_or_default() {
        match (name.as_ref(), value.text()) {
            ("Message", Some(text)) => parts.message = Some(text),
            _ => {
                parts.extra.push((Extra::System, format!("rendering_info.{name}").into(), value));
            }
        }
    }
}
