//! `jacquemart feed`.

use reqwest::Method;
use serde_json::{Value, json};

use super::feed_health;
use crate::{
    Exit, Failure,
    cli::{Feed, Global, Output},
    commands::connect,
    print,
};

pub(crate) async fn run(global: &Global, args: Feed) -> Result<Exit, Failure> {
    match args {
        Feed::Add { id, commune, format, name, server } => {
            let client = connect(global, &server).await?;
            let name = name.unwrap_or_else(|| id.to_string());
            let body = json!({"id": id, "commune": commune, "format": format, "name": name});
            let added = client.send(Method::POST, "/api/v1/feeds", body).await?;
            client.close().await;
            show_key(
                global.output,
                &format!("added feed {id} of {commune}, format {format}"),
                &added,
            )?;
        }
        Feed::List { server } => {
            let client = connect(global, &server).await?;
            let answer = client.get("/api/v1/feeds", &[]).await?;
            client.close().await;
            let columns = [
                ("ID", "id"),
                ("COMMUNE", "commune"),
                ("FORMAT", "format"),
                ("NAME", "name"),
                ("CREATED", "created"),
            ];
            print::list(global.output, &answer, &columns)?;
        }
        Feed::Status { id, server } => return feed_health::status(global, id, &server).await,
        Feed::Wait { id, timeout_s, server } => {
            let timeout = std::time::Duration::from_secs(timeout_s);
            return feed_health::wait(global, &id, timeout, &server).await;
        }
        Feed::Rotate { id, overlap_h, server } => {
            let client = connect(global, &server).await?;
            let path = format!("/api/v1/feeds/{id}/rotate");
            let rotated = client
                .send(Method::POST, &path, json!({"overlap_s": overlap_h.saturating_mul(3_600)}))
                .await?;
            client.close().await;
            let old = match rotated["old_key_until"].as_str() {
                Some(until) => format!("the old one works until {until}"),
                None => "the old one no longer works".to_owned(),
            };
            show_key(global.output, &format!("feed {id} has a new key; {old}"), &rotated)?;
        }
    }
    Ok(Exit::Done)
}

fn show_key(output: Output, what: &str, answer: &Value) -> Result<(), Failure> {
    match output {
        Output::Json => print::json(answer)?,
        Output::Table => {
            let key = print::cell(answer, "key");
            print::outln!("{what}");
            print::outln!("its key, shown this once:\n\n  {key}\n");
            print::outln!(
                "a first event:\n\n  curl -H 'Authorization: Bearer {key}' --data-binary @events.ndjson http://127.0.0.1:7080/ingest\n"
            );
            let id = print::cell(answer, "id");
            print::outln!("and whether it arrives and is of use:\n\n  jacquemart feed wait {id}");
        }
    }
    Ok(())
}
