//! `[pull]`: vendors' APIs that are asked.

use std::{collections::BTreeSet, path::PathBuf};

use event::FeedId;
use ingest::pull::{SekoiaStream, SentinelOneStream, VadeStream};
use serde::{Deserialize, Serialize};

use super::indicators::check_url;

/// Vendors' APIs, and where `jacquemart collect` sends what they list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Pull {
    /// The service's HTTP door, for `collect`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    /// Authorities trusted for it besides the system's, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
    /// What is asked.
    pub(crate) sources: Vec<Source>,
}

/// One API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    /// A name for logs, metrics and the file of its cursors.
    pub(crate) name: String,
    /// The feed that records are of; `serve` asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) feed: Option<FeedId>,
    /// The feed's key, in a file of one line or a variable; `collect` asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key_env: Option<String>,
    /// The pause between two rounds.
    #[serde(default = "minute")]
    pub(crate) interval_s: u64,
    /// How old what is asked for the first time may be.
    #[serde(default = "day")]
    pub(crate) lookback_h: u64,
    /// Authorities trusted for the vendor besides the system's, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sentinelone: Option<SentinelOne>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sekoia: Option<Sekoia>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) vade: Option<Vade>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cloud_funnel: Option<CloudFunnel>,
}

/// SentinelOne's management API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentinelOne {
    pub(crate) url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token_env: Option<String>,
    #[serde(default = "sentinelone_streams")]
    pub(crate) streams: Vec<SentinelOneStream>,
    /// Only these sites; all that the token sees where it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) site_ids: Vec<String>,
}

/// SEKOIA.IO's API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sekoia {
    #[serde(default = "sekoia_url")]
    pub(crate) url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key_env: Option<String>,
    #[serde(default = "sekoia_streams")]
    pub(crate) streams: Vec<SekoiaStream>,
    /// Only this community's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) community: Option<String>,
}

/// The API of Vade for Microsoft 365.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vade {
    #[serde(default = "vade_url")]
    pub(crate) url: String,
    #[serde(default = "vade_token_url")]
    pub(crate) token_url: String,
    pub(crate) tenant: String,
    pub(crate) client_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_secret_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_secret_env: Option<String>,
    #[serde(default = "vade_streams")]
    pub(crate) streams: Vec<VadeStream>,
}

/// SentinelOne's Cloud Funnel, by its queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CloudFunnel {
    pub(crate) queue_url: String,
    pub(crate) region: String,
    /// Where buckets are, other than on AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint: Option<String>,
    pub(crate) access_key_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret_access_key_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret_access_key_env: Option<String>,
}

const fn minute() -> u64 {
    60
}

const fn day() -> u64 {
    24
}

fn sentinelone_streams() -> Vec<SentinelOneStream> {
    vec![SentinelOneStream::Threats, SentinelOneStream::Activities]
}

fn sekoia_url() -> String {
    "https://api.sekoia.io".to_owned()
}

fn sekoia_streams() -> Vec<SekoiaStream> {
    vec![SekoiaStream::Alerts, SekoiaStream::Cases]
}

fn vade_url() -> String {
    "https://m365.eu.vadesecure.com".to_owned()
}

fn vade_token_url() -> String {
    "https://api.vadesecure.com/oauth2/v2/token".to_owned()
}

fn vade_streams() -> Vec<VadeStream> {
    vec![VadeStream::Emails, VadeStream::RemediationsAuto, VadeStream::RemediationsManual]
}

impl Pull {
    /// Things that types can't say: the key, and what is wrong with it.
    pub(crate) fn check(&self) -> Result<(), (String, String)> {
        if let Some(url) = &self.url {
            check_url(url).map_err(|reason| ("pull.url".to_owned(), reason))?;
        }
        let mut names = BTreeSet::new();
        for source in &self.sources {
            let at = |key: &str| format!("pull.sources {}: {key}", source.name);
            source.check().map_err(|(key, reason)| (at(&key), reason))?;
            if !names.insert(&source.name) {
                return Err((at("name"), "there are two of this name".to_owned()));
            }
            if source.has_key() && self.url.is_none() {
                let reason = "a source with a key is sent by `collect`, which needs the address of \
                              the service's door in `pull.url`";
                return Err((at("key_file"), reason.to_owned()));
            }
        }
        Ok(())
    }
}

impl Source {
    /// Whether `collect` asks, not `serve`.
    pub(crate) const fn has_key(&self) -> bool {
        self.key_file.is_some() || self.key_env.is_some()
    }

