//! `jacquemart token`.

use reqwest::Method;
use serde_json::json;

use crate::{
    Exit, Failure,
    cli::{Global, Output, Token},
    commands::connect,
    print,
};

pub(crate) async fn run(global: &Global, args: Token) -> Result<Exit, Failure> {
    match args {
        Token::Add { name, role, commune, expires, server } => {
            let client = connect(global, &server).await?;
            let communes = if commune.is_empty() { None } else { Some(commune) };
            let body =
                json!({"name": name, "role": role, "communes": communes, "expires": expires});
            let added = client.send(Method::POST, "/api/v1/tokens", body).await?;
            client.close().await;
            match global.output {
                Output::Json => print::json(&added)?,
                Output::Table => {
                    print::outln!(
                        "added token {name}; shown this once:\n\n  {}\n",
                        print::cell(&added, "secret")
                    );
                    print::outln!("use it as JACQUEMART_TOKEN, or as `Authorization: Bearer …`");
                }
            }
        }
        Token::List { server } => {
            let client = connect(global, &server).await?;
            let answer = client.get("/api/v1/tokens", &[]).await?;
            client.close().await;
            let columns = [
                ("NAME", "name"),
                ("ROLE", "role"),
                ("COMMUNES", "communes"),
                ("CREATED", "created"),
                ("EXPIRES", "expires"),
            ];
            print::list(global.output, &answer, &columns)?;
        }
        Token::Revoke { name, server } => {
            let client = connect(global, &server).await?;
            client.send(Method::DELETE, &format!("/api/v1/tokens/{name}"), json!({})).await?;
            client.close().await;
            print::outln!("token {name} no longer works");
        }
    }
    Ok(Exit::Done)
}
