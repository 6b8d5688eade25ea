//! `[notify]`: whom to tell of incidents.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use event::{CommuneId, Level};
use serde::{Deserialize, Serialize};
use store::db::{Hook, NoticeKind};

/// Whom to tell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Notify {
    /// Receivers of webhooks.
    pub(crate) webhooks: Vec<Webhook>,
    /// The server that takes mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) smtp: Option<Smtp>,
    /// Receivers of mail.
    pub(crate) mail: Vec<Mail>,
}

/// One receiver of webhooks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Webhook {
    /// A name for logs, metrics and what is kept for it.
    pub(crate) name: String,
    /// Where messages are posted.
    pub(crate) url: String,
    /// The secret that they are signed with, in a file of one line or a variable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret_env: Option<String>,
    /// Authorities trusted for it besides the system's, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Whether it may have an address of a private network.
    #[serde(default)]
    pub(crate) allow_private: bool,
    /// Only of these communes; all where it is empty.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) communes: BTreeSet<CommuneId>,
    /// Only of incidents at least so severe.
    #[serde(default = "high")]
    pub(crate) severity_min: Level,
    /// What is told.
    #[serde(default = "kinds")]
    pub(crate) events: BTreeSet<NoticeKind>,
    /// How long a new incident may wait before it is told as unacknowledged.
    #[serde(default = "quarter_of_an_hour")]
    pub(crate) unacknowledged_after_min: u64,
    /// How long a message is tried before it is given up.
    #[serde(default = "day")]
    pub(crate) give_up_after_h: u64,
}

/// The server that takes mail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Smtp {
    /// Its name, as its certificate has it.
    pub(crate) host: String,
    /// Its port; 587, 465 or 25 by `tls` where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<u16>,
    /// How the connection is protected.
    #[serde(default)]
    pub(crate) tls: SmtpTls,
    /// Authorities trusted for it besides the system's, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Who sends, as the server knows them; nobody shows a name where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) username: Option<String>,
    /// The password, in a file of one line or a variable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) password_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) password_env: Option<String>,
    /// The sender's address, e.g. `SOC <soc@dijon.example>`.
    pub(crate) from: String,
    /// How this machine calls itself; its host name where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hello: Option<String>,
}

/// How a connection for mail is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SmtpTls {
    /// By STARTTLS; nothing is sent where the server does not offer it.
    #[default]
    Starttls,
    /// From the first byte.
    Tls,
    /// Not at all: a relay on this machine.
    None,
}

impl Smtp {
    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            SmtpTls::Starttls => 587,
            SmtpTls::Tls => 465,
            SmtpTls::None => 25,
        })
    }
}

/// One receiver of mail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mail {
    /// A name for logs, metrics and what is kept for it.
    pub(crate) name: String,
    /// Their addresses.
    pub(crate) to: Vec<String>,
    /// How much a message says.
    #[serde(default)]
    pub(crate) content: MailContent,
    /// Only of these communes; all where it is empty.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) communes: BTreeSet<CommuneId>,
    /// Only of incidents at least so severe.
    #[serde(default = "high")]
    pub(crate) severity_min: Level,
    /// What is told.
    #[serde(default = "kinds")]
    pub(crate) events: BTreeSet<NoticeKind>,
    /// How long a new incident may wait before it is told as unacknowledged.
    #[serde(default = "quarter_of_an_hour")]
    pub(crate) unacknowledged_after_min: u64,
    /// How long a message is tried before it is given up.
    #[serde(default = "day")]
    pub(crate) give_up_after_h: u64,
}

/// How much a mail says; PDIS IV.2.3 lets none say more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MailContent {
    /// The ticket's number alone.
    Number,
    /// What happened to it and how severe it is, too.
    #[default]
    Severity,
}

fn high() -> Level {
    Level::High
}

fn kinds() -> BTreeSet<NoticeKind> {
    [
        NoticeKind::Opened,
        NoticeKind::Severity,
        NoticeKind::Unacknowledged,
        NoticeKind::ClockWarning,
        NoticeKind::ClockBroken,
    ]
    .into()
}

fn quarter_of_an_hour() -> u64 {
    15
}

fn day() -> u64 {
    24
}

/// What a receiver is told, and for how long it is tried, whatever the way to it.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) hook: Hook,
    pub(crate) give_up_after: Duration,
}

