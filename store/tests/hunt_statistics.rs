//! Counts of a hunt, against counting by hand: in memory, in parts, in splits, and over all of them.

#![allow(clippy::unwrap_used, reason = "a test ends where something it needs is not there")]

mod support;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use event::{Event, Timestamp, ValueRef};
use serde_json::json;
use store::{
    Scope,
    hunt::{Hunt as _, HuntError, Hunter, Interval, Statistics, StatisticsRequest},
};
use support::{Place, add, commune, event, hunter};

fn asked(query: &str, fields: &[&str], top: usize) -> StatisticsRequest {
    StatisticsRequest {
        query: query.to_owned(),
        from: Timestamp::MIN,
        to: Timestamp::MAX,
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        top,
        interval: Some(Interval::Every(Duration::from_secs(10))),
    }
}

/// xorshift64*.
fn draw(state: &mut u64, below: u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % below
}

/// An event with a host of a few, a user of many, tags of which it may have several, numbers, and now
/// and then a value that is too long to be a term.
fn made(offset: u64, seed: &mut u64) -> Arc<Event> {
    let of = ["dijon", "talant"][draw(seed, 2) as usize];
    let time = Timestamp::from_secs(1_767_225_600 + draw(seed, 300) as i64);
    let host = ["PC-1", "pc-1", "pc-2", "pc-3"][draw(seed, 4) as usize];
    let tags: Vec<String> = (0..draw(seed, 4)).map(|_| format!("t{}", draw(seed, 3))).collect();
    let mut raw = json!({
        "@timestamp": time.to_string(), "host.name": host, "tags": tags,
        "user.name": format!("u{}", draw(seed, 40)), "process.pid": draw(seed, 5),
    });
    match draw(seed, 10) {
        0 => raw["process.command_line"] = json!("x".repeat(2_000)),
        1 => raw["process.command_line"] = json!([r"C:\a\\b.exe", "y".repeat(1_500)]),
        2 => raw["process.command_line"] = json!(null),
        n => raw["process.command_line"] = json!(format!("cmd {n}")),
    }
    event(offset, of, &raw.to_string())
}

