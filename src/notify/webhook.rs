//! Messages by webhook.

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use event::Timestamp;
use ingest::outbound::{self, CallError, Secret};
use reqwest::Url;

use super::{Message, Refusal};
use crate::{config::Webhook, secret};

/// A receiver of webhooks, with what was read for it. Its secret and certificates are looked at for
/// each message, and it is opened anew where they are others.
pub(crate) struct Hooked {
    section: Webhook,
    opened: Option<Opened>,
}

struct Opened {
    secret: Secret,
    ca_pem: Option<Vec<u8>>,
    webhook: outbound::Webhook,
}

impl Hooked {
    /// Of a section; nothing is read yet.
    pub(crate) fn new(section: Webhook) -> Self {
        Self { section, opened: None }
    }

    /// Sends a message; why the receiver did not take it.
    pub(crate) async fn send(&mut self, message: &Message<'_>) -> Result<(), Refusal> {
        // Two small files at most, once a message.
        let webhook = tokio::task::block_in_place(|| self.open())
            .map_err(|error| Refusal { reason: format!("{error:#}"), for_good: false })?;
        let seconds = Timestamp::now().as_nanos() / 1_000_000_000;
        let sent = webhook.send(&message.id(), seconds, Bytes::from(message.json())).await;
        sent.map_err(|error| Refusal {
            reason: reason(&error),
            // "Gone" is how a receiver says that it wants no more (Standard Webhooks).
            for_good: error.status() == Some(410),
        })
    }

    /// The way to it. Blocks.
    fn open(&mut self) -> anyhow::Result<&outbound::Webhook> {
        let section = &self.section;
        let secret = secret::read(section.secret_file.as_ref(), section.secret_env.as_ref())?;
        let ca_pem = section.ca_file.as_deref().map(secret::file).transpose()?;
        let known = self.opened.take();
        let known = known.filter(|known| known.secret == secret && known.ca_pem == ca_pem);
        let opened = match known {
            Some(known) => known,
            None => {
                let url = Url::parse(&section.url).context("its url is none")?;
                let private = section.allow_private;
                let webhook = outbound::Webhook::new(url, &secret, ca_pem.clone(), private)
                    .map_err(|reason| anyhow!(reason))?;
                Opened { secret, ca_pem, webhook }
            }
        };
        Ok(&self.opened.insert(opened).webhook)
    }
}

/// Why a message was not taken, without the URL, whose path may be the proof that opens it.
fn reason(error: &CallError) -> String {
    match error {
        CallError::Transport { reason, .. } => format!("not reached: {reason}"),
        CallError::Status { status, said, .. } => format!("the receiver answered {status}{said}"),
        CallError::TooMuch { bytes_max, .. } => {
            format!("the receiver answered with more than {bytes_max} bytes")
        }
    }
}
