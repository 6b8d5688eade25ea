//! `jacquemart incident`.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    Exit, Failure,
    cli::{Global, Incident, Output},
    commands::connect,
    print::{self, cell},
};

const COLUMNS: [print::Column; 8] = [
    ("ID", "id"),
    ("COMMUNE", "commune"),
    ("NO", "number"),
    ("SEVERITY", "severity"),
    ("STATUS", "status"),
    ("DETECTIONS", "detections"),
    ("UPDATED", "updated"),
    ("TITLE", "title"),
];

pub(crate) async fn run(global: &Global, args: Incident) -> Result<Exit, Failure> {
    match args {
        Incident::List { commune, status, severity_min, limit, server } => {
            let client = connect(global, &server).await?;
            let mut query = vec![("limit", limit.to_string())];
            query.extend(commune.map(|commune| ("commune", commune.to_string())));
            query.extend(severity_min.map(|level| ("severity_min", level.to_string())));
            if !status.is_empty() {
                query.push(("status", status.join(",")));
            }
            let answer = client.get("/api/v1/incidents", &query).await?;
            client.close().await;
            print::list(global.output, &answer, &COLUMNS)?;
        }
        Incident::Show { id, server } => {
            let client = connect(global, &server).await?;
            let answer = client.get(&format!("/api/v1/incidents/{id}"), &[]).await?;
            client.close().await;
            match global.output {
                Output::Json => print::json(&answer)?,
                Output::Table => show(&answer)?,
            }
        }
        Incident::Update { id, status, verdict, comment, server } => {
            let client = connect(global, &server).await?;
            let mut change = serde_json::Map::new();
            for (key, value) in [("status", status), ("verdict", verdict), ("comment", comment)] {
                if let Some(value) = value {
                    change.insert(key.to_owned(), Value::String(value));
                }
            }
            if change.is_empty() {
                return Err(Failure::usage(
                    "nothing to change; give --status, --verdict or --comment",
                ));
            }
            let answer = client
                .send(Method::PATCH, &format!("/api/v1/incidents/{id}"), json!(change))
                .await?;
            client.close().await;
            match global.output {
                Output::Json => print::json(&answer)?,
                Output::Table => print::table(&[answer], &COLUMNS)?,
            }
        }
    }
    Ok(Exit::Done)
}

fn show(answer: &Value) -> std::io::Result<()> {
    for (name, path) in [
        ("incident", "id"),
        ("title", "title"),
        ("commune", "commune"),
        ("severity", "severity"),
        ("status", "status"),
        ("verdict", "verdict"),
        ("tags", "tags"),
        ("first event", "first_event"),
        ("last event", "last_event"),
        ("opened", "created"),
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
        let what = ["rule", "to", "text"]
            .iter()
            .map(|key| cell(&entry, key))
            .find(|text| !text.is_empty());
        print::outln!(
            "  {}  {:<20} {:<8} {}",
            cell(&entry, "at"),
            cell(&entry, "by"),
            cell(&entry, "kind"),
            what.unwrap_or_default()
        );
    }
    Ok(())
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
