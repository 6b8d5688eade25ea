//! Formats against files of `{input, expected}`, and against input that nobody would send.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

use bytes::Bytes;
use event::{BusId, CommuneId, Decode, Event, EventId, FeedId, FormatName, Record, Timestamp};
use ingest::formats::Formats;
use proptest::prelude::*;
use serde_json::Value;

fn decode(formats: &Formats, format: &str, raw: &[u8]) -> Event {
    let received = Timestamp::from_secs(1_767_225_600);
    let record = Record {
        commune: CommuneId::new("dijon").unwrap(),
        feed: FeedId::new("dijon-decode").unwrap(),
        format: FormatName::new(format).unwrap(),
        received,
        raw: Bytes::copy_from_slice(raw),
        context: None,
    };
    formats.decode(record, EventId::of(BusId::from_bytes([1; 16]), 0, 0, received))
}

/// The event without what every event has alike.
fn body(event: &Event) -> Value {
    let mut json = event.to_json();
    let root = json.as_object_mut().unwrap();
    for (object, members) in [
        ("event", &["original", "id", "ingested"][..]),
        ("organization", &["id"]),
        ("jacquemart", &["feed"]),
    ] {
        let inner = root.get_mut(object).unwrap().as_object_mut().unwrap();
        members.iter().for_each(|member| drop(inner.remove(*member)));
        if inner.is_empty() {
            root.remove(object);
        }
    }
    json
}

/// Format, name and content of every fixture.
fn fixtures() -> Vec<(String, String, Value)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut fixtures = Vec::new();
    for folder in fs::read_dir(root).unwrap() {
        let folder = folder.unwrap();
        for file in fs::read_dir(folder.path()).unwrap() {
            let file = file.unwrap();
            let content = serde_json::from_slice(&fs::read(file.path()).unwrap()).unwrap();
            let name = |entry: &fs::DirEntry| entry.file_name().into_string().unwrap();
            fixtures.push((name(&folder), name(&file), content));
        }
    }
    fixtures
}

/// The record of a fixture: text as it is, anything else as JSON.
fn raw(fixture: &Value) -> Vec<u8> {
    match &fixture["input"] {
        Value::String(text) => text.clone().into_bytes(),
        json => json.to_string().into_bytes(),
    }
}

#[test]
fn fixtures_decode_as_expected() {
    let formats = Formats::builtin();
    let fixtures = fixtures();
    assert!(fixtures.len() >= 27);
    for (format, name, fixture) in fixtures {
        let event = decode(&formats, &format, &raw(&fixture));
        let body = body(&event);
        assert_eq!(
            body,
            fixture["expected"],
            "{format}/{name} gives\n{}",
            serde_json::to_string_pretty(&body).unwrap()
        );
    }
}

#[test]
fn an_unknown_format_names_the_known_ones() {
    let event = decode(&Formats::builtin(), "minitel", b"{}");
    assert!(event.is_pipeline_error());
    let reason = event.get_str(event::fields::ERROR_MESSAGE).unwrap();
    assert!(reason.starts_with("the format \"minitel\" is not known; known are "), "{reason}");
    assert!(reason.contains(", pradeo-mtd, "), "{reason}");
}

