//! An incident, printed for people.

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

/// The rest of a timeline's entry in one line.
fn what_happened(entry: &Value) -> String {
    let (from, to) = (cell(entry, "from"), cell(entry, "to"));
    match entry.get("kind").and_then(Value::as_str).unwrap_or_default() {
        "assignee" if to.is_empty() => format!("{from} works it no more"),
        "severity" => format!("{from} → {to}: {}", cell(entry, "reason")),
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
