//! One flat object, as NXLog writes it and as forwarded events are often dumped: the system
//! part under known names, event data beside it.

use event::fields as f;

use super::parts::{Extra, Parts};
use crate::formats::json::{Json, Object, find};

/// Names of event types and severities that only NXLog writes.
const NXLOG_LEVELS: &[&str] =
    &["AUDIT_SUCCESS", "AUDIT_FAILURE", "INFO", "WARNING", "ERROR", "CRITICAL", "VERBOSE", "DEBUG"];

/// Takes a flat object apart.
pub(super) fn parts<'j>(pairs: &'j Object<'j>) -> Parts<'j> {
    let mut parts = Parts {
        system: Vec::with_capacity(16),
        data: Vec::with_capacity(pairs.len()),
        ..Parts::default()
    };
    let hints = Hints::of(pairs);
    for (name, value) in pairs {
        pair(&mut parts, &hints, name, value);
    }
    // An own time of the event is better than the relay's.
    if let Some(text) = find(pairs, "UtcTime").and_then(Json::present) {
        parts.times.insert(0, text);
    }
    if let Some(text) = find(pairs, "@timestamp").and_then(Json::present) {
        parts.times.push(text);
    }
    parts
}

/// What other names say about an ambiguous one.
struct Hints {
    /// The logging process has a name of its own, so `ProcessID` is event data.
    execution: bool,
    /// `AccountName` and its kin are the system's.
    account: bool,
    relay: bool,
}

impl Hints {
    fn of(pairs: &Object<'_>) -> Self {
        let mut hints = Self { execution: false, account: false, relay: false };
        for (name, _) in pairs {
            match name.as_ref() {
                "ExecutionProcessID" => hints.execution = true,
                "AccountType" => hints.account = true,
                "@version" | "SourceModuleName" => hints.relay = true,
                _ => {}
            }
        }
        hints
    }
}

fn is_nxlog_level(value: &Json<'_>) -> bool {
    value.text().is_some_and(|text| NXLOG_LEVELS.contains(&text))
}

fn pair<'j>(parts: &mut Parts<'j>, hints: &Hints, name: &'j str, value: &'j Json<'j>) {
    let number = matches!(value, Json::Number(_));
    let field = match name {
        "EventID" | "EventId" | "event_id" => f::WINLOG_EVENT_ID,
        "Channel" | "LogName" | "log_name" => f::WINLOG_CHANNEL,
        "SourceName" | "ProviderName" | "Provider" | "Provider_Name" | "source_name" => {
            f::WINLOG_PROVIDER_NAME
        }
        "ProviderGuid" | "ProviderGUID" | "Provider_Guid" => f::WINLOG_PROVIDER_GUID,
        "Hostname" | "Computer" | "ComputerName" | "MachineName" | "computer_name" => {
            f::WINLOG_COMPUTER_NAME
        }
        "RecordNumber" | "EventRecordID" | "RecordId" | "EventRecordId" => f::WINLOG_RECORD_ID,
        "Keywords" => f::WINLOG_KEYWORDS,
        "Level" | "LevelDisplayName" => f::WINLOG_LEVEL,
        "Category" if hints.relay || !matches!(value, Json::Null) => f::WINLOG_TASK,
        "Task" => f::WINLOG_TASK,
        "Opcode" | "OpcodeValue" => f::WINLOG_OPCODE,
        "Version" if number => f::WINLOG_VERSION,
        "ActivityID" => f::WINLOG_ACTIVITY_ID,
        "RelatedActivityID" => f::WINLOG_RELATED_ACTIVITY_ID,
        "ExecutionProcessID" => f::WINLOG_PROCESS_PID,
        "ProcessID" if number && !hints.execution => f::WINLOG_PROCESS_PID,
        "ThreadID" | "ExecutionThreadID" if number => f::WINLOG_PROCESS_THREAD_ID,
        "UserID" if hints.account => f::WINLOG_USER_IDENTIFIER,
        "AccountName" if hints.account => f::WINLOG_USER_NAME,
        "Domain" if hints.account => f::WINLOG_USER_DOMAIN,
        "AccountType" => f::WINLOG_USER_TYPE,
        "TimeCreated" | "SystemTime" => return parts.time(f::WINLOG_TIME_CREATED, name, value),
        "Message" => return message(parts, value),
        "EventTime" | "EventReceivedTime" => return local_time(parts, name, value),
        "EventType" | "Severity" if is_nxlog_level(value) => return nxlog(parts, name, value),
        "SeverityValue" | "SourceModuleName" | "SourceModuleType" => {
            return nxlog(parts, name, value);
        }
        "@version" | "@timestamp" | "tags" => return relay(parts, name, value),
        "host" | "port" | "type" if hints.relay => return relay(parts, name, value),
        "EventData" | "UserData" => return nested(parts, name, value),
        _ => return parts.data.push((name.into(), value)),
    };
    parts.system(field, name, value);
}

fn nxlog<'j>(parts: &mut Parts<'j>, name: &'j str, value: &'j Json<'j>) {
    parts.overwritten = true;
    parts.extra.push((Extra::Nxlog, name.into(), value));
}

fn relay<'j>(parts: &mut Parts<'j>, name: &'j str, value: &'j Json<'j>) {
    parts.extra.push((Extra::Relay, name.into(), value));
}

fn message<'j>(parts: &mut Parts<'j>, value: &'j Json<'j>) {
    if parts.message.is_none() && value.text().is_some() {
        parts.message = value.text();
    } else {
        parts.data.push(("Message".into(), value));
    }
}

/// NXLog writes local times without a zone, unless it is told otherwise.
fn local_time<'j>(parts: &mut Parts<'j>, name: &'j str, value: &'j Json<'j>) {
    if name == "EventTime"
        && let Some(text) = value.present().filter(|text| super::is_zoned(text))
    {
        parts.times.push(text);
    }
    nxlog(parts, name, value);
}

/// `EventData` as an object or an array of values; it may be null.
fn nested<'j>(parts: &mut Parts<'j>, name: &'j str, value: &'j Json<'j>) {
    match value {
        Json::Object(pairs) => {
            parts.data.extend(pairs.iter().map(|(name, value)| (name.as_ref().into(), value)));
        }
        Json::Array(_) => parts.data.push(("Data".into(), value)),
        _ => parts.extra.push((Extra::System, name.into(), value)),
    }
}
