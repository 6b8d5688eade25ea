//! What is printed.

use std::collections::BTreeMap;

use detect::{Engine, Scratch};
use serde_json::{Value, json};

use crate::{
    compare::Comparison,
    contenders::{Contender, LIMITS, MATCHING, ONE_THREAD, PARSING, THREADS, THREADS_PARSING},
    corpus::Prepared,
    curve::{self, Point, mib},
    measure::{Spread, Took},
    memory::Used,
};

/// What compiling took.
pub(crate) struct Load {
    pub(crate) rules: usize,
    pub(crate) used: Used,
    pub(crate) took: Took,
}

pub(crate) type Loads = Vec<(&'static str, Load)>;

/// One contender's times.
#[derive(Default)]
pub(crate) struct Row {
    name: &'static str,
    group: &'static str,
    /// By round: all that its passes over the events took.
    rounds: Vec<Took>,
    /// Events met in one round.
    events: usize,
    matches: usize,
}

impl Row {
    pub(crate) fn describe(&mut self, contender: &Contender<'_>) {
        (self.name, self.group) = (contender.name, contender.group);
    }

    /// Adds a chunk in a round.
    pub(crate) fn add(&mut self, round: usize, took: Took, events: usize, matches: usize) {
        if self.rounds.len() <= round {
            self.rounds.resize(round + 1, Took::default());
        }
        self.rounds[round].cpu += took.cpu;
        self.rounds[round].wall += took.wall;
        if round == 0 {
            self.events += events;
            self.matches += matches;
        }
    }

    /// Microseconds an event.
    fn micros(&self, of: fn(&Took) -> f64) -> Spread {
        #[expect(clippy::cast_precision_loss, reason = "events are counted in thousands")]
        let events = self.events.max(1) as f64;
        Spread::of(self.rounds.iter().map(|took| of(took) * 1e6 / events))
    }

    fn cpu(&self) -> Spread {
        self.micros(|took| took.cpu)
    }

    fn to_json(&self) -> Value {
        json!({"group": self.group, "name": self.name, "events": self.events,
               "matches": self.matches, "cpu_micros_per_event": self.cpu().to_json(),
               "wall_micros_per_event": self.micros(|took| took.wall).to_json()})
    }
}

/// What the search for witnesses leaves to be evaluated.
#[derive(Default)]
pub(crate) struct Candidates {
    events: usize,
    total: usize,
    by_rule: BTreeMap<String, usize>,
}

impl Candidates {
    pub(crate) fn add(&mut self, engine: &Engine, chunk: &[Prepared]) {
        let mut scratch = Scratch::new();
        for event in chunk {
            let candidates = engine.candidates(&event.event, &mut scratch);
            self.events += 1;
            self.total += candidates.len();
            for place in candidates {
                let rule = &engine.rules()[*place as usize];
                *self.by_rule.entry(format!("{} ({})", rule.title(), rule.id())).or_default() += 1;
            }
        }
    }

    /// The rules that are evaluated most often.
    fn most(&self) -> Vec<(&str, usize)> {
        let mut rules: Vec<_> = self.by_rule.iter().map(|(rule, n)| (rule.as_str(), *n)).collect();
        rules.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        rules.truncate(40);
        rules
    }

    #[expect(clippy::cast_precision_loss, reason = "for people")]
    fn each(&self) -> f64 {
        self.total as f64 / self.events.max(1) as f64
    }
}

/// Everything that was measured.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) rules: usize,
    pub(crate) classes: usize,
    pub(crate) loads: Loads,
    pub(crate) rows: Vec<Row>,
    pub(crate) comparison: Comparison,
    pub(crate) allocations: f64,
    pub(crate) candidates: Candidates,
    pub(crate) curve: Vec<Point>,
}

