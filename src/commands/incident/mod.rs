//! `jacquemart incident`.

mod follow;
mod show;

use std::io::Write as _;

use anyhow::Context as _;
use event::Timestamp;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::{
    Exit, Failure,
    cli::{ExportFormat, Global, Incident, IncidentExport, IncidentList, IncidentUpdate, Output},
    commands::connect,
    print::{self, cell},
};

const COLUMNS: [print::Column; 10] = [
    ("ID", "id"),
    ("COMMUNE", "commune"),
    ("NO", "number"),
    ("SEVERITY", "severity"),
    ("STATUS", "status"),
    ("ASSIGNEE", "assignee"),
    ("DETECTIONS", "detections"),
    ("DUE", "due"),
    ("UPDATED", "updated"),
    ("TITLE", "title"),
];

const SIMILAR_COLUMNS: [print::Column; 8] = [
    ("ID", "id"),
    ("COMMUNE", "commune"),
    ("NO", "number"),
    ("LIKENESS", "common.likeness"),
    ("STATUS", "status"),
    ("VERDICT", "verdict"),
    ("UPDATED", "updated"),
    ("TITLE", "title"),
];

pub(crate) async fn run(global: &Global, args: Incident) -> Result<Exit, Failure> {
    match args {
        Incident::List(args) => list(global, args).await,
        Incident::Export(args) => export(global, args).await,
        Incident::Show { id, server } => {
            let client = connect(global, &server).await?;
            let answer = client.get(&format!("/api/v1/incidents/{id}"), &[]).await?;
            client.close().await;
            match global.output {
                Output::Json => print::json(&answer)?,
                Output::Table => show::show(&answer)?,
            }
            Ok(Exit::Done)
        }
        Incident::Similar { id, limit, server } => {
            let client = connect(global, &server).await?;
            let query = [("limit", limit.to_string())];
            let answer = client.get(&format!("/api/v1/incidents/{id}/similar"), &query).await?;
            client.close().await;
            print::list(global.output, &answer, &SIMILAR_COLUMNS)?;
            Ok(Exit::Done)
        }
        Incident::Update(args) => update(global, *args).await,
        Incident::Merge { ids, into, server } => {
            let client = connect(global, &server).await?;
            let mut left = Value::Null;
            for id in ids {
                let uri = format!("/api/v1/incidents/{id}/merge");
                left = client.send(Method::POST, &uri, json!({"into": into})).await?;
            }
            client.close().await;
            match global.output {
                Output::Json => print::json(&left)?,
                Output::Table => print::table(&[left], &COLUMNS)?,
            }
            Ok(Exit::Done)
        }
        Incident::Follow { commune, after, server } => {
            let client = connect(global, &server).await?;
            let followed = follow::follow(global.output, &client, commune, after).await;
            client.close().await;
            followed
        }
    }
}

/// The filters of a list as the API takes them.
fn filters(args: IncidentList) -> Vec<(&'static str, String)> {
    let mut query = Vec::new();
    query.extend(args.limit.map(|limit| ("limit", limit.to_string())));
    query.extend(args.commune.map(|commune| ("commune", commune.to_string())));
    query.extend(args.severity_min.map(|level| ("severity_min", level.to_string())));
    for (name, words) in [("status", args.status), ("verdict", args.verdict)] {
        if !words.is_empty() {
            query.push((name, words.join(",")));
        }
    }
    for (name, text) in [
        ("assignee", args.assignee),
        ("label", args.label),
        ("q", args.text),
        ("sort", args.sort),
        ("cursor", args.cursor),
    ] {
        query.extend(text.map(|text| (name, text)));
    }
    if args.overdue {
        query.push(("due_before", Timestamp::now().to_string()));
    }
    query
}

async fn list(global: &Global, args: IncidentList) -> Result<Exit, Failure> {
    let client = connect(global, &args.server).await?;
    let answer = client.get("/api/v1/incidents", &filters(args)).await?;
    client.close().await;
    print::list(global.output, &answer, &COLUMNS)?;
    Ok(Exit::Done)
}

async fn export(global: &Global, args: IncidentExport) -> Result<Exit, Failure> {
    let client = connect(global, &args.list.server).await?;
    let format = match args.format {
        ExportFormat::Ndjson => "ndjson",
        ExportFormat::Csv => "csv",
        ExportFormat::Ocsf => "ocsf",
        ExportFormat::Stix => "stix",
    };
    let mut query = vec![("format", format.to_owned())];
    query.extend(args.tlp.map(|tlp| ("tlp", tlp.to_string())));
    query.extend(filters(args.list));
    let (text, next) = client.text("/api/v1/incidents/export", &query).await?;
    client.close().await;
    match &args.out {
        Some(path) => std::fs::write(path, text)
            .with_context(|| format!("failed to write {}", path.display()))?,
        None => std::io::stdout().lock().write_all(&text)?,
    }
    if let Some(next) = next {
        eprintln!("there is more: --cursor {next}");
    }
    Ok(Exit::Done)
}

async fn update(global: &Global, args: IncidentUpdate) -> Result<Exit, Failure> {
    let mut change = Map::new();
    let mut set = |name: &str, value: Value| change.insert(name.to_owned(), value);
    for (name, value) in [
        ("status", args.status),
        ("verdict", args.verdict),
        ("assignee", args.assign),
        ("reason", args.reason),
        ("comment", args.comment),
        ("nis2_report", args.nis2_report),
    ] {
        if let Some(value) = value {
            set(name, value.into());
        }
    }
    if args.unassign {
        set("assignee", Value::Null);
    }
    if let Some(level) = args.severity {
        set("severity", level.as_str().into());
    }
    if args.severity_computed {
        set("severity", Value::Null);
    }
    if args.contained || args.not_contained {
        set("contained", args.contained.into());
    }
    match args.nis2_aware.as_deref() {
        Some("now") => drop(set("nis2_aware", json!(Timestamp::now()))),
        Some(time) => drop(set("nis2_aware", time.into())),
        None if args.nis2_withdraw => drop(set("nis2_aware", Value::Null)),
        None => {}
    }
    if !args.labels.is_empty() || args.no_labels {
        set("labels", args.labels.into());
    }
    if args.shared {
        set("visibility", "shared".into());
    }
    let client = connect(global, &args.server).await?;
    if let [id] = args.ids.as_slice() {
        let uri = format!("/api/v1/incidents/{id}");
        let answer = client.send(Method::PATCH, &uri, Value::Object(change)).await?;
        client.close().await;
        match global.output {
            Output::Json => print::json(&answer)?,
            Output::Table => print::table(&[answer], &COLUMNS)?,
        }
        return Ok(Exit::Done);
    }
    change.insert("ids".to_owned(), json!(args.ids));
    let answer = client.send(Method::POST, "/api/v1/incidents/bulk", Value::Object(change)).await?;
    client.close().await;
    show_outcomes(global.output, &answer)
}

/// Those that changed on stdout, and why the others did not on stderr.
fn show_outcomes(output: Output, answer: &Value) -> Result<Exit, Failure> {
    let items = answer.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    match output {
        Output::Json => print::json(answer)?,
        Output::Table => {
            let changed: Vec<Value> =
                items.iter().filter_map(|item| item.get("incident")).cloned().collect();
            print::table(&changed, &COLUMNS)?;
            for item in items.iter().filter(|item| item.get("problem").is_some()) {
                eprintln!("{}: {}", cell(item, "id"), cell(item, "problem.detail"));
            }
        }
    }
    let failed = answer.get("failed").and_then(Value::as_u64).unwrap_or_default();
    Ok(if failed == 0 { Exit::Done } else { Exit::Failed })
}
