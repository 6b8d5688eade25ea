//! Decoding beside plain `serde_json` parsing of the same records, in events and bytes a
//! second on one core.
//!
//! Records are the fixtures of the tests, and the captured Windows events where the corpora
//! are at hand.

use std::{fs, hint::black_box, path::Path};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use event::{BusId, CommuneId, Decode, EventId, FeedId, FormatName, Record, Timestamp};
use ingest::{capture::Capture, formats::Formats};

/// The records of a format's fixtures that are JSON.
fn fixtures(format: &str) -> Vec<Bytes> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(format);
    let mut files: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| !path.to_string_lossy().contains("error-"))
        .collect();
    files.sort();
    files
        .iter()
        .filter_map(|path| serde_json::from_slice::<serde_json::Value>(&fs::read(path).ok()?).ok())
        .filter(|fixture| fixture["input"].is_object())
        .map(|fixture| Bytes::from(fixture["input"].to_string()))
        .collect()
}

/// One captured event in 19, so that all kinds are there.
fn captured() -> Vec<Bytes> {
    let folder = std::env::var_os("JACQUEMART_CORPORA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora"),
        Into::into,
    );
    let capture = Capture::open(&folder.join("captures/windows-attacks.ndjson.zst"));
    capture.into_iter().flatten().flatten().step_by(19).map(|record| record.raw).collect()
}

fn decode(c: &mut Criterion) {
    let formats = Formats::builtin();
    let received = Timestamp::from_secs(1_767_225_600);
    let id = EventId::of(BusId::from_bytes([1; 16]), 0, 0, received);
    let mut sets: Vec<(String, FormatName, Vec<Bytes>)> = Vec::new();
    for name in formats.names() {
        if let Ok(format) = FormatName::new(name) {
            sets.push((name.to_owned(), format.clone(), fixtures(name)));
            if name == "windows" {
                sets.push(("windows-captured".to_owned(), format, captured()));
            }
        }
    }
    for (name, format, records) in sets.into_iter().filter(|(_, _, records)| !records.is_empty()) {
        let template = Record {
            commune: CommuneId::new("dijon").expect("it is a slug"),
            feed: FeedId::new("dijon-bench").expect("it is a slug"),
            format,
            received,
            raw: Bytes::new(),
        };
        let mut group = c.benchmark_group(name);
        group.sample_size(20);
        group.throughput(Throughput::ElementsAndBytes {
            elements: records.len() as u64,
            bytes: records.iter().map(|raw| raw.len() as u64).sum(),
        });
        group.bench_function("parse only (serde_json)", |b| {
            b.iter(|| {
                for raw in &records {
                    let value: Result<serde_json::Value, _> = serde_json::from_slice(raw);
                    black_box(&value);
                }
            });
        });
        group.bench_function("decode", |b| {
            b.iter(|| {
                for raw in &records {
                    let record = Record { raw: raw.clone(), ..template.clone() };
                    black_box(formats.decode(record, id));
                }
            });
        });
        group.finish();
    }
}

criterion_group!(benches, decode);
criterion_main!(benches);