/// What counting by hand gives for one field: values by their lower case, distinct, events, longer.
fn by_hand(events: &[&Arc<Event>], field: &str) -> (BTreeMap<String, u64>, u64, u64) {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let (mut having, mut longer) = (0, 0);
    for event in events {
        let mut values: Vec<String> = event
            .iter()
            .filter(|(name, value)| name.name() == field && *value != ValueRef::Null)
            .map(|(_, value)| value.to_text().to_lowercase().replace(r"\\", r"\"))
            .collect();
        having += u64::from(!values.is_empty());
        longer += u64::from(values.iter().any(|value| value.len() > 1_024));
        values.retain(|value| value.len() <= 1_024);
        values.sort();
        values.dedup();
        for value in values {
            *counts.entry(value).or_default() += 1;
        }
    }
    (counts, having, longer)
}

const FIELDS: &[&str] = &["host.name", "user.name", "tags", "process.pid", "process.command_line"];

async fn check(hunter: &Hunter, scope: &Scope, events: &[Arc<Event>], when: &str) {
    for (query, fits) in [
        ("", (|_: &Event| true) as fn(&Event) -> bool),
        ("host.name:pc-1", |event: &Event| {
            event.iter().any(|(name, value)| {
                name.name() == "host.name" && value.to_text().eq_ignore_ascii_case("pc-1")
            })
        }),
        ("not process.command_line:*", |event: &Event| {
            !event.iter().any(|(name, value)| {
                name.name() == "process.command_line" && value != ValueRef::Null
            })
        }),
        ("host.name:nobody", |_: &Event| false),
    ] {
        let expected: Vec<&Arc<Event>> =
            events.iter().filter(|event| scope.allows(event.commune()) && fits(event)).collect();
        let counted = hunter.statistics(scope, asked(query, FIELDS, 7)).await.unwrap();
        let when = format!("{when}: {query}");
        assert_eq!(counted.total, expected.len() as u64, "{when}");
        let times = expected.iter().map(|event| event.timestamp());
        assert_eq!(counted.extent, times.clone().min().zip(times.max()), "{when}");
        bars(&counted, &expected, &when);
        for (field, counted) in FIELDS.iter().zip(&counted.fields) {
            let (counts, having, longer) = by_hand(&expected, field);
            let when = format!("{when}: {field}");
            assert_eq!(counted.distinct, counts.len() as u64, "{when}");
            assert_eq!((counted.events, counted.longer), (having, longer), "{when}");
            let mut best: Vec<(String, u64)> = counts.into_iter().collect();
            best.sort_by_key(|(value, count)| (std::cmp::Reverse(*count), value.clone()));
            best.truncate(7);
            let folded: Vec<(String, u64)> = counted
                .values
                .iter()
                .map(|(value, count)| (value.to_lowercase().replace(r"\\", r"\"), *count))
                .collect();
            assert_eq!(folded, best, "{when}");
        }
    }
}

fn bars(counted: &Statistics, expected: &[&Arc<Event>], when: &str) {
    let Some(histogram) = &counted.histogram else {
        assert!(expected.is_empty(), "{when}");
        return;
    };
    let mut bars: BTreeMap<i64, u64> = BTreeMap::new();
    for event in expected {
        *bars.entry(event.timestamp().as_millis() / 10_000 * 10_000).or_default() += 1;
    }
    let (first, last) = (bars.keys().next().unwrap(), bars.keys().last().unwrap());
    let all: Vec<(Timestamp, u64)> = (*first..=*last)
        .step_by(10_000)
        .map(|bar| (Timestamp::from_millis(bar), bars.get(&bar).copied().unwrap_or(0)))
        .collect();
    assert_eq!(histogram.buckets, all, "{when}");
}

#[tokio::test]
async fn counts_are_those_of_counting_by_hand_wherever_events_are() {
    let mut seed = 0x5eed_0001;
    let place = Place::new();
    let index = place.index().await;
    let hunter_now = hunter(&index);
    let talant = place.scope.narrowed(&commune("talant"));
    let mut events: Vec<Arc<Event>> = Vec::new();
    for (round, count) in [300, 1, 500, 200].into_iter().enumerate() {
        let first = events.len() as u64;
        let more: Vec<_> = (first..first + count).map(|offset| made(offset, &mut seed)).collect();
        events.extend(more.iter().cloned());
        add(&index, first, more).await;
        check(&hunter_now, &place.scope, &events, &format!("round {round}, last in memory")).await;
        // The last round stays in memory beside three splits.
        if round < 3 {
            index.checkpoint(support::BUS).await.unwrap();
            check(&hunter_now, &place.scope, &events, &format!("round {round}, sealed")).await;
        }
        check(&hunter_now, &talant, &events, &format!("round {round}, one commune")).await;
    }
}

#[tokio::test]
async fn values_are_written_as_events_have_them_and_what_cannot_be_counted_is_told() {
    let place = Place::new();
    let index = place.index().await;
    let raws = [
        r#"{"host.name":"PC-Compta","winlog.event_data":{"Odd":"Only Here"}}"#,
        r#"{"host.name":"PC-Compta"}"#,
    ];
    add(&index, 0, vec![event(0, "dijon", raws[0]), event(1, "dijon", raws[1])]).await;
    for when in ["in memory", "sealed"] {
        let hunter = hunter(&index);
        let fields = ["HOST.name", "winlog.event_data.Odd", "winlog.event_data.Never"];
        let counted = hunter.statistics(&place.scope, asked("", &fields, 10)).await.unwrap();
        assert_eq!(counted.fields[0].values, [("PC-Compta".to_owned(), 2)], "{when}");
        assert_eq!(counted.fields[1].values, [("Only Here".to_owned(), 1)], "{when}");
        assert_eq!(counted.fields[2].events, 0, "{when}");
        assert!(counted.warnings[0].contains("winlog.event_data.Never"), "{:?}", counted.warnings);
        let refuse = async |fields: &[&str]| {
            hunter.statistics(&place.scope, asked("", fields, 10)).await.unwrap_err().to_string()
        };
        assert!(refuse(&["host.nam"]).await.contains("did you mean host.name?"));
        assert!(refuse(&["@timestamp"]).await.contains("histogram"));
        assert!(refuse(&["event.id"]).await.contains("every event"));
        index.checkpoint(support::BUS).await.unwrap();
    }
    // Bars that are too narrow for the time that they span.
    let raws =
        [r#"{"@timestamp":"2020-01-01T00:00:00Z"}"#, r#"{"@timestamp":"2026-01-01T00:00:00Z"}"#];
    add(&index, 2, vec![event(2, "dijon", raws[0]), event(3, "dijon", raws[1])]).await;
    let refused = hunter(&index).statistics(&place.scope, asked("", &[], 10)).await;
    assert!(matches!(refused, Err(HuntError::Bars(_))));
    let chosen = StatisticsRequest { interval: Some(Interval::Chosen), ..asked("", &[], 10) };
    let counted = hunter(&index).statistics(&place.scope, chosen).await.unwrap();
    let bars = counted.histogram.unwrap().buckets;
    assert!(bars.len() <= 101, "{}", bars.len());
    assert_eq!(bars.iter().map(|(_, count)| count).sum::<u64>(), 4);
}
