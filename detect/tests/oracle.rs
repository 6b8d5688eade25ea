//! The engine against sigma-rust, on SigmaHQ's rules where sigma-rust follows Sigma.
//!
//! It does not for a missing field and null, keywords, `?` behind `*`, `fieldref`, arrays,
//! identifiers that begin with `_`, and values of another type; such rules are left out, as
//! `docs/sigma-conformance.md` explains. Rules are compared as they stand, without log source.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{collections::BTreeMap, fs};

use detect::eval;
use event::{Event, ValueRef, fields};

/// The event under Sigma's names; numbers as the rules of its log sources have them.
fn flat(event: &Event) -> String {
    let mut flat = serde_json::Map::new();
    for (field, value) in event.iter() {
        if let Some(name) = field.name().strip_prefix("winlog.event_data.") {
            flat.insert(name.to_owned(), value.to_text().into());
        }
    }
    for (name, field) in
        [("Channel", fields::WINLOG_CHANNEL), ("Provider_Name", fields::WINLOG_PROVIDER_NAME)]
    {
        if let Some(value) = event.get(field) {
            flat.insert(name.to_owned(), value.to_json());
        }
    }
    // The Security log has its own names for what Sigma calls by Sysmon's, and sigma-rust
    // knows only the names that are there.
    for (name, field) in [
        ("Image", fields::PROCESS_EXECUTABLE),
        ("ParentImage", fields::PROCESS_PARENT_EXECUTABLE),
        ("User", fields::USER_FULL),
        ("IntegrityLevel", fields::PROCESS_INTEGRITY_LEVEL),
    ] {
        if let Some(value) = event.get(field)
            && !flat.contains_key(name)
        {
            flat.insert(name.to_owned(), value.to_json());
        }
    }
    if let Some(code) = event.get(fields::EVENT_CODE).and_then(ValueRef::as_i64) {
        flat.insert("EventID".to_owned(), code.into());
    }
    serde_json::Value::Object(flat).to_string()
}

/// Whether sigma-rust reads the rule as Sigma means it.
fn is_comparable(text: &str) -> bool {
    let detection = text.split("\ndetection:").nth(1).unwrap_or_default();
    let detection = detection.split("\nfalsepositives:").next().unwrap_or_default();
    let bare_number = detection.lines().any(|line| {
        let (key, value) = match line.trim().split_once(": ") {
            Some((key, value)) => (key, value),
            None => ("", line.trim().trim_start_matches("- ")),
        };
        let number = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
        number && key != "EventID" && !key.is_empty()
    });
    let listed_number = detection.lines().any(|line| {
        line.trim()
            .strip_prefix("- ")
            .is_some_and(|v| v.split_whitespace().next().is_some_and(|v| v.parse::<u64>().is_ok()))
    });
    !(bare_number
        || listed_number
        || [
            "null", "fieldref", "keyword", "'|all'", "?", "exists", ": true", ": false", "cidr",
            "Computer", "Message",
        ]
        .iter()
        .any(|word| detection.contains(word)))
}

#[test]
fn sigma_rust_agrees_where_it_follows_sigma() {
    let Some(root) = support::corpora() else { return };
    let loaded = detect::load(&support::sigmahq_rules(&root));
    let mut pairs: Vec<(&detect::Rule, sigma_rust::Rule)> = Vec::new();
    for rule in &loaded.rules {
        let text = fs::read_to_string(&rule.source().path).unwrap();
        if rule.logsource().product.as_deref() == Some("windows")
            && is_comparable(&text)
            && let Ok(peer) = sigma_rust::rule_from_yaml(&text)
        {
            pairs.push((rule, peer));
        }
    }
    let capture = root.join("captures/windows-attacks.ndjson.zst");
    let every: usize =
        std::env::var("DETECT_ORACLE_STEP").ok().and_then(|n| n.parse().ok()).unwrap_or(199);
    let (mut compared, mut fired, mut differing) = (0, 0, BTreeMap::<String, String>::new());
    let regression = support::files(&root.join("sigmahq/regression_data"), "evtx");
    let events = regression
        .iter()
        .flat_map(|path| support::windows_events(path, 1))
        .chain(support::windows_events(&capture, every));
    for event in events {
        let json = flat(&event);
        let theirs_event = sigma_rust::event_from_json(&json).unwrap();
        for (rule, peer) in &pairs {
            if !eval::is_offered(rule, &event) {
                continue;
            }
            let (ours, theirs) = (eval::holds(rule, &event), peer.is_match(&theirs_event));
            compared += 1;
            fired += usize::from(ours);
            if ours != theirs {
                let what = format!("ours {ours}: {}", json.chars().take(1_500).collect::<String>());
                differing.entry(format!("{} {}", rule.id(), rule.title())).or_insert(what);
            }
        }
    }
    println!("{} comparable rules, {compared} pairs, {fired} fired", pairs.len());
    assert!(differing.is_empty(), "{differing:#?}");
}
