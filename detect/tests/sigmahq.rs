//! SigmaHQ's rules: that they load, and what their regression events do.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use detect::{Engine, Scratch, eval};

#[test]
fn nearly_all_rules_load_and_each_refusal_says_why() {
    let Some(root) = support::corpora() else { return };
    let start = Instant::now();
    let loaded = detect::load(&support::sigmahq_rules(&root));
    let (rules, refused) = (loaded.rules.len(), loaded.refused.len());
    let load = start.elapsed();
    for refusal in &loaded.refused {
        println!("refused: {refusal}");
        assert!(refusal.line > 0 && !refusal.reason.is_empty());
    }
    let start = Instant::now();
    let engine = Engine::new(loaded.rules);
    println!(
        "{rules} rules loaded in {load:?}, {refused} refused, {} warnings; compiled in {:?} to {} KiB",
        loaded.warnings.len(),
        start.elapsed(),
        engine.memory_bytes() >> 10
    );
    assert!(refused * 1000 <= (rules + refused) * 2, "more than 0.2 % refused");
}

/// A folder of a rule's regression events.
struct Case {
    rule: String,
    folder: PathBuf,
    count: usize,
}

fn cases(folder: &Path, found: &mut Vec<Case>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            cases(&path, found);
        } else if path.file_name().is_some_and(|name| name == "info.yml") {
            let text = fs::read_to_string(&path).unwrap();
            let value = |key: &str| {
                text.lines().find_map(|line| {
                    let line = line.trim().trim_start_matches("- ");
                    line.strip_prefix(key).map(|rest| rest.trim().to_owned())
                })
            };
            // The first id is the case's own; the rule's follows under `rule_metadata`.
            let rule = text
                .split("rule_metadata")
                .nth(1)
                .and_then(|rest| rest.lines().find_map(|line| line.trim().strip_prefix("- id:")));
            found.push(Case {
                rule: rule.unwrap().trim().to_owned(),
                folder: folder.to_owned(),
                count: value("match_count:").and_then(|n| n.parse().ok()).unwrap_or(1),
            });
        }
    }
}

/// Each regression file fires its rule as often as upstream expects, and on each of its
/// events the engine and the plain evaluator agree about every rule.
#[test]
fn regression_events_fire_their_rules() {
    let Some(root) = support::corpora() else { return };
    let loaded = detect::load(&support::sigmahq_rules(&root));
    let engine = Engine::new(loaded.rules);
    let mut found = Vec::new();
    cases(&root.join("sigmahq/regression_data"), &mut found);
    let (mut files, mut events, mut wrong) = (0, 0, Vec::new());
    let mut others: BTreeMap<String, usize> = BTreeMap::new();
    let (mut scratch, mut matches) = (Scratch::new(), Vec::new());
    for case in &found {
        let mut paths: Vec<_> =
            fs::read_dir(&case.folder).unwrap().map(|e| e.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            let json = path.extension().is_some_and(|e| e == "json");
            if !json && path.extension().is_none_or(|e| e != "evtx") {
                continue;
            }
            files += 1;
            let mut fired = 0;
            for event in support::windows_events(&path, 1) {
                events += 1;
                engine.matches(&event, &mut scratch, &mut matches);
                let got: BTreeSet<&str> = matches.iter().map(|m| m.rule.id()).collect();
                let meant: BTreeSet<&str> = engine
                    .rules()
                    .iter()
                    .filter(|rule| eval::is_offered(rule, &event) && eval::holds(rule, &event))
                    .map(|rule| rule.id())
                    .collect();
                assert_eq!(got, meant, "{event:?}");
                for id in got {
                    if id == case.rule {
                        fired += 1;
                    } else {
                        *others.entry(id.to_owned()).or_default() += 1;
                    }
                }
                matches.clear();
            }
            let expected = if json { 1 } else { case.count };
            if fired < expected {
                wrong.push(format!("{}: {fired} of {expected} for {}", path.display(), case.rule));
            }
        }
    }
    println!("{files} files, {events} events; other rules fired: {others:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// On events of recorded attacks, taken evenly, engine and plain evaluator agree about every rule
/// that is offered them: a quarter of a million pairs; `DETECT_CAPTURE_STEP=10` makes a million,
/// `1` takes all events.
#[test]
fn captured_events_fire_what_the_plain_evaluator_says() {
    let Some(root) = support::corpora() else { return };
    let step = std::env::var("DETECT_CAPTURE_STEP").ok().and_then(|n| n.parse().ok()).unwrap_or(41);
    let engine = Engine::new(detect::load(&support::sigmahq_rules(&root)).rules);
    let capture = root.join("captures/windows-attacks.ndjson.zst");
    let (mut events, mut pairs, mut fired) = (0, 0, 0);
    let (mut scratch, mut matches) = (Scratch::new(), Vec::new());
    let mut differing = Vec::new();
    for event in support::windows_events(&capture, step) {
        events += 1;
        engine.matches(&event, &mut scratch, &mut matches);
        let got: Vec<&str> = matches.iter().map(|m| m.rule.id()).collect();
        let offered = engine.rules().iter().filter(|rule| eval::is_offered(rule, &event));
        let meant: Vec<&str> = offered
            .inspect(|_| pairs += 1)
            .filter(|rule| eval::holds(rule, &event))
            .map(|rule| rule.id())
            .collect();
        fired += meant.len();
        if got != meant {
            differing.push(format!("engine {got:?}, plain {meant:?}: {event:?}"));
        }
        matches.clear();
    }
    println!("{events} events, {pairs} pairs, {fired} fire");
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    assert!(pairs * step >= 10_000_000 && fired > 0, "{pairs}");
}
