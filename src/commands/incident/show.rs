//! An incident, printed for people.

use std::time::Duration;

use event::Timestamp;
use serde_json::Value;

use crate::print::{self, cell};

/// Prints an incident whole, for people.
pub(super) fn show(answer: &Value) -> std::io::Result<()> {
    for (name, path) in [
        ("incident", "id"),
        ("title", "title"),
        ("commune", "commune"),
        ("severity", "severity"),
        ("because", "severity_override.reason"),
        ("risk score", "risk_score"),
        ("status", "status"),
        ("verdict", "verdict"),
        ("merged into", "merged_into"),
        ("assignee", "assignee"),
        ("labels", "labels"),
        ("tags", "tags"),
        ("first event", "first_event"),
        ("last event", "last_event"),
        ("opened", "created"),
        ("acknowledged", "acknowledged"),
        ("contained", "contained"),
        ("resolved", "resolved"),
        ("closed", "closed"),
        ("changed", "updated"),
    ] {
        let text = cell(answer, path);
        if !text.is_empty() {
            print::outln!("{name:<12} {text}");
        }
    }
    let list =
        |path: &str| answer.pointer(path).and_then(Value::as_array).cloned().unwrap_or_default();
    for entity in list("/entities") {
        print::outln!("{:<12} {}", cell(&entity, "kind"), cell(&entity, "name"));
    }
    show_clocks(&list("/clocks"), Timestamp::now())?;
    print::outln!("\nrisk");
    for rule in list("/risk/rules") {
        print::outln!(
            "  {:>4}  {:<8} {} × {}",
            cell(&rule, "points"),
            cell(&rule, "level"),
            cell(&rule, "detections"),
            cell(&rule, "name")
        );
    }
    let tactics = list("/risk/tactics");
    if tactics.len() > 1 {
        print::outln!(
            "  {:>4}  {} tactics: {}",
            cell(answer, "risk.tactics_points"),
            tactics.len(),
            cell(answer, "risk.tactics")
        );
    }
    print::outln!("\ndetections");
    for detection in list("/detections/items") {
        print::outln!(
            "  {}  {:<13} {}",
            cell(&detection, "timestamp"),
            cell(&detection, "rule.level"),
            cell(&detection, "rule.name")
        );
        print::outln!("    event {}", cell(&detection, "event_id"));
        for matched in detection.get("matched").and_then(Value::as_array).into_iter().flatten() {
            print::outln!("    {} = {}", cell(matched, "field"), cell(matched, "value"));
        }
        if let Some(correlation) = detection.get("correlation") {
            show_correlation(correlation)?;
        }
    }
    print::outln!("\ntimeline");
    for entry in list("/timeline") {
        print::outln!(
            "  {}  {:<20} {:<8} {}",
            cell(&entry, "at"),
            cell(&entry, "by"),
            cell(&entry, "kind"),
            what_happened(&entry)
        );
    }
    Ok(())
}

/// What is to be done by when, and what was.
fn show_clocks(clocks: &[Value], now: Timestamp) -> std::io::Result<()> {
    if clocks.is_empty() {
        return Ok(());
    }
    print::outln!("\nclocks");
    for clock in clocks {
        let time = |key| clock.get(key).and_then(Value::as_str).and_then(Timestamp::parse);
        let state = match (time("met"), time("due")) {
            (Some(met), Some(due)) if met > due => {
                format!("done {met}, {} late", span(met.since(due)))
            }
            (Some(met), _) => format!("done {met}"),
            (None, Some(due)) if due <= now => format!("BROKEN for {}", span(now.since(due))),
            (None, Some(due)) => format!("{} left", span(due.since(now))),
            (None, None) => String::new(),
        };
        print::outln!("  {:<19} by {}  {state}", cell(clock, "name"), cell(clock, "due"));
    }
    Ok(())
}

/// In the two largest units.
fn span(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    match (minutes / 1_440, minutes / 60 % 24, minutes % 60) {
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes:02} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// The rest of a timeline's entry in one line.
fn what_happened(entry: &Value) -> String {
    let (from, to) = (cell(entry, "from"), cell(entry, "to"));
    match entry.get("kind").and_then(Value::as_str).unwrap_or_default() {
        "assignee" if to.is_empty() => format!("{from} works it no more"),
        "severity" => format!("{from} → {to}: {}", cell(entry, "reason")),
        "contained" => match entry.get("contained") {
            Some(Value::Bool(false)) => "not after all".to_owned(),
            _ => "it spreads no further".to_owned(),
        },
        "nis2_aware" => format!("to be reported, known since {}", cell(entry, "aware")),
        "nis2_withdrawn" => format!("need not be reported: {}", cell(entry, "reason")),
        "nis2_reported" => format!("{} was sent", cell(entry, "report")),
        "merged_into" => format!("into {}", cell(entry, "incident")),
        "absorbed" => {
            format!("{} with {} detections", cell(entry, "incident"), cell(entry, "detections"))
        }
        "labels" => {
            let signed = |key: &str, sign: char| {
                let labels = entry.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
                let labels = labels.iter().filter_map(Value::as_str).map(print::safe);
                labels.map(|label| format!("{sign}{label}")).collect::<Vec<_>>()
            };
            [signed("added", '+'), signed("removed", '-')].concat().join(" ")
        }
        "comment" if cell(entry, "visibility") == "soc" => {
            format!("(SOC only) {}", cell(entry, "text"))
        }
        _ => ["rule", "to", "text"]
            .iter()
            .map(|key| cell(entry, key))
            .find(|text| !text.is_empty())
            .unwrap_or_default(),
    }
}

/// The window that a correlation fired on, and what was in it.
fn show_correlation(correlation: &Value) -> std::io::Result<()> {
    print::outln!(
        "    {} ({}) is {}, {} to {}, {} events",
        cell(correlation, "kind"),
        cell(correlation, "condition"),
        cell(correlation, "value"),
        cell(correlation, "from"),
        cell(correlation, "to"),
        cell(correlation, "events_total")
    );
    let list = |key: &str| correlation.get(key).and_then(Value::as_array).into_iter().flatten();
    for rule in list("rules") {
        print::outln!("    {} × {}", cell(rule, "matches"), cell(rule, "name"));
    }
    for commune in list("communes").filter_map(Value::as_str) {
        print::outln!("    commune {}", print::safe(commune));
    }
    for event in list("events").filter_map(Value::as_str) {
        print::outln!("    event {}", print::safe(event));
    }
    Ok(())
}
