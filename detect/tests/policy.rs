//! What communes make of matches: rules off and on, exceptions until they expire, other levels.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{path::Path, sync::Arc};

use detect::{
    Effect, ExceptionSource, Found, Policies, PolicySource, Rule, Ruleset, Selector,
    check_exception,
};
use event::{CommuneId, Event, EventBuilder, Level, Record, Timestamp, fields};

const TOOL: &str = "0a1b2c3d-0000-4000-8000-000000000001";
const SHELL: &str = "0a1b2c3d-0000-4000-8000-000000000002";

fn ruleset() -> Ruleset {
    let rule = |id: &str, name: &str, level: &str, tag: &str| {
        format!(
            "title: {name}\nid: {id}\nlevel: {level}\ntags: [{tag}]\nlogsource: {{product: windows, category: process_creation}}\ndetection:\n  s: {{Image|endswith: '\\{name}.exe'}}\n  condition: s\n"
        )
    };
    let text = format!(
        "{}---\n{}",
        rule(TOOL, "tool", "high", "attack.t1059.001"),
        rule(SHELL, "shell", "low", "attack.t1003")
    );
    let loaded = detect::parse(&text, Path::new("/etc/ours/windows/exec/all.yml"));
    assert_eq!((loaded.rules.len(), loaded.refused.len()), (2, 0), "{:?}", loaded.refused);
    Ruleset::compile(loaded)
}

fn commune(id: &str) -> CommuneId {
    CommuneId::new(id).unwrap()
}

fn started(of: &str, image: &str, user: &str, number: u64) -> Arc<Event> {
    let raw = format!("{{\"Image\":{image:?}}}");
    let record = Record { commune: commune(of), ..support::record("windows", raw.into()) };
    let mut b = EventBuilder::new(record, support::event_id(number));
    b.push_str(fields::EVENT_MODULE, "windows");
    b.push_str(fields::WINLOG_CHANNEL, "Microsoft-Windows-Sysmon/Operational");
    b.push_str(fields::EVENT_CODE, "1");
    b.push_str(fields::PROCESS_EXECUTABLE, image);
    b.push_str(fields::USER_FULL, user);
    Arc::new(b.build())
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(1_780_000_000 + seconds)
}

fn policy(
    of: &str,
    choices: &[(&str, Effect)],
    exceptions: &[(&str, &str, Timestamp)],
) -> PolicySource {
    PolicySource {
        commune: commune(of),
        choices: choices
            .iter()
            .map(|(selector, effect)| (selector.parse().unwrap(), *effect))
            .collect(),
        exceptions: exceptions
            .iter()
            .map(|(id, filter, expires)| ExceptionSource {
                id: (*id).to_owned(),
                filter: (*filter).to_owned(),
                expires: *expires,
            })
            .collect(),
    }
}

fn with(ruleset: &Ruleset, sources: Vec<PolicySource>) -> Ruleset {
    let (policies, unusable) = Policies::compile(sources, ruleset.rules());
    assert_eq!(unusable, []);
    ruleset.with_policies(policies)
}

/// What stands, as commune, rule and level.
fn stands(found: &Found) -> Vec<(&str, &str, Level)> {
    found
        .detections
        .iter()
        .map(|d| (d.commune.as_str(), d.rule.name.as_str(), d.rule.level))
        .collect()
}

fn suppressed(found: &Found) -> Vec<(String, String, Option<String>, u64)> {
    found
        .suppressed
        .iter()
        .map(|(s, count)| (s.commune.to_string(), s.rule.clone(), s.exception.clone(), *count))
        .collect()
}

#[test]
fn without_policies_everything_stands_as_the_engine_says() {
    let ruleset = ruleset();
    let events = [
        started("dijon", r"C:\tool.exe", r"D\a", 1),
        started("talant", r"C:\shell.exe", r"D\a", 2),
        started("talant", r"C:\other.exe", r"D\a", 3),
    ];
    let found = ruleset.detect(&events, at(0));
    assert_eq!(found.detections, ruleset.engine().detect(&events, at(0)));
    assert_eq!(stands(&found), [("dijon", "tool", Level::High), ("talant", "shell", Level::Low)]);
    assert!(found.suppressed.is_empty());
}

