//! The engine against the plain evaluator, on generated rules, filters and events.
//!
//! `DETECT_PAIRS` says how many pairs to try of an event and a rule that is offered it, 1,000,000
//! where it is not set;
//! `DETECT_SEED` makes other ones. What was covered is counted and has to suffice, so that the
//! comparison could have failed on each modifier, condition, kind of value and log source.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod generate;
mod support;

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write as _,
    path::Path,
    time::Instant,
};

use detect::{Engine, Loaded, Placeholders, Rule, Scratch, eval};
use event::Event;
use generate::{
    dice::Dice,
    events::{self, Sketch},
    lines,
    rules::{self, Filter, LOGSOURCES, Made},
};

/// Rules and events of one round; every rule meets every event.
const SINGLES: usize = 180;
const SEVERALS: usize = 80;
const FILTERS: usize = 3;
const EVENTS: usize = 260;

/// How often something was tried and held, and tried and did not.
type Seen = BTreeMap<String, (usize, usize)>;

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

fn placeholders() -> Placeholders {
    let mut lists = Placeholders::new();
    let texts = |values: &[&str]| values.iter().map(|v| (*v).to_owned()).collect();
    lists.insert("Admins", texts(&["adm_*", "root", "a?c"])).unwrap();
    lists.insert("Servers", texts(&["srv?", "É"])).unwrap();
    lists.insert("Nets", texts(&["10.0.0.0/8", "2001:db8::/32"])).unwrap();
    lists
}

struct Round {
    made: Vec<Made>,
    filters: Vec<Filter>,
    /// Without filters.
    bare: BTreeMap<String, Rule>,
    /// Each filter's section as a rule of its own, by filter and log source.
    sections: BTreeMap<(usize, &'static str), Rule>,
    engine: Engine,
}

/// What a rule did in its round.
#[derive(Clone, Default)]
struct Tally {
    held: usize,
    failed: usize,
    /// Where it held without its filters.
    filtered: (usize, usize),
}

fn load(text: &str) -> Loaded {
    let loaded = detect::parse_with(text, Path::new("generated.yml"), &placeholders());
    for refusal in &loaded.refused {
        // The generator itself makes some that must be refused.
        let known = [
            "UTF-16 of other",
            "windash varies",
            "no value of that part",
            "only once",
            "is no network",
            "windash comes before",
        ];
        assert!(known.iter().any(|k| refusal.reason.contains(k)), "{refusal}\n{text}");
    }
    loaded
}

/// The combinations go round, so that in few rounds each has come often.
fn round(dice: &mut Dice, number: usize) -> Round {
    let logsources = rules::logsources(number);
    let mut made: Vec<Made> =
        (0..SINGLES).map(|n| rules::single(dice, number * SINGLES + n, &logsources)).collect();
    made.extend((0..SEVERALS).map(|n| rules::several(dice, number * SEVERALS + n, &logsources)));
    let mut text = String::new();
    for (rule, n) in made.iter().zip(0..) {
        let id = rules::id(n);
        write!(text, "---\ntitle: r{n}\nname: rule_{n}\nid: {id}\n{}", rule.yaml).unwrap();
    }
    let bare = load(&text).rules.into_iter().map(|rule| (rule.id().to_owned(), rule)).collect();
    let filters: Vec<Filter> = (0..FILTERS)
        .map(|n| rules::filter(dice, number * FILTERS + n, SINGLES + SEVERALS))
        .collect();
    let mut sections = BTreeMap::new();
    for (filter, place) in filters.iter().zip(0..) {
        write!(
            text,
            "---\ntitle: f{place}\nlogsource: {}\nfilter:\n    rules: {}\n{}",
            filter.logsource, filter.rules, filter.section
        )
        .unwrap();
        for (logsource, _) in LOGSOURCES {
            let section = &filter.section;
            let rule = format!("title: s\nlogsource: {logsource}\ndetection:\n{section}");
            if let Some(rule) = load(&rule).rules.pop() {
                sections.insert((place, *logsource), rule);
            }
        }
    }
    let engine = Engine::new(load(&text).rules);
    Round { made, filters, bare, sections, engine }
}

impl Round {
    fn made(&self, rule: &Rule) -> &Made {
        let number: usize = rule.id().rsplit('-').next().unwrap().parse().unwrap();
        &self.made[number]
    }

    /// Events of which most have what some rule, and often a filter, asks for.
    fn sketches(&self, dice: &mut Dice) -> Vec<Sketch> {
        (0..EVENTS)
            .map(|_| {
                let rule = dice.pick(&self.made);
                let mut lines: Vec<_> = rule.lines.iter().collect();
                if dice.chance(1, 4) {
                    lines.extend(&dice.pick(&self.filters).lines);
                }
                events::sketch(dice, rule.sources, &lines)
            })
            .collect()
    }

    /// The places of the filters that the specification joins to `rule`.
    fn filters_of(&self, rule: &Rule) -> Vec<usize> {
        let number = rule.title().trim_start_matches('r');
        let parts = |text: &str| -> HashSet<String> {
            text.trim_matches(['{', '}']).split(", ").map(str::to_owned).collect()
        };
        let own = parts(self.made(rule).logsource);
        self.filters
            .iter()
            .enumerate()
            .filter(|(_, filter)| {
                let names: Vec<&str> = filter.rules.trim_matches(['[', ']']).split(", ").collect();
                let named = filter.rules == "any"
                    || names.contains(&rule.id())
                    || names.contains(&format!("rule_{number}").as_str());
                named && parts(filter.logsource).is_subset(&own)
            })
            .map(|(place, _)| place)
            .collect()
    }

