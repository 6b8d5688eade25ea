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
                ],
            )?;
        }
        Commune::Quota { id, quota, server } => {
            let path = format!("/api/v1/communes/{id}/quota");
            quota::set(global, &path, &format!("commune {id}"), &quota, &server).await?;
        }
        Commune::Retention { id, days, server } => {
            let path = format!("/api/v1/communes/{id}/retention");
            keeping::set_days(global, &path, &format!("commune {id}"), &days, &server).await?;
        }
    }
    Ok(Exit::Done)
}
