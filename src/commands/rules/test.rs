//! Rules and correlations against the example events beside them.
//!
//! A rule must fire on a case exactly where `fires` says so, and on a case where it must not, no
//! other rule of level medium or above may fire either, unless `also_fires` names it by id. A
//! correlation must fire exactly where `fires` says so when the case's records arrive in turn,
//! matched against all rules of the run.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use detect::{Correlation, Correlator, Limits, Rule, Ruleset};
use event::{Contribution, Detection, Event, Level};
use ingest::formats::Formats;
use serde::Serialize;
use serde_json::json;

use super::{
    super::offline,
    cases::{self, Case},
};
use crate::{
    Exit, Failure,
    cli::{Global, Output},
    commands::load_config,
    config, print, rules,
};

/// Something that a file holds and that is tested: parts of correlations, which raise nothing of
/// their own, are not.
enum Subject {
    Rule(Arc<Rule>),
    Correlation(Arc<Correlation>),
}

impl Subject {
    fn id(&self) -> &str {
        match self {
            Self::Rule(rule) => rule.id(),
            Self::Correlation(correlation) => correlation.id(),
        }
    }

    fn title(&self) -> &str {
        match self {
            Self::Rule(rule) => rule.title(),
            Self::Correlation(correlation) => correlation.title(),
        }
    }
}

/// What a ruleset holds, by the file that it stands in.
fn by_file(ruleset: &Ruleset) -> BTreeMap<PathBuf, Vec<Subject>> {
    let mut files: BTreeMap<PathBuf, Vec<Subject>> = BTreeMap::new();
    for rule in ruleset.rules() {
        let path = rule.source().path.clone();
        files.entry(path).or_default().push(Subject::Rule(Arc::clone(rule)));
    }
    let correlations = ruleset.correlations();
    for correlation in correlations.rules() {
        if !correlations.is_quiet_correlation(correlation.id()) {
            let path = correlation.source().path.clone();
            files.entry(path).or_default().push(Subject::Correlation(Arc::clone(correlation)));
        }
    }
    files
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
        let ruleset = Ruleset::compile(loaded);
        let mut report = Self::default();
        for refusal in ruleset.refused() {
            let problem = format!("line {}: refused: {}", refusal.line, refusal.reason);
            report.file(&refusal.path, problem);
        }
        for (path, rules) in by_file(&ruleset) {
            report.rules += rules.len();
            let mut tested = BTreeSet::new();
            let tests = path.with_extension("test.json");
            match cases::read(&tests) {
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

/// Which of the rules beside a case it is about.
fn meant<'r>(rules: &'r [Subject], case: &Case) -> Result<&'r Subject, String> {
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

/// What fired on a case.
#[derive(Default)]
struct Fired {
    /// What is raised.
    detections: Vec<Detection>,
    /// Ids of rules that only feed correlations.
    quiet: BTreeSet<String>,
}

impl Fired {
    /// Matches the events as they arrive, and correlates what matched.
    fn on(ruleset: &Ruleset, events: &[Arc<Event>]) -> Self {
        let correlations = ruleset.correlations();
        let limits = Limits { metropole: Some(offline::commune()), ..Limits::default() };
        let mut correlator = Correlator::new(Arc::clone(correlations), limits);
        let mut fired = Self::default();
        for event in events {
            let found = ruleset.detect(std::slice::from_ref(event), event.received());
            for contribution in found.contributions {
                fired.quiet.insert(contribution.rule.clone());
                correlator.push(Arc::new(contribution), &mut fired.detections);
            }
            for detection in found.detections {
                if correlations.reads(&detection.rule.id) {
                    let contribution = Arc::new(Contribution::from(&detection));
                    correlator.push(contribution, &mut fired.detections);
                }
                fired.detections.push(detection);
            }
        }
        correlator.finish(&mut fired.detections);
        fired
    }

    fn has(&self, id: &str) -> bool {
        self.quiet.contains(id) || self.detections.iter().any(|one| one.rule.id == id)
    }
}

/// What is wrong with how `rule` and the others take `case`.
fn check(ruleset: &Ruleset, formats: &Formats, rule: &Subject, case: &Case) -> Option<String> {
    let events = match case.events(formats) {
        Ok(events) => events,
        Err(problem) => return Some(problem),
    };
    let found = Fired::on(ruleset, &events);
    let fired = found.has(rule.id());
    if fired != case.fires {
        return Some(format!(
            "{} should {}fire and {}; see why with `jacquemart rules explain`",
            rule.title(),
            if case.fires { "" } else { "not " },
            if fired { "does" } else { "does not" }
        ));
    }
    // The records of a correlation's case are what its rules fire on.
    if case.fires || matches!(rule, Subject::Correlation(_)) {
        return None;
    }
    let others: Vec<String> = found
        .detections
        .iter()
        .filter(|other| {
            other.rule.id != rule.id()
                && other.rule.level >= Level::Medium
                && !case.also_fires.contains(&other.rule.id)
        })
        .map(|other| format!("“{}” ({})", other.rule.name, other.rule.id))
        .collect();
    (!others.is_empty()).then(|| format!("fires another rule: {}", others.join(", ")))
}
