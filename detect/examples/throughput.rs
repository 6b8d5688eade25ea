//! How fast events are matched: the engine, the plain evaluator behind the same routing, and
//! sigma-rust behind the same routing, interleaved in one run.
//!
//! `cargo run --release -p detect --example throughput -- RULES_DIR CAPTURE [EVENTS_MAX]`
//!
//! The capture is decoded as `windows` and held in memory; what is timed is matching alone,
//! on one thread, then the engine on all. The slow ones take a sample. Rules that sigma-rust
//! does not load are left out for it.

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Instant};

use detect::{Engine, Scratch, eval};
use event::{CommuneId, Decode as _, Event, EventId, FeedId, FormatName, Record, Timestamp};
use ingest::{capture::Capture, formats::Formats};

/// Every how many events the slow ones take one.
const SAMPLE: usize = 200;
const ROUNDS: usize = 3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args_os().skip(1);
    let (Some(rules), Some(capture)) = (args.next(), args.next()) else {
        return Err("usage: throughput RULES_DIR CAPTURE [EVENTS_MAX]".into());
    };
    let max = args.next().and_then(|n| n.to_str()?.parse().ok()).unwrap_or(usize::MAX);
    let start = Instant::now();
    let mut loaded = detect::load(&[PathBuf::from(&rules)]);
    let load = start.elapsed();
    loaded.rules.retain(|rule| rule.logsource().product.as_deref() == Some("windows"));
    let start = Instant::now();
    let engine = Engine::new(loaded.rules);
    println!(
        "{} Windows rules, loaded in {load:?}, compiled in {:?}, {} KiB",
        engine.rules().len(),
        start.elapsed(),
        engine.memory_bytes() >> 10
    );
    let events = decode(&PathBuf::from(capture), max)?;
    let sample: Vec<_> = events.iter().step_by(SAMPLE).collect();
    let peers = peers(&engine);
    println!("{} events; the slow ones take {} of them", events.len(), sample.len());
    for round in 0..ROUNDS {
        let (mut scratch, mut out) = (Scratch::new(), Vec::new());
        let start = Instant::now();
        let mut found = 0;
        for event in &events {
            engine.matches(event, &mut scratch, &mut out);
            found += out.len();
            out.clear();
        }
        report(round, "engine", events.len(), start, found);
        let start = Instant::now();
        let found = engine.detect(&events, Timestamp::from_secs(0)).len();
        report(round, "engine, detections, all threads", events.len(), start, found);
        let start = Instant::now();
        let found = sample
            .iter()
            .flat_map(|event| engine.rules().iter().map(move |rule| (rule, event)))
            .filter(|(rule, event)| eval::is_offered(rule, event) && eval::holds(rule, event))
            .count();
        report(round, "plain evaluator, routed", sample.len(), start, found);
        let flat: Vec<_> = sample.iter().map(|event| sigma_event(event)).collect();
        let start = Instant::now();
        let mut found = 0;
        for (event, flat) in sample.iter().zip(&flat) {
            for rule in engine.rules() {
                if let Some(peer) = peers.get(rule.id())
                    && eval::is_offered(rule, event)
                {
                    found += usize::from(peer.is_match(flat));
                }
            }
        }
        report(round, "sigma-rust, routed", sample.len(), start, found);
    }
    Ok(())
}

fn report(round: usize, what: &str, events: usize, start: Instant, found: usize) {
    let seconds = start.elapsed().as_secs_f64();
    let rate = events as f64 / seconds;
    println!(
        "round {round}: {what}: {rate:.0} events/s, {:.2} µs each, {found} matches",
        1e6 / rate
    );
}

fn decode(
    path: &std::path::Path,
    max: usize,
) -> Result<Vec<Arc<Event>>, Box<dyn std::error::Error>> {
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

/// sigma-rust's reading of the same files.
fn peers(engine: &Engine) -> HashMap<String, sigma_rust::Rule> {
    let mut peers = HashMap::new();
    for rule in engine.rules() {
        if let Ok(text) = std::fs::read_to_string(&rule.source().path)
            && let Ok(peer) = sigma_rust::rule_from_yaml(&text)
        {
            peers.insert(rule.id().to_owned(), peer);
        }
    }
    peers
}

/// The event under Sigma's own names, as sigma-rust wants it.
fn sigma_event(event: &Event) -> sigma_rust::Event {
    let mut flat = serde_json::Map::new();
    for (field, value) in event.iter() {
        if let Some(name) = field.name().strip_prefix("winlog.event_data.") {
            flat.insert(name.to_owned(), value.to_json());
        }
    }
    for (name, field) in [
        ("Channel", event::fields::WINLOG_CHANNEL),
        ("Provider_Name", event::fields::WINLOG_PROVIDER_NAME),
    ] {
        if let Some(value) = event.get(field) {
            flat.insert(name.to_owned(), value.to_json());
        }
    }
    if let Some(code) = event.get(event::fields::EVENT_CODE).and_then(event::ValueRef::as_i64) {
        flat.insert("EventID".to_owned(), code.into());
    }
    sigma_rust::event_from_json(&serde_json::Value::Object(flat).to_string()).unwrap_or_default()
}
