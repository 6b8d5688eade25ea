//! Through the service's HTTP door, from a commune's side.

use async_trait::async_trait;
use bytes::Bytes;
use hyper::Method;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::{
    Delivered, Outlet, PullError, batch,
    page::{join, read},
};
use crate::outbound::{Call, Client};

/// Records in one request, and bytes, well within what the door takes.
const BATCH_RECORDS_MAX: usize = 5_000;
const BATCH_BYTES_MAX: usize = 4 << 20;

/// A door, and the key of a feed that the client shows.
pub struct DoorOutlet {
    client: Client,
    url: Url,
}

#[derive(Deserialize)]
struct Receipt {
    accepted: u64,
    #[serde(default)]
    rejected: Vec<Rejection>,
    #[serde(default)]
    rejected_count: u64,
    resume_at_record: Option<usize>,
}

#[derive(Deserialize)]
struct Rejection {
    reason: String,
}

impl DoorOutlet {
    /// The door at `url`, such as `https://soc.example:7080`.
    pub fn new(client: Client, url: &Url) -> Self {
        Self { client, url: join(url, "ingest", &[]) }
    }

    /// Sends `records`; how many of them are settled.
    async fn send(&self, records: &[Bytes], out: &mut Delivered) -> Result<usize, PullError> {
        let mut body = Vec::with_capacity(records.iter().map(|record| record.len() + 1).sum());
        for (index, record) in records.iter().enumerate() {
            body.push(if index == 0 { b'[' } else { b',' });
            body.extend_from_slice(record);
        }
        body.push(b']');
        // An answer that was lost on its way does not double the batch.
        let digest: [u8; 32] = Sha256::digest(&body).into();
        let key: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let headers = [("content-type", "application/json"), ("idempotency-key", key.as_str())];
        let call = Call {
            method: Method::POST,
            headers: &headers,
            body: Bytes::from(body),
            ..Call::get(&self.url)
        };
        let answer = match self.client.call(&call).await {
            // The door takes less than ours: a part is tried, down to one record, which it will
            // never take.
            Err(error) if error.status() == Some(413) => {
                if records.len() > 1 {
                    return Box::pin(self.send(&records[..records.len() / 2], out)).await;
                }
                out.refused.push(error.to_string());
                return Ok(1);
            }
            answer => answer?,
        };
        let Some(answer) = answer else { return Ok(0) };
        let receipt: Receipt = read(&self.url, &answer.body)?;
        out.accepted += receipt.accepted;
        let told = receipt.rejected.len() as u64;
        out.refused.extend(receipt.rejected.into_iter().map(|one| one.reason));
        if receipt.rejected_count > told {
            out.refused.push(format!("and {} more", receipt.rejected_count - told));
        }
        Ok(receipt.resume_at_record.unwrap_or(records.len()).min(records.len()))
    }
}

#[async_trait]
impl Outlet for DoorOutlet {
    async fn deliver(&self, records: &[Bytes]) -> Result<Delivered, PullError> {
        let mut delivered = Delivered::default();
        let mut from = 0;
        while from < records.len() {
            let to = from + batch(&records[from..], BATCH_RECORDS_MAX, BATCH_BYTES_MAX);
            let settled = self.send(&records[from..to], &mut delivered).await?;
            if settled == 0 {
                return Err(PullError::Outlet("the door took nothing and said no why".to_owned()));
            }
            from += settled;
        }
        Ok(delivered)
    }
}
