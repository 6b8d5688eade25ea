//! Formats and captures on real events, which are outside of this repository.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use bytes::Bytes;
use event::{
    BusId, CommuneId, Decode, Event, EventId, FeedId, FormatName, Record, Timestamp, fields,
};
use ingest::{capture::Capture, formats::Formats};
use serde_json::Value;

/// The corpora's folder, or `None` where it is not there.
fn corpora() -> Option<PathBuf> {
    let folder = std::env::var_os("JACQUEMART_CORPORA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora"),
        PathBuf::from,
    );
    let there = folder.is_dir();
    if !there {
        eprintln!("skipped: no corpora at {}", folder.display());
    }
    there.then_some(folder)
}

fn decode(formats: &Formats, raw: Bytes) -> Event {
    let received = Timestamp::from_secs(1_767_225_600);
    let record = Record {
        commune: CommuneId::new("dijon").unwrap(),
        feed: FeedId::new("dijon-decode").unwrap(),
        format: FormatName::new("windows").unwrap(),
        received,
        raw,
    };
    formats.decode(record, EventId::of(BusId::from_bytes([1; 16]), 0, 0, received))
}

/// Every scalar of a record, as text.
fn leaves(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.values().for_each(|value| leaves(value, into)),
        Value::Array(items) => items.iter().for_each(|value| leaves(value, into)),
        Value::Null => {}
        Value::String(text) => into.push(text.clone()),
        scalar => into.push(scalar.to_string()),
    }
}

/// The values of the record that no field of the event has.
fn lost(event: &Event) -> Vec<String> {
    let record: Value = serde_json::from_slice(event.original()).unwrap();
    let mut wanted = Vec::new();
    leaves(&record, &mut wanted);
    let have: std::collections::HashSet<String> =
        event.iter().map(|(_, value)| value.to_text().into_owned()).collect();
    wanted.retain(|text| !have.contains(text));
    wanted
}

#[test]
fn every_captured_event_decodes_and_loses_nothing() {
    let Some(corpora) = corpora() else { return };
    let formats = Formats::builtin();
    let capture = Capture::open(&corpora.join("captures/windows-attacks.ndjson.zst")).unwrap();
    let progress = capture.progress();
    let (mut events, mut untimed) = (0u64, 0u64);
    for record in capture {
        let record = record.unwrap();
        let event = decode(&formats, record.raw);
        assert!(!event.is_pipeline_error(), "line {}: {event:?}", record.number);
        assert!(event.get(fields::EVENT_CODE).is_some(), "line {}", record.number);
        assert!(event.get(fields::HOST_NAME).is_some(), "line {}", record.number);
        untimed += u64::from(event.timestamp() == event.received());
        events += 1;
        if events % 7 == 0 {
            let lost = lost(&event);
            assert!(lost.is_empty(), "line {} loses {lost:?}", record.number);
        }
    }
    assert!(events > 70_000, "{events}");
    assert!(untimed < events / 100, "{untimed} of {events} have no time of their own");
    assert_eq!(Some(progress.bytes_read()), progress.bytes_total());
}

fn evtx_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            evtx_files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "evtx") {
            into.push(path);
        }
    }
}

#[test]
fn every_regression_file_gives_all_its_records() {
    let Some(corpora) = corpora() else { return };
    let formats = Formats::builtin();
    let mut files = Vec::new();
    evtx_files(&corpora.join("sigmahq/regression_data"), &mut files);
    assert!(files.len() >= 90, "{}", files.len());
    let mut events = 0u64;
    for file in files {
        let mut of_file = 0u64;
        for record in Capture::open(&file).unwrap() {
            let record = record.unwrap();
            let event = decode(&formats, record.raw);
            assert!(!event.is_pipeline_error(), "{}: {event:?}", file.display());
            assert!(event.get(fields::WINLOG_CHANNEL).is_some(), "{}", file.display());
            assert!(event.timestamp() != event.received(), "{}", file.display());
            let lost = lost(&event);
            assert!(lost.is_empty(), "{} loses {lost:?}", file.display());
            of_file += 1;
        }
        assert!(of_file > 0, "{} has no record", file.display());
        // The crate's own count: nothing may be lost between it and the capture.
        let parsed = evtx::EvtxParser::from_path(&file).unwrap().records_json().count();
        assert_eq!(of_file, parsed as u64, "{}", file.display());
        events += of_file;
    }
    println!("{events} events");
}
