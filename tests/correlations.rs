//! Correlations through the running centre and through files.

#![expect(clippy::unwrap_used, reason = "a test ends where something it needs is not there")]

mod support;

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::Value;
use support::{Centre, process_event};

const RULES: &str = "
title: Discovery
id: 10000000-0000-4000-8000-000000000001
name: discovery
logsource: {category: process_creation, product: windows}
detection: {s: {CommandLine|contains: discovery-mark}, condition: s}
level: high
---
title: Exfiltration
id: 10000000-0000-4000-8000-000000000002
name: exfiltration
logsource: {category: process_creation, product: windows}
detection: {s: {CommandLine|contains: exfiltration-mark}, condition: s}
level: high
---
title: Much discovery
id: 10000000-0000-4000-8000-000000000003
name: much_discovery
correlation: {type: event_count, rules: [discovery], group-by: [Computer], timespan: 10m, condition: {gte: 3}}
---
title: Discovery then exfiltration
id: 10000000-0000-4000-8000-000000000004
level: critical
correlation: {type: temporal_ordered, rules: [much_discovery, exfiltration], group-by: [Computer], timespan: 1h}
---
title: The same tool in two communes
id: 10000000-0000-4000-8000-000000000005
level: high
jacquemart: {scope: metropole}
correlation: {type: value_count, rules: [exfiltration], group-by: [Image], timespan: 1h, condition: {field: Computer, gte: 2}}
";

fn centre() -> Centre {
    let centre = Centre::new("[correlate]\nlateness_ms = 300\nsnapshot_s = 1\n");
    fs::create_dir(centre.path("rules")).unwrap();
    fs::write(centre.path("rules/all.yml"), RULES).unwrap();
    let config = fs::read_to_string(centre.path("jacquemart.toml")).unwrap();
    let rules = format!("[rules]\nbuiltin = false\npaths = [{:?}]\n", centre.path("rules"));
    fs::write(centre.path("jacquemart.toml"), config + &rules).unwrap();
    centre
}

fn post(centre: &Centre, key: &str, events: &[Value]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let body: String = events.iter().map(|event| format!("{event}\n")).collect();
    runtime.block_on(async {
        let url = format!("{}/ingest", centre.ingest);
        let http = reqwest::Client::new();
        let answer = http.post(url).bearer_auth(key).body(body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    });
}

fn incidents(centre: &Centre) -> Vec<Value> {
    let listed = centre.json(&["incident", "list"]);
    let items = listed.get("items").unwrap_or(&listed);
    items.as_array().unwrap().clone()
}

fn wait_for(centre: &Centre, count: usize) -> Vec<Value> {
    let until = Instant::now() + Duration::from_secs(40);
    loop {
        let found = incidents(centre);
        if found.len() >= count {
            return found;
        }
        assert!(Instant::now() < until, "{found:?}\n{}", centre.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn chained_rules_raise_one_incident_that_shows_its_window() {
    let mut centre = centre();
    let dijon = centre.onboard("dijon", "dijon-pc", "windows");
    let talant = centre.onboard("talant", "talant-pc", "windows");
    centre.start();
    let discovery: Vec<Value> =
        (0..3).map(|n| process_event("pc-1", &format!("discovery-mark {n}"))).collect();
    post(&centre, &dijon, &discovery);
    // The state survives an orderly end as well as a crash.
    std::thread::sleep(Duration::from_millis(1_500));
    centre.stop();
    centre.start();
    post(&centre, &dijon, &[process_event("pc-1", "exfiltration-mark")]);
    let found = wait_for(&centre, 1);
    assert_eq!(found.len(), 1, "the rules themselves raise nothing: {found:?}");
    assert_eq!(found[0]["title"], "Discovery then exfiltration — pc-1");
    assert_eq!(found[0]["severity"], "critical");
    let id = found[0]["id"].as_str().unwrap();
    let shown = centre.json(&["incident", "show", id]);
    let detection = &shown["detections"]["items"][0];
    let correlation = &detection["correlation"];
    assert_eq!(correlation["kind"], "temporal_ordered");
    assert_eq!(correlation["group"][0]["field"], "Computer");
    assert_eq!(correlation["events"].as_array().unwrap().len(), 2);
    assert_eq!(correlation["rules"][0]["name"], "Much discovery");
    let printed = centre.run(&["incident", "show", id]);
    let text = String::from_utf8_lossy(&printed.stdout).into_owned();
    for part in ["temporal_ordered", "1 × Much discovery", "1 × Exfiltration", "Computer = "] {
        assert!(text.contains(part), "{part}: {text}");
    }

    // The same tool elsewhere is the Métropole's affair and leaves no trace in the commune's own.
    post(&centre, &talant, &[process_event("pc-9", "exfiltration-mark")]);
    let found = wait_for(&centre, 2);
    let wide = found.iter().find(|incident| incident["commune"] == "metropole").unwrap();
    assert_eq!(wide["title"], "The same tool in two communes — pc-1");
    let shown = centre.json(&["incident", "show", wide["id"].as_str().unwrap()]);
    let correlation = &shown["detections"]["items"][0]["correlation"];
    assert_eq!(correlation["communes"], serde_json::json!(["dijon", "talant"]));
    assert!(!found.iter().any(|incident| incident["commune"] == "talant"));
    let own = found.iter().find(|incident| incident["commune"] == "dijon").unwrap();
    assert!(!own.to_string().contains("pc-9") && !own.to_string().contains("talant"), "{own}");

    centre.stop();
}

#[test]
fn files_are_correlated_whatever_their_order() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("rules.yml"), RULES).unwrap();
    let event = |minute: u32, mark: &str| {
        let mut event = process_event("pc-1", mark);
        event["UtcTime"] = format!("2026-03-03 08:{minute:02}:00.000").into();
        format!("{event}\n")
    };
    fs::write(dir.path().join("late.ndjson"), event(9, "exfiltration-mark")).unwrap();
    let early: String = [3, 1, 2].map(|minute| event(minute, "discovery-mark")).concat();
    fs::write(dir.path().join("early.ndjson"), early).unwrap();
    let run = || {
        let output = std::process::Command::new(support::JACQUEMART)
            .current_dir(dir.path())
            .args(["detect", "--rules", "rules.yml", "--format", "windows"])
            .args(["late.ndjson", "early.ndjson"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let first = run();
    let lines: Vec<Value> = String::from_utf8_lossy(&first)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["rule"]["name"], "Discovery then exfiltration");
    assert_eq!(lines[0]["log"]["file"]["path"], "late.ndjson");
    assert_eq!(lines[0]["correlation"]["from"], "2026-03-03T07:09:00Z");
    assert_eq!(run(), first);
}
