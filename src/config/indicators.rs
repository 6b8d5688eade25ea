//! `[indicators]`: known-bad values and where they come from.

use std::path::PathBuf;

use event::{CommuneId, IndicatorSourceId, IndicatorType, Level, Tlp};
use serde::{Deserialize, Serialize};

/// Indicators of compromise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Indicators {
    /// Values that are never a hit; private networks and the empty file never are.
    pub(crate) allow: Vec<String>,
    /// Files of such values, lists or tables.
    pub(crate) allow_files: Vec<PathBuf>,
    /// Indicators that one source has at most.
    pub(crate) indicators_max: u64,
    /// Where indicators come from.
    pub(crate) sources: Vec<Source>,
}

impl Default for Indicators {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            allow_files: Vec::new(),
            indicators_max: 2_000_000,
            sources: Vec::new(),
        }
    }
}

/// How a source is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// A file on this machine, read again when it changes.
    File,
    /// A document behind a URL.
    Url,
    /// A TAXII 2.1 server.
    Taxii,
    /// A MISP feed.
    MispFeed,
}

/// How a document is written; told by its content where it is not said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// One value a line.
    List,
    /// A table with a line of names.
    Csv,
    /// A STIX 2.1 bundle.
    Stix,
    /// MISP events.
    Misp,
}

/// A source of indicators.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    pub(crate) name: IndicatorSourceId,
    pub(crate) kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) format: Option<Format>,
    /// TAXII collections by id, alias or title; all that may be read where it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) collections: Vec<String>,
    /// The level of its hits; by confidence where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) level: Option<Level>,
    /// Whether `evil.example` covers `www.evil.example`.
    #[serde(default = "yes")]
    pub(crate) subdomains: bool,
    /// Only events of these communes; of all where it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) communes: Vec<CommuneId>,
    /// Only these types; all but `file_name` where it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) types: Vec<IndicatorType>,
    /// For indicators that do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tlp: Option<Tlp>,
    /// For indicators that do not say, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) confidence: Option<u8>,
    /// How long dated indicators hold that do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) valid_days: Option<u32>,
    /// How often it is asked.
    #[serde(default = "hourly")]
    pub(crate) interval_s: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) username: Option<String>,
    /// Files of one line each; the first that is set is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) password_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key_file: Option<PathBuf>,
    /// A variable of the environment that holds the password, token or key instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) password_env: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token_env: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key_env: Option<String>,
    /// Authorities trusted besides the system's, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
}

const fn yes() -> bool {
    true
}

const fn hourly() -> u64 {
    3_600
}

impl Indicators {
    /// Things that types can't say: the key, and what is wrong with it.
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        let mut names = std::collections::BTreeSet::new();
        for source in &self.sources {
            let key = |name: &str| format!("indicators.sources {}: {name}", source.name);
            if !names.insert(&source.name) {
                return Err((key("name"), "there are two of this name".to_owned()));
            }
            match (source.kind, &source.path, &source.url) {
                (Kind::File, Some(_), None) => {}
                (Kind::File, ..) => {
                    return Err((key("path"), "a file needs `path`, and no `url`".to_owned()));
                }
                (_, None, Some(url)) => check_url(url).map_err(|reason| (key("url"), reason))?,
                _ => return Err((key("url"), "this kind needs `url`, and no `path`".to_owned())),
            }
            if source.interval_s < 10 {
                return Err((key("interval_s"), "must be at least 10".to_owned()));
            }
            if source.confidence.is_some_and(|confidence| confidence > 100) {
                return Err((key("confidence"), "must be from 0 to 100".to_owned()));
            }
            let password = source.password_file.is_some() || source.password_env.is_some();
            if password != source.username.is_some() {
                return Err((
                    key("username"),
                    "a user needs `password_file` or `password_env`, and these a user".to_owned(),
                ));
            }
        }
        Ok(())
    }
}

pub(super) fn check_url(url: &str) -> Result<(), String> {
    let parsed = url.parse::<reqwest::Url>().map_err(|error| format!("it is no URL: {error}"))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err("use http:// or https://".to_owned());
    }
    if parsed.password().is_some() {
        return Err(
            "a password does not belong here; use `username` and `password_file`".to_owned()
        );
    }
    Ok(())
}
