//! `jacquemart saved-hunt`, and the one that `hunt --saved` names.

use anyhow::anyhow;
use reqwest::Method;
use serde_json::{Value, json};

use super::connect;
use crate::{
    Exit, Failure,
    cli::{Global, Output, SavedHunt},
    client::Client,
    print::{self, Column, cell},
};

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("NAME", "name"),
    ("COMMUNE", "commune"),
    ("SHARED", "shared"),
    ("OWNER", "owner"),
    ("QUERY", "query"),
    ("NOTE", "note"),
];

pub(crate) async fn run(global: &Global, args: SavedHunt) -> Result<Exit, Failure> {
    match args {
        SavedHunt::List { server } => {
            let client = connect(global, &server).await?;
            let answer = client.get("/api/v1/hunts", &[]).await?;
            client.close().await;
            print::list(global.output, &answer, COLUMNS)?;
        }
        SavedHunt::Add { name, query, note, commune, shared, server } => {
            let client = connect(global, &server).await?;
            let body = json!({
                "name": name, "query": query, "note": note, "commune": commune, "shared": shared,
            });
            let kept = client.send(Method::POST, "/api/v1/hunts", body).await?;
            client.close().await;
            one(global, kept)?;
        }
        SavedHunt::Remove { hunt, server } => {
            let client = connect(global, &server).await?;
            let found = find(&client, &hunt).await?;
            let path = format!("/api/v1/hunts/{}", cell(&found, "id"));
            let gone = client.send(Method::DELETE, &path, json!({})).await?;
            client.close().await;
            one(global, gone)?;
        }
    }
    Ok(Exit::Done)
}

fn one(global: &Global, hunt: Value) -> Result<(), Failure> {
    match global.output {
        Output::Json => print::json(&hunt)?,
        Output::Table => print::table(&[hunt], COLUMNS)?,
    }
    Ok(())
}

/// The hunt of this id, else the only one of this name.
pub(crate) async fn find(client: &Client, hunt: &str) -> Result<Value, Failure> {
    let answer = client.get("/api/v1/hunts", &[]).await?;
    let hunts = answer.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if let Some(found) = hunts.iter().find(|of| of["id"] == hunt) {
        return Ok(found.clone());
    }
    match hunts.iter().filter(|of| of["name"] == hunt).collect::<Vec<_>>()[..] {
        [found] => Ok(found.clone()),
        [] => {
            let text =
                format!("no hunt is saved as {hunt:?}; `jacquemart saved-hunt list` has them");
            Err(Failure::new(Exit::NotFound, anyhow!(text)))
        }
        ref several => {
            let ids: Vec<String> = several
                .iter()
                .map(|of| format!("{} ({})", cell(of, "id"), cell(of, "owner")))
                .collect();
            let text =
                format!("several hunts are saved as {hunt:?}: {}; give an id", ids.join(", "));
            Err(Failure::usage(text))
        }
    }
}
