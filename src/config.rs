//! The configuration: one TOML file, then the environment, then flags.

pub(crate) mod indicators;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use ::ingest::{
    collect::http::ElasticVersion,
    formats::{FormatError, Formats},
};
use serde::{Deserialize, Serialize};

mod api;
mod audit;
mod correlate;
mod ingest;
pub(crate) mod kafka;
mod log;
mod notify;
pub(crate) mod pull;
mod retention;
mod s3;
mod size;
mod tls;

pub(crate) use self::ingest::{Ingest, IngestSyslog, Transport};
use api::Api;
use audit::Audit;
use correlate::Correlate;
pub(crate) use log::{Log, LogFormat};
pub(crate) use notify::{Mail, MailContent, Notify, Smtp, SmtpTls, Terms, Webhook};
pub(crate) use size::ByteSize;
pub(crate) use tls::Tls;

/// The file that is read where none is named and it is there.
const DEFAULT_FILE: &str = "jacquemart.toml";

/// Variables that are not configuration keys.
const OTHER_VARIABLES: &[&str] = &[
    "JACQUEMART_CONFIG",
    "JACQUEMART_URL",
    "JACQUEMART_TOKEN",
    "JACQUEMART_INGEST_URL",
    "JACQUEMART_FEED_KEY",
    "JACQUEMART_CORPORA",
    "JACQUEMART_LOG",
];

/// Everything that can be set. `docs/configuration.md` is its reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Where everything is kept that no URL says otherwise of.
    pub(crate) data_dir: PathBuf,
    /// `journal:///…` or `kafka://HOST:PORT,…`; empty is `<data_dir>/journal`.
    pub(crate) bus: String,
    /// `sqlite:///…`; empty is `<data_dir>/jacquemart.db`.
    pub(crate) database: String,
    /// `file:///…` or `s3://BUCKET/PREFIX`; empty is `<data_dir>/splits`.
    pub(crate) splits: String,
    /// A folder of formats of one's own, over the built-in ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) formats_dir: Option<PathBuf>,
    pub(crate) journal: Journal,
    pub(crate) kafka: kafka::Kafka,
    pub(crate) s3: s3::S3,
    pub(crate) ingest: Ingest,
    pub(crate) detect: Detect,
    pub(crate) correlate: Correlate,
    pub(crate) rules: Rules,
    pub(crate) indicators: indicators::Indicators,
    pub(crate) pull: pull::Pull,
    pub(crate) index: Index,
    pub(crate) retention: retention::Retention,
    pub(crate) api: Api,
    pub(crate) audit: Audit,
    pub(crate) notify: Notify,
    pub(crate) log: Log,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: "jacquemart-data".into(),
            bus: String::new(),
            database: String::new(),
            splits: String::new(),
            formats_dir: None,
            journal: Journal::default(),
            kafka: kafka::Kafka::default(),
            s3: s3::S3::default(),
            ingest: Ingest::default(),
            detect: Detect::default(),
            correlate: Correlate::default(),
            rules: Rules::default(),
            indicators: indicators::Indicators::default(),
            pull: pull::Pull::default(),
            index: Index::default(),
            retention: retention::Retention::default(),
            api: Api::default(),
            audit: Audit::default(),
            notify: Notify::default(),
            log: Log::default(),
        }
    }
}

/// The embedded bus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Journal {
    /// Past so many unread bytes senders are told to wait.
    pub(crate) journal_bytes_max: ByteSize,
    /// Bytes of one segment file.
    pub(crate) segment_bytes: ByteSize,
}

impl Default for Journal {
    fn default() -> Self {
        Self { journal_bytes_max: ByteSize::gib(20), segment_bytes: ByteSize::mib(128) }
    }
}

/// Matching.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Detect {
    /// Threads that decode and match; 0 is one a core.
    pub(crate) threads: usize,
    /// Events that one batch has at most.
    pub(crate) batch_events_max: usize,
}

impl Default for Detect {
    fn default() -> Self {
        Self { threads: 0, batch_events_max: 2_000 }
    }
}

