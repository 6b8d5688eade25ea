//! What the engine promises beside its matches: an order that threads do not change, and
//! bounds that hostile rules do not break.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{fmt::Write as _, path::Path, sync::Arc, time::Instant};

use detect::{Engine, Scratch};
use event::{Event, EventBuilder, FieldId, Timestamp, fields};

fn event(number: u64, command: &str) -> Event {
    let record = support::record("windows", command.to_owned().into());
    let mut builder = EventBuilder::new(record, support::event_id(number));
    builder.push_str(fields::EVENT_MODULE, "windows");
    builder.push_str(fields::WINLOG_CHANNEL, "Microsoft-Windows-Sysmon/Operational");
    builder.push_str(fields::EVENT_CODE, "1");
    builder.push_str(FieldId::intern("winlog.event_data.CommandLine").unwrap(), command);
    builder.also(fields::PROCESS_COMMAND_LINE);
    builder.build()
}

fn document(number: usize, detection: &str) -> String {
    format!(
        "---\ntitle: r{number}\nid: 00000000-0000-4000-8000-{number:012}\n\
         logsource: {{product: windows, category: process_creation}}\ndetection:\n{detection}\n\
         level: low\n"
    )
}

fn engine(documents: &str) -> Engine {
    let loaded = detect::parse(documents, Path::new("test.yml"));
    assert!(loaded.refused.is_empty(), "{:?}", loaded.refused);
    Engine::new(loaded.rules)
}

#[test]
fn results_are_the_same_on_any_number_of_threads() {
    let documents: String = (0..60)
        .rev()
        .map(|n| {
            let word = n % 7;
            document(n, &format!("  s:\n    CommandLine|contains: 'word{word}'\n  condition: s"))
        })
        .collect();
    let engine = engine(&documents);
    let events: Vec<_> =
        (0..500).map(|n| Arc::new(event(n, &format!("x word{} y word{}", n % 7, n % 3)))).collect();
    let found = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let detections = pool.install(|| engine.detect(&events, Timestamp::from_secs(1)));
        detections.into_iter().map(|d| (d.event_id, d.rule.id, d.matched)).collect::<Vec<_>>()
    };
    let one = found(1);
    assert!(one.len() > 5_000);
    // In the order of the events, then of the rules' ids.
    assert!(one.is_sorted_by(|a, b| (a.0, &a.1) < (b.0, &b.1)));
    assert_eq!(found(2), one);
    assert_eq!(found(7), one);
}

/// Rules that try to cost much, each with the text that it holds on.
fn hostile() -> Vec<(String, String)> {
    let words = |count: usize| (0..count).map(|n| format!("w{n}q")).collect::<Vec<_>>();
    let list = words(20_000).iter().fold(String::new(), |mut out, word| {
        let _ = write!(out, "\n      - '{word}'");
        out
    });
    let alternation = words(3_000).join("|");
    // A condition as long as one may be.
    let condition = format!("s{}", " or s".repeat(12_000));
    let short: String = ('a'..='z').fold(String::new(), |mut out, letter| {
        let _ = write!(out, "\n      - '{letter}'");
        out
    });
    let same = format!("{}b", "a".repeat(4_000));
    vec![
        (format!("  s:\n    CommandLine|contains:{list}\n  condition: s"), "w19999q".into()),
        (
            format!("  s:\n    CommandLine|re: '({alternation})+x'\n  condition: s"),
            "w7qw2999qx".into(),
        ),
        (format!("  s:\n    CommandLine|contains: 'zzz'\n  condition: {condition}"), "zzz".into()),
        (format!("  s:\n    CommandLine|contains:{short}\n  condition: s"), "q".into()),
        ("  s:\n    CommandLine|re: '(a*)*(b|a+)+$'\n  condition: s".into(), "a".repeat(50_000)),
        (format!("  s:\n    CommandLine|contains: '{same}'\n  condition: s"), same),
        (
            format!("  s:\n    CommandLine: '{}'\n  condition: s", "*a?".repeat(80)),
            "a".repeat(20_000) + "é",
        ),
    ]
}

#[test]
fn hostile_rules_stay_bounded() {
    let cases = hostile();
    for (number, (detection, text)) in cases.iter().enumerate() {
        let document = document(number, detection);
        let engine = engine(&document);
        let memory = engine.memory();
        assert!(
            memory.total() <= (2 << 20) + 64 * document.len(),
            "case {number}: {memory:?} for {} bytes",
            document.len()
        );
        let (mut scratch, mut matches) = (Scratch::new(), Vec::new());
        let start = Instant::now();
        engine.matches(&event(1, text), &mut scratch, &mut matches);
        assert_eq!(matches.len(), 1, "case {number}");
        // One long run of what the rules are about, which is as bad as it gets.
        matches.clear();
        engine.matches(&event(2, &"a".repeat(200_000)), &mut scratch, &mut matches);
        let took = start.elapsed();
        assert!(took.as_secs() < 20, "case {number}: {took:?}");
    }
}
