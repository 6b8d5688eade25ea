//! What no table says well, in Rust: functions that a format names under `escapes`.

use std::borrow::Cow;

use event::Namespace;

use super::{out::Out, record::Record};
use crate::formats::json::Json;

/// Fills the event from what the record says.
pub(super) type Escape = fn(&Record<'_, '_>, &mut Out<'_>);

/// The functions by their names.
const NAMED: &[(&str, Escape)] = &[("stormshield_monitor", stormshield_monitor)];

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
