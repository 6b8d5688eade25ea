//! Correlations against a plain evaluator: all matches sorted, each window looked through.
//!
//! What is generated: correlations of every type, of rules and of each other, and streams of
//! matches that come out of order within the allowed lateness, some of them repeated as after a
//! crash, with ticks between, and with the state written down and read back at any point.

#![expect(clippy::unwrap_used, reason = "a test ends where something it needs is not there")]

#[path = "support/correlate.rs"]
mod plain;

use std::{path::Path, sync::Arc, time::Duration};

use detect::{Correlations, Correlator, Limits};
use event::{Contribution, Detection, Timestamp};
use plain::{Spec, arb_specs, arb_stream, contribution, oracle, yaml};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

/// Cases that are generated, each of several correlations and up to 60 matches.
fn cases() -> u32 {
    std::env::var("DETECT_CORRELATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_500)
}

fn limits() -> Limits {
    Limits {
        lateness: Duration::from_secs(5),
        metropole: Some("metropole".parse().unwrap()),
        ..Limits::default()
    }
}

fn linked(specs: &[Spec]) -> Arc<Correlations> {
    let text = yaml(specs);
    let loaded = detect::parse(&text, Path::new("generated.yml"));
    assert_eq!(loaded.refused, vec![], "{text}");
    let linked = Correlations::link(loaded.correlations, &loaded.rules);
    assert_eq!(linked.refused, vec![], "{text}");
    Arc::new(linked.correlations)
}

/// `detected` is when the rule was evaluated, which is not the same in every order.
fn settled(mut detections: Vec<Detection>) -> Vec<Detection> {
    for detection in &mut detections {
        detection.detected = Timestamp::MIN;
    }
    detections
}

fn run(rules: &Arc<Correlations>, stream: &[Contribution]) -> Vec<Detection> {
    let mut correlator = Correlator::new(Arc::clone(rules), limits());
    let mut out = Vec::new();
    for contribution in stream {
        correlator.push(Arc::new(contribution.clone()), &mut out);
    }
    correlator.finish(&mut out);
    settled(out)
}

/// What is done with a stream between its matches.
#[derive(Clone, Debug)]
enum Between {
    Nothing,
    Tick,
    Restore,
    Repeat(usize),
}

fn arb_between() -> impl Strategy<Value = Between> {
    prop_oneof![
        6 => Just(Between::Nothing),
        2 => Just(Between::Tick),
        2 => Just(Between::Restore),
        1 => (0..60_usize).prop_map(Between::Repeat),
    ]
}

/// The stream with all that may happen to it.
fn run_hard(
    rules: &Arc<Correlations>,
    stream: &[Contribution],
    between: &[Between],
) -> Vec<Detection> {
    let mut correlator = Correlator::new(Arc::clone(rules), limits());
    let mut out = Vec::new();
    for (place, contribution) in stream.iter().enumerate() {
        correlator.push(Arc::new(contribution.clone()), &mut out);
        match between.get(place).unwrap_or(&Between::Nothing) {
            Between::Nothing => {}
            // A tick never runs ahead of what is still to come.
            Between::Tick => correlator.tick(contribution.received, &mut out),
            Between::Restore => {
                let snapshot = correlator.snapshot();
                let restored = Correlator::restore(&snapshot, rules, limits()).unwrap();
                assert_eq!(restored.adopted.kept, rules.len());
                assert_eq!(restored.correlator.snapshot().len(), snapshot.len());
                correlator = restored.correlator;
            }
            Between::Repeat(from) => {
                for again in &stream[(*from).min(place)..=place] {
                    correlator.push(Arc::new(again.clone()), &mut out);
                }
            }
        }
    }
    correlator.finish(&mut out);
    settled(out)
}

#[test]
fn every_order_gives_what_the_plain_evaluator_says() {
    let config = Config { cases: cases(), failure_persistence: None, ..Config::default() };
    let between = prop::collection::vec(arb_between(), 0..60);
    let mut fired = 0;
    let counted = std::cell::RefCell::new(&mut fired);
    let test = |(specs, stream, between): (Vec<Spec>, Vec<Contribution>, Vec<Between>)| {
        let rules = linked(&specs);
        let expected = oracle(&specs, &stream);
        let mut sorted = stream.clone();
        sorted.sort_by_key(|c| (c.timestamp, c.event_id));
        let in_order = run(&rules, &sorted);
        prop_assert_eq!(plain::seen(&in_order), expected, "{}", yaml(&specs));
        prop_assert_eq!(&run_hard(&rules, &stream, &between), &in_order, "{}", yaml(&specs));
        **counted.borrow_mut() += in_order.len();
        Ok(())
    };
    let result = TestRunner::new(config).run(&(arb_specs(), arb_stream(), between), test);
    result.map_err(|error| error.to_string()).unwrap();
    // A generator whose correlations never fire would agree about nothing.
    assert!(fired as u64 > u64::from(cases()), "only {fired} fired");
}

fn of(text: &str) -> (Arc<Correlations>, Vec<String>) {
    let loaded = detect::parse(text, Path::new("t.yml"));
    let linked = Correlations::link(loaded.correlations, &loaded.rules);
    let refused = loaded.refused.iter().chain(&linked.refused).map(ToString::to_string).collect();
    (Arc::new(linked.correlations), refused)
}

const BASE: &str = "title: base\nid: 00000000-0000-4000-8000-000000000000\nname: r0\nlogsource: {product: windows, category: process_creation}\ndetection: {s: {Image: x}, condition: s}\nlevel: low\n---\n";

fn count(condition: &str, timespan: &str) -> Arc<Correlations> {
    let (rules, refused) = of(&format!(
        "{BASE}title: c\nid: 00000000-0000-4000-8000-0000000000c0\ncorrelation: {{type: event_count, rules: [r0], group-by: [u], timespan: {timespan}, condition: {{{condition}}}}}\n"
    ));
    assert_eq!(refused, Vec::<String>::new());
    rules
}

#[test]
fn matches_that_come_too_late_are_counted_and_still_correlate() {
    let rules = count("gte: 3", "60s");
    let mut correlator = Correlator::new(rules, limits());
    let mut out = Vec::new();
    let mut at = |n: u64, happened: i64, received: i64, out: &mut Vec<Detection>| {
        let contribution = contribution(0, n, happened, received, &[("u", "ana")]);
        correlator.push(Arc::new(contribution), out);
        correlator.stats()
    };
    at(1, 10, 10, &mut out);
    at(2, 20, 20, &mut out);
    // Nothing is held for the third any more when it comes, a minute late.
    at(9, 30, 80, &mut out);
    let stats = at(3, 11, 81, &mut out);
    assert_eq!((out.len(), stats.late, stats.too_late), (1, 1, 0));
    assert_eq!(out[0].timestamp, Timestamp::from_secs(20));
    let stats = at(4, -60, 82, &mut out);
    assert_eq!((out.len(), stats.too_late), (1, 1));
}

#[test]
fn silence_lets_fire_what_holds() {
    let rules = count("gte: 2", "60s");
    let mut correlator = Correlator::new(rules, limits());
    let mut out = Vec::new();
    for n in 0..2 {
        let contribution = contribution(0, n, 10, 10, &[("u", "ana")]);
        correlator.push(Arc::new(contribution), &mut out);
    }
    assert_eq!(out, vec![]);
    let due = correlator.next_due().unwrap();
    assert!(due > Timestamp::from_secs(15) && due < Timestamp::from_secs(16), "{due}");
    correlator.tick(due, &mut out);
    assert_eq!(out.len(), 1);
    assert_eq!(correlator.next_due(), None);
}

#[test]
fn groups_and_entries_are_bounded_and_evictions_counted() {
    let rules = count("gte: 2", "1h");
    let limits = Limits { rule_groups_max: 100, lateness: Duration::ZERO, ..limits() };
    let mut correlator = Correlator::new(Arc::clone(&rules), limits.clone());
    let mut out = Vec::new();
    for n in 0..1_000 {
        let user = format!("user-{n}");
        let contribution = contribution(0, n, n as i64, n as i64, &[("u", &user)]);
        correlator.push(Arc::new(contribution), &mut out);
    }
    let stats = correlator.stats();
    assert_eq!(stats.groups, 100);
    // The last match is held still: its moment may not be over.
    assert_eq!(stats.groups_evicted + stats.groups + stats.held, 1_000);

    // The window holds what its condition needs, however small the limit.
    let limits = Limits { group_entries_max: 1, ..limits };
    let mut correlator = Correlator::new(count("gte: 50", "1h"), limits);
    for n in 0..200 {
        let contribution = contribution(0, n, n as i64, n as i64, &[("u", "ana")]);
        correlator.push(Arc::new(contribution), &mut out);
    }
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].correlation.as_ref().unwrap().value, 50.0);
    assert!(correlator.stats().entries_evicted > 100);
}

