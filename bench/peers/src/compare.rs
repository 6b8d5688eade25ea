//! Detections compared, pair by pair of rule and event.

use std::collections::{BTreeMap, BTreeSet};

use detect::{Rule, Scratch, eval};
use rsigma_eval::JsonEvent;
use serde_json::{Value, json};

use crate::{
    contenders::Engines,
    corpus::{Classes, Prepared},
};

/// A rule on which two engines differ.
#[derive(Default)]
struct Difference {
    title: String,
    events: usize,
    /// The first such event, by its place in the capture.
    example: u64,
    why: String,
}

/// What the comparison has found so far.
#[derive(Default)]
pub(crate) struct Comparison {
    pub(crate) events: u64,
    ours: usize,
    rsigma_class: usize,
    rsigma_routing: usize,
    /// Pairs on which all three agree that the rule fires.
    agreed: usize,
    /// By what differs and the rule.
    differences: BTreeMap<(&'static str, String), Difference>,
}

const MISSED_BY_ROUTING: &str = "rsigma's routing drops";
const ONLY_OURS: &str = "only jacquemart fires";
const ONLY_RSIGMA: &str = "only rsigma fires";

impl Comparison {
    /// Compares the engines on a chunk, outside all timing.
    pub(crate) fn add(
        &mut self,
        chunk: &[Prepared],
        engines: &Engines,
        classes: &Classes,
        rules: &[(Rule, String)],
    ) {
        let by_id: BTreeMap<&str, usize> =
            rules.iter().enumerate().map(|(place, (rule, _))| (rule.id(), place)).collect();
        let (mut scratch, mut matches) = (Scratch::new(), Vec::new());
        for event in chunk {
            self.events += 1;
            engines.ours.matches(&event.event, &mut scratch, &mut matches);
            let ours: BTreeSet<usize> =
                matches.drain(..).filter_map(|m| by_id.get(m.rule.id()).copied()).collect();
            let theirs = |engine: &rsigma_eval::Engine| -> BTreeSet<usize> {
                let found = engine.evaluate(&JsonEvent::borrow(&event.value));
                found
                    .iter()
                    .filter_map(|r| r.header.rule_id.as_deref())
                    .filter_map(|id| by_id.get(id.to_ascii_lowercase().as_str()).copied())
                    .collect()
            };
            let routing = theirs(&engines.rsigma_routing);
            let class = engines.rsigma_class.get(&event.class).map(theirs).unwrap_or_default();
            self.ours += ours.len();
            self.rsigma_class += class.len();
            self.rsigma_routing += routing.len();
            self.agreed += ours.iter().filter(|p| class.contains(p) && routing.contains(p)).count();
            for place in class.difference(&routing) {
                let (category, service) = &classes.words[event.class];
                let why = format!(
                    "an event carries one category and one service, here {category} and {service}; \
                     the rule asks for {}",
                    rules[*place].0.logsource()
                );
                self.note(MISSED_BY_ROUTING, &rules[*place], why);
            }
            for place in ours.difference(&class) {
                let why = reason(&rules[*place], event, true);
                self.note(ONLY_OURS, &rules[*place], why);
            }
            for place in class.difference(&ours) {
                let why = reason(&rules[*place], event, false);
                self.note(ONLY_RSIGMA, &rules[*place], why);
            }
        }
    }

    fn note(&mut self, what: &'static str, (rule, _): &(Rule, String), why: String) {
        let events = self.events;
        let entry = self.differences.entry((what, rule.id().to_owned())).or_insert_with(|| {
            Difference { title: rule.title().to_owned(), events: 0, example: events, why }
        });
        entry.events += 1;
    }

    pub(crate) fn to_json(&self) -> Value {
        let list: Vec<Value> = self
            .differences
            .iter()
            .map(|((what, id), d)| {
                json!({"what": what, "rule": id, "title": d.title, "events": d.events,
                       "first_event": d.example, "why": d.why})
            })
            .collect();
        json!({"events": self.events, "jacquemart": self.ours, "rsigma_class": self.rsigma_class,
               "rsigma_routing": self.rsigma_routing, "all_agree": self.agreed,
               "differences": list})
    }

    pub(crate) fn print(&self) {
        println!(
            "\nDetections on {} events, pairs of rule and event: jacquemart {}, rsigma one engine \
             a class {}, rsigma with routing {}; all three {}",
            self.events, self.ours, self.rsigma_class, self.rsigma_routing, self.agreed
        );
        if self.differences.is_empty() {
            println!("  no differences");
        }
        for ((what, id), d) in &self.differences {
            println!(
                "  {what}: {} ({id}), {} events, first at event {}\n      {}",
                d.title, d.events, d.example, d.why
            );
        }
    }
}

/// Why the two differ on the rule, as far as it can be found out: what the plain evaluator
/// says, and which known difference the rule has to do with.
fn reason((rule, text): &(Rule, String), event: &Prepared, fires: bool) -> String {
    let plain = eval::is_offered(rule, &event.event) && eval::holds(rule, &event.event);
    let judged =
        if plain == fires { "as the plain evaluator says" } else { "AGAINST the plain evaluator" };
    let detection = text.split("\ndetection:").nth(1).unwrap_or_default();
    let detection = detection.split("\nfalsepositives:").next().unwrap_or_default();
    if let Some(field) = elsewhere(detection, &event.value) {
        return format!(
            "{judged}; the record has no {field}, and our decoder says the same in a field that \
             means it"
        );
    }
    let known = [
        ("keyword", "keywords: ours search the record as it came, too"),
        ("'|all'", "keywords with |all: rsigma wants one value to hold all"),
        ("base64offset", "base64offset: rsigma keeps the trailing character"),
        ("|exists", "exists: rsigma takes null as absent"),
        ("windash", "windash: rsigma varies inner dashes"),
        ("Message", "Message: with line breaks"),
        ("null", "null and missing fields"),
        ("|re", "regular expressions"),
    ];
    let known = known
        .iter()
        .find(|(word, _)| detection.contains(word))
        .map_or("another reading of the values", |(_, why)| why);
    format!("{judged}; {known}")
}

/// A field that the rule asks for and the record has not got.
fn elsewhere<'d>(detection: &'d str, record: &Value) -> Option<&'d str> {
    let fields = detection.lines().filter_map(|line| {
        let (key, _) = line.trim_start_matches([' ', '-']).split_once(':')?;
        line.starts_with("        ").then(|| key.split('|').next().unwrap_or_default())
    });
    fields
        .filter(|field| !field.is_empty() && field.bytes().all(|b| b.is_ascii_alphanumeric()))
        .find(|field| record.get(field).is_none())
}
