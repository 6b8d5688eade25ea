//! Decoding beside bare parsing of the same records, on one core.
//!
//! Every reader has its turn in every round, on the processor time of this process, and the best
//! round of each counts, so that a busy machine disturbs all alike. Records are one vendor's own
//! tests and the captured Windows events of the shared corpora.

use std::{
    fs,
    hint::black_box,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use bytes::Bytes;
use event::{BusId, CommuneId, Decode as _, EventId, FeedId, FormatName, Record, Timestamp};
use ingest::{capture::Capture, formats::Formats};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};

use crate::Decode;

/// What is measured: how it is called, the format, and where its records are.
const SETS: [(&str, &str, Source); 5] = [
    ("Windows, captured", "windows", Source::Capture("captures/windows-attacks.ndjson.zst")),
    ("Windows", "windows", Source::Tests("Windows/windows")),
    ("Cloud Funnel", "sentinelone-cloud-funnel", Source::Tests("SentinelOne/cloud_funnel2.0")),
    ("FortiGate", "fortigate", Source::Tests("Fortinet/fortigate")),
    ("PRADEO", "pradeo-mtd", Source::Tests("Pradeo/pradeo-mtd")),
];

enum Source {
    /// A capture, of which one event in 19 is taken, so that all kinds are there.
    Capture(&'static str),
    /// A folder of tests.
    Tests(&'static str),
}

/// Events that are read in one turn at least, so that the clock is fine enough.
const EVENTS_A_TURN: usize = 4_000;

pub(crate) fn run(args: &Decode) -> anyhow::Result<()> {
    let formats = Formats::builtin();
    let mut sets = Vec::new();
    for (name, format, source) in &SETS {
        let records = match source {
            Source::Capture(file) => captured(&args.corpora.join(file))?,
            Source::Tests(folder) => tests(&args.corpora.join("intakes/tests").join(folder))?,
        };
        anyhow::ensure!(!records.is_empty(), "no record of {name} in {}", args.corpora.display());
        sets.push(measure(name, format, &records, &formats, args.rounds));
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&sets)?);
    }
    Ok(())
}

fn captured(file: &Path) -> anyhow::Result<Vec<Bytes>> {
    let capture =
        Capture::open(file).with_context(|| format!("failed to open {}", file.display()))?;
    Ok(capture.flatten().step_by(19).map(|record| record.raw).collect())
}

fn tests(folder: &Path) -> anyhow::Result<Vec<Bytes>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("failed to read {}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    let mut records = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|end| end == "json")) {
        let test: Value = serde_json::from_slice(&fs::read(file)?)
            .with_context(|| format!("failed to read {}", file.display()))?;
        records.extend(test["input"]["message"].as_str().map(|raw| Bytes::from(raw.to_owned())));
    }
    Ok(records)
}

/// What bare parsing reads: the record itself where it is JSON, else its `key=value` pairs as JSON.
fn as_json(raw: &Bytes) -> Bytes {
    if serde_json::from_slice::<Value>(raw).is_ok() {
        return raw.clone();
    }
    let mut rest = std::str::from_utf8(raw).unwrap_or_default();
    let mut pairs = Map::new();
    while let Some((key, behind)) = rest.split_once('=') {
        let (value, next) = match behind.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => behind.split_once(' ').unwrap_or((behind, "")),
        };
        pairs.insert(key.trim_start().to_owned(), value.into());
        rest = next;
    }
    Bytes::from(Value::Object(pairs).to_string())
}

fn measure(name: &str, format: &str, records: &[Bytes], formats: &Formats, rounds: usize) -> Value {
    let received = Timestamp::from_secs(1_767_225_600);
    let template = Record {
        commune: CommuneId::new("dijon").expect("it is a slug"),
        feed: FeedId::new("dijon-bench").expect("it is a slug"),
        format: FormatName::new(format).expect("it is a slug"),
        received,
        raw: Bytes::new(),
        context: None,
    };
    let id = EventId::of(BusId::from_bytes([1; 16]), 0, 0, received);
    let parsed: Vec<Bytes> = records.iter().map(as_json).collect();
    let repeats = EVENTS_A_TURN.div_ceil(records.len());
    let (mut parse, mut decode) = (Duration::MAX, Duration::MAX);
    for _ in 0..rounds.max(1) {
        parse = parse.min(timed(repeats, || {
            for raw in &parsed {
                drop(black_box(serde_json::from_slice::<Value>(raw)));
            }
        }));
        decode = decode.min(timed(repeats, || {
            for raw in records {
                let record = Record { raw: raw.clone(), ..template.clone() };
                drop(black_box(formats.decode(record, id)));
            }
        }));
    }
    let events = (records.len() * repeats) as f64;
    let bytes = records.iter().map(Bytes::len).sum::<usize>() as f64 * repeats as f64;
    let rate = |took: Duration| events / took.as_secs_f64();
    let share = rate(decode) / rate(parse);
    println!("{name}: {} records of {:.0} bytes", records.len(), bytes / events);
    for (what, took) in [("serde_json alone", parse), ("decode to ECS", decode)] {
        println!(
            "  {what:17} {:7.2} µs/event {:8.0} events/s {:6.0} MB/s",
            took.as_secs_f64() * 1e6 / events,
            rate(took),
            bytes / took.as_secs_f64() / 1e6
        );
    }
    println!("  decoding has {:.0} % of the rate of parsing alone", 100.0 * share);
    json!({
        "name": name,
        "format": format,
        "records": records.len(),
        "bytes_per_record": bytes / events,
        "parse_events_per_s": rate(parse),
        "decode_events_per_s": rate(decode),
        "decode_bytes_per_s": bytes / decode.as_secs_f64(),
        "decode_to_parse": share,
    })
}

fn timed(repeats: usize, mut turn: impl FnMut()) -> Duration {
    let start = cpu_time();
    (0..repeats).for_each(|_| turn());
    cpu_time().saturating_sub(start)
}

/// The processor time of this process, which other processes do not lengthen.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