#[test]
fn groups_leave_when_their_window_has_passed() {
    let rules = count("gte: 2", "60s");
    let limits = Limits { grace: Duration::from_secs(60), ..limits() };
    let mut correlator = Correlator::new(rules, limits);
    let mut out = Vec::new();
    for n in 0..500 {
        let user = format!("user-{n}");
        let contribution = contribution(0, n, 10, 10, &[("u", &user)]);
        correlator.push(Arc::new(contribution), &mut out);
    }
    for now in [16, 100] {
        correlator.tick(Timestamp::from_secs(now), &mut out);
        assert_eq!(correlator.stats().groups, 500);
    }
    correlator.tick(Timestamp::from_secs(200), &mut out);
    assert_eq!(correlator.stats().groups, 0);
}

#[test]
fn a_correlation_that_changes_begins_anew_and_the_others_go_on() {
    let text = |condition: &str, description: &str| {
        let one = |id: u8, condition: &str| {
            format!(
                "title: c{id}\ndescription: {description}\nid: 00000000-0000-4000-8000-0000000000c{id}\ncorrelation: {{type: event_count, rules: [r0], group-by: [u], timespan: 1h, condition: {{{condition}}}}}\n---\n"
            )
        };
        of(&format!("{BASE}{}{}", one(0, condition), one(1, "gte: 3"))).0
    };
    let mut out = Vec::new();
    let mut push = |correlator: &mut Correlator, n: u64| {
        let contribution = contribution(0, n, n as i64, n as i64, &[("u", "ana")]);
        correlator.push(Arc::new(contribution), &mut out);
        let limits = Timestamp::from_secs(n as i64);
        correlator.tick(limits.plus(Duration::from_millis(1)), &mut out);
        std::mem::take(&mut out).iter().map(|d| d.rule.name.clone()).collect::<Vec<_>>()
    };
    let limits = Limits { lateness: Duration::ZERO, ..limits() };
    let mut correlator = Correlator::new(text("gte: 3", "one"), limits.clone());
    assert_eq!(push(&mut correlator, 1), Vec::<String>::new());
    assert_eq!(push(&mut correlator, 2), Vec::<String>::new());
    let snapshot = correlator.snapshot();

    // Another description is not another meaning.
    let adopted = correlator.adopt(text("gte: 3", "two"));
    assert_eq!((adopted.kept, adopted.restarted.len(), adopted.dropped.len()), (2, 0, 0));
    assert_eq!(push(&mut correlator, 3), ["c0", "c1"]);

    let restored = Correlator::restore(&snapshot, &text("gte: 2", "one"), limits.clone()).unwrap();
    assert_eq!(restored.adopted.kept, 1);
    assert_eq!(restored.adopted.restarted, ["00000000-0000-4000-8000-0000000000c0"]);
    let mut correlator = restored.correlator;
    assert_eq!(push(&mut correlator, 3), ["c1"]);
    assert_eq!(push(&mut correlator, 4), ["c0"]);

    let restored = Correlator::restore(&snapshot, &of(BASE).0, limits).unwrap();
    assert_eq!(restored.adopted.dropped.len(), 2);
    assert_eq!(restored.correlator.stats().groups, 0);
}

