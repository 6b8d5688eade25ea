//! Decoding beside bare parsing of the same records, on one core.
//!
//! Prints a table first: every reader has its turn in every round, on CPU time, and the best
//! round of each counts, so that a busy machine disturbs all alike. Criterion's groups follow,
//! on CPU time too, one for every format.
//!
//! Records are the fixtures of the tests, and the captured Windows events where the corpora
//! are at hand.

use std::{fs, hint::black_box, path::Path, time::Duration};

use bytes::Bytes;
use criterion::{
    Criterion, Throughput, criterion_group, criterion_main,
    measurement::{Measurement, ValueFormatter, WallTime},
};
use event::{BusId, CommuneId, Decode, EventId, FeedId, FormatName, Record, Timestamp};
use ingest::{capture::Capture, formats::Formats};
use rustix::time::{ClockId, clock_gettime};

/// Rounds of the table.
const ROUNDS: usize = 15;

/// CPU time of this process, which other processes do not lengthen.
struct CpuTime(WallTime);

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        cpu_time()
    }

    fn end(&self, start: Duration) -> Duration {
        cpu_time() - start
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        self.0.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        self.0.formatter()
    }
}

/// Records of one format.
struct Set {
    name: String,
    records: Vec<Bytes>,
    template: Record,
    id: EventId,
}

impl Set {
    fn new(name: &str, format: &str, records: Vec<Bytes>) -> Self {
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
        Self { name: name.to_owned(), records, template, id }
    }

    fn bytes(&self) -> u64 {
        self.records.iter().map(|raw| raw.len() as u64).sum()
    }
}

/// Something that reads all records of a set.
struct Reader<'f> {
    name: &'static str,
    read: Box<dyn FnMut(&Set) + 'f>,
}

fn readers(formats: &Formats) -> Vec<Reader<'_>> {
    vec![
        Reader {
            name: "parse: serde_json value",
            read: Box::new(|set| {
                for raw in &set.records {
                    let value: Result<serde_json::Value, _> = serde_json::from_slice(raw);
                    drop(black_box(value));
                }
            }),
        },
        Reader {
            name: "parse: sonic-rs value",
            read: Box::new(|set| {
                for raw in &set.records {
                    let value: Result<sonic_rs::Value, _> = sonic_rs::from_slice(raw);
                    drop(black_box(value));
                }
            }),
        },
        Reader { name: "parse: simd-json tape", read: Box::new(tapes()) },
        Reader {
            name: "decode",
            read: Box::new(|set| {
                for raw in &set.records {
                    let record = Record { raw: raw.clone(), ..set.template.clone() };
                    drop(black_box(formats.decode(record, set.id)));
                }
            }),
        },
    ]
}

/// simd-json unescapes in place, so each record is copied; buffers are used again.
fn tapes() -> impl FnMut(&Set) {
    let mut buffers = simd_json::Buffers::default();
    let mut copy = Vec::new();
    move |set| {
        for raw in &set.records {
            copy.clear();
            copy.extend_from_slice(raw);
            let tape = simd_json::to_tape_with_buffers(&mut copy, &mut buffers);
            drop(black_box(tape));
        }
    }
}

/// `key=value` taken apart into slices and nothing more: the least that reading it costs.
fn pairs(raw: &[u8]) -> Vec<(&str, &str)> {
    let mut rest = std::str::from_utf8(raw).unwrap_or_default();
    let mut pairs = Vec::with_capacity(64);
    while let Some((key, behind)) = rest.split_once('=') {
        let (value, next) = match behind.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => behind.split_once(' ').unwrap_or((behind, "")),
        };
        pairs.push((key.trim_start(), value));
        rest = next;
    }
    pairs
}

/// The readers for records of FortiGate, which are no JSON.
fn text_readers(formats: &Formats) -> Vec<Reader<'_>> {
    let mut readers = readers(formats);
    let plain = Reader {
        name: "parse: pairs as slices",
        read: Box::new(|set: &Set| {
            for raw in &set.records {
                drop(black_box(pairs(raw)));
            }
        }),
    };
    let decode = readers.pop();
    [plain].into_iter().chain(decode).collect()
}

/// FortiGate's records of traffic, as its fixtures hold them.
fn fortigate() -> Vec<Bytes> {
    let file = "tests/fixtures/fortigate/traffic-accept.json";
    let text = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap_or_default();
    let fixture: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    let record = fixture["input"].as_str().unwrap_or_default().to_owned();
    vec![Bytes::from(record)]
}

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

/// The set that is no JSON.
const FORTIGATE: &str = "fortigate, traffic";

fn readers_of<'f>(set: &Set, formats: &'f Formats) -> Vec<Reader<'f>> {
    if set.name == FORTIGATE { text_readers(formats) } else { readers(formats) }
}

fn sets() -> Vec<Set> {
    let mut sets = vec![
        Set::new("windows, captured", "windows", captured()),
        Set::new(FORTIGATE, "fortigate", fortigate()),
    ];
    sets.extend(
        Formats::builtin().names().into_iter().map(|name| Set::new(name, name, fixtures(name))),
    );
    sets.retain(|set| !set.records.is_empty());
    sets
}

/// Every reader's best round, beside each other.
fn table(sets: &[Set], formats: &Formats) {
    for set in sets {
        let mut readers = readers_of(set, formats);
        let mut best = vec![Duration::MAX; readers.len()];
        // Small sets are read often enough for the clock.
        let repeats = 4_000usize.div_ceil(set.records.len());
        for _ in 0..ROUNDS {
            for (reader, best) in readers.iter_mut().zip(&mut best) {
                let start = cpu_time();
                (0..repeats).for_each(|_| (reader.read)(set));
                *best = (*best).min(cpu_time() - start);
            }
        }
        let (events, bytes) = (set.records.len() * repeats, set.bytes() as f64 * repeats as f64);
        println!(
            "\n{}: {} records of {:.0} bytes",
            set.name,
            set.records.len(),
            bytes / events as f64
        );
        let decode = best.last().copied().unwrap_or_default().as_secs_f64();
        for (reader, best) in readers.iter().zip(&best) {
            let seconds = best.as_secs_f64();
            println!(
                "  {:26} {:7.2} µs/event {:9.0} events/s {:7.0} MB/s   decoding has {:3.0} % of its rate",
                reader.name,
                seconds * 1e6 / events as f64,
                events as f64 / seconds,
                bytes / seconds / 1e6,
                100.0 * seconds / decode,
            );
        }
    }
}

fn decode(c: &mut Criterion<CpuTime>) {
    let formats = Formats::builtin();
    let sets = sets();
    // A profile is of one reader alone.
    if !std::env::args().any(|arg| arg == "--profile-time") {
        table(&sets, &formats);
    }
    for set in &sets {
        let mut group = c.benchmark_group(set.name.as_str());
        group.sample_size(10).measurement_time(Duration::from_secs(2));
        group.throughput(Throughput::ElementsAndBytes {
            elements: set.records.len() as u64,
            bytes: set.bytes(),
        });
        for mut reader in readers_of(set, &formats) {
            group.bench_function(reader.name, |b| b.iter(|| (reader.read)(set)));
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime(WallTime));
    targets = decode
}
criterion_main!(benches);