/// Rules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rules {
    /// Whether the rules that come with the program are used.
    pub(crate) builtin: bool,
    /// Further rule files and folders.
    pub(crate) paths: Vec<PathBuf>,
    /// A folder of `<name>.txt`: one value a line of the placeholder `%name%`.
    pub(crate) placeholders: Option<PathBuf>,
    /// How often they are looked at, and how long a changed one must be left alone; 0 is never.
    pub(crate) watch_s: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self { builtin: true, paths: Vec::new(), placeholders: None, watch_s: 2 }
    }
}

/// Indexing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Index {
    /// How often what came is made searchable.
    pub(crate) refresh_ms: u64,
    /// Splits are sealed at the latest after so long,
    pub(crate) checkpoint_age_max_s: u64,
    /// or so many events,
    pub(crate) checkpoint_events_max: u64,
    /// or so many bytes of originals.
    pub(crate) checkpoint_bytes_max: ByteSize,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            refresh_ms: 1_000,
            checkpoint_age_max_s: 300,
            checkpoint_events_max: 500_000,
            checkpoint_bytes_max: ByteSize::gib(1),
        }
    }
}

/// Why the configuration can't be used. The texts complete "failed to read the configuration: …".
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file can't be read.
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    /// What it says is wrong.
    #[error("{place}: {reason}")]
    Wrong { place: String, reason: String },
}

impl Config {
    /// The formats that are known.
    pub(crate) fn formats(&self) -> Result<Formats, FormatError> {
        self.formats_dir.as_deref().map_or_else(|| Ok(Formats::builtin()), Formats::with_folder)
    }

