//! One flat object, as NXLog writes it and as forwarded events are often dumped: the system
//! part under known names, event data beside it.

use std::{collections::HashMap, sync::LazyLock};

use event::{FieldId, fields as f};

use super::parts::{Extra, Parts};
use crate::formats::json::{Json, Object};

/// Names of event types and severities that only NXLog writes.
const NXLOG_LEVELS: &[&str] =
    &["AUDIT_SUCCESS", "AUDIT_FAILURE", "INFO", "WARNING", "ERROR", "CRITICAL", "VERBOSE", "DEBUG"];

/// Takes a flat object apart.
pub(super) fn parts<'j>(pairs: &'j Object<'j>) -> Parts<'j> {
    let mut parts = Parts {
        system: Vec::with_capacity(16),
        data: Vec::with_capacity(pairs.len()),
        extra: Vec::with_capacity(8),
        ..Parts::default()
    };
    let roles: Vec<Option<Role>> =
        pairs.iter().map(|(name, _)| BY_NAME.get(name.as_ref()).copied()).collect();
    let hints = Hints::of(&roles);
    for ((name, value), role) in pairs.iter().zip(roles) {
        pair(&mut parts, &hints, role, name, value);
    }
    // An own time of the event is better than the relay's.
    let times = [parts.utc.take(), parts.relayed.take()];
    match times {
        [None, None] => {}
        [utc, relayed] => {
            parts.times = utc.into_iter().chain(parts.times.drain(..)).chain(relayed).collect();
        }
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
    fn of(roles: &[Option<Role>]) -> Self {
        let mut hints = Self { execution: false, account: false, relay: false };
        for role in roles.iter().flatten() {
            match role {
                Role::Execution => hints.execution = true,
                Role::AccountType => hints.account = true,
                Role::NxlogModule | Role::RelayVersion => hints.relay = true,
                _ => {}
            }
        }
        hints
    }
}

fn is_nxlog_level(value: &Json<'_>) -> bool {
    value.text().is_some_and(|text| NXLOG_LEVELS.contains(&text))
}

/// What a name can stand for; some only under a condition.
#[derive(Clone, Copy)]
enum Role {
    /// The system part, always.
    System(FieldId),
    /// The system part where the value is a number.
    SystemNumber(FieldId),
    /// Of the process that logged; event data where that has a name of its own.
    Process,
    /// The system part where accounts are the system's.
    Account(FieldId),
    Category,
    Time,
    Message,
    LocalTime,
    NxlogLevel,
    Nxlog,
    Relay,
    /// A relay's where there is one.
    RelayHint,
    /// The relay's time.
    RelayTime,
    /// Sysmon's time, which is event data too.
    Utc,
    Data,
    /// The rest says something about other names as well.
    Execution,
    AccountType,
    NxlogModule,
    RelayVersion,
}

const ROLES: &[(&str, Role)] = &[
    ("EventID", Role::System(f::WINLOG_EVENT_ID)),
    ("EventId", Role::System(f::WINLOG_EVENT_ID)),
    ("event_id", Role::System(f::WINLOG_EVENT_ID)),
    ("Channel", Role::System(f::WINLOG_CHANNEL)),
    ("LogName", Role::System(f::WINLOG_CHANNEL)),
    ("log_name", Role::System(f::WINLOG_CHANNEL)),
    ("SourceName", Role::System(f::WINLOG_PROVIDER_NAME)),
    ("ProviderName", Role::System(f::WINLOG_PROVIDER_NAME)),
    ("Provider", Role::System(f::WINLOG_PROVIDER_NAME)),
    ("Provider_Name", Role::System(f::WINLOG_PROVIDER_NAME)),
    ("source_name", Role::System(f::WINLOG_PROVIDER_NAME)),
    ("ProviderGuid", Role::System(f::WINLOG_PROVIDER_GUID)),
    ("ProviderGUID", Role::System(f::WINLOG_PROVIDER_GUID)),
    ("Provider_Guid", Role::System(f::WINLOG_PROVIDER_GUID)),
    ("Hostname", Role::System(f::WINLOG_COMPUTER_NAME)),
    ("Computer", Role::System(f::WINLOG_COMPUTER_NAME)),
    ("ComputerName", Role::System(f::WINLOG_COMPUTER_NAME)),
    ("MachineName", Role::System(f::WINLOG_COMPUTER_NAME)),
    ("computer_name", Role::System(f::WINLOG_COMPUTER_NAME)),
    ("RecordNumber", Role::System(f::WINLOG_RECORD_ID)),
    ("EventRecordID", Role::System(f::WINLOG_RECORD_ID)),
    ("RecordId", Role::System(f::WINLOG_RECORD_ID)),
    ("EventRecordId", Role::System(f::WINLOG_RECORD_ID)),
    ("Keywords", Role::System(f::WINLOG_KEYWORDS)),
    ("Level", Role::System(f::WINLOG_LEVEL)),
    ("LevelDisplayName", Role::System(f::WINLOG_LEVEL)),
    ("Category", Role::Category),
    ("Task", Role::System(f::WINLOG_TASK)),
    ("Opcode", Role::System(f::WINLOG_OPCODE)),
    ("OpcodeValue", Role::System(f::WINLOG_OPCODE)),
    ("Version", Role::SystemNumber(f::WINLOG_VERSION)),
    ("ActivityID", Role::System(f::WINLOG_ACTIVITY_ID)),
    ("RelatedActivityID", Role::System(f::WINLOG_RELATED_ACTIVITY_ID)),
    ("ExecutionProcessID", Role::Execution),
    ("ProcessID", Role::Process),
    ("ThreadID", Role::SystemNumber(f::WINLOG_PROCESS_THREAD_ID)),
    ("ExecutionThreadID", Role::SystemNumber(f::WINLOG_PROCESS_THREAD_ID)),
    ("UserID", Role::Account(f::WINLOG_USER_IDENTIFIER)),
    ("AccountName", Role::Account(f::WINLOG_USER_NAME)),
    ("Domain", Role::Account(f::WINLOG_USER_DOMAIN)),
    ("AccountType", Role::AccountType),
    ("TimeCreated", Role::Time),
    ("SystemTime", Role::Time),
    ("Message", Role::Message),
    ("EventTime", Role::LocalTime),
    ("EventReceivedTime", Role::LocalTime),
    ("EventType", Role::NxlogLevel),
    ("Severity", Role::NxlogLevel),
    ("SeverityValue", Role::Nxlog),
    ("SourceModuleName", Role::NxlogModule),
    ("SourceModuleType", Role::Nxlog),
    ("@version", Role::RelayVersion),
    ("@timestamp", Role::RelayTime),
    ("tags", Role::Relay),
    ("host", Role::RelayHint),
    ("port", Role::RelayHint),
    ("type", Role::RelayHint),
    ("UtcTime", Role::Utc),
    ("EventData", Role::Data),
    ("UserData", Role::Data),
];

/// [`ROLES`] by name. Every pair is looked up, so one by one would not do.
static BY_NAME: LazyLock<HashMap<&str, Role, foldhash::fast::RandomState>> =
    LazyLock::new(|| ROLES.iter().copied().collect());

fn pair<'j>(
    parts: &mut Parts<'j>,
    hints: &Hints,
    role: Option<Role>,
    name: &'j str,
    value: &'j Json<'j>,
) {
    let number = matches!(value, Json::Number(_));
    let field = match role {
        Some(Role::System(field)) => field,
        Some(Role::Execution) => f::WINLOG_PROCESS_PID,
        Some(Role::AccountType) => f::WINLOG_USER_TYPE,
        Some(Role::SystemNumber(field)) if number => field,
        Some(Role::Process) if number && !hints.execution => f::WINLOG_PROCESS_PID,
        Some(Role::Account(field)) if hints.account => field,
        Some(Role::Category) if hints.relay || !matches!(value, Json::Null) => f::WINLOG_TASK,
        Some(Role::Time) => return parts.time(f::WINLOG_TIME_CREATED, name, value),
        Some(Role::Message) => return message(parts, value),
        Some(Role::LocalTime) => return local_time(parts, name, value),
        Some(Role::NxlogLevel) if is_nxlog_level(value) => return nxlog_level(parts, name, value),
        Some(Role::Nxlog | Role::NxlogModule) => return nxlog(parts, name, value),
        Some(Role::Relay | Role::RelayVersion) => return relay(parts, name, value),
        Some(Role::RelayHint) if hints.relay => return relay(parts, name, value),
        Some(Role::RelayTime) => {
            parts.relayed = parts.relayed.or(value.present());
            return relay(parts, name, value);
        }
        Some(Role::Utc) => {
            parts.utc = parts.utc.or(value.present());
            return parts.data.push((name.into(), value));
        }
        Some(Role::Data) => return nested(parts, name, value),
        _ => return parts.data.push((name.into(), value)),
    };
    parts.system(field, name, value);
}

fn nxlog_level<'j>(parts: &mut Parts<'j>, name: &'j str, value: &'j Json<'j>) {
    let level = if name == "EventType" { &mut parts.audit } else { &mut parts.severity };
    *level = level.or(value.text());
    nxlog(parts, name, value);
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