#[test]
fn a_policy_is_of_its_commune_alone_and_counts_what_it_takes() {
    let policies = vec![policy("dijon", &[(&format!("id:{TOOL}"), Effect::Disable)], &[])];
    let ruleset = with(&ruleset(), policies);
    let events = [
        started("dijon", r"C:\tool.exe", r"D\a", 1),
        started("talant", r"C:\tool.exe", r"D\a", 2),
        started("dijon", r"C:\tool.exe", r"D\a", 3),
        started("dijon", r"C:\shell.exe", r"D\a", 4),
    ];
    let found = ruleset.detect(&events, at(0));
    assert_eq!(stands(&found), [("talant", "tool", Level::High), ("dijon", "shell", Level::Low)]);
    assert_eq!(suppressed(&found), [("dijon".to_owned(), TOOL.to_owned(), None, 2)]);
    let rule = ruleset.entry(TOOL).unwrap();
    assert!(!ruleset.policies().is_enabled(&commune("dijon"), rule));
    assert!(ruleset.policies().is_enabled(&commune("talant"), rule));
}

#[test]
fn the_narrowest_choice_decides() {
    use Effect::{Disable, Enable};
    let id = format!("id:{TOOL}");
    // Choices, whether the tool's rule counts, and its level.
    type Choices<'a> = &'a [(&'a str, Effect)];
    let cases: &[(Choices<'_>, bool, Level)] = &[
        (&[("any", Disable)], false, Level::High),
        (&[("any", Disable), ("level:high", Enable)], true, Level::High),
        (&[("level:high", Enable), ("product:windows", Disable)], false, Level::High),
        (&[("folder:windows/exec", Enable), ("product:windows", Disable)], true, Level::High),
        (&[("folder:windows/exe", Disable)], true, Level::High),
        (&[("folder:linux", Disable), ("product:linux", Disable)], true, Level::High),
        (&[("tag:attack.t1059", Disable), ("folder:windows", Enable)], false, Level::High),
        (&[("tag:attack.t105", Disable)], true, Level::High),
        (&[("tag:ATTACK.T1059.001", Disable), (&id, Enable)], true, Level::High),
        (&[("tag:attack.t1059", Disable), ("tag:attack.t1059.001", Enable)], false, Level::High),
        (&[("any", Effect::Level(Level::Low))], true, Level::Low),
        (
            &[("any", Effect::Level(Level::Low)), (&id, Effect::Level(Level::Critical))],
            true,
            Level::Critical,
        ),
        (&[(&id, Effect::Level(Level::Low)), ("any", Disable)], false, Level::Low),
    ];
    let plain = ruleset();
    for (choices, enabled, level) in cases {
        let ruleset = with(&plain, vec![policy("dijon", choices, &[])]);
        let found = ruleset.detect(&[started("dijon", r"C:\tool.exe", r"D\a", 1)], at(0));
        assert_eq!(found.detections.len(), usize::from(*enabled), "{choices:?}");
        assert!(found.detections.iter().all(|d| d.rule.level == *level), "{choices:?}");
        let rule = ruleset.entry(TOOL).unwrap();
        assert_eq!(ruleset.policies().level(&commune("dijon"), rule), *level, "{choices:?}");
    }
}

fn filter(rules: &str, user: &str) -> String {
    format!(
        "title: The inventory tool\nlogsource: {{product: windows, category: process_creation}}\nfilter:\n  rules: {rules}\n  tool: {{User: '{user}'}}\n  condition: not tool\n"
    )
}

#[test]
fn an_exception_holds_until_it_expires() {
    let text = filter(&format!("[{TOOL}]"), r"D\svc-inventory");
    let ruleset = with(&ruleset(), vec![policy("dijon", &[], &[("e1", &text, at(60))])]);
    let events = [
        started("dijon", r"C:\tool.exe", r"D\svc-inventory", 1),
        started("dijon", r"C:\tool.exe", r"D\eve", 2),
        started("dijon", r"C:\shell.exe", r"D\svc-inventory", 3),
        started("talant", r"C:\tool.exe", r"D\svc-inventory", 4),
    ];
    for (now, held) in [(at(0), true), (at(59), true), (at(60), false), (at(9_999), false)] {
        let found = ruleset.detect(&events, now);
        assert_eq!(found.detections.len(), if held { 3 } else { 4 }, "{now}");
        let taken = [("dijon".to_owned(), TOOL.to_owned(), Some("e1".to_owned()), 1)];
        assert_eq!(suppressed(&found), if held { &taken[..] } else { &[] }, "{now}");
        assert_eq!(found.detections[0].event_id == events[0].id(), !held, "{now}");
    }
    let any = filter("any", r"D\svc-inventory");
    let ruleset = with(&ruleset, vec![policy("dijon", &[], &[("e2", &any, at(60))])]);
    assert_eq!(ruleset.detect(&events, at(0)).detections.len(), 2);
}

#[test]
fn a_bad_exception_is_refused_with_its_line() {
    let rules: Vec<Arc<Rule>> = ruleset().rules().to_vec();
    let good = check_exception(&filter(&format!("[{TOOL}]"), "x"), &rules).unwrap();
    assert_eq!((good.title.as_str(), good.rules), ("The inventory tool", vec![TOOL.to_owned()]));
    assert_eq!(check_exception(&filter("any", "x"), &rules).unwrap().rules.len(), 2);
    let named = filter(&format!("[{TOOL}]"), "x");
    for (text, line, reason) in [
        (String::new(), 0, "no filter"),
        ("title: [".to_owned(), 2, "YAML"),
        (filter("[nobody]", "x"), 1, "no rule \"nobody\""),
        (named.replace("windows, category: process_creation", "linux"), 1, "does not cover"),
        (
            filter("any", "x").replace("windows, category: process_creation", "linux"),
            1,
            "no rule in force",
        ),
        (named.replace("not tool", "not spoon"), 6, "spoon"),
        (named.replace("User:", "User|nonsense:"), 5, "nonsense"),
        (format!("{named}---\n{named}"), 8, "second filter"),
        (
            "title: x\nlogsource: {product: windows}\ndetection: {s: {A: 1}, condition: s}\n"
                .to_owned(),
            1,
            "detection rule",
        ),
    ] {
        let refused = check_exception(&text, &rules).unwrap_err();
        assert!(refused.reason.contains(reason), "{refused:?}: {reason}");
        assert_eq!(refused.line, line, "{refused:?}");
    }
}

#[test]
fn what_can_not_be_used_any_more_leaves_the_rest() {
    let gone = filter("[00000000-0000-4000-8000-00000000dead]", "x");
    let source =
        policy("dijon", &[(&format!("id:{TOOL}"), Effect::Disable)], &[("e1", &gone, at(9))]);
    let ruleset = ruleset();
    let (policies, unusable) = Policies::compile(vec![source], ruleset.rules());
    assert_eq!(unusable.len(), 1);
    assert_eq!((unusable[0].exception.as_str(), &unusable[0].commune), ("e1", &commune("dijon")));
    let ruleset = ruleset.with_policies(policies);
    let events = [started("dijon", r"C:\tool.exe", r"D\a", 1)];
    assert!(ruleset.detect(&events, at(0)).detections.is_empty());
}

#[test]
fn selectors_have_one_spelling() {
    for (text, usual) in [
        ("any", "any"),
        ("id:0A1B2C3D-0000-4000-8000-000000000001", &*format!("id:{TOOL}")),
        ("tag:attack.T1059", "tag:attack.t1059"),
        ("folder:/windows/exec/", "folder:windows/exec"),
        ("product:Windows", "product:windows"),
        ("level:low", "level:low"),
    ] {
        assert_eq!(text.parse::<Selector>().unwrap().to_string(), usual);
    }
    for bad in ["", "all", "id:", "level:loud", "folder:../x", "folder:/", "x:y", "tag:\u{7}"] {
        assert!(bad.parse::<Selector>().is_err(), "{bad:?}");
    }
}
