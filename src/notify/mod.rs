//! Telling others of incidents: what is due is kept in the database (`store::db::Hook`), sent by
//! one task a receiver, and tried again until it was taken or given up.

mod message;
mod worker;

use anyhow::{Context as _, anyhow};
use ingest::outbound::{self, CallError, Secret};
use reqwest::Url;

use crate::{config, secret};

pub(crate) use message::{Message, test_message};
pub(crate) use worker::NotifyWorker;

/// A configured receiver, with what was read for it. Its secret and certificates are looked at for
/// each message, and it is opened anew where they are others.
pub(crate) struct Receiver {
    section: config::Webhook,
    opened: Option<Opened>,
}

struct Opened {
    secret: Secret,
    ca_pem: Option<Vec<u8>>,
    webhook: outbound::Webhook,
}

impl Receiver {
    /// Of a section; nothing is read yet.
    pub(crate) fn new(section: config::Webhook) -> Self {
        Self { section, opened: None }
    }

    /// The way to it. Blocks.
    pub(crate) fn open(&mut self) -> anyhow::Result<&outbound::Webhook> {
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
pub(crate) fn reason(error: &CallError) -> String {
    match error {
        CallError::Transport { reason, .. } => format!("not reached: {reason}"),
        CallError::Status { status, said, .. } => format!("the receiver answered {status}{said}"),
        CallError::TooMuch { bytes_max, .. } => {
            format!("the receiver answered with more than {bytes_max} bytes")
        }
    }
}
