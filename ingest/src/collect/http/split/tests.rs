//! What holds for every body, whatever it is.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

const LIMITS: SplitLimits =
    SplitLimits { record_bytes_max: 200, batch_records_max: 1000, rejections_max: 1000 };

/// The records of `body` as text, and the places and reasons of the others.
fn texts(body: &[u8]) -> (Vec<String>, Vec<Rejection>) {
    let pieces = split(body, LIMITS).unwrap();
    let text = |piece: &Piece| String::from_utf8(body[piece.range.clone()].to_vec()).unwrap();
    (pieces.good.iter().map(text).collect(), pieces.rejected)
}

/// JSON-like text, and now and then bytes that are no text at all.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        proptest::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\\",
            "\n",
            "\r\n",
            " ",
            "1",
            "-",
            "true",
            "\"a\"",
            "{\"a\":1}",
            "[1,2]",
            "\u{feff}",
            "\u{e9}",
            "{\n  \"a\": 1\n}",
            "\n{",
        ])
        .prop_map(|token| token.as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(token, 0..60).prop_map(|tokens| tokens.concat())
}

fn values() -> impl Strategy<Value = Vec<serde_json::Value>> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<i32>().prop_map(Into::into),
        "[ -~\u{e9}\n{}\\[\\],\"]{0,12}".prop_map(Into::into),
    ];
    let value = proptest::collection::btree_map("[a-z{}\"]{0,3}", leaf, 0..4)
        .prop_map(|map| serde_json::Value::Object(map.into_iter().collect()));
    proptest::collection::vec(value, 1..10)
}

proptest! {
    #[test]
    fn whatever_comes_records_are_json_in_order_and_apart(body in bodies()) {
        match split(&body, LIMITS) {
            Ok(pieces) => {
                let mut end = 0;
                for piece in &pieces.good {
                    prop_assert!(piece.range.start >= end && piece.range.len() <= 200);
                    end = piece.range.end;
                    let text = std::str::from_utf8(&body[piece.range.clone()]).unwrap();
                    serde_json::from_str::<serde::de::IgnoredAny>(text).unwrap();
                    let line = body[..piece.range.start].iter().filter(|b| **b == b'\n').count();
                    prop_assert_eq!(piece.line, line as u64 + 1);
                }
                let mut records: Vec<u64> = pieces.good.iter().map(|p| p.record)
                    .chain(pieces.rejected.iter().map(|r| r.record)).collect();
                records.sort_unstable();
                prop_assert!(records.iter().enumerate().all(|(n, record)| n as u64 == *record));
                prop_assert_eq!(pieces.rejected_count(), pieces.rejected.len() as u64);
            }
            Err(error) => prop_assert_eq!(error, Unsplittable::Utf16),
        }
    }

    #[test]
    fn every_way_to_write_values_gives_the_same_records(values in values(), crlf in any::<bool>()) {
        let plain: Vec<String> = values.iter().map(ToString::to_string).collect();
        let pretty: Vec<String> =
            values.iter().map(|value| serde_json::to_string_pretty(value).unwrap()).collect();
        let end = if crlf { "\r\n" } else { "\n" };
        for (body, expected) in [
            (plain.join(end), &plain),
            (format!("[{}]", plain.join(",")), &plain),
            (format!("[{end}{}{end}]{end}", pretty.join(&format!(",{end}"))), &pretty),
        ] {
            prop_assert_eq!(&texts(body.as_bytes()), &(expected.clone(), vec![]), "{}", body);
        }
        if values.iter().all(|value| value.as_object().is_some_and(|map| !map.is_empty())) {
            prop_assert_eq!(&texts(pretty.join(end).as_bytes()), &(pretty, vec![]));
        }
    }
}

#[test]
fn hostile_bodies_take_time_in_proportion_to_their_bytes() {
    let limits =
        SplitLimits { record_bytes_max: 1 << 20, batch_records_max: 100_000, rejections_max: 100 };
    let repeat = |unit: &str| unit.repeat((4 << 20) / unit.len());
    for body in [
        repeat("["),
        repeat("{"),
        repeat("[{"),
        repeat("{\n"),
        format!("{{\n \"a\n{}", repeat(" {x} ")),
        format!("{{\n \"a\n{}", repeat("{\n")),
        format!("{{\n \"a\n{}", repeat("[")),
        format!("[{}", repeat("{x}{")),
        format!("[{}", repeat("\"")),
        format!("[{}", repeat("\"\n")),
        format!("[{}", repeat("{\"a\":[}")),
        format!("[1{}", repeat(" ")),
        repeat("\n"),
    ] {
        let started = Instant::now();
        let _ = split(body.as_bytes(), limits);
        let took = started.elapsed();
        assert!(took < Duration::from_secs(8), "{:?}… took {took:?}", &body[..20]);
    }
}
