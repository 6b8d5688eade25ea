//! Loading: documents, duplicates, filters, refusals and warnings; and detections as raised.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{fs, path::Path, sync::Arc};

use detect::{Engine, Loaded, Scratch};
use event::{EntityKind, Event, EventBuilder, Level, Timestamp, fields};

fn parse(text: &str) -> Loaded {
    detect::parse(text, Path::new("rules.yml"))
}

const RULE: &str = "title: First
id: 0a1b2c3d-0000-4000-8000-000000000001
status: test
level: high
tags: [attack.t1059, attack.execution]
logsource: {product: windows, category: process_creation}
detection:
  s: {Image|endswith: '\\tool.exe'}
  condition: s
";

fn started(image: &str, user: &str, number: u64) -> Event {
    let raw = format!("{{\"Image\":{image:?}}}");
    let mut b =
        EventBuilder::new(support::record("windows", raw.into()), support::event_id(number));
    b.push_str(fields::EVENT_MODULE, "windows");
    b.push_str(fields::WINLOG_CHANNEL, "Microsoft-Windows-Sysmon/Operational");
    b.push_str(fields::EVENT_CODE, "1");
    b.push_str(fields::HOST_NAME, "PC-Chenove-01");
    b.push_str(fields::PROCESS_EXECUTABLE, image);
    b.push_str(fields::USER_FULL, user);
    b.build()
}

#[test]
fn a_bad_document_leaves_its_neighbours_whole() {
    let text = format!(
        "{RULE}---\ntitle: Broken\nlogsource: [\n---\ntitle: Counted\nid: 0a1b2c3d-0000-4000-8000-000000000002\nlogsource: {{product: windows}}\ndetection:\n  s: {{A: 1}}\n  condition: s | count() > 3\n---\ntitle: Bursts\ncorrelation:\n  type: event_count\n---\n# nothing\n---\ntitle: Last\nlogsource: {{product: windows, service: system}}\ndetection:\n  s: {{EventID: 7045}}\n  condition: s\n"
    );
    let loaded = parse(&text);
    let titles: Vec<_> = loaded.rules.iter().map(|rule| rule.title()).collect();
    assert!(titles.contains(&"First") && titles.contains(&"Last"), "{titles:?}");
    let refused: Vec<_> = loaded.refused.iter().map(ToString::to_string).collect();
    assert_eq!(refused.len(), 3, "{refused:?}");
    assert!(refused[0].contains("YAML"), "{refused:?}");
    assert!(refused[1].starts_with("rules.yml:19: "), "{refused:?}");
    assert_eq!(loaded.refused[1].title.as_deref(), Some("Counted"));
    assert!(refused[2].contains("correlation has no condition"), "{refused:?}");
}

#[test]
fn metadata_and_derived_ids() {
    let loaded = parse(RULE);
    let rule = &loaded.rules[0];
    assert_eq!((rule.level(), rule.status()), (Level::High, Some("test")));
    assert_eq!(rule.version().len(), 12);
    assert_eq!(rule.source().line, 1);
    assert_eq!(rule.rule_ref().tags, ["attack.t1059", "attack.execution"]);
    let without = RULE.replace("id: 0a1b2c3d-0000-4000-8000-000000000001\n", "");
    let (a, b) = (parse(&without), parse(&without.replace("level: high", "level: low")));
    assert_eq!(a.rules[0].id(), b.rules[0].id());
    assert_eq!(a.rules[0].id().len(), 36);
    assert_ne!(a.rules[0].version(), b.rules[0].version());
    for (from, to, reason) in [
        ("id: 0a1b2c3d", "id: oops", "no UUID"),
        ("level: high", "level: huge", "no level"),
        ("title: First", "name: x", "no title"),
        ("logsource: {product: windows, category: process_creation}", "x: 1", "no logsource"),
    ] {
        let loaded = parse(&RULE.replace(from, to));
        assert!(loaded.refused[0].reason.contains(reason), "{:?}", loaded.refused);
    }
}

#[test]
fn of_one_id_the_first_stands() {
    let same = parse(&format!("{RULE}---\n{}", RULE.replace('\n', "\r\n")));
    assert_eq!((same.rules.len(), same.refused.len()), (1, 0), "{:?}", same.refused);
    let other = parse(&format!("{RULE}---\n{}", RULE.replace("tool", "other")));
    assert_eq!(other.rules.len(), 1);
    assert!(other.refused[0].reason.contains("rules.yml:1"), "{:?}", other.refused);
}