    fn check(&self) -> Result<(), (String, String)> {
        let refuse = |key: &str, reason: &str| Err((key.to_owned(), reason.to_owned()));
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let starts_plain = self.name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !starts_plain || !self.name.chars().all(is_plain) || self.name.len() > 64 {
            return refuse("name", "use letters, digits, `-`, `_` and `.`, at most 64");
        }
        match (&self.feed, self.has_key()) {
            (None, false) => {
                return refuse(
                    "feed",
                    "say whose records they are: `feed` where `serve` asks, `key_file` or `key_env` \
                     where `collect` does",
                );
            }
            (Some(_), true) => {
                return refuse("feed", "`serve` asks for a `feed`, `collect` with a key: not both");
            }
            _ => {}
        }
        if self.interval_s < 10 {
            return refuse("interval_s", "must be at least 10");
        }
        if self.lookback_h > 24 * 366 {
            return refuse("lookback_h", "must be at most a year");
        }
        let secret = |key: &str, file: &Option<PathBuf>, variable: &Option<String>| {
            if file.is_none() && variable.is_none() {
                let reason = format!("is missing; it, or `{key}_env`, holds the secret");
                return Err((format!("{key}_file"), reason));
            }
            Ok(())
        };
        let url = |key: &str, url: &str| check_url(url).map_err(|reason| (key.to_owned(), reason));
        let some = |is_empty: bool, key: &str| {
            if is_empty { refuse(key, "name at least one") } else { Ok(()) }
        };
        match (&self.sentinelone, &self.sekoia, &self.vade, &self.cloud_funnel) {
            (Some(s1), None, None, None) => {
                url("sentinelone.url", &s1.url)?;
                secret("sentinelone.token", &s1.token_file, &s1.token_env)?;
                some(s1.streams.is_empty(), "sentinelone.streams")
            }
            (None, Some(sekoia), None, None) => {
                url("sekoia.url", &sekoia.url)?;
                secret("sekoia.key", &sekoia.key_file, &sekoia.key_env)?;
                some(sekoia.streams.is_empty(), "sekoia.streams")
            }
            (None, None, Some(vade), None) => {
                url("vade.url", &vade.url)?;
                url("vade.token_url", &vade.token_url)?;
                let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
                if vade.tenant.is_empty() || !vade.tenant.chars().all(plain) {
                    return refuse("vade.tenant", "is the id of the tenant of Microsoft 365");
                }
                let (file, variable) = (&vade.client_secret_file, &vade.client_secret_env);
                secret("vade.client_secret", file, variable)?;
                some(vade.streams.is_empty(), "vade.streams")
            }
            (None, None, None, Some(funnel)) => {
                url("cloud_funnel.queue_url", &funnel.queue_url)?;
                if let Some(endpoint) = &funnel.endpoint {
                    url("cloud_funnel.endpoint", endpoint)?;
                }
                if funnel.region.is_empty() {
                    return refuse("cloud_funnel.region", "is AWS's region, such as eu-west-3");
                }
                let (file, variable) =
                    (&funnel.secret_access_key_file, &funnel.secret_access_key_env);
                secret("cloud_funnel.secret_access_key", file, variable)
            }
            _ => refuse(
                "sentinelone",
                "a source has one of `sentinelone`, `cloud_funnel`, `sekoia` and `vade`",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn checked(text: &str) -> Result<(), String> {
        let pull: Pull = toml::from_str(text).map_err(|error| error.to_string())?;
        pull.check().map_err(|(key, reason)| format!("{key}: {reason}"))
    }

    #[test]
    fn what_is_missing_or_too_much_is_said() {
        let s1 = "sentinelone = { url = 'https://a.sentinelone.net', token_file = '/t' }";
        let source = |rest: &str| format!("[[sources]]\nname = 'a'\n{rest}\n{s1}");
        assert_eq!(checked(&source("feed = 'f'")), Ok(()));
        for (text, expected) in [
            (source(""), "pull.sources a: feed"),
            (source("feed = 'f'\nkey_env = 'K'"), "not both"),
            (source("key_env = 'K'"), "`pull.url`"),
            (source("feed = 'f'\ninterval_s = 1"), "at least 10"),
            (source("feed = 'f'\nsekoia = { key_env = 'K' }"), "one of"),
            (
                "[[sources]]\nname = 'a'\nfeed = 'f'\ncloud_funnel = { queue_url = 'https://q', region = 'r', access_key_id = 'k' }"
                    .to_owned(),
                "cloud_funnel.secret_access_key_file: is missing",
            ),
            (source("feed = 'f'\ntoken = 'x'"), "unknown field `token`"),
            ("[[sources]]\nname = '../a'\nfeed = 'f'".to_owned(), "use letters"),
            (
                "[[sources]]\nname = 'a'\nfeed = 'f'\nsentinelone = { url = 'ftp://a' }".to_owned(),
                "http",
            ),
            (
                "[[sources]]\nname = 'a'\nfeed = 'f'\nsentinelone = { url = 'https://a' }"
                    .to_owned(),
                "sentinelone.token_file: is missing",
            ),
            (
                "[[sources]]\nname = 'a'\nfeed = 'f'\nvade = { tenant = 'a/b', client_id = 'c', client_secret_env = 'S' }"
                    .to_owned(),
                "vade.tenant",
            ),
        ] {
            let error = checked(&text).unwrap_err();
            assert!(error.contains(expected), "{text}\n{error}");
        }
    }
}
