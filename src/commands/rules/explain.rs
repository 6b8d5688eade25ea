//! Why a rule fires on an event, or why it does not; of correlations see
//! [`explain_correlation`](super::explain_correlation).

use std::{
    io::{self, IsTerminal as _, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use detect::{Explanation, Line, Loaded, Part, PartKind, Rule, Ruleset};
use ingest::capture::{Capture, CaptureError};
use serde_json::{Value, json};

use super::{
    super::offline::{self, Origin},
    explain_correlation::Matched,
};
use crate::{
    Exit, Failure,
    cli::{Global, Output, rules::Explain},
    commands::load_config,
    config,
    print::{self, safe},
    rules,
};

/// Events that are explained at most, where nothing else is said.
const EVENTS_MAX: usize = 10;
/// Events that a correlation is explained on.
const CORRELATED_EVENTS_MAX: usize = 100_000;

const GREEN: &str = "\u{1b}[32m";
const RED: &str = "\u{1b}[31m";
const PLAIN: &str = "\u{1b}[0m";

pub(super) fn run(global: &Global, args: &Explain) -> Result<Exit, Failure> {
    let formats = offline::formats(global)?;
    offline::known_format(&formats, &args.format)?;
    let rules_config = load_config(global)?.rules;
    let origin = Origin::new(args.format.clone());
    let Meant { rules, correlations, loaded } = find(&args.rule, &args.rules, &rules_config)?;
    let most = if correlations.is_empty() { EVENTS_MAX } else { CORRELATED_EVENTS_MAX };
    // Read once, as it may be stdin.
    let events = Capture::open(&args.event)?
        .zip(1..)
        .take(args.limit.unwrap_or(most))
        .map(|(item, number)| Ok(Arc::new(origin.decode(&formats, 0, number, item?.raw))))
        .collect::<Result<Vec<_>, CaptureError>>()?;
    let (placeholders, _) = rules::placeholders(rules_config.placeholders.as_deref());
    let mut told = Vec::new();
    let mut fires = false;
    let mut out = io::stdout().lock();
    let colours = out.is_terminal();
    for (number, event) in (1..).zip(&events).take(args.limit.unwrap_or(EVENTS_MAX)) {
        for rule in &rules {
            let explanation = detect::explain(rule, event, &placeholders)
                .ok_or_else(|| anyhow::anyhow!("failed to read the rule's text again"))?;
            fires |= explanation.fires;
            match global.output {
                Output::Json => told.push(as_json(rule, number, event, &explanation)),
                Output::Table => {
                    let mut page = Page { out: &mut out, colours };
                    page.explanation(rule, number, event, &explanation)?;
                }
            }
        }
    }
    drop(out);
    let mut of_correlations = Vec::new();
    if !correlations.is_empty() {
        let ruleset = Ruleset::compile(loaded);
        fires |=
            self::correlations(global, &correlations, &ruleset, &events, &mut of_correlations)?;
    }
    if global.output == Output::Json {
        print::json(&json!({"explanations": told, "correlations": of_correlations}))?;
    }
    Ok(if fires { Exit::Found } else { Exit::Done })
}

/// What is to be explained.
struct Meant {
    rules: Vec<Arc<Rule>>,
    /// By their ids.
    correlations: Vec<String>,
    /// Everything that was loaded with them.
    loaded: Loaded,
}

/// What `name` means: what a file holds, with the filters of `paths`, or the rule or correlation
/// of that id in `paths` or among the built-in ones.
fn find(name: &str, paths: &[PathBuf], config: &config::Rules) -> Result<Meant, Failure> {
    let file = Path::new(name);
    let is_file = file.is_file();
    let mut all: Vec<PathBuf> = paths.to_vec();
    if is_file {
        all.insert(0, file.to_owned());
    }
    let builtin = !is_file && paths.is_empty();
    let config = config::Rules { builtin, paths: all, ..config.clone() };
    let loaded = rules::load_as(&config);
    let is_meant = |path: &Path, id: &str| match is_file {
        true => path == file,
        false => id.eq_ignore_ascii_case(name),
    };
    let correlations: Vec<String> = loaded
        .correlations
        .iter()
        .filter(|one| is_meant(&one.source().path, one.id()))
        .map(|one| one.id().to_owned())
        .collect();
    let rules: Vec<Arc<Rule>> = loaded
        .rules
        .iter()
        .filter(|rule| is_meant(&rule.source().path, rule.id()))
        .map(|rule| Arc::new(rule.clone()))
        .collect();
    if rules.is_empty() && correlations.is_empty() {
        let why = loaded
            .refused
            .iter()
            .find(|refusal| refusal.rule_id.as_deref() == Some(name) || refusal.path == file)
            .map_or_else(
                || "it is no rule file, and no loaded rule has it as its id".to_owned(),
                ToString::to_string,
            );
        return Err(Failure::usage(format!("{name}: {why}")));
    }
    Ok(Meant { rules, correlations, loaded })
}

/// Explains correlations, into `told` where JSON is wanted; whether one fires.
fn correlations(
    global: &Global,
    ids: &[String],
    ruleset: &Ruleset,
    events: &[Arc<event::Event>],
    told: &mut Vec<Value>,
) -> Result<bool, Failure> {
    let matched = Matched::new(ruleset, events);
    let mut fires = false;
    for id in ids {
        let Some(one) = ruleset.correlations().rules().find(|one| one.id() == id) else {
            let refusal = ruleset
                .refused()
                .iter()
                .find(|refusal| refusal.rule_id.as_deref() == Some(id))
                .map_or_else(|| "it was refused".to_owned(), ToString::to_string);
            return Err(Failure::usage(format!("{id}: {refusal}")));
        };
        let Some(one) = matched.tell(one) else { continue };
        fires |= one.fires;
        match global.output {
            Output::Json => told.push(one.as_json()),
            Output::Table => one.print(&mut io::stdout().lock())?,
        }
    }
    Ok(fires)
}

/// Where an explanation is written for people.
struct Page<'o, W: Write> {
    out: &'o mut W,
    colours: bool,
}

impl<W: Write> Page<'_, W> {
    fn mark(&self, holds: bool) -> String {
        let word = if holds { "yes" } else { "no " };
        match (self.colours, holds) {
            (false, _) => word.to_owned(),
            (true, true) => format!("{GREEN}{word}{PLAIN}"),
            (true, false) => format!("{RED}{word}{PLAIN}"),
        }
    }

    fn explanation(
        &mut self,
        rule: &Rule,
        number: u64,
        event: &event::Event,
        explanation: &Explanation,
    ) -> io::Result<()> {
        let verdict = if explanation.fires { "fires" } else { "does not fire" };
        let title = safe(rule.title());
        writeln!(self.out, "event {number}: {title} ({}) {verdict}", rule.id())?;
        if event.is_pipeline_error() {
            let reason = event.to_json()["error"]["message"].to_string();
            writeln!(self.out, "the record can't be decoded: {}", safe(&reason))?;
        }
        let offered = self.mark(explanation.offered);
        let [products, categories, services] =
            explanation.event.each_ref().map(|names| match names.is_empty() {
                true => "none".to_owned(),
                false => names.join(", "),
            });
        writeln!(self.out, "{offered} log source {}", explanation.asked)?;
        writeln!(
            self.out,
            "      the event is of product {products}; category {categories}; service {services}"
        )?;
        for condition in &explanation.conditions {
            self.part(condition, 0)?;
        }
        writeln!(self.out)
    }

    fn part(&mut self, part: &Part, depth: usize) -> io::Result<()> {
        let mark = self.mark(part.holds);
        let indent = "  ".repeat(depth);
        match &part.kind {
            PartKind::Condition { of, text } => {
                writeln!(self.out, "{mark} {indent}condition of “{}”: {}", safe(of), safe(text))?;
            }
            PartKind::All => writeln!(self.out, "{mark} {indent}all of")?,
            PartKind::Any => writeln!(self.out, "{mark} {indent}any of")?,
            PartKind::Not => writeln!(self.out, "{mark} {indent}not")?,
            PartKind::Selection(name) => writeln!(self.out, "{mark} {indent}{}", safe(name))?,
            PartKind::Line(line) => self.line(line, part.holds, &indent)?,
        }
        for inner in &part.parts {
            self.part(inner, depth + 1)?;
        }
        Ok(())
    }

    fn line(&mut self, line: &Line, holds: bool, indent: &str) -> io::Result<()> {
        let mark = self.mark(holds);
        let key = if line.key.is_empty() { "anywhere" } else { &line.key };
        writeln!(self.out, "{mark} {indent}{}", safe(key))?;
        for (value, held) in &line.values {
            let mark = self.mark(*held);
            writeln!(self.out, "{mark} {indent}  asks {}", safe(value))?;
        }
        let has: Vec<_> = line.fields.iter().filter(|(_, values)| !values.is_empty()).collect();
        for (field, values) in &has {
            for value in values {
                writeln!(self.out, "    {indent}  has  {field} = {}", safe(value))?;
            }
        }
        if has.is_empty() && !line.fields.is_empty() {
            let names: Vec<&str> = line.fields.iter().map(|(field, _)| *field).collect();
            writeln!(self.out, "    {indent}  absent: {}", names.join(", "))?;
        }
        Ok(())
    }
}

