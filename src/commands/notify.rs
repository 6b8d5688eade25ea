//! `jacquemart notify`.

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use event::Timestamp;
use ingest::outbound;
use reqwest::Method;
use serde_json::json;

use crate::{
    Exit, Failure,
    cli::{Global, Notify, Output},
    commands::{connect, load_config},
    notify, print,
};

const COLUMNS: [print::Column; 9] = [
    ("ID", "id"),
    ("WEBHOOK", "hook"),
    ("COMMUNE", "commune"),
    ("NO", "number"),
    ("KIND", "kind"),
    ("STATE", "state"),
    ("TRIES", "attempts"),
    ("DUE", "due"),
    ("ERROR", "error"),
];

pub(crate) async fn run(global: &Global, args: Notify) -> Result<Exit, Failure> {
    match args {
        Notify::List { state, limit, cursor, server } => {
            let client = connect(global, &server).await?;
            let mut query = vec![("limit", limit.to_string())];
            if !state.is_empty() {
                query.push(("state", state.join(",")));
            }
            query.extend(cursor.map(|cursor| ("cursor", cursor)));
            let answer = client.get("/api/v1/notices", &query).await?;
            client.close().await;
            print::list(global.output, &answer, &COLUMNS)?;
        }
        Notify::Retry { id, server } => {
            let client = connect(global, &server).await?;
            let path = format!("/api/v1/notices/{id}/retry");
            let answer = client.send(Method::POST, &path, json!({})).await?;
            client.close().await;
            match global.output {
                Output::Json => print::json(&answer)?,
                Output::Table => print::table(&[answer], &COLUMNS)?,
            }
        }
        Notify::Test { name } => test(global, &name).await?,
        Notify::Secret => {
            let secret = outbound::Webhook::draw_secret().context("failed to draw a secret")?;
            print::outln!("{secret}");
        }
    }
    Ok(Exit::Done)
}

async fn test(global: &Global, name: &str) -> Result<(), Failure> {
    let config = load_config(global)?;
    let found = config.notify.webhooks.iter().find(|webhook| webhook.name == name).cloned();
    let webhook = found.ok_or_else(|| {
        let names: Vec<_> = config.notify.webhooks.iter().map(|w| w.name.as_str()).collect();
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let text = format!("no [[notify.webhooks]] is called {name:?}; configured: {known}");
        Failure::new(Exit::NotFound, anyhow!(text))
    })?;
    let mut receiver = notify::Receiver::new(webhook);
    let receiver = tokio::task::block_in_place(|| receiver.open()).map_err(|error| {
        Failure::new(Exit::Usage, error.context(format!("webhook {name:?} cannot be used")))
    })?;
    let now = Timestamp::now();
    let message = notify::test_message(now);
    let seconds = now.as_nanos() / 1_000_000_000;
    match receiver.send(&message.id, seconds, Bytes::from(message.body)).await {
        Ok(()) => print::outln!("webhook {name} took the test message {}", message.id),
        Err(error) => {
            let reason = notify::reason(&error);
            return Err(Failure::from(anyhow!("webhook {name} did not take it: {reason}")));
        }
    }
    Ok(())
}
