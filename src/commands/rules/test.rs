//! Rules against the example events beside them.
//!
//! `x.yml` has `x.test.json` beside it: `{"cases": [{"format", "fires", "record", …}]}` with raw
//! records in the vendor's shape. A rule must fire on a case exactly where `fires` says so, and
//! on a case where it must not, no other rule of level medium or above may fire either, unless
//! `also_fires` names it by id.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use detect::{Rule, Ruleset};
use event::{FormatName, Level, Timestamp};
use ingest::formats::Formats;
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};

use super::super::offline::{self, Origin};
use crate::{
    Exit, Failure,
    cli::{Global, Output},
    commands::load_config,
    config, print, rules,
};

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
    /// Which rule of the file is meant, where it holds several.
    #[serde(default)]
    rule: Option<String>,
    /// What this case is about, for people.
    #[serde(default)]
    why: String,
    #[serde(default)]
    also_fires: BTreeSet<String>,
    record: Box<RawValue>,
}

/// How a case went.
#[derive(Serialize)]
struct Outcome {
    path: PathBuf,
    /// Its number in the file, from 1; 0 where the whole file is meant.
    case: usize,
    rule: Option<String>,
    why: String,
    /// What is wrong; `None` where it went as it says.
    problem: Option<String>,
}

/// How all went.
#[derive(Default)]
struct Report {
    outcomes: Vec<Outcome>,
    /// Rules without a case that fires, and those without one that does not.
    never_firing: Vec<String>,
    always_firing: Vec<String>,
    rules: usize,
}

pub(super) fn run(
    global: &Global,
    paths: &[PathBuf],
    strict: bool,
    verbose: bool,
) -> Result<Exit, Failure> {
    for path in paths {
        if !path.exists() {
            return Err(Failure::usage(format!("{} does not exist", path.display())));
        }
    }
    let config = load_config(global)?.rules;
    let config = config::Rules { builtin: false, paths: paths.to_vec(), ..config };
    let report = Report::of(&config, &offline::formats(global)?);
    let failed = report.outcomes.iter().filter(|outcome| outcome.problem.is_some()).count();
    match global.output {
        Output::Json => print::json(&json!({
            "rules": report.rules,
            "cases": report.outcomes.iter().filter(|outcome| outcome.case > 0).count(),
            "failed": failed,
            "outcomes": report.outcomes,
            "without_case_that_fires": report.never_firing,
            "without_case_that_does_not": report.always_firing,
        }))?,
        Output::Table => report.print(strict, verbose, failed)?,
    }
    let untested = !report.never_firing.is_empty() || !report.always_firing.is_empty();
    Ok(if failed > 0 || strict && untested { Exit::Found } else { Exit::Done })
}

impl Report {
    fn of(config: &config::Rules, formats: &Formats) -> Self {
        let loaded = rules::load_as(config);
        let mut report = Self { rules: loaded.rules.len(), ..Self::default() };
        for refusal in &loaded.refused {
            let problem = format!("line {}: refused: {}", refusal.line, refusal.reason);
            report.file(&refusal.path, problem);
        }
        let ruleset = Ruleset::compile(loaded);
        let mut by_file: BTreeMap<PathBuf, Vec<Arc<Rule>>> = BTreeMap::new();
        for rule in ruleset.rules() {
            by_file.entry(rule.source().path.clone()).or_default().push(Arc::clone(rule));
        }
        for (path, rules) in by_file {
            let mut tested = BTreeSet::new();
            let tests = path.with_extension("test.json");
            match cases(&tests) {
                Ok(cases) => {
                    for (number, case) in (1..).zip(cases) {
                        let (rule, problem) = match meant(&rules, &case) {
                            Ok(rule) => {
                                tested.insert((rule.id().to_owned(), case.fires));
                                (Some(rule.id().to_owned()), check(&ruleset, formats, rule, &case))
                            }
                            Err(problem) => (case.rule.clone(), Some(problem)),
                        };
                        let (path, why) = (tests.clone(), case.why);
                        report.outcomes.push(Outcome { path, case: number, rule, why, problem });
                    }
                }
                Err(None) => {}
                Err(Some(problem)) => report.file(&tests, problem),
            }
            for rule in rules {
                let about = || format!("{} ({})", rule.title(), path.display());
                if !tested.contains(&(rule.id().to_owned(), true)) {
                    report.never_firing.push(about());
                }
                if !tested.contains(&(rule.id().to_owned(), false)) {
                    report.always_firing.push(about());
                }
            }
        }
        report
    }

