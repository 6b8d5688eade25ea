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
}

/// One receiver.
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

impl Webhook {
    /// What it wants to be told.
    pub(crate) fn hook(&self) -> Hook {
        Hook {
            name: self.name.clone(),
            communes: Some(self.communes.clone()).filter(|communes| !communes.is_empty()),
            severity_min: self.severity_min,
            kinds: self.events.clone(),
            unacknowledged_after: Duration::from_secs(
                self.unacknowledged_after_min.saturating_mul(60),
            ),
        }
    }
}

impl Notify {
    /// What is wrong with it, as the key and why.
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        let mut names = BTreeSet::new();
        for webhook in &self.webhooks {
            let name = &webhook.name;
            let wrong = |key: &str, why: &str| {
                Err((format!("notify.webhooks.{key}"), format!("of {name:?}: {why}")))
            };
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if name.is_empty() || name.len() > 63 || !name.chars().all(plain) {
                return wrong("name", "it is 1 to 63 of a-z, 0-9 and -");
            }
            if !names.insert(name) {
                return wrong("name", "another one is called so; give each a name of its own");
            }
            match reqwest::Url::parse(&webhook.url) {
                Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {}
                _ => return wrong("url", "it is no http:// or https:// URL"),
            }
            if webhook.secret_file.is_none() == webhook.secret_env.is_none() {
                return wrong("secret_file", "give one of secret_file and secret_env");
            }
            if webhook.events.is_empty() {
                return wrong("events", "nothing would be told; name what is, or leave it out");
            }
        }
        Ok(())
    }
}
