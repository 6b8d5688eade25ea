//! Messages to others' servers as Standard Webhooks has them (standardwebhooks.com, 1.0.0):
//! `webhook-id`, `webhook-timestamp` and `webhook-signature: v1,<HMAC-SHA256, base64>` over
//! `id.timestamp.body`.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use ring::{
    hmac,
    rand::{SecureRandom as _, SystemRandom},
};
use url::Url;

use super::{Access, Auth, Call, CallError, Client, Limits, Secret};

/// A receiver must answer within this.
const WAIT_MAX: Duration = Duration::from_secs(15);

/// What is read of its answer.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Bytes of a key, as the standard asks.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A receiver of messages.
pub struct Webhook {
    client: Client,
    url: Url,
    key: hmac::Key,
}

impl Webhook {
    /// Draws a secret of 256 random bits.
    pub fn draw_secret() -> std::io::Result<String> {
        let mut bytes = [0; 32];
        let drawn = SystemRandom::new().fill(&mut bytes);
        drawn.map_err(|_| std::io::Error::other("no random bits could be had"))?;
        Ok(format!("whsec_{}", BASE64_STANDARD.encode(bytes)))
    }

    /// `secret` is `whsec_` and the base64 of 24 to 64 bytes. Without `allow_private` nothing is
    /// sent to addresses that are not public. Reads the system's certificates, so it blocks. A
    /// short reason where it cannot be.
    pub fn new(
        url: Url,
        secret: &Secret,
        ca_pem: Option<Vec<u8>>,
        allow_private: bool,
    ) -> Result<Self, String> {
        let shape = "its secret is no whsec_ and base64 of 24 to 64 bytes; \
                     `jacquemart notify secret` makes one";
        let text = secret.expose();
        let bytes = BASE64_STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text));
        let bytes = bytes.map_err(|_| shape.to_owned())?;
        if !KEY_BYTES.contains(&bytes.len()) {
            return Err(shape.to_owned());
        }
        let limits = Limits {
            body_bytes_max: ANSWER_BYTES_MAX,
            // Trying again is up to whoever keeps the message.
            tries_max: 1,
            wait_max: WAIT_MAX,
            ..Limits::default()
        };
        let access = Access { auth: Auth::None, ca_pem, limits, public_only: !allow_private };
        let client = Client::new(access)?;
        Ok(Self { client, url, key: hmac::Key::new(hmac::HMAC_SHA256, &bytes) })
    }

    /// Sends a message once; `timestamp` is in seconds since 1970.
    pub async fn send(&self, id: &str, timestamp: i64, body: Bytes) -> Result<(), CallError> {
        let timestamp = timestamp.to_string();
        let mut signed = format!("{id}.{timestamp}.").into_bytes();
        signed.extend_from_slice(&body);
        let signature = BASE64_STANDARD.encode(hmac::sign(&self.key, &signed));
        let signature = format!("v1,{signature}");
        let headers = [
            ("content-type", "application/json"),
            ("webhook-id", id),
            ("webhook-timestamp", &timestamp),
            ("webhook-signature", &signature),
        ];
        self.client.call(&Call::post(&self.url, &headers, body)).await.map(|_| ())
    }
}
