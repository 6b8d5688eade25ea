//! Winlogbeat, and the Elastic agent's Windows input: versions 7 and 8 have `winlog` and ECS
//! fields, nested or with dots; 6 and before have the system part at the top.

use event::{FieldId, fields as f};

use super::parts::{Extra, Parts};
use crate::formats::json::{Json, Object, find};

/// Where the system part is, since version 7.
const SYSTEM: &[(&str, FieldId)] = &[
    ("provider_name", f::WINLOG_PROVIDER_NAME),
    ("provider_guid", f::WINLOG_PROVIDER_GUID),
    ("channel", f::WINLOG_CHANNEL),
    ("computer_name", f::WINLOG_COMPUTER_NAME),
    ("event_id", f::WINLOG_EVENT_ID),
    ("record_id", f::WINLOG_RECORD_ID),
    ("level", f::WINLOG_LEVEL),
    ("task", f::WINLOG_TASK),
    ("opcode", f::WINLOG_OPCODE),
    ("keywords", f::WINLOG_KEYWORDS),
    ("version", f::WINLOG_VERSION),
    ("activity_id", f::WINLOG_ACTIVITY_ID),
    ("related_activity_id", f::WINLOG_RELATED_ACTIVITY_ID),
    ("process.pid", f::WINLOG_PROCESS_PID),
    ("process.thread.id", f::WINLOG_PROCESS_THREAD_ID),
    ("user.identifier", f::WINLOG_USER_IDENTIFIER),
    ("user.name", f::WINLOG_USER_NAME),
    ("user.domain", f::WINLOG_USER_DOMAIN),
    ("user.type", f::WINLOG_USER_TYPE),
    ("logon.id", f::WINLOG_LOGON_ID),
    ("logon.type", f::WINLOG_LOGON_TYPE),
    ("time_created", f::WINLOG_TIME_CREATED),
];

/// Where it was before.
const OLD_SYSTEM: &[(&str, FieldId)] = &[
    ("source_name", f::WINLOG_PROVIDER_NAME),
    ("provider_guid", f::WINLOG_PROVIDER_GUID),
    ("log_name", f::WINLOG_CHANNEL),
    ("computer_name", f::WINLOG_COMPUTER_NAME),
    ("event_id", f::WINLOG_EVENT_ID),
    ("record_number", f::WINLOG_RECORD_ID),
    ("level", f::WINLOG_LEVEL),
    ("task", f::WINLOG_TASK),
    ("opcode", f::WINLOG_OPCODE),
    ("keywords", f::WINLOG_KEYWORDS),
    ("version", f::WINLOG_VERSION),
    ("activity_id", f::WINLOG_ACTIVITY_ID),
    ("related_activity_id", f::WINLOG_RELATED_ACTIVITY_ID),
    ("process_id", f::WINLOG_PROCESS_PID),
    ("thread_id", f::WINLOG_PROCESS_THREAD_ID),
    ("user.identifier", f::WINLOG_USER_IDENTIFIER),
    ("user.name", f::WINLOG_USER_NAME),
    ("user.domain", f::WINLOG_USER_DOMAIN),
    ("user.type", f::WINLOG_USER_TYPE),
];

/// Field sets of ECS, and of Winlogbeat's own modules, that are taken as they are.
const ECS: &[&str] = &[
    "agent",
    "client",
    "cloud",
    "container",
    "data_stream",
    "destination",
    "dll",
    "dns",
    "ecs",
    "error",
    "event",
    "file",
    "group",
    "host",
    "labels",
    "log",
    "network",
    "observer",
    "powershell",
    "process",
    "registry",
    "related",
    "rule",
    "server",
    "service",
    "source",
    "sysmon",
    "tags",
    "threat",
    "url",
    "user",
];

/// `event` fields that are this program's to set.
const OWN_EVENT: &[&str] = &["dataset", "kind", "id", "original", "ingested", "code"];

/// Whether `pairs` come from Winlogbeat.
pub(super) fn is_beat(pairs: &Object<'_>) -> bool {
    pairs.iter().any(|(name, value)| match name.as_bytes() {
        // Most names of other shippers begin with a capital letter and need no closer look.
        [first, ..] if first.is_ascii_uppercase() => false,
        b"winlog" | b"event_data" | b"user_data" => matches!(value, Json::Object(_)),
        b"source_name" | b"log_name" | b"beat" => true,
        name => name.starts_with(b"winlog.") || name.starts_with(b"event_data."),
    })
}

