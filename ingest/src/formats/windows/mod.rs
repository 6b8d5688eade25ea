//! Windows events, of all channels, in the JSON shapes that shippers give.
//!
//! Enters: one event as NXLog's or forwarded events' flat JSON, Winlogbeat's (6, 7, 8), or an
//! EVTX dump's. Leaves: event data verbatim under `winlog.event_data.*`, the system part under
//! `winlog.*`, and ECS for Sysmon, Security, PowerShell, Defender, System and a few more.
//! Ignored: nothing; what has no place of its own is kept under `winlog.nxlog`,
//! `winlog.relay` or `winlog.beat`.

mod beats;
mod channels;
mod evtx;
mod flat;
mod message;
mod parts;
mod rule;
mod security;
mod sysmon;
pub(crate) mod values;

use std::collections::HashMap;

use event::{Event, EventBuilder, fields as f};
use foldhash::fast::RandomState;

use self::{
    parts::{Parts, Spaces},
    rule::Rule,
};
use super::{
    Format,
    json::{self, Json},
    mapping::{Mapping, Op, Table},
    sheet::Sheet,
    text,
};

pub(super) use self::message::url_host;
use super::text::is_zoned;

/// Channels that are read alike.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Family {
    Sysmon,
    Security,
    PowerShell,
    PowerShellClassic,
    Defender,
    System,
    Services,
    Tasks,
    Transfers,
    WmiActivity,
    RemoteDesktop,
    AppControl,
    Other,
}

/// Every family with what its events have in common, and its events.
const FAMILIES: &[(Family, Table, &[Rule])] = &[
    (Family::Sysmon, sysmon::COMMON, sysmon::RULES),
    (Family::Security, security::COMMON, security::RULES),
    (Family::PowerShell, &[], channels::POWERSHELL),
    (Family::PowerShellClassic, &[], channels::POWERSHELL_CLASSIC),
    (Family::Defender, &[], channels::DEFENDER),
    (Family::System, channels::COMMON, channels::SYSTEM),
    (Family::Services, &[], channels::SERVICES),
    (Family::Tasks, channels::COMMON, channels::TASKS),
    (Family::Transfers, &[], channels::TRANSFERS),
    (Family::WmiActivity, &[], channels::WMI_ACTIVITY),
    (Family::RemoteDesktop, &[], channels::REMOTE_DESKTOP),
    (Family::AppControl, &[], channels::APP_CONTROL),
    (Family::Other, channels::COMMON, &[]),
];

impl Family {
    fn of(provider: &str, channel: &str) -> Self {
        let provider_is = |name: &str| provider.eq_ignore_ascii_case(name);
        let channel_is = |name: &str| channel.eq_ignore_ascii_case(name);
        if provider_is("Microsoft-Windows-Sysmon")
            || channel_is("Microsoft-Windows-Sysmon/Operational")
        {
            Self::Sysmon
        } else if provider_is("Microsoft-Windows-Security-Auditing") || channel_is("Security") {
            Self::Security
        } else if provider_is("PowerShell") || channel_is("Windows PowerShell") {
            Self::PowerShellClassic
        } else if provider_is("Microsoft-Windows-PowerShell")
            || provider_is("PowerShellCore")
            || channel_is("Microsoft-Windows-PowerShell/Operational")
        {
            Self::PowerShell
        } else if provider_is("Microsoft-Windows-Windows Defender") {
            Self::Defender
        } else if provider_is("Service Control Manager") {
            Self::Services
        } else if provider_is("Microsoft-Windows-TaskScheduler") {
            Self::Tasks
        } else if provider_is("Microsoft-Windows-Bits-Client") {
            Self::Transfers
        } else if provider_is("Microsoft-Windows-WMI-Activity") {
            Self::WmiActivity
        } else if provider_is("Microsoft-Windows-AppLocker") {
            Self::AppControl
        } else if provider.starts_with("Microsoft-Windows-TerminalServices-") {
            Self::RemoteDesktop
        } else if channel_is("System") {
            Self::System
        } else {
            Self::Other
        }
    }