    fn file(&mut self, path: &Path, problem: String) {
        self.outcomes.push(Outcome {
            path: path.to_owned(),
            case: 0,
            rule: None,
            why: String::new(),
            problem: Some(problem),
        });
    }

    fn print(&self, strict: bool, verbose: bool, failed: usize) -> io::Result<()> {
        for outcome in &self.outcomes {
            let place =
                format!("{} case {} ({})", outcome.path.display(), outcome.case, outcome.why);
            match &outcome.problem {
                Some(problem) => {
                    print::outln!("failed  {}: {}", print::safe(&place), print::safe(problem));
                }
                None if verbose => print::outln!("passed  {}", print::safe(&place)),
                None => {}
            }
        }
        if strict || verbose {
            for rule in &self.never_firing {
                print::outln!("lacks   a case that fires: {}", print::safe(rule));
            }
            for rule in &self.always_firing {
                print::outln!("lacks   a case that does not fire: {}", print::safe(rule));
            }
        }
        print::outln!(
            "{} rules, {} cases, {failed} failed; {} rules lack a case that fires, {} one that does not",
            self.rules,
            self.outcomes.iter().filter(|outcome| outcome.case > 0).count(),
            self.never_firing.len(),
            self.always_firing.len()
        );
        Ok(())
    }
}

/// The cases in a file; `None` where there is no such file.
fn cases(path: &Path) -> Result<Vec<Case>, Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => serde_json::from_str::<Cases>(&text)
            .map(|cases| cases.cases)
            .map_err(|error| Some(format!("cannot be read: {error}"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(None),
        Err(error) => Err(Some(format!("cannot be read: {error}"))),
    }
}

/// Which of the rules beside a case it is about.
fn meant<'r>(rules: &'r [Arc<Rule>], case: &Case) -> Result<&'r Arc<Rule>, String> {
    match (&case.rule, rules) {
        (None, [only]) => Ok(only),
        (None, _) => Err(format!(
            "the file holds {} rules; name the one that is meant as \"rule\": its id",
            rules.len()
        )),
        (Some(id), _) => rules
            .iter()
            .find(|rule| rule.id().eq_ignore_ascii_case(id))
            .ok_or_else(|| format!("the file holds no rule of id {id}")),
    }
}

/// The record's bytes as the vendor sends them: a JSON object as it stands here, a line of text
/// as the text of a JSON string.
fn raw(record: &RawValue) -> Bytes {
    match serde_json::from_str::<String>(record.get()) {
        Ok(line) => Bytes::from(line),
        Err(_) => Bytes::copy_from_slice(record.get().as_bytes()),
    }
}

/// What is wrong with how `rule` and the others take `case`.
fn check(ruleset: &Ruleset, formats: &Formats, rule: &Rule, case: &Case) -> Option<String> {
    if formats.get(case.format.as_str()).is_none() {
        let names = formats.names().join(", ");
        return Some(format!("there is no format {}; there are {names}", case.format));
    }
    let raw = raw(&case.record);
    let event = Arc::new(Origin::new(case.format.clone()).decode(formats, 0, 1, raw));
    if event.is_pipeline_error() {
        return Some(format!("the record can't be decoded: {}", event.to_json()["error"]));
    }
    let found = ruleset.detect(&[Arc::clone(&event)], Timestamp::now()).detections;
    let fired = found.iter().any(|detection| detection.rule.id == rule.id());
    if fired != case.fires {
        return Some(format!(
            "{} should {}fire and {}; see why with `jacquemart rules explain`",
            rule.title(),
            if case.fires { "" } else { "not " },
            if fired { "does" } else { "does not" }
        ));
    }
    let others: Vec<String> = found
        .iter()
        .filter(|other| {
            !case.fires
                && other.rule.id != rule.id()
                && other.rule.level >= Level::Medium
                && !case.also_fires.contains(&other.rule.id)
        })
        .map(|other| format!("“{}” ({})", other.rule.name, other.rule.id))
        .collect();
    (!others.is_empty()).then(|| format!("fires another rule: {}", others.join(", ")))
}
