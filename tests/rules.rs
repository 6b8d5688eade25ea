//! Our own rules against the records that stand beside them, by `jacquemart rules test`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

fn rules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("rules")
}

fn rule_files() -> Vec<PathBuf> {
    let files = detect::files(&[rules()]);
    assert!(files.len() >= 200, "only {} rules found", files.len());
    files
}

#[test]
fn every_rule_fires_on_its_cases_and_only_there() {
    let run = Command::new(env!("CARGO_BIN_EXE_jacquemart"))
        .args(["rules", "test", "--strict", "-o", "json"])
        .arg(rules())
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&run.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&run.stderr));
    });
    let wrong: Vec<&Value> = report["outcomes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|outcome| !outcome["problem"].is_null())
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    for lacking in ["without_case_that_fires", "without_case_that_does_not"] {
        assert_eq!(report[lacking], serde_json::json!([]), "{lacking}");
    }
    assert_eq!(run.status.code(), Some(0));
    assert!(report["cases"].as_u64().unwrap() >= 2 * report["rules"].as_u64().unwrap());
    assert_eq!(report["rules"].as_u64().unwrap() as usize, rule_files().len());
}

#[test]
fn our_rules_have_no_flaw_that_loading_sees() {
    let loaded = detect::load(&[rules()]);
    let refused: Vec<String> = loaded.refused.iter().map(ToString::to_string).collect();
    assert_eq!(refused, Vec::<String>::new());
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn rules_say_what_analysts_need() {
    let mut ids = BTreeSet::new();
    for file in rule_files() {
        let text = fs::read_to_string(&file).unwrap();
        let place = file.display();
        let is_correlation = text.lines().any(|line| line == "correlation:");
        let source: &[&str] =
            if is_correlation { &["correlation:"] } else { &["logsource:", "detection:"] };
        let keys = [
            "title: ",
            "id: ",
            "status: ",
            "description: |",
            "references:",
            "author: Jacquemart",
            "date: ",
            "tags:",
            "falsepositives:",
            "level: ",
        ];
        for key in keys.iter().chain(source) {
            assert!(text.lines().any(|line| line.starts_with(key)), "{place} lacks {key:?}");
        }
        assert!(text.contains("Triage:"), "{place} does not say how to triage");
        assert!(text.contains("  - attack.t"), "{place} names no ATT&CK technique");
        for id in text.lines().filter_map(|line| line.strip_prefix("id: ")) {
            assert!(ids.insert(id.to_owned()), "{place} has another rule's id");
        }
    }
}