    /// `event.dataset`, where it is not made of the channel's name.
    fn dataset(self) -> Option<&'static str> {
        match self {
            Self::Sysmon => Some("windows.sysmon"),
            Self::Security => Some("windows.security"),
            Self::PowerShell | Self::PowerShellClassic => Some("windows.powershell"),
            Self::Defender => Some("windows.defender"),
            Self::System | Self::Services => Some("windows.system"),
            _ => None,
        }
    }
}

/// The format `windows`.
pub(super) struct Windows {
    spaces: Spaces,
    rules: HashMap<(Family, u32), (&'static Rule, Mapping), RandomState>,
    /// For events that no rule is about.
    common: HashMap<Family, Mapping, RandomState>,
    /// The fields of event data that Sysmon's message is asked for.
    ecs: event::Namespace,
}

impl Windows {
    pub(super) fn new() -> Self {
        let spaces = Spaces::new();
        let mut rules = HashMap::default();
        let mut common = HashMap::default();
        for (family, table, family_rules) in FAMILIES {
            for rule in *family_rules {
                let mut tables = rule.tables.to_vec();
                tables.push(table);
                let mapping = Mapping::new(&spaces.data, &tables);
                rules.insert((*family, rule.code), (rule, mapping));
            }
            common.insert(*family, Mapping::new(&spaces.data, &[table]));
        }
        Self { spaces, rules, common, ecs: event::Namespace::new("") }
    }
}

impl Format for Windows {
    fn name(&self) -> &str {
        "windows"
    }

    fn aliases(&self) -> Vec<&str> {
        vec!["winlogbeat"]
    }

    fn describe(&self) -> &str {
        "Windows events of any channel, as JSON of NXLog, Winlogbeat, EVTX dumps or forwarded \
         events"
    }

    fn decode(&self, builder: EventBuilder) -> Event {
        let mut sheet = Sheet::new(builder);
        super::with_object(&mut sheet, |sheet, json| self.event(sheet, json)).finish(sheet)
    }
}

impl Windows {
    fn event(&self, sheet: &mut Sheet, json: &Json<'_>) -> Result<(), String> {
        let pairs = json.object().unwrap_or_default();
        let parts = match json.get("Event").and_then(Json::object) {
            Some(event) if json::find(event, "System").is_some() => evtx::parts(event),
            _ if beats::is_beat(pairs) => beats::parts(pairs),
            _ => flat::parts(pairs),
        };
        let code = parts.text(f::WINLOG_EVENT_ID);
        let provider = parts.text(f::WINLOG_PROVIDER_NAME).unwrap_or_default();
        let channel = parts.text(f::WINLOG_CHANNEL).unwrap_or_default();
        let computer = parts.text(f::WINLOG_COMPUTER_NAME);
        if code.is_none() && provider.is_empty() && channel.is_empty() && computer.is_none() {
            return Err("the object has no event id, provider, channel or computer, so it is no \
                        Windows event; check the feed's format"
                .to_owned());
        }
        let family = Family::of(provider, channel);
        self.base(sheet, &parts, family, channel);
        self.system(sheet, &parts);
        let rule = parts.code().and_then(|code| self.rules.get(&(family, code)));
        let mapping = rule.map(|(_, mapping)| mapping).or_else(|| self.common.get(&family));
        if matches!(family, Family::PowerShell | Family::PowerShellClassic) {
            // PowerShell logs itself.
            logger_process(sheet, &parts);
            logger_user(sheet);
        }
        self.data(sheet, &parts, mapping);
        if family == Family::Sysmon {
            self.sysmon_message(sheet, &parts, mapping);
        }
        if let Some((rule, _)) = rule {
            apply(sheet, rule);
        }
        if let Some(text) = parts.message {
            if provider.eq_ignore_ascii_case("AD FS Auditing") {
                message::federation(sheet, text);
            } else if parts.data.is_empty() && parts.ecs.is_empty() {
                message::labels(sheet, text);
            }
        }
        derive(sheet, &parts);
        Ok(())
    }

