//! What communes make of the rules.

use std::{io::Read as _, path::Path};

use anyhow::Context as _;
use event::CommuneId;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    Exit, Failure,
    cli::{
        Global, Output, Server,
        rules::{Choice, Exception},
    },
    commands::connect,
    print::{self, cell},
};

/// Bytes of a filter that are read at most; the server takes less.
const FILTER_BYTES_MAX: u64 = 1 << 20;

const EXCEPTIONS: &[print::Column] = &[
    ("ID", "id"),
    ("EXPIRES", "expires"),
    ("EXPIRED", "expired"),
    ("OWNER", "owner"),
    ("TITLE", "title"),
    ("REASON", "reason"),
    ("BY", "began.by"),
    ("SINCE", "began.at"),
];

/// A selector; a bare id is one of a rule.
fn selector(text: &str) -> String {
    if text == "any" || text.contains(':') { text.to_owned() } else { format!("id:{text}") }
}

pub(super) async fn show(
    global: &Global,
    commune: &CommuneId,
    at: Option<String>,
    server: &Server,
) -> Result<Exit, Failure> {
    let answer = policy(global, commune, at, server).await?;
    match global.output {
        Output::Json => print::json(&answer)?,
        Output::Table => {
            let rows = |name: &str| answer[name].as_array().cloned().unwrap_or_default();
            print::outln!("choices");
            print::table(
                &rows("choices"),
                &[
                    ("SELECT", "selector"),
                    ("EFFECT", "effect"),
                    ("REASON", "reason"),
                    ("BY", "began.by"),
                    ("SINCE", "began.at"),
                ],
            )?;
            print::outln!("\nexceptions");
            print::table(&rows("exceptions"), EXCEPTIONS)?;
        }
    }
    Ok(Exit::Done)
}

async fn policy(
    global: &Global,
    commune: &CommuneId,
    at: Option<String>,
    server: &Server,
) -> Result<Value, Failure> {
    let client = connect(global, server).await?;
    let query: Vec<_> = at.into_iter().map(|at| ("at", at)).collect();
    let answer = client.get(&format!("/api/v1/communes/{commune}/rules"), &query).await?;
    client.close().await;
    Ok(answer)
}

pub(super) async fn choose(global: &Global, args: Choice, state: &str) -> Result<Exit, Failure> {
    let body = json!({
        "select": selector(&args.select), "state": state, "reason": args.reason,
    });
    send(global, &args.commune, body, &args.server).await
}

pub(super) async fn reset(
    global: &Global,
    select: &str,
    commune: &CommuneId,
    server: &Server,
) -> Result<Exit, Failure> {
    send(global, commune, json!({"select": selector(select), "state": "default"}), server).await
}

pub(super) async fn level(
    global: &Global,
    select: &str,
    level: &str,
    commune: &CommuneId,
    reason: &str,
    server: &Server,
) -> Result<Exit, Failure> {
    let body = json!({"select": selector(select), "level": level, "reason": reason});
    send(global, commune, body, server).await
}

async fn send(
    global: &Global,
    commune: &CommuneId,
    body: Value,
    server: &Server,
) -> Result<Exit, Failure> {
    let client = connect(global, server).await?;
    let path = format!("/api/v1/communes/{commune}/rules/choices");
    let answer = client.send(Method::POST, &path, body).await?;
    client.close().await;
    match global.output {
        Output::Json => print::json(&answer)?,
        Output::Table => match answer["effect"].is_null() {
            true => print::outln!("{} is as it was before in {commune}", cell(&answer, "select")),
            false => print::outln!(
                "{} in {commune}: {} ({} rules in force are meant)",
                cell(&answer, "selector"),
                cell(&answer, "effect"),
                cell(&answer, "rules")
            ),
        },
    }
    Ok(Exit::Done)
}

pub(super) async fn exception(global: &Global, args: Exception) -> Result<Exit, Failure> {
    match args {
        Exception::Add { filter, commune, owner, reason, expires, server } => {
            let filter = read(&filter)?;
            let client = connect(global, &server).await?;
            let path = format!("/api/v1/communes/{commune}/rules/exceptions");
            let body =
                json!({"filter": filter, "owner": owner, "reason": reason, "expires": expires});
            let answer = client.send(Method::POST, &path, body).await?;
            client.close().await;
            match global.output {
                Output::Json => print::json(&answer)?,
                Output::Table => print::outln!(
                    "exception {} in {commune} until {}: {} ({} rules in force are meant)",
                    cell(&answer, "id"),
                    cell(&answer, "expires"),
                    cell(&answer, "title"),
                    answer["rules"].as_array().map_or(0, Vec::len)
                ),
            }
        }
        Exception::List { commune, server } => {
            let answer = policy(global, &commune, None, &server).await?;
            let items = json!({"items": answer["exceptions"], "next_cursor": null});
            print::list(global.output, &items, EXCEPTIONS)?;
        }
        Exception::Remove { id, server } => {
            let client = connect(global, &server).await?;
            let path = format!("/api/v1/rule-exceptions/{id}");
            let answer = client.send(Method::DELETE, &path, Value::Null).await?;
            client.close().await;
            match global.output {
                Output::Json => print::json(&answer)?,
                Output::Table => print::outln!(
                    "exception {id} of {} is taken back: {}",
                    cell(&answer, "commune"),
                    cell(&answer, "title")
                ),
            }
        }
    }
    Ok(Exit::Done)
}

fn read(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let reader: Box<dyn std::io::Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        let file = std::fs::File::open(path);
        Box::new(file.with_context(|| format!("failed to read {}", path.display()))?)
    };
    let read = reader.take(FILTER_BYTES_MAX).read_to_string(&mut text);
    read.with_context(|| format!("failed to read {}", path.display()))?;
    Ok(text)
}
