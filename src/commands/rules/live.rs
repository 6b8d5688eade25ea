//! What a server has in force.

use anyhow::anyhow;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    Exit, Failure,
    cli::{Global, Output, Server},
    commands::connect,
    print::{self, cell},
};

pub(super) async fn list(
    global: &Global,
    at: Option<String>,
    server: &Server,
) -> Result<Exit, Failure> {
    let client = connect(global, server).await?;
    let query: Vec<_> = at.iter().map(|at| ("at", at.clone())).collect();
    let answer = client.get("/api/v1/rules", &query).await?;
    client.close().await;
    let columns: &[print::Column] = if at.is_some() {
        &[
            ("ID", "id"),
            ("VERSION", "version"),
            ("LEVEL", "level"),
            ("SINCE", "began.at"),
            ("UNTIL", "ended.at"),
            ("TITLE", "title"),
        ]
    } else {
        &[
            ("ID", "id"),
            ("VERSION", "version"),
            ("LEVEL", "level"),
            ("TITLE", "title"),
            ("KEPT, FOR ITS FILE IS BAD", "kept"),
        ]
    };
    print::list(global.output, &answer, columns)?;
    Ok(Exit::Done)
}

pub(super) async fn show(global: &Global, id: &str, server: &Server) -> Result<Exit, Failure> {
    let client = connect(global, server).await?;
    let path = format!("/api/v1/rules/{id}");
    let found = client.get(&path, &[]).await;
    let versions = client.get(&format!("{path}/versions"), &[]).await;
    client.close().await;
    // A rule that is in force no longer is still known by its versions.
    let (rule, versions) = match (found, versions) {
        (found, Ok(versions)) => (found.ok(), versions),
        (Ok(rule), Err(_)) => (Some(rule), json!({"items": []})),
        (Err(error), Err(_)) => return Err(error),
    };
    match global.output {
        Output::Json => print::json(&json!({"rule": rule, "versions": versions["items"]}))?,
        Output::Table => {
            match &rule {
                Some(rule) => in_force(rule)?,
                None => print::outln!("{id} is not in force; its last text\n"),
            }
            let items = versions["items"].as_array().map_or(&[][..], Vec::as_slice);
            let text = rule.as_ref().or(items.first()).and_then(|of| of["text"].as_str());
            for line in text.unwrap_or_default().lines() {
                print::outln!("  {}", print::safe(line));
            }
            print::outln!("\nversions");
            print::table(
                items,
                &[
                    ("VERSION", "version"),
                    ("LEVEL", "level"),
                    ("SINCE", "began.at"),
                    ("CAUSE", "began.cause"),
                    ("BY", "began.by"),
                    ("UNTIL", "ended.at"),
                    ("CAUSE", "ended.cause"),
                    ("BY", "ended.by"),
                ],
            )?;
        }
    }
    Ok(Exit::Done)
}

fn in_force(rule: &Value) -> std::io::Result<()> {
    for (name, path) in [
        ("rule", "title"),
        ("id", "id"),
        ("version", "version"),
        ("level", "level"),
        ("status", "status"),
        ("product", "logsource.product"),
        ("category", "logsource.category"),
        ("service", "logsource.service"),
        ("tags", "tags"),
        ("author", "author"),
        ("kept, for its file is bad", "kept"),
    ] {
        let text = cell(rule, path);
        if !text.is_empty() {
            print::outln!("{name:<10} {text}");
        }
    }
    for commune in rule["communes"].as_array().into_iter().flatten() {
        let state = if commune["enabled"] == true { "level " } else { "turned off; level " };
        print::outln!("in {:<7} {state}{}", cell(commune, "commune"), cell(commune, "level"));
    }
    print::outln!();
    Ok(())
}

pub(super) async fn status(global: &Global, server: &Server) -> Result<Exit, Failure> {
    let client = connect(global, server).await?;
    let answer = client.get("/api/v1/rules/status", &[]).await?;
    client.close().await;
    match global.output {
        Output::Json => print::json(&answer)?,
        Output::Table => not_as_it_stands(&answer)?,
    }
    Ok(found(&answer))
}

pub(super) async fn reload(global: &Global, server: &Server) -> Result<Exit, Failure> {
    let client = connect(global, server).await?;
    if client.is_offline() {
        client.close().await;
        return Err(Failure::new(
            Exit::Unreachable,
            anyhow!("no server runs on this data folder; it reads the rules when it starts"),
        ));
    }
    let answer = client.send(Method::POST, "/api/v1/rules/reload", json!({})).await?;
    client.close().await;
    match global.output {
        Output::Json => print::json(&answer)?,
        Output::Table => {
            for what in ["added", "changed", "removed"] {
                for rule in answer[what].as_array().into_iter().flatten() {
                    print::outln!(
                        "{what:<8} {} {} {}",
                        cell(rule, "id"),
                        cell(rule, "version"),
                        cell(rule, "title")
                    );
                }
            }
            not_as_it_stands(&answer)?;
        }
    }
    Ok(found(&answer))
}

/// Refused rules are something found.
fn found(answer: &Value) -> Exit {
    let refused = answer["refused"].as_array().is_some_and(|refused| !refused.is_empty());
    if refused { Exit::Found } else { Exit::Done }
}

fn not_as_it_stands(answer: &Value) -> std::io::Result<()> {
    for refused in answer["refused"].as_array().into_iter().flatten() {
        print::outln!(
            "refused  {}:{}: {}",
            cell(refused, "path"),
            cell(refused, "line"),
            cell(refused, "reason")
        );
    }
    for kept in answer["kept"].as_array().into_iter().flatten() {
        print::outln!(
            "kept     {} {}, as {} was before it became bad",
            cell(kept, "id"),
            cell(kept, "title"),
            cell(kept, "path")
        );
    }
    print::outln!("{} rules in force", cell(answer, "loaded"));
    Ok(())
}
