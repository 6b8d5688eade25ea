//! What no table says well, in Rust: functions that a format names under `escapes`.

use std::borrow::Cow;

use event::{Namespace, fields};

use super::{out::Out, record::Record};
use crate::formats::json::Json;

/// Fills the event from what the record says.
pub(super) type Escape = fn(&Record<'_, '_>, &mut Out<'_>);

/// The functions by their names.
const NAMED: &[(&str, Escape)] = &[
    ("stormshield_monitor", stormshield_monitor),
    ("windows_event_data", windows_event_data),
    ("auditd_execve", auditd_execve),
];

/// The function called `name`.
pub(super) fn find(name: &str) -> Option<Escape> {
    NAMED.iter().find(|(known, _)| *known == name).map(|(_, escape)| *escape)
}

/// The names, for error messages.
pub(super) fn names() -> Vec<&'static str> {
    NAMED.iter().map(|(name, _)| *name).collect()
}

/// What the seven values of an interface are in Stormshield's log `monitor`.
const INTERFACE: [&str; 7] = [
    "name",
    "ingress_bps",
    "ingress_bps_max",
    "egress_bps",
    "egress_bps_max",
    "packets_accepted",
    "packets_blocked",
];

/// What its values of the processor are: shares of time in percent.
const CPU: [&str; 3] = ["user_pct", "system_pct", "interrupt_pct"];

/// What its values of the vulnerability manager are.
const PVM: [&str; 11] = [
    "total_vulnerabilities",
    "critical",
    "major",
    "minor",
    "with_patch",
    "remote_exploitable",
    "requires_server",
    "info_minor",
    "info_major",
    "info_total",
    "hosts_count",
];

/// Takes the lists of the log `monitor` apart: interfaces are named by their keys, and each
/// value has its place.
fn stormshield_monitor(record: &Record<'_, '_>, out: &mut Out<'_>) {
    let is_monitor = record.texts().any(|(key, value)| key == "logtype" && value == "monitor");
    if !is_monitor {
        return;
    }
    let namespace = Namespace::new("stormshield.monitor");
    for (key, list) in record.texts() {
        let values: Vec<&str> = list.split(',').collect();
        let (group, names): (_, &[&str]) = match (key, values.len()) {
            ("CPU", 3) => ("cpu".to_owned(), &CPU),
            ("Pvm", 11) => ("pvm".to_owned(), &PVM),
            (_, 7) => (format!("interface.{}", key.to_ascii_lowercase()), &INTERFACE),
            _ => continue,
        };
        for (name, value) in names.iter().zip(values) {
            let number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            let value = match number {
                true => Json::Number(value),
                false => Json::Str(Cow::Borrowed(value)),
            };
            out.sheet.keep(&namespace, &format!("{group}.{name}"), &value, &mut |_, _, _| {});
        }
    }
}

/// Prefixes under which vendors hand over the data of Windows' own events.
const EVENT_DATA: [&str; 3] = ["event_data.", "eventlog.event_data.", "action.properties."];

/// Keeps the data of Windows' own events where rules look for them, too.
fn windows_event_data(record: &Record<'_, '_>, out: &mut Out<'_>) {
    let namespace = Namespace::new("winlog.event_data");
    for (key, value) in record.texts() {
        if let Some(name) = EVENT_DATA.iter().find_map(|prefix| key.strip_prefix(prefix)) {
            let value = Json::Str(Cow::Borrowed(value));
            out.sheet.keep(&namespace, name, &value, &mut |_, _, _| {});
        }
    }
}

/// Arguments of one EXECVE that are joined at most.
const ARGS_MAX: usize = 256;

/// Joins `a0`, `a1`, … of an EXECVE record to the command line. Values in hexadecimal, which
/// auditd writes for what has spaces in it, are read.
fn auditd_execve(record: &Record<'_, '_>, out: &mut Out<'_>) {
    let is_execve = record.texts().any(|(key, value)| key == "type" && value == "EXECVE");
    if !is_execve {
        return;
    }
    let mut args: Vec<(usize, Cow<'_, str>)> = record
        .texts()
        .filter_map(|(key, value)| {
            let place = key.strip_prefix('a')?.parse().ok()?;
            Some((place, unhex(value).map_or(Cow::Borrowed(value), Cow::Owned)))
        })
        .take(ARGS_MAX)
        .collect();
    args.sort_by_key(|(place, _)| *place);
    let line: Vec<&str> = args.iter().map(|(_, arg)| &**arg).collect();
    if !line.is_empty() {
        out.sheet.put(fields::PROCESS_COMMAND_LINE, &line.join(" "));
        line.iter().for_each(|arg| out.sheet.add(fields::PROCESS_ARGS, arg));
    }
}

/// The text that hexadecimal digits stand for, where it is one that needs them.
fn unhex(text: &str) -> Option<String> {
    if text.len() < 4
        || !text.len().is_multiple_of(2)
        || !text.bytes().all(|b| b.is_ascii_hexdigit())
    {
        return None;
    }
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)?.try_into().ok()).collect();
    let bytes = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    let read = String::from_utf8(bytes).ok()?;
    // Digits alone are rather a number.
    let needed =
        read.contains([' ', '"', '\t', '\n', '\0']) || !text.bytes().all(|b| b.is_ascii_digit());
    (needed && read.chars().all(|c| !c.is_control() || c.is_whitespace() || c == '\0'))
        .then(|| read.replace('\0', " "))
}
