//! Telling others of incidents: what is due is kept in the database (`store::db::Hook`), sent by
//! one task a receiver, and tried again until it was taken or given up.

mod message;
mod worker;

use anyhow::{Context as _, anyhow};
use ingest::outbound::{self, CallError};
use reqwest::Url;

use crate::{config, secret};

pub(crate) use message::{Message, test_message};
pub(crate) use worker::NotifyWorker;

/// The receiver that a section names. Reads its secret and certificates, so it blocks; a secret
/// that was replaced is in force with the next message.
pub(crate) fn open(webhook: &config::Webhook) -> anyhow::Result<outbound::Webhook> {
    let url = Url::parse(&webhook.url).context("its url is none")?;
    let signing = secret::read(webhook.secret_file.as_ref(), webhook.secret_env.as_ref())?;
    let ca_pem = webhook.ca_file.as_deref().map(secret::file).transpose()?;
    outbound::Webhook::new(url, &signing, ca_pem, webhook.allow_private)
        .map_err(|reason| anyhow!(reason))
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
