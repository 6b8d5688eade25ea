//! How fast correlations take matches in, and what memory their groups need.
//!
//! ```sh
//! cargo run --release -p detect --example correlate            # a million groups
//! cargo run --release -p detect --example correlate -- 10000000
//! ```
//!
//! Each line is a correlation over so many groups: matches a second of CPU time on the one thread
//! that does it (`/proc/thread-self/schedstat`), and resident memory a group. Matches are made
//! and freed in batches outside the measured time. First every group gets one match, in order of time; then a
//! tenth as many matches go to groups at random, some of which fire.

use std::{fs, path::Path, sync::Arc, time::Duration};

use detect::{Correlations, Correlator, Limits};
use event::{BusId, Contribution, EventId, MatchedField, Timestamp};

const BATCH: u64 = 100_000;

const RULES: &str = "title: a\nid: 00000000-0000-4000-8000-00000000000a\nname: a\nlogsource: {product: windows, category: process_creation}\ndetection: {s: {Image: x}, condition: s}\n---\ntitle: b\nid: 00000000-0000-4000-8000-00000000000b\nname: b\nlogsource: {product: windows, category: process_creation}\ndetection: {s: {Image: y}, condition: s}\n---\n";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let groups: u64 =
        std::env::args().nth(1).map_or(Ok(1_000_000), |text| text.replace('_', "").parse())?;
    println!("{:<42} {:>10} {:>14} {:>14} {:>10}", "", "groups", "first/s", "random/s", "B/group");
    for (name, section) in [
        (
            "event_count gte 3 by one field",
            "type: event_count, rules: [a, b], group-by: [u], timespan: 1d, condition: {gte: 3}",
        ),
        (
            "value_count gte 3 by one field",
            "type: value_count, rules: [a, b], group-by: [u], timespan: 1d, condition: {field: v, gte: 3}",
        ),
        (
            "temporal of two rules by one field",
            "type: temporal, rules: [a, b], group-by: [u], timespan: 1d",
        ),
        (
            "temporal_ordered of two rules by one field",
            "type: temporal_ordered, rules: [a, b], group-by: [u], timespan: 1d",
        ),
    ] {
        one(name, section, groups)?;
    }
    Ok(())
}

fn one(name: &str, section: &str, groups: u64) -> Result<(), Box<dyn std::error::Error>> {
    let text = format!(
        "{RULES}title: c\nid: 00000000-0000-4000-8000-0000000000c0\ncorrelation: {{{section}}}\n"
    );
    let loaded = detect::parse(&text, Path::new("bench.yml"));
    let linked = Correlations::link(loaded.correlations, &loaded.rules);
    assert!(linked.refused.is_empty(), "{:?}", linked.refused);
    let wanted = usize::try_from(groups)?;
    let limits = Limits {
        lateness: Duration::from_secs(5),
        groups_max: wanted,
        rule_groups_max: wanted,
        ..Limits::default()
    };
    let before = resident_bytes()?;
    let mut correlator = Correlator::new(Arc::new(linked.correlations), limits);
    let mut out = Vec::new();
    let mut number = 0;
    let first = run(&mut correlator, groups, &mut number, &mut out, &|n| n)?;
    correlator.tick(at(number).plus(Duration::from_secs(6)), &mut out);
    assert_eq!(correlator.stats().groups, groups);
    let after = resident_bytes()?;
    let random = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % groups;
    let again = run(&mut correlator, groups / 10, &mut number, &mut out, &random)?;
    assert_eq!(correlator.stats().groups_evicted, 0);
    println!(
        "{name:<42} {groups:>10} {first:>14.0} {again:>14.0} {:>10}",
        after.saturating_sub(before) / groups.max(1)
    );
    Ok(())
}

/// Gives `count` matches, a millisecond apart, to the groups that `group` names; how many a
/// second of CPU time.
fn run(
    correlator: &mut Correlator,
    count: u64,
    number: &mut u64,
    out: &mut Vec<event::Detection>,
    group: &dyn Fn(u64) -> u64,
) -> Result<f64, Box<dyn std::error::Error>> {
    let mut cpu = 0;
    let mut left = count;
    while left > 0 {
        let batch: Vec<Arc<Contribution>> = (0..left.min(BATCH))
            .map(|_| {
                *number += 1;
                Ok(Arc::new(contribution(*number, group(*number - 1))?))
            })
            .collect::<Result<_, event::InvalidId>>()?;
        left -= batch.len() as u64;
        let began = cpu_nanos()?;
        for contribution in &batch {
            correlator.push(Arc::clone(contribution), out);
        }
        cpu += cpu_nanos()? - began;
        out.clear();
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    Ok(count as f64 / (cpu as f64 / 1e9))
}

fn contribution(number: u64, group: u64) -> Result<Contribution, event::InvalidId> {
    let at = at(number);
    let value = |field: &str, value: String| MatchedField { field: field.to_owned(), value };
    Ok(Contribution {
        rule: format!(
            "00000000-0000-4000-8000-00000000000{}",
            if number.is_multiple_of(2) { 'a' } else { 'b' }
        ),
        commune: event::CommuneId::new("dijon")?,
        feed: event::FeedId::new("dijon-pc")?,
        format: event::FormatName::new("windows")?,
        event_id: EventId::of(BusId::from_bytes([7; 16]), 0, number, at),
        timestamp: at,
        received: at,
        entities: Vec::new(),
        values: vec![value("u", format!("user-{group}")), value("v", (number % 7).to_string())],
    })
}

fn at(number: u64) -> Timestamp {
    Timestamp::from_millis(1_780_000_000_000 + number.cast_signed())
}

/// CPU time of this thread.
fn cpu_nanos() -> Result<u64, Box<dyn std::error::Error>> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split_whitespace().next().ok_or("no schedstat")?.parse()?)
}

fn resident_bytes() -> Result<u64, Box<dyn std::error::Error>> {
    let text = fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = text.split_whitespace().nth(1).ok_or("no statm")?.parse()?;
    Ok(pages * 4_096)
}