#[test]
fn folders_are_walked_and_what_is_missing_is_said() {
    let folder = std::env::temp_dir().join(format!("detect-load-{}", std::process::id()));
    fs::create_dir_all(folder.join("b/c")).unwrap();
    fs::write(folder.join("b/c/one.yaml"), RULE).unwrap();
    fs::write(folder.join("a.yml"), [0xff, 0xfe]).unwrap();
    fs::write(folder.join("notes.txt"), "not: a rule").unwrap();
    let loaded = detect::load(&[folder.clone(), folder.join("missing")]);
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(loaded.rules.len(), 1);
    assert_eq!(loaded.refused.len(), 2, "{:?}", loaded.refused);
    assert!(loaded.refused.iter().any(|r| r.reason.contains("UTF-8")));
    assert!(loaded.refused.iter().any(|r| r.reason.contains("cannot be read")));
}

#[test]
fn what_no_feed_can_give_is_warned_of() {
    let loaded =
        parse(&RULE.replace("product: windows, category: process_creation", "product: zeek"));
    assert_eq!(loaded.rules.len(), 1);
    assert!(loaded.warnings[0].reason.contains("product: zeek"), "{:?}", loaded.warnings);
    let loaded = parse(&RULE.replace("Image|", "Imgae|"));
    assert!(
        loaded.warnings[0].reason.contains("\"Imgae\"")
            && loaded.warnings[0].reason.contains("did you mean \"Image\"?"),
        "{:?}",
        loaded.warnings
    );
    let loaded = parse(&RULE.replace("  condition: s", "  t: {Image: x}\n  condition: s"));
    assert!(loaded.warnings[0].reason.contains("selection \"t\""), "{:?}", loaded.warnings);
}

#[test]
fn filters_join_the_rules_they_name() {
    let filter = |rules: &str, logsource: &str| {
        format!(
            "{RULE}---\ntitle: Packaging\nlogsource: {{{logsource}}}\nfilter:\n  rules: {rules}\n  packager: {{User|endswith: '\\packager'}}\n  condition: not packager\n"
        )
    };
    let fires = |text: &str, user: &str| {
        let loaded = parse(text);
        assert!(loaded.refused.is_empty(), "{:?}", loaded.refused);
        let mut out = Vec::new();
        let engine = Engine::new(loaded.rules);
        engine.matches(&started("C:\\tool.exe", user, 1), &mut Scratch::new(), &mut out);
        (out.len() == 1, loaded.warnings.len())
    };
    let by_id = filter("[0A1B2C3D-0000-4000-8000-000000000001]", "product: windows");
    assert_eq!(fires(&by_id, "DIJON\\packager"), (false, 0));
    assert_eq!(fires(&by_id, "DIJON\\someone"), (true, 0));
    assert_eq!(fires(&filter("any", "category: process_creation"), "X\\packager"), (false, 0));
    assert_eq!(fires(&filter("any", "product: linux"), "X\\packager"), (true, 1));
    assert_eq!(
        fires(&filter("[11111111-0000-4000-8000-000000000001]", "product: windows"), "X\\packager"),
        (true, 1)
    );
    assert_ne!(parse(&by_id).rules[0].version(), parse(RULE).rules[0].version());
}

#[test]
fn detections_come_in_order_whatever_the_threads() {
    let text = format!(
        "{RULE}---\n{}",
        RULE.replace("000000000001", "000000000000").replace("First", "Second")
    );
    let engine = Engine::new(parse(&text).rules);
    let events: Vec<_> = (0..200)
        .map(|n| {
            let image = if n % 3 == 0 { "C:\\Temp\\TOOL.EXE" } else { "C:\\x.exe" };
            Arc::new(started(image, "DIJON\\Zoé", n))
        })
        .collect();
    let now = Timestamp::from_secs(5);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| engine.detect(&events, now))
    };
    let one = run(1);
    assert_eq!(one, run(4));
    assert_eq!(one.len(), 2 * 67);
    assert_eq!(one[0].rule.name, "Second");
    assert_eq!(one[1].rule.name, "First");
    let first = &one[0];
    assert_eq!((first.event_id, first.detected), (events[0].id(), now));
    assert_eq!(first.matched[0].field, "process.executable");
    assert_eq!(first.matched[0].value, "C:\\Temp\\TOOL.EXE");
    let entities: Vec<_> = first.entities.iter().map(|e| (e.kind, e.name.as_str())).collect();
    assert_eq!(entities, [(EntityKind::Host, "pc-chenove-01"), (EntityKind::User, "zoé")]);
    assert_eq!(first.event["process"]["executable"], "C:\\Temp\\TOOL.EXE");
}