impl Report {
    fn rows(&self, group: &str) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.group == group)
    }

    /// How many times as long as the first of its group each row takes, round by round.
    fn ratios<'r>(&'r self, group: &str) -> impl Iterator<Item = (&'r Row, Spread)> {
        let first = self.rows(group).next();
        self.rows(group).map(move |row| {
            let pairs = row.rounds.iter().zip(first.into_iter().flat_map(|first| &first.rounds));
            #[expect(clippy::cast_precision_loss, reason = "events are counted in thousands")]
            let scale = first.map_or(1, |first| first.events) as f64 / row.events.max(1) as f64;
            (row, Spread::of(pairs.map(|(row, first)| row.cpu / first.cpu.max(1e-12) * scale)))
        })
    }

    pub(crate) fn to_json(&self) -> Value {
        let ratio = |(row, ratio): (&Row, Spread)| json!({"group": row.group, "name": row.name, "times_the_first": ratio.to_json()});
        let ratios: Vec<Value> =
            [MATCHING, PARSING].iter().flat_map(|group| self.ratios(group)).map(ratio).collect();
        let loads: Vec<Value> = self
            .loads
            .iter()
            .map(|(name, load)| {
                json!({"name": name, "rules": load.rules, "cpu_s": load.took.cpu,
                       "memory_bytes": load.used.live, "memory_peak_bytes": load.used.peak})
            })
            .collect();
        let threads = |group| {
            let (wall, cpu) = self.threads(group)?;
            Some(json!({"wall": wall.to_json(), "cpu": cpu.to_json()}))
        };
        json!({
            "rules": self.rules, "classes": self.classes, "loads": loads,
            "rows": self.rows.iter().map(Row::to_json).collect::<Vec<_>>(),
            "ratios": ratios,
            "two_threads": threads(THREADS),
            "two_threads_parsing": threads(THREADS_PARSING),
            "allocations_per_quiet_event": self.allocations,
            "candidates_per_event": self.candidates.each(),
            "detections": self.comparison.to_json(),
            "curve": curve::to_json(&self.curve),
        })
    }

    /// How much faster two threads are than one on the wall, and what an event costs them on the
    /// processor, as a part of what it costs one.
    fn threads(&self, group: &str) -> Option<(Spread, Spread)> {
        let one = self.rows(group).find(|row| row.name == ONE_THREAD)?;
        let two = self.rows(group).next()?;
        let pairs = || one.rounds.iter().zip(&two.rounds);
        Some((
            Spread::of(pairs().map(|(one, two)| one.wall / two.wall.max(1e-12))),
            Spread::of(pairs().map(|(one, two)| two.cpu / one.cpu.max(1e-12))),
        ))
    }

    pub(crate) fn print(&self) {
        println!("{} Windows rules of SigmaHQ", self.rules);
        for (name, load) in &self.loads {
            println!(
                "  {name:<36} {:>5} rules  {:>6.2} s  {:>6.1} MiB kept, {:>6.1} MiB at most",
                load.rules,
                load.took.cpu,
                mib(load.used.live),
                mib(load.used.peak)
            );
        }
        for group in [MATCHING, PARSING, THREADS, THREADS_PARSING, LIMITS] {
            self.print_group(group);
        }
        for group in [THREADS, THREADS_PARSING] {
            let Some((wall, cpu)) = self.threads(group) else { continue };
            println!(
                "\nOf {group}: {:.2} times one on the wall ({:.2} to {:.2}); an event costs {:.2} \
                 times the processor time ({:.2} to {:.2})",
                wall.median, wall.min, wall.max, cpu.median, cpu.min, cpu.max
            );
        }
        if self.rows(MATCHING).next().is_some() {
            println!(
                "{:.3} allocations an event on which nothing fires; {} kinds of event by the rules \
                 offered",
                self.allocations, self.classes
            );
            println!("{:.2} rules evaluated an event; most often:", self.candidates.each());
            for (rule, events) in self.candidates.most() {
                println!("  {events:>6}  {rule}");
            }
            self.comparison.print();
        }
        if !self.curve.is_empty() {
            curve::print(&self.curve);
        }
    }

    fn print_group(&self, group: &str) {
        let mut first = true;
        for (row, ratio) in self.ratios(group) {
            if first {
                println!("\n{group}: µs of processor time an event, median (least to greatest)");
                first = false;
            }
            let cpu = row.cpu();
            println!(
                "  {:<52} {:>9.2} ({:.2} to {:.2})  {:>7.2} times the first ({:.2} to {:.2})  {:>7} \
                 events, {} matches",
                row.name,
                cpu.median,
                cpu.min,
                cpu.max,
                ratio.median,
                ratio.min,
                ratio.max,
                row.events,
                row.matches
            );
        }
    }
}
