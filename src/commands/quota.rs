//! `jacquemart commune quota` and `jacquemart feed quota`.

use reqwest::Method;
use serde_json::json;

use super::connect;
use crate::{
    Failure,
    cli::{Global, Output, Quota, Server},
    config::ByteSize,
    print,
};

/// Sets the quota at `path`, which is that of `whose`.
pub(crate) async fn set(
    global: &Global,
    path: &str,
    whose: &str,
    quota: &Quota,
    server: &Server,
) -> Result<(), Failure> {
    let client = connect(global, server).await?;
    let bytes = quota.bytes_per_s.map(|bytes| bytes.0);
    let body = json!({"records_per_s": quota.records_per_s, "bytes_per_s": bytes});
    let answer = client.send(Method::PUT, path, body).await?;
    client.close().await;
    match global.output {
        Output::Json => print::json(&answer)?,
        Output::Table => {
            let records = quota.records_per_s.map(|n| format!("{n} records"));
            let bytes = quota.bytes_per_s.map(|ByteSize(n)| format!("{n} bytes"));
            match records.into_iter().chain(bytes).collect::<Vec<_>>() {
                bounds if bounds.is_empty() => print::outln!("{whose} has no quota any more"),
                bounds => {
                    print::outln!("{whose} may send {} a second, on average", bounds.join(" and "));
                }
            }
        }
    }
    Ok(())
}