    /// What every event has, and what the shipper knows.
    fn base(&self, sheet: &mut Sheet, parts: &Parts<'_>, family: Family, channel: &str) {
        sheet.put(f::EVENT_MODULE, "windows");
        match family.dataset() {
            Some(dataset) => sheet.put(f::EVENT_DATASET, dataset),
            None => sheet.put(f::EVENT_DATASET, &dataset_of(channel)),
        }
        if !parts.ecs.is_empty() {
            let names = self.ecs.names();
            for (name, value) in &parts.ecs {
                sheet.keep_named(&names, name, value, &mut |_, _, _| {});
            }
        }
        if let Some(message) = parts.message {
            sheet.add(f::MESSAGE, message);
            sheet.also(f::WINLOG_MESSAGE);
        }
        sheet.put(f::HOST_OS_TYPE, "windows");
        sheet.put(f::HOST_OS_FAMILY, "windows");
        sheet.put(f::OBSERVER_VENDOR, "Microsoft");
        sheet.put(f::OBSERVER_PRODUCT, "Windows");
        sheet.put(f::OBSERVER_TYPE, "endpoint");
    }

    fn system(&self, sheet: &mut Sheet, parts: &Parts<'_>) {
        for (field, value) in &parts.system {
            match value {
                Json::Object(pairs) => {
                    let name = field.name().strip_prefix("winlog.").unwrap_or_default();
                    let space = self.spaces.of(parts::Extra::System);
                    for (key, value) in pairs {
                        sheet.keep(space, &format!("{name}.{key}"), value, &mut |_, _, _| {});
                    }
                }
                _ => sheet.push(*field, value),
            }
        }
        for (extra, name, value) in &parts.extra {
            sheet.keep(self.spaces.of(*extra), name, value, &mut |_, _, _| {});
        }
        if let Some(code) = parts.text(f::WINLOG_EVENT_ID) {
            sheet.put(f::EVENT_CODE, code);
        }
        sheet.alias(f::EVENT_PROVIDER, f::WINLOG_PROVIDER_NAME);
        for time in &parts.times {
            sheet.set_time(text::utc(time));
        }
    }

    fn data(&self, sheet: &mut Sheet, parts: &Parts<'_>, mapping: Option<&Mapping>) {
        let names = self.spaces.data.names();
        for (name, value) in &parts.data {
            sheet.keep_named(&names, name, value, &mut |sheet, field, value| {
                if let (Some(mapping), Some(text)) = (mapping, value.text()) {
                    mapping.run(sheet, field, text);
                }
            });
        }
    }

    /// NXLog writes its own `ProcessID` and `EventType` over Sysmon's, and relays may drop
    /// event data; Sysmon's message has all of them, one a line, in English always.
    fn sysmon_message(&self, sheet: &mut Sheet, parts: &Parts<'_>, mapping: Option<&Mapping>) {
        let lost = parts.overwritten || parts.data.len() < 3;
        let Some(message) = parts.message.filter(|_| lost) else { return };
        let names = self.spaces.data.names();
        // Lines come in the order of the data, so the next name is nearly always the one that
        // follows the last; else all are searched.
        let mut next = 0;
        for line in message.lines().skip(1) {
            let Some((name, value)) = line.split_once(": ") else { continue };
            let is_next = parts.data.get(next).is_some_and(|(known, _)| known == name);
            let known = if is_next {
                Some(next)
            } else {
                parts.data.iter().position(|(known, _)| known == name)
            };
            if let Some(index) = known {
                next = index + 1;
                continue;
            }
            // A value with line breaks could look like a field; names have no spaces.
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                continue;
            }
            let value = Json::Str(value.into());
            sheet.keep_named(&names, name, &value, &mut |sheet, field, value| {
                if let (Some(mapping), Some(text)) = (mapping, value.text()) {
                    mapping.run(sheet, field, text);
                }
            });
        }
    }
}

/// What the event's rule says beside mappings.
fn apply(sheet: &mut Sheet, rule: &Rule) {
    sheet.put(f::EVENT_KIND, rule.kind);
    sheet.put(f::WINLOG_EVENT_TITLE, rule.title);
    sheet.put(f::EVENT_ACTION, rule.action);
    if let Some(finish) = rule.finish {
        finish(sheet);
    }
    sheet.put_all(f::EVENT_CATEGORY, rule.category);
    sheet.put_all(f::EVENT_TYPE, rule.types);
}

/// `windows.` and the channel's name as a slug.
fn dataset_of(channel: &str) -> String {
    let channel = channel.strip_prefix("Microsoft-Windows-").unwrap_or(channel);
    let mut dataset = String::from("windows.");
    for word in channel.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()) {
        if !dataset.ends_with('.') {
            dataset.push('_');
        }
        text::push_lower(&mut dataset, word);
    }
    if dataset.ends_with('.') {
        dataset.push_str("unknown");
    }
    dataset
}