#[test]
fn a_damaged_snapshot_is_refused_wherever_the_damage_is() {
    let rules = count("gte: 3", "60s");
    let mut correlator = Correlator::new(Arc::clone(&rules), limits());
    let mut out = Vec::new();
    for n in 0..20 {
        let contribution = contribution(0, n, n as i64, n as i64, &[("u", "ana")]);
        correlator.push(Arc::new(contribution), &mut out);
    }
    let snapshot = correlator.snapshot();
    assert!(Correlator::restore(&snapshot, &rules, limits()).is_ok());
    for place in 0..snapshot.len() {
        let mut bytes = snapshot.clone();
        bytes[place] ^= 0x10;
        assert!(Correlator::restore(&bytes, &rules, limits()).is_err(), "{place}");
        assert!(Correlator::restore(&snapshot[..place], &rules, limits()).is_err());
    }
}

#[test]
fn communes_do_not_meet_unless_the_rule_spans_them() {
    let text = |extra: &str| {
        format!(
            "{BASE}title: c\nid: 00000000-0000-4000-8000-0000000000c0\n{extra}correlation: {{type: value_count, rules: [r0], group-by: [u], timespan: 1h, condition: {{field: v, gte: 2}}}}\n"
        )
    };
    let fired = |rules: &Arc<Correlations>| {
        let mut stream = Vec::new();
        for (n, commune) in ["dijon", "talant"].into_iter().enumerate() {
            let mut contribution =
                contribution(0, n as u64, 10, 10, &[("u", "10.0.0.1"), ("v", commune)]);
            contribution.commune = commune.parse().unwrap();
            contribution.entities = vec![event::Entity {
                kind: event::EntityKind::Host,
                name: format!("pc-{commune}"),
            }];
            stream.push(contribution);
        }
        run(rules, &stream)
    };
    let (own, refused) = of(&text(""));
    assert_eq!(refused, Vec::<String>::new());
    assert_eq!(fired(&own), vec![]);
    let (spanning, refused) = of(&text("jacquemart: {scope: metropole}\n"));
    assert_eq!(refused, Vec::<String>::new());
    let found = fired(&spanning);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].commune.as_str(), "metropole");
    assert_eq!(found[0].entities.len(), 2);
    let communes = &found[0].correlation.as_ref().unwrap().communes;
    assert_eq!(
        communes.iter().map(event::CommuneId::as_str).collect::<Vec<_>>(),
        ["dijon", "talant"]
    );
}