impl Webhook {
    /// What it wants to be told.
    pub(crate) fn terms(&self) -> Terms {
        let Self { name, communes, severity_min, events, .. } = self;
        let waits = [self.unacknowledged_after_min, self.give_up_after_h];
        Terms::new(name, communes, *severity_min, events, waits)
    }
}

impl Mail {
    /// What it wants to be told.
    pub(crate) fn terms(&self) -> Terms {
        let Self { name, communes, severity_min, events, .. } = self;
        let waits = [self.unacknowledged_after_min, self.give_up_after_h];
        Terms::new(name, communes, *severity_min, events, waits)
    }
}

impl Terms {
    fn new(
        name: &str,
        communes: &BTreeSet<CommuneId>,
        severity_min: Level,
        kinds: &BTreeSet<NoticeKind>,
        [unacknowledged_after_min, give_up_after_h]: [u64; 2],
    ) -> Self {
        let minutes = |minutes: u64| Duration::from_secs(minutes.saturating_mul(60));
        Self {
            hook: Hook {
                name: name.to_owned(),
                communes: Some(communes.clone()).filter(|communes| !communes.is_empty()),
                severity_min,
                kinds: kinds.clone(),
                unacknowledged_after: minutes(unacknowledged_after_min),
            },
            give_up_after: minutes(give_up_after_h.saturating_mul(60)),
        }
    }
}

type Wrong = (String, String);

impl Notify {
    /// What is wrong with it, as the key and why.
    pub(super) fn check(&self) -> Result<(), Wrong> {
        let mut names = BTreeSet::new();
        for webhook in &self.webhooks {
            let wrong = wrong_in("webhooks", &webhook.name);
            check_receiver(&wrong, &webhook.name, &webhook.events, &mut names)?;
            match reqwest::Url::parse(&webhook.url) {
                Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {}
                _ => return Err(wrong("url", "it is no http:// or https:// URL")),
            }
            if webhook.secret_file.is_none() == webhook.secret_env.is_none() {
                return Err(wrong("secret_file", "give one of secret_file and secret_env"));
            }
        }
        for mail in &self.mail {
            let wrong = wrong_in("mail", &mail.name);
            check_receiver(&wrong, &mail.name, &mail.events, &mut names)?;
            if self.smtp.is_none() {
                return Err(wrong("name", "no [notify.smtp] says which server takes its mail"));
            }
            if mail.to.is_empty() {
                return Err(wrong("to", "nobody would be told; give at least one address"));
            }
            for address in &mail.to {
                check_address(address).map_err(|why| wrong("to", &why))?;
            }
        }
        self.smtp.as_ref().map_or(Ok(()), Smtp::check)
    }
}

impl Smtp {
    fn check(&self) -> Result<(), Wrong> {
        let wrong = |key: &str, why: &str| Err((format!("notify.smtp.{key}"), why.to_owned()));
        if self.host.is_empty() {
            return wrong("host", "it is empty");
        }
        if let Err(why) = check_address(&self.from) {
            return wrong("from", &why);
        }
        let passwords =
            usize::from(self.password_file.is_some()) + usize::from(self.password_env.is_some());
        if passwords != usize::from(self.username.is_some()) {
            return wrong(
                "password_file",
                "give one of password_file and password_env where there is a username, else none",
            );
        }
        if self.username.is_some() && self.tls == SmtpTls::None {
            return wrong("tls", "a password is not sent in clear; use starttls or tls");
        }
        Ok(())
    }
}

fn wrong_in(section: &str, name: &str) -> impl Fn(&str, &str) -> Wrong {
    move |key, why| (format!("notify.{section}.{key}"), format!("of {name:?}: {why}"))
}

/// What all receivers have.
fn check_receiver<'a>(
    wrong: impl Fn(&str, &str) -> Wrong,
    name: &'a str,
    events: &BTreeSet<NoticeKind>,
    names: &mut BTreeSet<&'a str>,
) -> Result<(), Wrong> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 63 || !name.chars().all(plain) {
        return Err(wrong("name", "it is 1 to 63 of a-z, 0-9 and -"));
    }
    if !names.insert(name) {
        return Err(wrong("name", "another one is called so; give each a name of its own"));
    }
    if events.is_empty() {
        return Err(wrong("events", "nothing would be told; name what is, or leave it out"));
    }
    Ok(())
}

fn check_address(address: &str) -> Result<(), String> {
    match address.parse::<lettre::message::Mailbox>() {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("{address:?} is no address, e.g. astreinte@dijon.example")),
    }
}
