//! What a million indicators cost: memory, and time an event beside the engine alone.
//!
//! `cargo run --release -p detect --example indicators -- RULES_DIR CAPTURE [EVENTS_MAX] [INDICATORS]`
//!
//! The capture is decoded as `windows` and held in memory. Each round matches all events with the
//! engine alone and with engine and indicators, turn about on one thread, on the thread's own CPU
//! time. The indicators are generated, of all types, and none is in the capture unless by chance.

use std::{
    error::Error,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use detect::{
    Engine, Scratch,
    indicators::{AllowList, IndicatorScratch, IndicatorSet, Source},
};
use event::{
    CommuneId, Decode as _, Event, EventId, FeedId, FormatName, Indicator, IndicatorSourceId,
    IndicatorType, Record, Timestamp,
};
use ingest::{capture::Capture, formats::Formats};

const ROUNDS: usize = 7;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(rules), Some(capture)) = (args.next(), args.next()) else {
        return Err("usage: indicators RULES_DIR CAPTURE [EVENTS_MAX] [INDICATORS]".into());
    };
    let max = args.next().map(|n| n.parse()).transpose()?.unwrap_or(usize::MAX);
    let count = args.next().map(|n| n.parse()).transpose()?.unwrap_or(1_000_000);

    for detailed in [false, true] {
        let before = resident_bytes();
        let start = Instant::now();
        let set = generate(count, detailed)?;
        println!(
            "{count} indicators {}: {:.1} bytes each held, {:.1} MiB more resident, {:.0} ms",
            if detailed {
                "each with an id, validity and description of its own"
            } else {
                "of a plain list"
            },
            set.memory_bytes() as f64 / count as f64,
            resident_bytes().saturating_sub(before) as f64 / f64::from(1 << 20),
            start.elapsed().as_secs_f64() * 1e3,
        );
    }

    let engine = Engine::new(detect::load(&[PathBuf::from(rules)]).rules);
    let events = decode(Path::new(&capture), max)?;
    let set = generate(count, false)?;
    println!("{} rules, {} events", engine.rules().len(), events.len());
    let mut costs = Vec::new();
    for round in 0..ROUNDS {
        let alone = time(|| run(&engine, None, &events));
        let both = time(|| run(&engine, Some(&set), &events));
        let only = time(|| indicators(&set, &events));
        let each = |nanos: u64| nanos as f64 / events.len() as f64 / 1e3;
        println!(
            "round {round}: engine {:.3} µs, with indicators {:.3} µs, indicators alone {:.3} µs, {} hits",
            each(alone.1),
            each(both.1),
            each(only.1),
            only.0,
        );
        costs.push((each(both.1) - each(alone.1), each(only.1)));
    }
    costs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let extra = costs[ROUNDS / 2].0;
    costs.sort_by(|a, b| a.1.total_cmp(&b.1));
    println!("median: {extra:.3} µs more an event, {:.3} µs by themselves", costs[ROUNDS / 2].1);
    Ok(())
}

fn run(engine: &Engine, set: Option<&IndicatorSet>, events: &[Arc<Event>]) -> usize {
    let (mut scratch, mut matches) = (Scratch::new(), Vec::new());
    let (mut memory, mut hits) = (IndicatorScratch::default(), Vec::new());
    let mut found = 0;
    for event in events {
        engine.matches(event, &mut scratch, &mut matches);
        found += matches.len();
        matches.clear();
        if let Some(set) = set {
            set.matches(event, &mut memory, &mut hits);
            found += hits.len();
            hits.clear();
        }
    }
    found
}

fn indicators(set: &IndicatorSet, events: &[Arc<Event>]) -> usize {
    let (mut memory, mut hits) = (IndicatorScratch::default(), Vec::new());
    for event in events {
        set.matches(event, &mut memory, &mut hits);
    }
    hits.len()
}

/// What `work` returns, and the CPU time of this thread that it took, in ns.
fn time(work: impl FnOnce() -> usize) -> (usize, u64) {
    let before = cpu_nanos();
    let found = std::hint::black_box(work());
    (found, cpu_nanos() - before)
}

/// This thread's time on a CPU, in ns.
fn cpu_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default()
}

fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default() * 4096
}

/// `count` indicators in the proportions of public feeds: mostly hashes, domains and URLs.
fn generate(count: u64, detailed: bool) -> Result<IndicatorSet, Box<dyn Error>> {
    let mut builder = IndicatorSet::builder();
    builder.allow(AllowList::builtin());
    let source = builder.source(Source::new(IndicatorSourceId::new("generated")?))?;
    for number in 0..count {
        // The splitmix64 sequence: no two alike, no pattern.
        let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let mut indicator = one(number, mixed);
        if detailed {
            indicator.id = Some(format!("indicator--{mixed:08x}-0000-4000-8000-{number:012x}"));
            indicator.description = Some(format!("campaign {}", mixed % 5_000));
            indicator.valid_from = Some(Timestamp::from_secs(1_600_000_000 + (mixed >> 40) as i64));
            indicator.confidence = Some((mixed % 101) as u8);
        }
        builder.add(source, &indicator)?;
    }
    Ok(builder.build())
}

fn one(number: u64, mixed: u64) -> Indicator {
    let (kind, value) = match number % 100 {
        0..40 => (IndicatorType::Hash, format!("{mixed:016x}{:048x}", !mixed)),
        40..70 => {
            (IndicatorType::Domain, format!("{:x}.evil{}.example", mixed >> 20, mixed % 1_000))
        }
        70..85 => (
            IndicatorType::Url,
            format!(
                "http://h{:x}.example/{:x}/gate.php?id={}",
                mixed >> 40,
                mixed & 0xff_ffff,
                mixed % 97
            ),
        ),
        85..95 => {
            let bits = mixed as u32 | 1 << 30;
            (IndicatorType::Ip, std::net::Ipv4Addr::from(bits).to_string())
        }
        // Networks of a dozen lengths: each length is one more look-up an address.
        95 => (
            IndicatorType::Ip,
            format!("{}/{}", std::net::Ipv4Addr::from(mixed as u32 | 1 << 30), 18 + mixed % 12),
        ),
        96..98 => (IndicatorType::Email, format!("u{:x}@evil.example", mixed >> 16)),
        98 => (IndicatorType::Certificate, format!("{mixed:016x}{:024x}", mixed >> 3)),
        _ => (IndicatorType::UserAgent, format!("BadBot/{mixed:x}")),
    };
    Indicator::new(kind, value)
}

fn decode(path: &Path, max: usize) -> Result<Vec<Arc<Event>>, Box<dyn Error>> {
    let formats = Formats::builtin();
    let mut events = Vec::new();
    for (read, number) in Capture::open(path)?.take(max).zip(0_u64..) {
        let record = Record {
            commune: CommuneId::new("dijon")?,
            feed: FeedId::new("dijon-endpoints")?,
            format: FormatName::new("windows")?,
            received: Timestamp::from_secs(1_700_000_000),
            raw: read?.raw,
            context: None,
        };
        let mut id = [0; 16];
        id[8..].copy_from_slice(&number.to_be_bytes());
        events.push(Arc::new(formats.decode(record, EventId::from_bytes(id))));
    }
    Ok(events)
}
