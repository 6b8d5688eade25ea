//! The queue: messages received, kept from others while they are worked on, and deleted.

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use super::CloudFunnel;
use crate::{
    outbound::{Aws, Client, aws},
    pull::{PullError, page::read},
};

/// How long a message that was received is kept from others, and after how much of that it is kept
/// for as long again.
const KEPT: Duration = Duration::from_mins(5);
const KEPT_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// How long an empty queue waits for a message.
const WAIT: Duration = Duration::from_secs(5);

/// A message that is this process's for a while.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) body: String,
    receipt: String,
    kept_at: Instant,
}

#[derive(Deserialize)]
struct Received {
    #[serde(rename = "Messages", default)]
    messages: Vec<Told>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    #[serde(default)]
    message_id: String,
    receipt_handle: String,
    #[serde(default)]
    body: String,
}

impl CloudFunnel {
    pub(super) async fn receive(&self, client: &Client) -> Result<Vec<Message>, PullError> {
        let body = json!({
            "QueueUrl": self.queue_url.as_str(),
            "MaxNumberOfMessages": 10,
            "WaitTimeSeconds": WAIT.as_secs(),
            "VisibilityTimeout": KEPT.as_secs(),
        });
        let kept_at = Instant::now();
        let answer = self.queue(client, "AmazonSQS.ReceiveMessage", &body).await?;
        let Received { messages } = read(&self.queue_url, &answer)?;
        Ok(messages
            .into_iter()
            .map(|Told { message_id, receipt_handle, body }| Message {
                id: message_id,
                body,
                receipt: receipt_handle,
                kept_at,
            })
            .collect())
    }

    /// Keeps `messages` from others for longer, where it is time.
    pub(super) async fn keep<'m>(
        &self,
        client: &Client,
        messages: impl Iterator<Item = &'m mut Message>,
    ) -> Result<(), PullError> {
        for message in messages.filter(|message| message.kept_at.elapsed() >= KEPT_AGAIN_AFTER) {
            let body = json!({
                "QueueUrl": self.queue_url.as_str(),
                "ReceiptHandle": message.receipt,
                "VisibilityTimeout": KEPT.as_secs(),
            });
            let now = Instant::now();
            self.queue(client, "AmazonSQS.ChangeMessageVisibility", &body).await?;
            message.kept_at = now;
        }
        Ok(())
    }

    /// Deletes a message, as all that it tells of is durable.
    pub(super) async fn delete(&self, client: &Client, message: &Message) -> Result<(), PullError> {
        let body = json!({
            "QueueUrl": self.queue_url.as_str(),
            "ReceiptHandle": message.receipt,
        });
        self.queue(client, "AmazonSQS.DeleteMessage", &body).await.map(drop)
    }

    async fn queue(
        &self,
        client: &Client,
        action: &str,
        body: &Value,
    ) -> Result<Vec<u8>, PullError> {
        let mut url = self.queue_url.clone();
        url.set_path("/");
        let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", action)];
        let sqs = Aws { key: &self.key, service: "sqs", region: &self.region };
        let answer = sqs.ask(client, aws::json(&url, &headers, body)).await?;
        Ok(answer.map(|answer| answer.body).unwrap_or_default())
    }
}