    /// Reads the file, the environment and `sets` (`key=value`), later ones over earlier ones.
    pub(crate) fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        sets: &[String],
        data_dir: Option<&Path>,
    ) -> Result<Self, ConfigError> {
        let path = match file {
            Some(path) => Some(path),
            None => Some(Path::new(DEFAULT_FILE)).filter(|path| path.exists()),
        };
        let mut table = toml::Table::new();
        if let Some(path) = path {
            let text = std::fs::read_to_string(path)
                .map_err(|source| ConfigError::Io { path: path.to_owned(), source })?;
            // Read alone first, so that errors carry its lines.
            toml::from_str::<Self>(&text)
                .map_err(|error| wrong(path.display().to_string(), &error))?;
            table =
                toml::from_str(&text).map_err(|error| wrong(path.display().to_string(), &error))?;
        }
        for (name, value) in environment {
            if !name.starts_with("JACQUEMART_") || OTHER_VARIABLES.contains(&name.as_str()) {
                continue;
            }
            let key = name["JACQUEMART_".len()..].to_lowercase().replace("__", ".");
            apply(&mut table, &key, &value, &format!("environment variable {name}"))?;
        }
        for set in sets {
            let Some((key, value)) = set.split_once('=') else {
                return Err(ConfigError::Wrong {
                    place: format!("--set {set}"),
                    reason: "write it as key=value, e.g. --set api.listen=127.0.0.1:9000"
                        .to_owned(),
                });
            };
            apply(&mut table, key, value, &format!("--set {key}"))?;
        }
        let mut config = Self::deserialize(table)
            .map_err(|error| wrong("the configuration".to_owned(), &error))?;
        if let Some(data_dir) = data_dir {
            config.data_dir = data_dir.to_owned();
        }
        config.data_dir = std::path::absolute(&config.data_dir)
            .map_err(|source| ConfigError::Io { path: config.data_dir.clone(), source })?;
        config.check()?;
        Ok(config)
    }

    /// Things that types can't say.
    fn check(&self) -> Result<(), ConfigError> {
        let refuse = |place: &str, reason: String| {
            Err(ConfigError::Wrong { place: place.to_owned(), reason })
        };
        if self.journal.segment_bytes < ByteSize::mib(1) {
            return refuse("journal.segment_bytes", "must be at least 1 MiB".to_owned());
        }
        if self.journal.journal_bytes_max.0 < 2 * self.journal.segment_bytes.0 {
            return refuse(
                "journal.journal_bytes_max",
                format!(
                    "must be at least twice journal.segment_bytes ({})",
                    self.journal.segment_bytes
                ),
            );
        }
        if self.ingest.http.record_bytes_max > ByteSize::mib(8) {
            return refuse("ingest.http.record_bytes_max", "must be at most 8 MiB".to_owned());
        }
        if let Err(error) = self.ingest.http.elasticsearch_version.parse::<ElasticVersion>() {
            return refuse("ingest.http.elasticsearch_version", error.to_string());
        }
        if self.index.refresh_ms == 0 || self.index.refresh_ms > 5_000 {
            return refuse(
                "index.refresh_ms",
                "must be from 1 to 5000, as events are to be searchable within 5 s".to_owned(),
            );
        }
        if self.detect.batch_events_max == 0 {
            return refuse("detect.batch_events_max", "must be at least 1".to_owned());
        }
        if let Err((key, reason)) = self.retention.check() {
            return refuse(&format!("retention.{key}"), reason);
        }
        if let Err((key, reason)) = self.kafka.check() {
            return refuse(&format!("kafka.{key}"), reason);
        }
        if let Err((key, reason)) = self.s3.check(self.splits.starts_with("s3://")) {
            return refuse(&format!("s3.{key}"), reason);
        }
        if let Err((place, reason)) = self.indicators.check() {
            return refuse(&place, reason);
        }
        if let Err((place, reason)) = self.pull.check() {
            return refuse(&place, reason);
        }
        if let Err((place, reason)) = self.notify.check() {
            return refuse(&place, reason);
        }
        let secured = [("api.tls", &self.api.tls), ("ingest.http.tls", &self.ingest.http.tls)];
        let syslog = self.ingest.syslog.iter().map(|door| ("ingest.syslog.tls", &door.tls));
        for (place, tls) in secured.into_iter().chain(syslog) {
            if let Some(Err(reason)) = tls.as_ref().map(Tls::check) {
                return refuse(place, reason);
            }
        }
        // A datagram's port is not a stream's.
        let streams = |door: &&IngestSyslog| door.transport == Transport::Tcp;
        let mut seen = BTreeSet::from([self.api.listen]);
        let doors = std::iter::once(self.ingest.http.listen)
            .chain(self.ingest.syslog.iter().filter(streams).map(|door| door.listen));
        for listen in doors.filter(|listen| listen.port() != 0) {
            if !seen.insert(listen) {
                return refuse(
                    "listen",
                    format!("{listen} is used twice; every listener needs its own"),
                );
            }
        }
        for door in &self.ingest.syslog {
            if door.tls.is_some() && door.transport == Transport::Udp {
                return refuse(
                    "ingest.syslog.tls",
                    "TLS goes over TCP; leave transport out".to_owned(),
                );
            }
            if door.feed.is_some() && door.allow_from.is_empty() && !door.listen.ip().is_loopback()
            {
                return refuse(
                    "ingest.syslog.allow_from",
                    format!(
                        "{} takes everything for one feed without a key; say which networks may connect, e.g. [\"10.1.0.0/16\"]",
                        door.listen
                    ),
                );
            }
        }
        Ok(())
    }

    /// The bus's URL.
    pub(crate) fn bus_url(&self) -> String {
        self.url(&self.bus, "journal", "journal")
    }

    /// The database's URL.
    pub(crate) fn database_url(&self) -> String {
        self.url(&self.database, "sqlite", "jacquemart.db")
    }

    /// The split storage's URL.
    pub(crate) fn splits_url(&self) -> String {
        self.url(&self.splits, "file", "splits")
    }

    fn url(&self, given: &str, scheme: &str, name: &str) -> String {
        if given.is_empty() {
            format!("{scheme}://{}", self.data_dir.join(name).display())
        } else {
            given.to_owned()
        }
    }

    /// The socket through which commands on this machine reach the server.
    pub(crate) fn socket(&self) -> PathBuf {
        self.data_dir.join("jacquemart.sock")
    }
}