fn as_json(rule: &Rule, number: u64, event: &event::Event, explanation: &Explanation) -> Value {
    let [products, categories, services] = &explanation.event;
    json!({
        "rule": {
            "id": rule.id(), "name": rule.title(), "version": rule.version(),
            "level": rule.level(),
        },
        "event": {
            "number": number,
            "error": event.is_pipeline_error().then(|| event.to_json()["error"]["message"].clone()),
        },
        "fires": explanation.fires,
        "logsource": {
            "asked": {
                "product": explanation.asked.product,
                "category": explanation.asked.category,
                "service": explanation.asked.service,
            },
            "offered": explanation.offered,
            "event": { "product": products, "category": categories, "service": services },
        },
        "conditions": explanation.conditions.iter().map(part_json).collect::<Vec<_>>(),
    })
}

fn part_json(part: &Part) -> Value {
    let mut value = match &part.kind {
        PartKind::Condition { of, text } => json!({"kind": "condition", "of": of, "text": text}),
        PartKind::All => json!({"kind": "all"}),
        PartKind::Any => json!({"kind": "any"}),
        PartKind::Not => json!({"kind": "not"}),
        PartKind::Selection(name) => json!({"kind": "selection", "name": name}),
        PartKind::Line(line) => line_json(line, part.holds),
    };
    value["holds"] = part.holds.into();
    if !part.parts.is_empty() {
        value["parts"] = part.parts.iter().map(part_json).collect();
    }
    value
}

fn line_json(line: &Line, holds: bool) -> Value {
    let is_absent = line.fields.iter().all(|(_, values)| values.is_empty());
    let why = match (holds, line.fields.is_empty()) {
        (true, _) => None,
        (false, true) => Some("found nowhere in the event"),
        (false, false) if is_absent => Some("field absent"),
        (false, false) => Some("value differs"),
    };
    let values = line.values.iter().map(|(value, holds)| json!({"value": value, "holds": holds}));
    let fields = line.fields.iter().map(|(field, values)| json!({"field": field, "has": values}));
    json!({
        "kind": "line",
        "key": line.key,
        "asks": values.collect::<Vec<_>>(),
        "fields": fields.collect::<Vec<_>>(),
        "why_not": why,
    })
}