    /// Whether the rule without filters and the sections of its filters, read as rules, agree
    /// with the rule as it was loaded.
    fn check_filters(&self, rule: &Rule, filters: &[&Rule], holds: bool, event: &Event) -> bool {
        let bare = eval::holds(&self.bare[rule.id()], event);
        let meant = bare && filters.iter().all(|section| eval::holds(section, event));
        assert_eq!(holds, meant, "filters of {}: {event:?}", rule.id());
        bare
    }

    /// The sections of the filters on `rule`; one that is wrong in itself was refused.
    fn sections_of(&self, rule: &Rule) -> Vec<&Rule> {
        let logsource = self.made(rule).logsource;
        let places = self.filters_of(rule).into_iter();
        places.filter_map(|place| self.sections.get(&(place, logsource))).collect()
    }

    fn cover(&self, rule: &Rule, tally: &Tally, seen: &mut Seen) {
        let made = self.made(rule);
        let here = (tally.held, tally.failed);
        count(seen, format!("log source: {}", made.logsource), here);
        if let ([line], "s0") = (made.lines.as_slice(), made.condition) {
            count(seen, format!("modifiers: {}", lines::name(line)), here);
            let mut features = line.features.clone();
            features.sort_unstable();
            features.dedup();
            for feature in features {
                count(seen, format!("value: {feature}"), here);
            }
        } else {
            count(seen, format!("condition: {}", made.condition), here);
        }
        for place in self.filters_of(rule) {
            let by = match self.filters[place].rules.as_str() {
                "any" => "any",
                names if names.starts_with("[rule") => "name",
                _ => "id",
            };
            count(seen, format!("filter: by {by}"), tally.filtered);
        }
    }
}

fn count(seen: &mut Seen, what: String, here: (usize, usize)) {
    let (yes, no) = seen.entry(what).or_default();
    *yes += here.0;
    *no += here.1;
}

#[test]
fn engine_and_plain_evaluator_agree() {
    let pairs = setting("DETECT_PAIRS", 1_000_000);
    let mut dice = Dice::new(setting("DETECT_SEED", 7) as u64);
    let (mut passed, mut offered, mut fired) = (0_usize, 0_usize, 0_usize);
    let began = Instant::now();
    let mut seen = Seen::new();
    let (mut scratch, mut matches) = (Scratch::new(), Vec::new());
    for number in 0.. {
        if offered >= pairs {
            break;
        }
        let round = round(&mut dice, number);
        let sections: Vec<_> =
            round.engine.rules().iter().map(|rule| round.sections_of(rule)).collect();
        let mut tallies = vec![Tally::default(); sections.len()];
        for (sketch, place) in round.sketches(&mut dice).iter().zip(0..) {
            let event = sketch.build(place);
            round.engine.matches(&event, &mut scratch, &mut matches);
            let got: Vec<&str> = matches.iter().map(|m| m.rule.id()).collect();
            let mut meant = Vec::new();
            let mut missed = 0;
            for ((rule, tally), sections) in
                round.engine.rules().iter().zip(&mut tallies).zip(&sections)
            {
                if !eval::is_offered(rule, &event) {
                    passed += 1;
                    continue;
                }
                let holds = eval::holds(rule, &event);
                if holds {
                    meant.push(rule.id());
                    tally.held += 1;
                } else {
                    missed += 1;
                    tally.failed += 1;
                }
                if !sections.is_empty() && round.check_filters(rule, sections, holds, &event) {
                    tally.filtered.0 += usize::from(holds);
                    tally.filtered.1 += usize::from(!holds);
                }
            }
            offered += meant.len() + missed;
            fired += meant.len();
            for feature in sketch.features() {
                count(&mut seen, format!("event: {feature}"), (meant.len(), missed));
            }
            if got != meant {
                let differing = |id: &&&str| got.contains(*id) != meant.contains(*id);
                let odd = got.iter().chain(&meant).find(differing).unwrap();
                let rule = round.engine.rules().iter().find(|rule| rule.id() == *odd).unwrap();
                let (yaml, original) = (&round.made(rule).yaml, event.original_text());
                panic!("engine {got:?}\nplain {meant:?}\n{event:?}\n{original:?}\n{odd}\n{yaml}");
            }
            matches.clear();
        }
        for (rule, tally) in round.engine.rules().iter().zip(&tallies) {
            round.cover(rule, tally, &mut seen);
        }
    }
    println!(
        "{offered} pairs ({fired} fire) and {passed} of rules that are not offered the event, in {:?}",
        began.elapsed()
    );
    for (what, (yes, no)) in &seen {
        println!("{yes:7} held {no:7} did not  {what}");
    }
    if pairs >= 1_000_000 {
        assert_covered(&seen);
    } else {
        println!("skipped: coverage is judged from 1,000,000 pairs on");
    }
}

/// Everything was tried often enough, with both outcomes, that a fault would have shown.
fn assert_covered(seen: &Seen) {
    let kinds = |prefix: &str| seen.keys().filter(|what| what.starts_with(prefix)).count();
    assert_eq!(kinds("modifiers: "), lines::count(), "a combination of modifiers was lost");
    assert_eq!(kinds("condition: "), rules::CONDITIONS.len() - 1, "a condition was lost");
    assert_eq!(kinds("log source: "), LOGSOURCES.len(), "a log source was lost");
    assert!(kinds("value: ") >= 18 && kinds("event: ") >= 8 && kinds("filter: ") == 3);
    let rare: Vec<_> = seen.iter().filter(|(_, (yes, no))| *yes < 5 || *no < 5).collect();
    assert!(rare.is_empty(), "too rare to tell: {rare:#?}");
}
