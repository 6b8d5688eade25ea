//! `jacquemart notify`.

use anyhow::{Context as _, anyhow};
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
    ("RECEIVER", "hook"),
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
    let mut receivers = notify::Receiver::all(&config.notify);
    let Some(place) = receivers.iter().position(|receiver| receiver.name() == name) else {
        let names: Vec<_> = receivers.iter().map(notify::Receiver::name).collect();
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let text = format!(
            "no [[notify.webhooks]] or [[notify.mail]] is called {name:?}; configured: {known}"
        );
        return Err(Failure::new(Exit::NotFound, anyhow!(text)));
    };
    let message = notify::Message::Test(Timestamp::now());
    match receivers[place].send(&message).await {
        Ok(()) => print::outln!("{name} took the test message {}", message.id()),
        Err(refusal) => {
            return Err(Failure::from(anyhow!("{name} did not take it: {}", refusal.reason)));
        }
    }
    Ok(())
}
