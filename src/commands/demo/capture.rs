//! A capture to play: who is there, what happens, and what ought to be caught.

use std::{collections::HashSet, fs, path::Path};

use anyhow::{Context as _, bail, ensure};
use event::{CommuneId, FeedId, FormatName, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{Exit, Failure};

/// The capture that comes with the program.
const BUILTIN_MANIFEST: &str = include_str!("../../../bench/captures/demo/capture.toml");
const BUILTIN_EVENTS: &[u8] = include_bytes!("../../../bench/captures/demo/events.ndjson.zst");

/// `capture.toml`, and the events beside it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Capture {
    pub(super) title: String,
    #[expect(dead_code, reason = "for those who read the file")]
    pub(super) description: String,
    pub(super) communes: Vec<Commune>,
    pub(super) feeds: Vec<Feed>,
    pub(super) stages: Vec<Stage>,
    #[serde(skip)]
    pub(super) events: Vec<Played>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Commune {
    pub(super) id: CommuneId,
    pub(super) name: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Feed {
    pub(super) id: FeedId,
    pub(super) commune: CommuneId,
    pub(super) format: FormatName,
    pub(super) name: String,
}

/// A step of the attack.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stage {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) tactic: String,
    pub(super) technique: String,
    pub(super) commune: CommuneId,
    /// Ids of the rules, any of which catches it.
    pub(super) rules: Vec<String>,
    /// Whether our rules are expected to catch it.
    pub(super) expected: bool,
    /// Why not, where they are not.
    #[serde(default)]
    pub(super) reason: String,
    #[serde(default)]
    #[expect(dead_code, reason = "for those who read the file")]
    pub(super) description: String,
}

/// One event to send.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) at_ms: u64,
    /// Index into the capture's feeds.
    pub(super) feed: usize,
    /// Index into the capture's stages; `None` for benign activity.
    pub(super) stage: Option<usize>,
    record: Box<RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    at_ms: u64,
    feed: FeedId,
    stage: Option<String>,
    record: Box<RawValue>,
}

impl Played {
    /// The record as it would be sent at `now`: placeholders of time replaced.
    pub(super) fn at(&self, now: Timestamp) -> String {
        let rfc3339 = Timestamp::from_millis(now.as_millis()).to_string();
        let windows = rfc3339.replace('T', " ").replace('Z', "");
        self.record
            .get()
            .replace("\"${epoch_ms}\"", &now.as_millis().to_string())
            .replace("${epoch_ms}", &now.as_millis().to_string())
            .replace("${rfc3339}", &rfc3339)
            .replace("${windows_utc}", &windows)
    }
}

impl Capture {
    /// The capture in `dir`, or the one that comes with the program.
    pub(super) fn load(dir: Option<&Path>) -> Result<Self, Failure> {
        let loaded = match dir {
            None => Self::parse(BUILTIN_MANIFEST, BUILTIN_EVENTS),
            Some(dir) => {
                Self::read(dir).with_context(|| format!("failed to load {}", dir.display()))
            }
        };
        loaded.map_err(|error| Failure::new(Exit::Usage, error))
    }

    fn read(dir: &Path) -> anyhow::Result<Self> {
        let manifest = fs::read_to_string(dir.join("capture.toml")).context("capture.toml")?;
        let packed = dir.join("events.ndjson.zst");
        let events =
            if packed.exists() { fs::read(packed) } else { fs::read(dir.join("events.ndjson")) };
        Self::parse(&manifest, &events.context("events.ndjson or events.ndjson.zst")?)
    }

    fn parse(manifest: &str, events: &[u8]) -> anyhow::Result<Self> {
        let mut capture: Self = toml::from_str(manifest).context("capture.toml")?;
        let lines = if events.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            zstd::decode_all(events).context("events.ndjson.zst")?
        } else {
            events.to_vec()
        };
        let text = std::str::from_utf8(&lines).context("events.ndjson is not UTF-8")?;
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let played =
                capture.line(line).with_context(|| format!("events.ndjson, line {number}"))?;
            capture.events.push(played);
        }
        capture.check()?;
        capture.events.sort_by_key(|event| event.at_ms);
        Ok(capture)
    }

    fn line(&self, line: &str) -> anyhow::Result<Played> {
        let Line { at_ms, feed, stage, record } = serde_json::from_str(line)?;
        let feed = self
            .feeds
            .iter()
            .position(|known| known.id == feed)
            .with_context(|| format!("feed {feed} is not in capture.toml"))?;
        let stage = stage
            .map(|stage| {
                self.stages
                    .iter()
                    .position(|known| known.id == stage)
                    .with_context(|| format!("stage {stage:?} is not in capture.toml"))
            })
            .transpose()?;
        Ok(Played { at_ms, feed, stage, record })
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.communes.is_empty(), "there are no communes");
        ensure!(!self.events.is_empty(), "there are no events");
        for feed in &self.feeds {
            if !self.communes.iter().any(|commune| commune.id == feed.commune) {
                bail!(
                    "feed {} belongs to {}, which is not among the communes",
                    feed.id,
                    feed.commune
                );
            }
        }
        let staged: HashSet<usize> = self.events.iter().filter_map(|event| event.stage).collect();
        for (index, stage) in self.stages.iter().enumerate() {
            ensure!(staged.contains(&index), "stage {:?} has no event", stage.id);
            ensure!(
                !stage.expected || !stage.rules.is_empty(),
                "stage {:?} is expected but names no rule",
                stage.id
            );
        }
        Ok(())
    }

    /// The commune whose view is shown at the end: that of the last expected stage.
    pub(super) fn commune_to_show(&self) -> &Commune {
        self.stages
            .iter()
            .rev()
            .filter(|stage| stage.expected)
            .find_map(|stage| self.communes.iter().find(|commune| commune.id == stage.commune))
            .unwrap_or(&self.communes[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builtin_capture_loads() {
        let capture = Capture::load(None).unwrap();
        assert_eq!(capture.communes.len(), 6);
        assert!(capture.stages.len() >= 6);
    }

    #[test]
    fn a_wrong_capture_says_where() {
        let manifest =
            "title='t'\ndescription=''\nfeeds=[]\nstages=[]\n[[communes]]\nid='a'\nname='A'";
        let error =
            Capture::parse(manifest, b"{\"at_ms\":1,\"feed\":\"x\",\"stage\":null,\"record\":{}}")
                .unwrap_err();
        assert!(
            format!("{error:#}").contains("line 1: feed x is not in capture.toml"),
            "{error:#}"
        );
    }
}
