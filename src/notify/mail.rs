//! Messages by SMTP.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use event::Timestamp;
use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor,
    message::{Mailbox, header},
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
        extension::ClientId,
    },
};

use super::{Message, Refusal};
use crate::{
    config::{Mail, Smtp, SmtpTls},
    secret,
};

/// Each answer of the server must come within this.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A header that the standard library of mail has no type for.
#[derive(Clone)]
struct AutoSubmitted;

impl header::Header for AutoSubmitted {
    fn name() -> header::HeaderName {
        header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> header::HeaderValue {
        // Tells holiday notices and the like not to answer (RFC 3834).
        header::HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// Receivers of mail, and the server that takes it. Password and certificates are read for each
/// message, so that they may change.
pub(crate) struct Mailboxes {
    smtp: Smtp,
    section: Mail,
}

impl Mailboxes {
    pub(crate) fn new(smtp: Smtp, section: Mail) -> Self {
        Self { smtp, section }
    }

    /// Sends a message; why the server did not take it.
    pub(crate) async fn send(&self, message: &Message<'_>) -> Result<(), Refusal> {
        let never =
            |error: anyhow::Error| Refusal { reason: format!("{error:#}"), for_good: false };
        let mail = self.compose(message, Timestamp::now()).map_err(never)?;
        // Small files, once a message.
        let transport = tokio::task::block_in_place(|| self.transport()).map_err(never)?;
        transport
            .send(mail)
            .await
            .map(drop)
            .map_err(|error| Refusal { reason: reason(&error), for_good: false })
    }

    fn compose(&self, message: &Message<'_>, now: Timestamp) -> anyhow::Result<lettre::Message> {
        let from: Mailbox = self.smtp.from.parse().context("notify.smtp.from is no address")?;
        let domain = from.email.domain().to_owned();
        let (subject, text) = message.text(self.section.content);
        let sent = std::time::UNIX_EPOCH + now.since(Timestamp::from_secs(0));
        let mut mail = lettre::Message::builder()
            .from(from)
            .date(sent)
            .message_id(Some(format!("<{}@{domain}>", message.id())))
            .header(AutoSubmitted)
            .subject(subject);
        if let Message::Notice(notice) = message {
            // So that mail programs show the messages of an incident together.
            mail = mail.references(format!("<incident.{}@{domain}>", notice.incident));
        }
        for address in &self.section.to {
            mail =
                mail.to(address.parse().with_context(|| format!("{address:?} is no address"))?);
        }
        mail.header(header::ContentType::TEXT_PLAIN).body(text).context("the mail is none")
    }

    /// The way to the server. Blocks.
    fn transport(&self) -> anyhow::Result<AsyncSmtpTransport<Tokio1Executor>> {
        let smtp = &self.smtp;
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&smtp.host)
            .port(smtp.port())
            .timeout(Some(WAIT_MAX))
            .tls(match smtp.tls {
                SmtpTls::None => Tls::None,
                SmtpTls::Starttls => Tls::Required(self.trust()?),
                SmtpTls::Tls => Tls::Wrapper(self.trust()?),
            });
        if let Some(hello) = &smtp.hello {
            builder = builder.hello_name(ClientId::Domain(hello.clone()));
        }
        if let Some(username) = &smtp.username {
            let password = secret::read(smtp.password_file.as_ref(), smtp.password_env.as_ref())?;
            let shown = Credentials::new(username.clone(), password.expose().to_owned());
            builder = builder.credentials(shown);
        }
        Ok(builder.build())
    }

    fn trust(&self) -> anyhow::Result<TlsParameters> {
        let mut builder = TlsParameters::builder(self.smtp.host.clone());
        if let Some(path) = &self.smtp.ca_file {
            let pem = secret::file(path)?;
            let read = Certificate::from_pem(&pem);
            let certificate =
                read.map_err(|error| anyhow!("{} holds no certificate: {error}", path.display()))?;
            builder = builder.add_root_certificate(certificate);
        }
        builder.build().context("the certificates cannot be used")
    }
}

/// What the server or the way to it said.
fn reason(error: &lettre::transport::smtp::Error) -> String {
    let said: Vec<String> =
        std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source())
            .map(ToString::to_string)
            .collect();
    said.join(": ").chars().take(500).collect()
}