/// Takes an object of Winlogbeat apart.
pub(super) fn parts<'j>(pairs: &'j Object<'j>) -> Parts<'j> {
    let mut parts = Parts { beat: true, ..Parts::default() };
    let old = !pairs.iter().any(|(name, _)| name == "winlog" || name.starts_with("winlog."));
    for (name, value) in pairs {
        top(&mut parts, old, name, value);
    }
    // Some relays drop `winlog.event_id`.
    if parts.get(f::WINLOG_EVENT_ID).is_none()
        && let Some(code) = find(pairs, "event.code")
            .or_else(|| find(pairs, "event").and_then(|event| event.get("code")))
    {
        parts.system(f::WINLOG_EVENT_ID, "event_code", code);
    }
    parts
}

fn top<'j>(parts: &mut Parts<'j>, old: bool, name: &'j str, value: &'j Json<'j>) {
    let root = name.split('.').next().unwrap_or(name);
    match root {
        "winlog" => winlog(parts, name.strip_prefix("winlog").unwrap_or_default(), value),
        "event_data" | "user_data" if old => winlog(parts, name, value),
        "message" => match value.text() {
            Some(text) => parts.message = Some(text),
            None => parts.extra.push((Extra::Beat, name.into(), value)),
        },
        "@timestamp" => {
            parts.times.extend(value.present());
            parts.extra.push((Extra::Beat, name.into(), value));
        }
        "user" if old => leaves(name, value, &mut |path, value| old_system(parts, path, value)),
        "event" => leaves(name, value, &mut |path, value| event(parts, path, value)),
        _ if ECS.contains(&root) => parts.ecs.push((name.into(), value)),
        _ if old && !matches!(value, Json::Object(_)) => old_system(parts, name.into(), value),
        _ => parts.extra.push((Extra::Beat, name.into(), value)),
    }
}

type Path<'j> = std::borrow::Cow<'j, str>;

/// Every value below `name` that is no object, with its path.
fn leaves<'j>(name: &'j str, value: &'j Json<'j>, each: &mut dyn FnMut(Path<'j>, &'j Json<'j>)) {
    fn walk<'j>(path: Path<'j>, value: &'j Json<'j>, each: &mut dyn FnMut(Path<'j>, &'j Json<'j>)) {
        match value {
            Json::Object(pairs) => {
                for (name, value) in pairs {
                    let path = match path.is_empty() {
                        true => name.as_ref().into(),
                        false => format!("{path}.{name}").into(),
                    };
                    walk(path, value, each);
                }
            }
            _ => each(path, value),
        }
    }
    walk(name.into(), value, each);
}

/// Something below `winlog`; `path` begins with a dot where the key had one.
fn winlog<'j>(parts: &mut Parts<'j>, path: &'j str, value: &'j Json<'j>) {
    let path = path.trim_start_matches('.');
    for data in ["event_data", "user_data"] {
        if path == data {
            for (name, value) in value.object().unwrap_or_default() {
                parts.data.push((name.as_ref().into(), value));
            }
            return;
        }
        if let Some(name) = path.strip_prefix(data).and_then(|rest| rest.strip_prefix('.')) {
            return parts.data.push((name.into(), value));
        }
    }
    match value {
        Json::Object(pairs) if path.is_empty() => {
            for (name, value) in pairs {
                winlog(parts, name, value);
            }
        }
        _ => leaves(path, value, &mut |path, value| match SYSTEM
            .iter()
            .find(|(name, _)| *name == path)
        {
            Some((name, field)) => parts.system(*field, name, value),
            None => parts.extra.push((Extra::System, path, value)),
        }),
    }
}

fn old_system<'j>(parts: &mut Parts<'j>, path: Path<'j>, value: &'j Json<'j>) {
    match OLD_SYSTEM.iter().find(|(name, _)| *name == path) {
        Some((name, field)) => parts.system(*field, name, value),
        None if path.starts_with("user.") => parts.ecs.push((path, value)),
        None => parts.extra.push((Extra::Beat, path, value)),
    }
}

fn event<'j>(parts: &mut Parts<'j>, path: Path<'j>, value: &'j Json<'j>) {
    let own = OWN_EVENT.contains(&path.strip_prefix("event.").unwrap_or(&path));
    if own {
        parts.extra.push((Extra::Beat, path, value));
    } else {
        parts.ecs.push((path, value));
    }
}
