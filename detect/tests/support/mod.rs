//! What the tests share.
#![allow(dead_code, reason = "each test uses a part")]

use std::path::{Path, PathBuf};

use event::{CommuneId, Decode as _, Event, EventId, FeedId, FormatName, Record, Timestamp};
use ingest::{capture::Capture, formats::Formats};

/// The corpora, where they are; else says that the test is skipped.
pub(crate) fn corpora() -> Option<PathBuf> {
    let path = std::env::var_os("JACQUEMART_CORPORA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora"),
        PathBuf::from,
    );
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: no corpora at {}", path.display());
    None
}

/// A record as a feed of a commune would hand it over.
pub(crate) fn record(format: &str, raw: bytes::Bytes) -> Record {
    Record {
        commune: CommuneId::new("dijon").unwrap(),
        feed: FeedId::new("dijon-endpoints").unwrap(),
        format: FormatName::new(format).unwrap(),
        received: Timestamp::from_secs(1_700_000_000),
        raw,
        context: None,
    }
}

/// An id that differs for each number.
pub(crate) fn event_id(number: u64) -> EventId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    EventId::from_bytes(bytes)
}

/// Every `step`th record of a Windows capture, decoded, one at a time.
pub(crate) fn windows_events(path: &Path, step: usize) -> impl Iterator<Item = Event> {
    let formats = Formats::builtin();
    Capture::open(path).unwrap().step_by(step).zip(0..).map(move |(record_read, number)| {
        let raw = record_read.unwrap().raw;
        formats.decode(record("windows", raw), event_id(number))
    })
}

/// All files with this extension under `folder`, sorted.
pub(crate) fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// SigmaHQ's rules in their folders.
pub(crate) fn sigmahq_rules(corpora: &Path) -> Vec<PathBuf> {
    ["rules", "rules-threat-hunting", "rules-emerging-threats", "rules-compliance"]
        .iter()
        .map(|name| corpora.join("sigmahq").join(name))
        .collect()
}
