//! Telling others of incidents: what is due is kept in the database (`store::db::Hook`), sent by
//! one task a receiver, and tried again until it was taken or given up.

mod mail;
mod message;
mod webhook;
mod worker;

use mail::Mailboxes;
use webhook::Hooked;

use crate::config::{Notify, Terms};

pub(crate) use message::Message;
pub(crate) use worker::NotifyWorker;

/// A configured receiver.
pub(crate) struct Receiver {
    terms: Terms,
    way: Way,
}

/// How it is reached.
enum Way {
    Webhook(Box<Hooked>),
    Mail(Box<Mailboxes>),
}

/// Why a message was not taken.
pub(crate) struct Refusal {
    pub(crate) reason: String,
    /// Whether the receiver wants no more.
    pub(crate) for_good: bool,
}

impl Receiver {
    /// All that are configured; nothing is read yet.
    pub(crate) fn all(config: &Notify) -> Vec<Self> {
        let webhooks = config.webhooks.iter().map(|section| Self {
            terms: section.terms(),
            way: Way::Webhook(Box::new(Hooked::new(section.clone()))),
        });
        let mail = config.mail.iter().filter_map(|section| {
            let way = Mailboxes::new(config.smtp.clone()?, section.clone());
            Some(Self { terms: section.terms(), way: Way::Mail(Box::new(way)) })
        });
        webhooks.chain(mail).collect()
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        &self.terms.hook.name
    }

    /// Sends a message once.
    pub(crate) async fn send(&mut self, message: &Message<'_>) -> Result<(), Refusal> {
        match &mut self.way {
            Way::Webhook(webhook) => webhook.send(message).await,
            Way::Mail(mail) => mail.send(message).await,
        }
    }
}
