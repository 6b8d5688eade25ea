//! What matching costs as rules grow from 100 to 100,000.

use std::path::Path;

use detect::{Engine, Rule, Scratch};
use serde_json::{Value, json};

use crate::{
    corpus::Prepared,
    generate,
    measure::{Clock, Spread},
    memory,
};

/// How many rules there are at each point.
const POINTS: [usize; 7] = [100, 300, 1_000, 3_000, 10_000, 30_000, 100_000];

/// One point of the curve.
pub(crate) struct Point {
    rules: usize,
    compile_s: f64,
    memory_bytes: i64,
    micros: Spread,
    /// Rules that are evaluated, an event.
    evaluated: f64,
    matches: usize,
}

/// Measures the curve, all points interleaved over the same events.
pub(crate) fn measure(rules: &[(Rule, String)], events: &[Prepared], rounds: usize) -> Vec<Point> {
    let mut engines: Vec<(usize, f64, i64, Engine)> = Vec::new();
    for count in POINTS {
        let loaded = take(rules, count);
        let loaded_count = loaded.len();
        let (used, (took, engine)) =
            memory::counted(|| Clock::Process.time(|| Engine::new(loaded)));
        engines.push((loaded_count, took.cpu, used.live, engine));
    }
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); engines.len()];
    let mut found = vec![0; engines.len()];
    for _ in 0..rounds.max(1) {
        for (place, (.., engine)) in engines.iter().enumerate() {
            let (mut scratch, mut matches) = (Scratch::new(), Vec::new());
            let (took, count) = Clock::Thread.time(|| {
                let mut count = 0;
                for event in events {
                    engine.matches(&event.event, &mut scratch, &mut matches);
                    count += matches.len();
                    matches.clear();
                }
                count
            });
            found[place] = count;
            #[expect(clippy::cast_precision_loss, reason = "a few thousand events")]
            times[place].push(took.cpu * 1e6 / events.len().max(1) as f64);
        }
    }
    let evaluated: Vec<f64> = engines
        .iter()
        .map(|(.., engine)| {
            let mut scratch = Scratch::new();
            let count: usize = events
                .iter()
                .map(|event| engine.candidates(&event.event, &mut scratch).len())
                .sum();
            #[expect(clippy::cast_precision_loss, reason = "for people")]
            let each = count as f64 / events.len().max(1) as f64;
            each
        })
        .collect();
    engines
        .iter()
        .zip(times)
        .zip(evaluated)
        .zip(found)
        .map(|((((rules, compile_s, memory_bytes, _), times), evaluated), matches)| Point {
            rules: *rules,
            compile_s: *compile_s,
            memory_bytes: *memory_bytes,
            micros: Spread::of(times),
            evaluated,
            matches,
        })
        .collect()
}

/// `count` rules: an even choice of the real ones, then generated ones.
fn take(rules: &[(Rule, String)], count: usize) -> Vec<Rule> {
    if rules.is_empty() {
        return Vec::new();
    }
    if count <= rules.len() {
        return (0..count).map(|n| rules[n * rules.len() / count].0.clone()).collect();
    }
    let mut all: Vec<Rule> = rules.iter().map(|(rule, _)| rule.clone()).collect();
    let mut number = 0_u64;
    // Some variants may be refused, and then the next one is taken.
    while all.len() < count && number < count as u64 * 2 {
        let place = usize::try_from(number).unwrap_or(0) % rules.len();
        let (rule, text) = &rules[place];
        if let Some(text) = generate::variant(rule, text, number) {
            all.extend(detect::parse(&text, Path::new("generated.yml")).rules);
        }
        number += 1;
    }
    all
}

pub(crate) fn to_json(points: &[Point]) -> Value {
    points
        .iter()
        .map(|p| {
            json!({"rules": p.rules, "compile_s": p.compile_s, "memory_bytes": p.memory_bytes,
                   "micros_per_event": p.micros.to_json(), "evaluated_per_event": p.evaluated,
                   "matches": p.matches})
        })
        .collect()
}

pub(crate) fn print(points: &[Point]) {
    println!("\nCost by number of rules, matching alone, one thread:");
    println!(
        "  {:>7}  {:>9}  {:>9}  {:>26}  {:>9}  {:>8}",
        "rules", "compile", "memory", "µs an event (spread)", "evaluated", "matches"
    );
    for p in points {
        println!(
            "  {:>7}  {:>7.2} s  {:>5.1} MiB  {:>8.2} ({:.2} to {:.2})  {:>9.2}  {:>8}",
            p.rules,
            p.compile_s,
            mib(p.memory_bytes),
            p.micros.median,
            p.micros.min,
            p.micros.max,
            p.evaluated,
            p.matches
        );
    }
}

/// Bytes as MiB.
#[expect(clippy::cast_precision_loss, reason = "for people")]
pub(crate) fn mib(bytes: i64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
