//! `jacquemart hold`, `jacquemart purge`, and the days that communes and feeds have.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::connect;
use crate::{
    Exit, Failure,
    cli::{Days, Global, Hold, Output, Purge, Server},
    print::{self, Column},
};

const HOLD: &[Column] = &[
    ("ID", "id"),
    ("COMMUNE", "commune"),
    ("FEED", "feed"),
    ("FROM", "from"),
    ("TO", "to"),
    ("SINCE", "began.at"),
    ("BY", "began.by"),
    ("RELEASED", "ended.at"),
    ("REASON", "reason"),
];

const PURGE: &[Column] = &[
    ("ID", "id"),
    ("COMMUNE", "commune"),
    ("QUERY", "query"),
    ("ASKED", "asked.at"),
    ("BY", "asked.by"),
    ("REMOVED", "events"),
    ("HELD", "held"),
    ("DONE", "done"),
    ("TROUBLE", "trouble"),
];

/// Between two looks at a purge that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(crate) async fn hold(global: &Global, args: Hold) -> Result<Exit, Failure> {
    match args {
        Hold::List { server } => {
            let client = connect(global, &server).await?;
            let answer = client.get("/api/v1/holds", &[]).await?;
            client.close().await;
            print::list(global.output, &answer, HOLD)?;
        }
        Hold::Place { commune, feed, between, reason, server } => {
            let body = json!({
                "commune": commune, "feed": feed, "from": between.from, "to": between.to,
                "reason": reason,
            });
            let client = connect(global, &server).await?;
            let placed = client.send(Method::POST, "/api/v1/holds", body).await?;
            client.close().await;
            one(global, placed, HOLD)?;
        }
        Hold::Release { id, server } => {
            let client = connect(global, &server).await?;
            let path = format!("/api/v1/holds/{id}");
            let released = client.send(Method::DELETE, &path, json!({})).await?;
            client.close().await;
            one(global, released, HOLD)?;
        }
    }
    Ok(Exit::Done)
}

pub(crate) async fn purge(global: &Global, args: Purge) -> Result<Exit, Failure> {
    match args {
        Purge::List { server } => {
            let client = connect(global, &server).await?;
            let answer = client.get("/api/v1/purges", &[]).await?;
            client.close().await;
            print::list(global.output, &answer, PURGE)?;
        }
        Purge::Show { id, server } => {
            let client = connect(global, &server).await?;
            let answer = client.get(&format!("/api/v1/purges/{id}"), &[]).await?;
            client.close().await;
            one(global, answer, PURGE)?;
        }
        Purge::Ask { query, commune, between, reason, wait, server } => {
            let body = json!({
                "commune": commune, "query": query, "from": between.from, "to": between.to,
                "reason": reason,
            });
            let client = connect(global, &server).await?;
            let mut purge = client.send(Method::POST, "/api/v1/purges", body).await?;
            for warning in purge["warnings"].as_array().into_iter().flatten() {
                eprintln!("warning: {}", print::safe(warning.as_str().unwrap_or_default()));
            }
            let path = format!("/api/v1/purges/{}", print::text(&purge, "id"));
            // Only a centre does it, which could not start while this waits.
            let may_end = !client.is_offline();
            if !may_end {
                eprintln!("no centre runs on this folder; the purge is done when one does");
            }
            let mut told = Value::Null;
            while wait && may_end && purge["done"].is_null() {
                if purge["trouble"] != told {
                    told = purge["trouble"].clone();
                    eprintln!("not done yet: {}", print::text(&purge, "trouble"));
                }
                tokio::time::sleep(LOOK_EVERY).await;
                purge = client.get(&path, &[]).await?;
            }
            client.close().await;
            one(global, purge, PURGE)?;
        }
    }
    Ok(Exit::Done)
}

/// Sets the days at `path`, which are those of `whose`.
pub(crate) async fn set_days(
    global: &Global,
    path: &str,
    whose: &str,
    days: &Days,
    server: &Server,
) -> Result<(), Failure> {
    let client = connect(global, server).await?;
    let answer = client.send(Method::PUT, path, json!({"days": days.days})).await?;
    client.close().await;
    match (global.output, days.days) {
        (Output::Json, _) => print::json(&answer)?,
        (Output::Table, Some(days)) => {
            print::outln!("events of {whose} are kept for {days} days from now on");
        }
        (Output::Table, None) => print::outln!("{whose} has no days of its own any more"),
    }
    Ok(())
}

fn one(global: &Global, answer: Value, columns: &[Column]) -> std::io::Result<()> {
    match global.output {
        Output::Json => print::json(&answer),
        Output::Table => print::table(&[answer], columns),
    }
}
