//! Windows events, of all channels, in the shapes that shippers give.
//!
//! Enters: one event as event XML (OpenWEC, Windows itself), NXLog's or forwarded events' flat
//! JSON, Winlogbeat's (6, 7, 8), or an EVTX dump's. Leaves: event data verbatim under
//! `winlog.event_data.*`, the system part under `winlog.*`, and ECS for Sysmon, Security,
//! PowerShell, Defender, System and a few more.
//! Ignored: nothing; what has no place of its own is kept under `winlog.nxlog`,
//! `winlog.relay` or `winlog.beat`.

mod beats;
mod channels;
mod evtx;
mod family;
mod flat;
mod message;
mod objects;
mod parts;
mod rule;
mod security;
mod sysmon;
pub(crate) mod values;
mod xml;

use std::collections::HashMap;

use event::{Event, EventBuilder, fields as f};
use foldhash::fast::RandomState;

use self::{
    family::{FAMILIES, Family},
    parts::{Parts, Spaces},
    rule::Rule,
};
pub(super) use self::{message::url_host, objects::registry_data};
use super::{
    Format,
    json::{self, Json},
    mapping::{Mapping, Op},
    sheet::Sheet,
    text,
};

use super::text::is_zoned;

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
        "Windows events of any channel: event XML, and JSON of NXLog, Winlogbeat, EVTX dumps or \
         forwarded events"
    }

    fn decode(&self, builder: EventBuilder) -> Event {
        let mut sheet = Sheet::new(builder);
        let read = |sheet: &mut Sheet, json: &Json<'_>| self.event(sheet, json);
        let outcome = match xml::begin(&sheet.raw()) {
            Some(_) => super::with_tree(&mut sheet, xml::split, xml::parse, read),
            None => super::with_object(&mut sheet, read),
        };
        outcome.finish(sheet)
    }
}

impl Windows {
    fn event(&self, sheet: &mut Sheet, json: &Json<'_>) -> Result<(), String> {
        let pairs = json.object().unwrap_or_default();
        // OpenWEC's raw JSON: event XML as it came, and how it came.
        if let Some(Json::Str(data)) = json::find(pairs, "data")
            && xml::begin(data.as_bytes()) == Some(0)
        {
            for (name, value) in pairs.iter().filter(|(name, _)| name != "data") {
                sheet.keep(self.spaces.of(parts::Extra::Relay), name, value, &mut |_, _, _| {});
            }
            return self.event(sheet, &xml::parse(data, None)?);
        }
        let parts = match json.get("Event").and_then(Json::object) {
            Some(event) if json::find(event, "System").is_some() => evtx::parts(event),
            // OpenWEC's JSON has no root.
            _ if json.at(&["System", "Provider"]).is_some() => evtx::parts(pairs),
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
            if family == Family::Security && parts.overwritten {
                message::audited_process(sheet, text, parts.code() == Some(4688));
            }
            if provider.eq_ignore_ascii_case("AD FS Auditing") {
                message::federation(sheet, text);
            } else if parts.data.is_empty() && parts.ecs.is_empty() {
                message::labels(sheet, text);
                message::sentence(sheet, provider, text);
            }
        }
        derive(sheet, &parts);
        Ok(())
    }

    /// What every event has, and what the shipper knows.
    fn base(&self, sheet: &mut Sheet, parts: &Parts<'_>, family: Family, channel: &str) {
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
        // Winlogbeat says which of its modules it is, and is named after them where it does not.
        sheet.put(f::EVENT_MODULE, if parts.beat { family.module() } else { "windows" });
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
        // What one shipper adds has one namespace, mostly.
        let mut last = None;
        for (extra, name, value) in &parts.extra {
            let names = match last.take() {
                Some((of, names)) if of == *extra => names,
                _ => self.spaces.of(*extra).names(),
            };
            sheet.keep_named(&names, name, value, &mut |_, _, _| {});
            last = Some((*extra, names));
        }
        if let Some(code) = parts.text(f::WINLOG_EVENT_ID) {
            sheet.put(f::EVENT_CODE, code);
        }
        sheet.alias(f::EVENT_PROVIDER, f::WINLOG_PROVIDER_NAME);
        // The best that is one; the others are kept as they are.
        sheet.set_time(parts.times.iter().find_map(|time| text::utc(time)));
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
            // A name has no colon, so the first one ends it or the line has none.
            let Some((name, value)) =
                line.split_once(':').and_then(|(name, rest)| Some((name, rest.strip_prefix(' ')?)))
            else {
                continue;
            };
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
    } else if let Some(thread) = parts.text(f::WINLOG_PROCESS_THREAD_ID) {
        // The thread in whose context it was logged is the only one that most events name.
        Op::Whole(f::PROCESS_THREAD_ID).run(sheet, thread);
    }
    // Rules that ask for `DOMAIN\\name` mean an account that the event names, and a service
    // that logs for others is none.
    if !sheet.has(f::USER_FULL)
        && let (Some(domain), Some(name)) = (sheet.get(f::USER_DOMAIN), sheet.get(f::USER_NAME))
    {
        let full = format!("{domain}\\{name}");
        sheet.put(f::USER_FULL, &full);
    }
    if !sheet.has(f::USER_ID) {
        if !sheet.has(f::USER_NAME) {
            logger_user(sheet);
        } else if is_logger(sheet) {
            sheet.alias(f::USER_ID, f::WINLOG_USER_IDENTIFIER);
        } else if let Some(sid) = well_known_sid(sheet) {
            sheet.put(f::USER_ID, sid);
        }
    }
}

/// Whether the account that the event is about is the one that logged it.
fn is_logger(sheet: &Sheet) -> bool {
    let same = |a, b| match (sheet.get(a), sheet.get(b)) {
        (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
        _ => false,
    };
    same(f::USER_NAME, f::WINLOG_USER_NAME) && same(f::USER_DOMAIN, f::WINLOG_USER_DOMAIN)
}

/// The identifier of an account that every host has (Microsoft, well-known SIDs).
fn well_known_sid(sheet: &Sheet) -> Option<&'static str> {
    let domain = sheet.get(f::USER_DOMAIN)?;
    if !domain.eq_ignore_ascii_case("NT AUTHORITY") && !domain.eq_ignore_ascii_case("AUTORITE NT") {
        return None;
    }
    let name = sheet.get(f::USER_NAME)?;
    let is = |known: &[&str]| known.iter().any(|known| known.eq_ignore_ascii_case(name));
    if is(&["SYSTEM", "Système"]) {
        Some("S-1-5-18")
    } else if is(&["LOCAL SERVICE", "SERVICE LOCAL"]) {
        Some("S-1-5-19")
    } else if is(&["NETWORK SERVICE", "SERVICE RÉSEAU"]) {
        Some("S-1-5-20")
    } else {
        None
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