#[test]
fn hostile_records_are_events_of_bounded_size() {
    let formats = Formats::builtin();
    let head = r#""EventID":1,"Channel":"Security","type":"x","event.type":"x","activityType":1"#;
    let keys: String = (0..100_000).map(|n| format!(",\"cle{n}\":{n}")).collect();
    let cases: Vec<(&str, Vec<u8>, bool)> = vec![
        ("empty", Vec::new(), true),
        ("spaces", b" \r\n".to_vec(), true),
        ("no object", b"42".to_vec(), true),
        ("two objects", b"[{},{}]".to_vec(), true),
        ("cut", format!("{{{head},\"m\":\"").into_bytes(), true),
        ("NUL in text", format!("{{{head},\"m\":\"a\0b\"}}").into_bytes(), false),
        ("NUL behind", format!("{{{head}}}\0\0").into_bytes(), false),
        (
            "invalid UTF-8",
            [format!("{{{head},\"m\":\"").as_bytes(), b"\xff\xfe\"}"].concat(),
            false,
        ),
        ("duplicate keys", format!("{{{head},{head}}}").into_bytes(), false),
        ("large numbers", format!("{{{head},\"n\":{}}}", "9".repeat(400)).into_bytes(), false),
        (
            "depth",
            format!("{{{head},\"d\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000)).into_bytes(),
            false,
        ),
        (
            "depth of objects",
            format!("{{{head},\"d\":{}1{}}}", "{\"a\":".repeat(10_000), "}".repeat(10_000))
                .into_bytes(),
            false,
        ),
        ("long", format!("{{{head},\"m\":\"{}\"}}", "é".repeat(5 << 20)).into_bytes(), false),
        ("many keys", format!("{{{head}{keys}}}").into_bytes(), false),
        ("a key of 1 MB", format!("{{{head},\"{}\":1}}", "k".repeat(1 << 20)).into_bytes(), false),
        ("an empty key", format!("{{{head},\"\":1,\"a..b\":2}}").into_bytes(), false),
        ("a million values", format!("{{{head},\"v\":[{}0]}}", "0,".repeat(1 << 20)).into(), true),
    ];
    let names_before = event::FieldId::count();
    // Formats that take one kind of JSON object answer all of these alike; the others take more.
    let strict = ["pradeo-mtd", "sentinelone", "sentinelone-cloud-funnel", "windows", "json"];
    // The large ones cost seconds each where nothing is optimised: one format of each syntax.
    let large = ["windows", "sentinelone", "json", "ecs", "fortigate", "cef", "openssh", "leef"];
    for format in formats.names() {
        for (name, raw, fails) in &cases {
            if raw.len() > 100_000 && !large.contains(&format) {
                continue;
            }
            let event = decode(&formats, format, raw);
            if strict.contains(&format) {
                assert_eq!(event.is_pipeline_error(), *fails, "{format}: {name}");
            }
            assert_eq!(&event.original()[..], &raw[..], "{format}: {name}");
            assert!(event.size_bytes() < 20 * raw.len() + 10_000, "{format}: {name}");
            drop(event.to_json());
        }
    }
    let names = event::FieldId::count() - names_before;
    assert!(names < 10_000, "one record may not fill the table of fields: {names} names");
}

#[test]
fn hostile_event_xml_is_an_event_of_bounded_size() {
    let formats = Formats::builtin();
    let event = |data: &str| {
        format!(
            "<Event xmlns='x'><System><Provider Name='P'/><EventID>1</EventID></System>\
             <EventData>{data}</EventData></Event>"
        )
    };
    let bomb = "<!DOCTYPE x [<!ENTITY a '&b;&b;'><!ENTITY b '&a;&a;'>]>";
    let keys: String = (0..100_000).map(|n| format!("<Data Name='cle{n}'>{n}</Data>")).collect();
    let deep = ["<a>".repeat(10_000), "</a>".repeat(10_000)].concat();
    let cases: Vec<(&str, String, bool)> = vec![
        ("cut", "<Event><System><EventID>1</EventID>".into(), true),
        ("cut in a tag", "<Event><System><Provider Name='".into(), true),
        ("crossed tags", "<Event><System></Event></System>".into(), true),
        ("no event", "<?xml version='1.0'?><html/>".into(), true),
        ("an event of nothing", "<Event/>".into(), true),
        ("two events", "<Events><Event/><Event/></Events>".into(), true),
        ("entities", [bomb, &event("<Data Name='m'>&a;</Data>")].concat(), false),
        ("depth", event(&deep), false),
        ("many values", event(&keys), false),
        ("one name", event(&"<Data Name='n'>1</Data>".repeat(10_000)), false),
        ("NUL", event("<Data Name='m'>a\0b</Data>"), false),
        ("lone ampersands", event("<Data Name='m'>a & b &; &#xFFFFFFFF; c</Data>"), false),
        ("attributes", event(&format!("<Data {}>1</Data>", "a='1' ".repeat(10_000))), false),
        ("invalid UTF-8", event("<Data Name='m'>\u{1}</Data>"), false),
    ];
    for (name, text, fails) in cases {
        let mut raw = text.into_bytes();
        if name == "invalid UTF-8" {
            raw.iter_mut().filter(|byte| **byte == 1).for_each(|byte| *byte = 0xff);
        }
        let event = decode(&formats, "windows", &raw);
        assert_eq!(event.is_pipeline_error(), fails, "{name}: {event:?}");
        assert_eq!(&event.original()[..], &raw[..], "{name}");
        assert!(event.size_bytes() < 20 * raw.len() + 10_000, "{name}: {}", event.size_bytes());
        drop(event.to_json());
    }
}

#[test]
fn what_is_unmapped_is_kept() {
    let formats = Formats::builtin();
    let keys: String = (0..5_000).map(|n| format!(",\"champ{n}\":\"valeur{n}\"")).collect();
    let raw = format!(r#"{{"EventID":1,"Channel":"X"{keys}}}"#);
    let event = decode(&formats, "windows", raw.as_bytes());
    let texts: std::collections::HashSet<String> =
        event.iter().map(|(_, value)| value.to_text().into_owned()).collect();
    for n in 0..5_000 {
        let unmapped = format!("winlog.event_data.champ{n}=valeur{n}");
        assert!(texts.contains(&format!("valeur{n}")) || texts.contains(&unmapped), "{n}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_give_an_event_with_the_same_original(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let formats = Formats::builtin();
        for format in formats.names() {
            let event = decode(&formats, format, &bytes);
            prop_assert_eq!(&event.original()[..], &bytes[..]);
            drop(event.to_json());
        }
    }
}

/// What a mutation does to a record.
#[derive(Clone, Debug)]
enum Mutation {
    Cut(prop::sample::Index),
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Swap(prop::sample::Index, prop::sample::Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        index().prop_map(Mutation::Cut),
        (index(), any::<u8>()).prop_map(|(at, byte)| Mutation::Flip(at, byte)),
        (index(), prop::collection::vec(any::<u8>(), 1..8))
            .prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        (index(), index()).prop_map(|(a, b)| Mutation::Swap(a, b)),
    ]
}

fn mutate(raw: &mut Vec<u8>, mutation: &Mutation) {
    if raw.is_empty() {
        return;
    }
    let len = raw.len();
    match mutation {
        Mutation::Cut(at) => raw.truncate(at.index(len)),
        Mutation::Flip(at, byte) => raw[at.index(len)] ^= byte,
        Mutation::Insert(at, bytes) => {
            let at = at.index(len);
            raw.splice(at..at, bytes.iter().copied());
        }
        Mutation::Swap(a, b) => raw.swap(a.index(len), b.index(len)),
    }
}

#[test]
fn mutated_fixtures_give_events_with_the_same_original() {
    let formats = Formats::builtin();
    let fixtures = fixtures();
    let cases = if cfg!(debug_assertions) { 1_000 } else { 20_000 };
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(cases));
    let index = any::<prop::sample::Index>;
    let input = (index(), index(), prop::collection::vec(mutation(), 1..6));
    let names = formats.names();
    runner
        .run(&input, |(fixture, other, mutations)| {
            let (own, _, fixture) = &fixtures[fixture.index(fixtures.len())];
            let mut raw = raw(fixture);
            mutations.iter().for_each(|mutation| mutate(&mut raw, mutation));
            for format in [own.as_str(), names[other.index(names.len())]] {
                let event = decode(&formats, format, &raw);
                prop_assert_eq!(&event.original()[..], &raw[..]);
            }
            Ok(())
        })
        .unwrap();
}
