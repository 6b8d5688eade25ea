//! `jacquemart feed`.

use clap::ValueEnum as _;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    feed_health,
    feed_snippet::{SendTo, Shipper},
};
use crate::{
    Exit, Failure,
    cli::{Feed, Global, Output},
    commands::{connect, keeping, load_config, quota},
    print,
};

pub(crate) async fn run(global: &Global, args: Feed) -> Result<Exit, Failure> {
    match args {
        Feed::Add { id, commune, format, name, snippet, server } => {
            let send_to = SendTo::of(snippet.send_to, &load_config(global)?)?;
            let client = connect(global, &server).await?;
            let name = name.unwrap_or_else(|| id.to_string());
            let body = json!({"id": id, "commune": commune, "format": format, "name": name});
            let added = client.send(Method::POST, "/api/v1/feeds", body).await?;
            client.close().await;
            show_key(
                global.output,
                &format!("added feed {id} of {commune}, format {format}"),
                added,
                (&send_to, snippet.shipper),
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
                ("RECORDS/S", "quota.records_per_s"),
                ("BYTES/S", "quota.bytes_per_s"),
                ("KEPT DAYS", "retention_days"),
            ];
            print::list(global.output, &answer, &columns)?;
        }
        Feed::Quota { id, quota, server } => {
            let path = format!("/api/v1/feeds/{id}/quota");
            quota::set(global, &path, &format!("feed {id}"), &quota, &server).await?;
        }
        Feed::Retention { id, days, server } => {
            let path = format!("/api/v1/feeds/{id}/retention");
            keeping::set_days(global, &path, &format!("feed {id}"), &days, &server).await?;
        }
        Feed::Status { id, server } => return feed_health::status(global, id, &server).await,
        Feed::Wait { id, timeout_s, server } => {
            let timeout = std::time::Duration::from_secs(timeout_s);
            return feed_health::wait(global, &id, timeout, &server).await;
        }
        Feed::Rules { id, lacking, server } => {
            return feed_health::rules(global, &id, lacking, &server).await;
        }
        Feed::Devices { id, state, server } => {
            return feed_health::devices(global, &id, state, &server).await;
        }
        Feed::Inventory { id, file, server } => {
            return feed_health::declare(global, &id, &file, &server).await;
        }
        Feed::Rotate { id, overlap_h, snippet, server } => {
            let send_to = SendTo::of(snippet.send_to, &load_config(global)?)?;
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
            let what = format!("feed {id} has a new key; {old}");
            show_key(global.output, &what, rotated, (&send_to, snippet.shipper))?;
        }
    }
    Ok(Exit::Done)
}

/// Prints the key that `answer` shows, and what to give to the shipper.
fn show_key(
    output: Output,
    what: &str,
    mut answer: Value,
    (send_to, shipper): (&SendTo, Option<Shipper>),
) -> Result<(), Failure> {
    let key = print::cell(&answer, "key");
    let shipper = shipper.unwrap_or_else(|| Shipper::of_format(&print::cell(&answer, "format")));
    let snippet = send_to.snippet(shipper, &key);
    match output {
        Output::Json => {
            answer["snippet"] = snippet.into();
            print::json(&answer)?;
        }
        Output::Table => {
            let id = print::cell(&answer, "id");
            let name = shipper.to_possible_value();
            let name = name.as_ref().map_or("", |name| name.get_name());
            print::outln!("{what}");
            print::outln!("its key, shown this once:\n\n  {key}\n");
            print::outln!(
                "à donner à l'expéditeur ({name} ; --shipper pour un autre) :\n\n{snippet}"
            );
            print::outln!(
                "puis, pour savoir si tout arrive et sert :\n\n  jacquemart feed wait {id}"
            );
        }
    }
    Ok(())
}
