//! The demo capture, offline: what it promises of our rules holds, event by event.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use detect::Engine;
use event::{BusId, CommuneId, Decode as _, EventId, FeedId, FormatName, Level, Record, Timestamp};
use ingest::formats::Formats;
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Manifest {
    feeds: Vec<Feed>,
    stages: Vec<Stage>,
}

#[derive(Deserialize)]
struct Feed {
    id: FeedId,
    commune: CommuneId,
    format: FormatName,
}

#[derive(Deserialize)]
struct Stage {
    id: String,
    expected: bool,
    #[serde(default)]
    reason: String,
    rules: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Line {
    at_ms: u64,
    feed: FeedId,
    stage: Option<String>,
    record: Box<RawValue>,
}

fn capture() -> (Manifest, Vec<Line>) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/captures/demo");
    let manifest = toml::from_str(&fs::read_to_string(dir.join("capture.toml")).unwrap()).unwrap();
    let packed = fs::read(dir.join("events.ndjson.zst")).unwrap();
    let text = String::from_utf8(zstd::decode_all(packed.as_slice()).unwrap()).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (manifest, lines)
}

/// The record at a fixed time, as the player would make it.
fn record(line: &Line, feed: &Feed) -> Record {
    let text = line
        .record
        .get()
        .replace("\"${epoch_ms}\"", "1772524800123")
        .replace("${rfc3339}", "2026-03-03T08:00:00.123Z")
        .replace("${windows_utc}", "2026-03-03 08:00:00.123");
    assert!(!text.contains("${"), "a placeholder that the player does not know: {text}");
    Record {
        commune: feed.commune.clone(),
        feed: feed.id.clone(),
        format: feed.format.clone(),
        received: Timestamp::from_millis(1_772_524_800_500),
        raw: Bytes::from(text),
        context: None,
    }
}

#[test]
fn expected_stages_are_caught_and_ordinary_activity_raises_nothing() {
    let (manifest, lines) = capture();
    assert!(lines.len() > 6_000, "{} events", lines.len());
    assert!(lines.is_sorted_by_key(|line| line.at_ms));
    let rules: Vec<PathBuf> = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("rules")];
    let engine = Engine::new(detect::load(&rules).rules);
    let formats = Formats::builtin();
    let moment = Timestamp::from_millis(1_772_524_800_123);

    let mut caught: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut false_alarms = Vec::new();
    let mut communes = BTreeSet::new();
    for (number, line) in (1..).zip(&lines) {
        let feed =
            manifest.feeds.iter().find(|feed| feed.id == line.feed).expect("the feed is declared");
        communes.insert(feed.commune.clone());
        let id = EventId::of(BusId::from_bytes([0; 16]), 0, number, Timestamp::from_millis(0));
        let event = formats.decode(record(line, feed), id);
        assert!(!event.is_pipeline_error(), "line {number} can't be decoded: {event:?}");
        assert_eq!(event.timestamp(), moment, "line {number} lost its time: {event:?}");
        for detection in engine.detect(&[Arc::new(event)], Timestamp::now()) {
            match &line.stage {
                Some(stage) => {
                    caught.entry(stage).or_default().insert(detection.rule.id);
                }
                None if detection.rule.level > Level::Informational => {
                    false_alarms.push(format!(
                        "line {number}: “{}” on {}",
                        detection.rule.name,
                        line.record.get()
                    ));
                }
                None => {}
            }
        }
    }
    assert!(
        false_alarms.is_empty(),
        "{} false alarms:\n{}",
        false_alarms.len(),
        false_alarms.join("\n")
    );
    assert_eq!(communes.len(), 6);
    for stage in &manifest.stages {
        let fired = caught.get(stage.id.as_str()).cloned().unwrap_or_default();
        if stage.expected {
            // Every rule that the manifest names, so that it promises no more than is true.
            assert!(stage.rules.is_subset(&fired) && !fired.is_empty(), "{}: {fired:?}", stage.id);
        } else {
            assert!(
                fired.is_empty() && !stage.reason.is_empty(),
                "{} is caught by {fired:?}: expect it",
                stage.id
            );
        }
    }
}