/// What follows from the rest: host, level, outcome, who logged it.
fn derive(sheet: &mut Sheet, parts: &Parts<'_>) {
    sheet.put(f::EVENT_KIND, "event");
    if let Some(computer) = parts.text(f::WINLOG_COMPUTER_NAME) {
        sheet.put(f::HOST_NAME, computer);
        if text::ip(computer).is_none() {
            sheet.put(f::HOST_HOSTNAME, computer.split('.').next().unwrap_or(computer));
        }
    }
    if let Some(outcome) = outcome(parts) {
        sheet.put(f::EVENT_OUTCOME, outcome);
    }
    level(sheet, parts);
    logger(sheet, parts);
}

/// The outcome of an audited attempt, from the event's keywords.
fn outcome(parts: &Parts<'_>) -> Option<&'static str> {
    const SUCCESS: u64 = 0x20_0000_0000_0000;
    const FAILURE: u64 = 0x10_0000_0000_0000;
    match parts.audit {
        Some("AUDIT_SUCCESS") => return Some("success"),
        Some("AUDIT_FAILURE") => return Some("failure"),
        _ => {}
    }
    let keywords = parts.get(f::WINLOG_KEYWORDS)?;
    let words = match keywords {
        Json::Array(items) => items.as_slice(),
        one => std::slice::from_ref(one),
    };
    words.iter().filter_map(Json::text).find_map(|word| {
        if word.trim().eq_ignore_ascii_case("audit success") {
            return Some("success");
        }
        if word.trim().eq_ignore_ascii_case("audit failure") {
            return Some("failure");
        }
        let bits = match word.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok()?,
            None => word.parse::<i64>().ok()?.cast_unsigned(),
        };
        match (bits & SUCCESS != 0, bits & FAILURE != 0) {
            (true, false) => Some("success"),
            (false, true) => Some("failure"),
            _ => None,
        }
    })
}

/// `log.level`, by name.
fn level(sheet: &mut Sheet, parts: &Parts<'_>) {
    if let Some(severity) = parts.severity {
        return sheet.put_lower(f::LOG_LEVEL, severity);
    }
    let Some(level) = parts.text(f::WINLOG_LEVEL) else { return };
    let level = match level {
        "0" | "4" => "information",
        "1" => "critical",
        "2" => "error",
        "3" => "warning",
        "5" => "verbose",
        name => name,
    };
    sheet.put_lower(f::LOG_LEVEL, level);
}

/// The process and account that logged the event are those that it is about, where it names
/// no others.
fn logger(sheet: &mut Sheet, parts: &Parts<'_>) {
    let named = [f::PROCESS_PID, f::PROCESS_EXECUTABLE, f::PROCESS_ENTITY_ID];
    if !named.iter().any(|field| sheet.has(*field)) {
        logger_process(sheet, parts);
    }
    // Rules that ask for `DOMAIN\\name` mean an account that the event names, and a service
    // that logs for others is none.
    if !sheet.has(f::USER_FULL)
        && let (Some(domain), Some(name)) = (sheet.get(f::USER_DOMAIN), sheet.get(f::USER_NAME))
    {
        let full = format!("{domain}\\{name}");
        sheet.put(f::USER_FULL, &full);
    }
    if !sheet.has(f::USER_NAME) && !sheet.has(f::USER_ID) {
        logger_user(sheet);
    }
}

fn logger_process(sheet: &mut Sheet, parts: &Parts<'_>) {
    for (to, from) in [
        (f::PROCESS_PID, f::WINLOG_PROCESS_PID),
        (f::PROCESS_THREAD_ID, f::WINLOG_PROCESS_THREAD_ID),
    ] {
        if let Some(number) = parts.text(from) {
            Op::Whole(to).run(sheet, number);
        }
    }
}

fn logger_user(sheet: &mut Sheet) {
    sheet.alias(f::USER_NAME, f::WINLOG_USER_NAME);
    sheet.alias(f::USER_DOMAIN, f::WINLOG_USER_DOMAIN);
    sheet.alias(f::USER_ID, f::WINLOG_USER_IDENTIFIER);
}
