use event::{IndicatorType, Timestamp, Tlp};
use serde_json::json;

use super::*;
use crate::intel::sink::Collected;

fn read_json(document: &serde_json::Value) -> Collected {
    let mut sink = Collected::default();
    read(document.to_string().as_bytes(), &Options::default(), &mut sink).unwrap();
    sink
}

fn indicator(id: u32, pattern: &str, more: &serde_json::Value) -> serde_json::Value {
    let mut object = json!({
        "type": "indicator", "spec_version": "2.1", "id": format!("indicator--{id}"),
        "created": "2026-01-01T00:00:00Z", "modified": "2026-01-01T00:00:00Z",
        "pattern_type": "stix", "pattern": pattern, "valid_from": "2026-01-01T00:00:00Z",
    });
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object
}

#[test]
fn a_bundle_gives_its_indicators_with_what_they_refer_to() {
    let more = json!({
        "valid_until": "2026-06-01T00:00:00Z", "confidence": 85, "name": "C2 of a loader",
        "object_marking_refs": [
            "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
            "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
        ],
        "kill_chain_phases": [
            {"kill_chain_name": "mitre-attack", "phase_name": "command-and-control"},
            {"kill_chain_name": "lockheed-martin-cyber-kill-chain", "phase_name": "delivery"},
        ],
        "external_references": [{"source_name": "x"}, {"source_name": "y", "url": "https://cert.example/1"}],
    });
    let sink = read_json(&json!({
        "type": "bundle", "id": "bundle--1", "objects": [
            {"type": "relationship", "id": "relationship--1", "relationship_type": "indicates",
             "source_ref": "indicator--1", "target_ref": "attack-pattern--1"},
            indicator(1, "[domain-name:value = 'evil.example' OR ipv4-addr:value = '192.0.2.1']", &more),
            {"type": "attack-pattern", "id": "attack-pattern--1", "name": "Phishing",
             "external_references": [{"source_name": "mitre-attack", "external_id": "T1566.002"}]},
        ],
    }));
    assert_eq!(sink.refused, []);
    let kinds: Vec<_> = sink.indicators.iter().map(|(_, i)| (i.kind, i.value.as_str())).collect();
    assert_eq!(kinds, [(IndicatorType::Domain, "evil.example"), (IndicatorType::Ip, "192.0.2.1")]);
    let (group, first) = &sink.indicators[0];
    assert_eq!(group.as_deref(), Some("indicator--1"));
    assert_eq!(first.tags, ["attack.command-and-control", "attack.t1566.002"]);
    assert_eq!((first.tlp, first.confidence), (Some(Tlp::AmberStrict), Some(85)));
    assert_eq!(first.valid_until, Timestamp::parse("2026-06-01T00:00:00Z"));
    assert_eq!(first.description.as_deref(), Some("C2 of a loader"));
    assert_eq!(first.reference.as_deref(), Some("https://cert.example/1"));
}

#[test]
fn the_newest_version_stands_and_what_is_revoked_is_withdrawn() {
    let newer = json!({"modified": "2026-02-01T00:00:00Z"});
    let revoked = json!({"modified": "2026-03-01T00:00:00Z", "revoked": true});
    let sink = read_json(&json!({"more": false, "objects": [
        indicator(1, "[url:value = 'http://new.example/']", &newer),
        indicator(1, "[url:value = 'http://old.example/']", &json!({})),
        indicator(2, "[url:value = 'http://taken-back.example/']", &json!({})),
        indicator(2, "[url:value = 'http://taken-back.example/']", &revoked),
    ]}));
    let values: Vec<_> = sink.indicators.iter().map(|(_, i)| i.value.as_str()).collect();
    assert_eq!(values, ["http://new.example/"]);
    assert_eq!(sink.withdrawn, ["indicator--2"]);
}

#[test]
fn what_is_of_no_use_is_said_for_each() {
    let sink = read_json(&json!([
        indicator(1, "[a", &json!({})),
        indicator(2, "rule x {}", &json!({"pattern_type": "yara"})),
        indicator(3, "[file:name = 'a.exe']", &json!({})),
        indicator(4, "[url:value = 'http://a.example/']", &json!({"confidence": 300})),
        indicator(5, "[url:value = 'http://a.example/']", &json!({"valid_until": "soon"})),
        {"type": "indicator"},
        {"type": "malware", "id": "malware--1"},
        17,
    ]));
    assert!(sink.indicators.is_empty());
    let said: Vec<_> = sink.refused.iter().map(|r| format!("{}: {}", r.place, r.reason)).collect();
    assert_eq!(said.len(), 6, "{said:#?}");
    assert!(said[1].contains("type yara"), "{said:#?}");
    assert!(said[2].contains("takes no indicators of type file_name"), "{said:#?}");
    assert!(said[4].contains("valid_until"), "{said:#?}");
}

#[test]
fn what_is_no_json_is_an_error_with_its_place() {
    let mut sink = Collected::default();
    let error = read(b"{\"objects\": [1,", &Options::default(), &mut sink).unwrap_err();
    assert!(error.to_string().contains("line 1 column"), "{error}");
    assert!(read(b"{\"objects\": 1}", &Options::default(), &mut sink).is_err());
    assert!(read(b"12", &Options::default(), &mut sink).is_err());
}