/// Sets the dotted `key`. A value that reads as TOML (number, truth value, list) is that,
/// anything else is text.
fn apply(table: &mut toml::Table, key: &str, value: &str, place: &str) -> Result<(), ConfigError> {
    let parsed = toml::from_str::<toml::Table>(&format!("v = {value}"))
        .ok()
        .and_then(|mut table| table.remove("v"))
        .filter(|value| !value.is_datetime())
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let mut place_in = &mut *table;
    let mut parts = key.split('.').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            place_in.insert(part.to_owned(), parsed);
            break;
        }
        let next = place_in.entry(part).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        let toml::Value::Table(next) = next else {
            return Err(ConfigError::Wrong {
                place: place.to_owned(),
                reason: format!("{part:?} is no section"),
            });
        };
        place_in = next;
    }
    Config::deserialize(table.clone()).map(drop).map_err(|error| wrong(place.to_owned(), &error))
}

/// Says what a TOML error says, and for an unknown key which one was likely meant.
fn wrong(place: String, error: &toml::de::Error) -> ConfigError {
    let text = error.to_string();
    let hint = nearest_key(error.message())
        .map(|near| format!("\ndid you mean `{near}`?"))
        .unwrap_or_default();
    ConfigError::Wrong { place, reason: format!("{}{hint}", text.trim_end()) }
}

/// Out of serde's "unknown field `lisen`, expected one of `listen`, …" the likeliest.
fn nearest_key(message: &str) -> Option<String> {
    let (head, tail) = message.strip_prefix("unknown field `")?.split_once('`')?;
    let (_, expected) = tail.split_once("expected")?;
    expected
        .split('`')
        .skip(1)
        .step_by(2)
        .map(|known| (strsim::jaro_winkler(head, known), known))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(
        text: &str,
        environment: &[(&str, &str)],
        sets: &[&str],
    ) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        std::fs::write(&path, text).unwrap();
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
        Config::load(Some(&path), environment, &sets, None)
    }

    #[test]
    fn later_sources_go_over_earlier_ones() {
        let config = load(
            "data_dir = '/a'\n[api]\nlisten = '127.0.0.1:1'\n[journal]\njournal_bytes_max = '1 GiB'",
            &[("JACQUEMART_API__LISTEN", "127.0.0.1:2"), ("JACQUEMART_TOKEN", "x"), ("HOME", "/")],
            &["detect.threads=3", "rules.paths=[\"r\"]"],
        )
        .unwrap();
        assert_eq!(config.data_dir, Path::new("/a"));
        assert_eq!(config.api.listen.port(), 2);
        assert_eq!(config.journal.journal_bytes_max, ByteSize(1 << 30));
        assert_eq!((config.detect.threads, config.rules.paths), (3, vec![PathBuf::from("r")]));
        assert_eq!(load("", &[], &["api.listen=127.0.0.1:9"]).unwrap().api.listen.port(), 9);
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_known_one() {
        for (text, environment, sets, near) in [
            ("[api]\nlisen = '127.0.0.1:1'", vec![], vec![], "listen"),
            ("", vec![("JACQUEMART_DATADIR", "/x")], vec![], "data_dir"),
            ("", vec![], vec!["jornal.segment_bytes=1"], "journal"),
        ] {
            let error = load(text, &environment, &sets).unwrap_err().to_string();
            assert!(error.contains(&format!("did you mean `{near}`?")), "{error}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        let config =
            load("[[ingest.syslog]]\nlisten = '127.0.0.1:7514'\nfeed = 'a'", &[], &[]).unwrap();
        let shown = toml::to_string_pretty(&config).unwrap();
        assert_eq!(load(&shown, &[], &[]).unwrap(), config);
    }

    #[test]
    fn an_open_syslog_door_needs_networks() {
        let error =
            load("[[ingest.syslog]]\nlisten = '0.0.0.0:7514'\nfeed = 'a'", &[], &[]).unwrap_err();
        assert!(error.to_string().contains("allow_from"), "{error}");
    }

    #[test]
    fn sizes_read_and_print() {
        for (text, bytes, shown) in
            [("20 GiB", 20 << 30, "20 GiB"), ("1000kB", 1_000_000, "1000000 B"), ("7", 7, "7 B")]
        {
            assert_eq!(ByteSize::parse(text), Some(ByteSize(bytes)));
            assert_eq!(ByteSize(bytes).to_string(), shown);
        }
        assert_eq!(ByteSize::parse("many"), None);
    }
}
