//! Our own rules against the records that stand beside them.
//!
//! `rules/**/x.yml` has `x.test.json` beside it: `{"cases": [{"format", "fires", "record"}]}` with
//! raw records in the vendor's shape. A rule must fire on a case exactly where `fires` says so,
//! and on a case where it must not, no other rule of level medium or above may fire either,
//! unless `also_fires` names it by id.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use detect::Engine;
use event::{
    BusId, CommuneId, Decode as _, Event, EventId, FeedId, FormatName, Level, Record, Timestamp,
};
use ingest::formats::Formats;
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    format: FormatName,
    fires: bool,
    /// What this case is about, for people.
    #[serde(default)]
    why: String,
    #[serde(default)]
    also_fires: BTreeSet<String>,
    record: Box<RawValue>,
}

fn rule_files() -> Vec<PathBuf> {
    fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "yml") {
                files.push(path);
            }
        }
    }
    let mut files = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("rules"), &mut files);
    files.sort();
    files
}

/// The record's bytes as the vendor sends them: a JSON object as it stands here, a line of text
/// as the text of a JSON string.
fn raw(record: &RawValue) -> Bytes {
    match serde_json::from_str::<String>(record.get()) {
        Ok(line) => Bytes::from(line),
        Err(_) => Bytes::copy_from_slice(record.get().as_bytes()),
    }
}

fn decode(formats: &Formats, case: &Case, number: u64) -> Event {
    let record = Record {
        commune: CommuneId::new("dijon").unwrap(),
        feed: FeedId::new("cases").unwrap(),
        format: case.format.clone(),
        received: Timestamp::now(),
        raw: raw(&case.record),
    };
    let id = EventId::of(BusId::from_bytes([0; 16]), 0, number, Timestamp::from_millis(0));
    formats.decode(record, id)
}

fn cases_of(rule: &Path) -> Cases {
    let path = rule.with_extension("test.json");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!("{}: every rule has its test events: {error}", path.display())
    });
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_rule_fires_on_its_cases_and_only_there() {
    let files = rule_files();
    assert!(files.len() >= 20, "only {} rules found", files.len());
    let loaded = detect::load(&files);
    let refused: Vec<String> = loaded.refused.iter().map(ToString::to_string).collect();
    assert_eq!(refused, Vec::<String>::new());
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, Vec::<String>::new());
    let engine = Engine::new(loaded.rules);
    let formats = Formats::builtin();

    let mut wrong = Vec::new();
    let mut count = 0;
    for file in &files {
        let own = detect::load(std::slice::from_ref(file));
        let [rule] = own.rules.as_slice() else { panic!("{} holds one rule", file.display()) };
        let cases = cases_of(file).cases;
        for fires in [true, false] {
            assert!(
                cases.iter().any(|case| case.fires == fires),
                "{} needs a case with fires: {fires}",
                file.display()
            );
        }
        for (number, case) in (1..).zip(&cases) {
            count += 1;
            let event = Arc::new(decode(&formats, case, number));
            let place = format!("{} case {number} ({})", file.display(), case.why);
            if event.is_pipeline_error() {
                wrong.push(format!("{place}: can't be decoded: {event:?}"));
                continue;
            }
            let detections = engine.detect(&[Arc::clone(&event)], Timestamp::now());
            let fired = detections.iter().any(|detection| detection.rule.id == rule.id());
            if fired != case.fires {
                wrong.push(format!(
                    "{place}: fires is {}, but it {} on {event:?}",
                    case.fires,
                    if fired { "fired" } else { "did not" }
                ));
            }
            if case.fires {
                continue;
            }
            for other in detections {
                if other.rule.id != rule.id()
                    && other.rule.level >= Level::Medium
                    && !case.also_fires.contains(&other.rule.id)
                {
                    wrong.push(format!("{place}: “{}” fires on it", other.rule.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count} cases are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn rules_say_what_analysts_need() {
    let mut ids = BTreeSet::new();
    for file in rule_files() {
        let text = fs::read_to_string(&file).unwrap();
        let place = file.display();
        for key in [
            "title: ",
            "id: ",
            "status: ",
            "description: |",
            "references:",
            "author: Jacquemart",
            "date: ",
            "tags:",
            "logsource:",
            "detection:",
            "falsepositives:",
            "level: ",
        ] {
            assert!(text.lines().any(|line| line.starts_with(key)), "{place} lacks {key:?}");
        }
        assert!(text.contains("Triage:"), "{place} does not say how to triage");
        assert!(text.contains("  - attack.t"), "{place} names no ATT&CK technique");
        let id =
            text.lines().find_map(|line| line.strip_prefix("id: ")).unwrap_or_default().to_owned();
        assert!(ids.insert(id), "{place} has another rule's id");
    }
}
