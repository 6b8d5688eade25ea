//! `jacquemart sla`.

use reqwest::Method;
use serde_json::{Value, json};

use super::connect;
use crate::{
    Exit, Failure,
    cli::{Global, Output, Sla},
    print::{self, Column},
};

const COLUMNS: &[Column] = &[
    ("COMMUNE", "commune"),
    ("SEVERITY", "severity"),
    ("ACKNOWLEDGE MIN", "acknowledge_min"),
    ("CONTAIN MIN", "contain_min"),
    ("RESOLVE MIN", "resolve_min"),
    ("OWN", "own"),
];

pub(crate) async fn run(global: &Global, args: Sla) -> Result<Exit, Failure> {
    match args {
        Sla::List { commune, server } => {
            let client = connect(global, &server).await?;
            let mut answer = client.get("/api/v1/sla", &[]).await?;
            client.close().await;
            if let (Some(only), Some(items)) =
                (commune, answer.get_mut("items").and_then(Value::as_array_mut))
            {
                items.retain(|item| item["commune"] == only.as_str());
            }
            for item in answer.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten()
            {
                named(global, item);
            }
            print::list(global.output, &answer, COLUMNS)?;
        }
        Sla::Set { commune, severity, targets, server } => {
            let minutes = |target: Option<crate::cli::Minutes>| target.map(|minutes| minutes.0);
            let body = json!({
                "commune": commune,
                "severity": severity,
                "acknowledge_min": minutes(targets.acknowledge),
                "contain_min": minutes(targets.contain),
                "resolve_min": minutes(targets.resolve),
            });
            let client = connect(global, &server).await?;
            let mut answer = client.send(Method::PUT, "/api/v1/sla", body).await?;
            client.close().await;
            named(global, &mut answer);
            match global.output {
                Output::Json => print::json(&answer)?,
                Output::Table => print::table(&[answer], COLUMNS)?,
            }
        }
    }
    Ok(Exit::Done)
}

/// For people, the line of all communes and what has no clock have a word.
fn named(global: &Global, item: &mut Value) {
    if global.output == Output::Json {
        return;
    }
    for (name, word) in [
        ("commune", "(all)"),
        ("acknowledge_min", "off"),
        ("contain_min", "off"),
        ("resolve_min", "off"),
    ] {
        if item[name].is_null() {
            item[name] = word.into();
        }
    }
}
