//! `jacquemart commune`.

use reqwest::Method;
use serde_json::json;

use crate::{
    Exit, Failure,
    cli::{Commune, Global, Output},
    commands::{connect, connect_or_create, keeping, quota},
    print,
};

pub(crate) async fn run(global: &Global, args: Commune) -> Result<Exit, Failure> {
    match args {
        Commune::Add { id, name, server } => {
            let client = connect_or_create(global, &server).await?;
            let name = name.unwrap_or_else(|| id.to_string());
            let added = client
                .send(Method::POST, "/api/v1/communes", json!({"id": id, "name": name}))
                .await?;
            client.close().await;
            match global.output {
                Output::Json => print::json(&added)?,
                Output::Table => print::outln!("added commune {id} ({name})"),
            }
        }
        Commune::List { server } => {
            let client = connect(global, &server).await?;
            let answer = client.get("/api/v1/communes", &[]).await?;
            client.close().await;
            print::list(
                global.output,
                &answer,
                &[
                    ("ID", "id"),
                    ("NAME", "name"),
                    ("CREATED", "created"),
                    ("RECORDS/S", "quota.records_per_s"),
                    ("BYTES/S", "quota.bytes_per_s"),
                    ("KEPT DAYS", "retention_days"),
                    ("NIS 2", "nis2"),
                ],
            )?;
        }
        Commune::Quota { id, quota, server } => {
            let path = format!("/api/v1/communes/{id}/quota");
            quota::set(global, &path, &format!("commune {id}"), &quota, &server).await?;
        }
        Commune::Nis2 { id, regime, server } => {
            let client = connect(global, &server).await?;
            let value = Some(regime.as_str()).filter(|regime| *regime != "none");
            let path = format!("/api/v1/communes/{id}/nis2");
            let answer = client.send(Method::PUT, &path, json!({"regime": value})).await?;
            client.close().await;
            match (global.output, value) {
                (Output::Json, _) => print::json(&answer)?,
                (Output::Table, None) => print::outln!("commune {id} is not under NIS 2"),
                (Output::Table, Some(regime)) => {
                    print::outln!("commune {id} is an {regime} entity under NIS 2");
                }
            }
        }
        Commune::Retention { id, days, server } => {
            let path = format!("/api/v1/communes/{id}/retention");
            keeping::set_days(global, &path, &format!("commune {id}"), &days, &server).await?;
        }
    }
    Ok(Exit::Done)
}
