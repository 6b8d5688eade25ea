//! Sending records to `/ingest`, as a well-behaved shipper does.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use reqwest::StatusCode;
use serde::Deserialize;

use crate::{Exit, Failure, serve::LOCAL_KEY};

/// How often a batch that the server has no room for is sent again before giving up.
const TRIES_MAX: u32 = 120;

/// A way to one feed's door.
#[derive(Clone)]
pub(crate) struct Sender {
    http: reqwest::Client,
    url: String,
    key: String,
}

/// What the server said of a batch.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Taken {
    pub(crate) accepted: u64,
    #[serde(default)]
    pub(crate) rejected_count: u64,
    #[serde(default)]
    pub(crate) rejected: Vec<Rejected>,
}

/// A record that the server refused.
#[derive(Debug, Deserialize)]
pub(crate) struct Rejected {
    pub(crate) record: u64,
    pub(crate) reason: String,
}

impl Sender {
    /// Sends through `http` to the collectors at `base`, showing `key`.
    pub(crate) fn new(http: reqwest::Client, base: &str, key: &str) -> Self {
        let url = format!("{}/ingest", base.trim_end_matches('/'));
        Self { http, url, key: key.to_owned() }
    }

    /// Sends `records`, each one JSON value, and returns once the server has them durably.
    /// Waits and tries again as long as the server says that it has no room.
    pub(crate) async fn send(&self, records: &[Bytes]) -> Result<Taken, Failure> {
        let mut body = Vec::with_capacity(records.iter().map(|r| r.len() + 1).sum::<usize>() + 2);
        body.push(b'[');
        for (index, record) in records.iter().enumerate() {
            if index > 0 {
                body.push(b',');
            }
            body.extend_from_slice(record);
        }
        body.push(b']');
        let body = Bytes::from(body);
        for _ in 0..TRIES_MAX {
            let response = self
                .http
                .post(&self.url)
                .bearer_auth(&self.key)
                .header("content-type", "application/json")
                .body(body.clone())
                .send()
                .await
                .map_err(|error| {
                    let what = if self.key.starts_with(LOCAL_KEY) {
                        "no server answers on the data folder's socket; start one with `jacquemart serve`".to_owned()
                    } else {
                        format!("failed to reach {}", self.url)
                    };
                    Failure::new(Exit::Unreachable, anyhow!(error).context(what))
                })?;
            let status = response.status();
            if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
                let seconds = response
                    .headers()
                    .get("retry-after")
                    .and_then(|value| value.to_str().ok()?.parse().ok())
                    .unwrap_or(1)
                    .clamp(1, 30);
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                continue;
            }
            let bytes = response.bytes().await.context("failed to read the answer")?;
            return match serde_json::from_slice::<Taken>(&bytes) {
                Ok(taken) => Ok(taken),
                Err(_) => {
                    let exit = if status == StatusCode::UNAUTHORIZED {
                        Exit::NotFound
                    } else {
                        Exit::Failed
                    };
                    let text: String = String::from_utf8_lossy(&bytes).chars().take(500).collect();
                    Err(Failure::new(exit, anyhow!("the server answered {status}: {text}")))
                }
            };
        }
        Err(Failure::new(Exit::Failed, anyhow!("the server had no room for {TRIES_MAX} tries")))
    }
}
