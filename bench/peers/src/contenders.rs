//! Who is measured: this engine, its peers, and what bounds them all.

use std::{collections::HashMap, hint::black_box};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use detect::{Engine, Rule, Scratch};
use event::Decode as _;
use ingest::formats::Formats;
use rayon::prelude::*;
use rsigma_eval::{JsonEvent, LogSourceExtractor};
use serde_json::Value;

use crate::{
    corpus::{self, Classes, Prepared},
    lean::{self, Lean},
    measure::Clock,
};

/// What is measured over a chunk of events.
pub(crate) struct Contender<'e> {
    pub(crate) name: &'static str,
    pub(crate) group: &'static str,
    pub(crate) clock: Clock,
    /// Only every so many events, for those that are slow.
    pub(crate) step: usize,
    /// How often one run goes over the events.
    pub(crate) passes: usize,
    /// Runs over the events and says how many matches there were in all passes.
    pub(crate) run: Run<'e>,
}

pub(crate) const MATCHING: &str = "matching";
pub(crate) const PARSING: &str = "parsing and matching";
pub(crate) const THREADS: &str = "two threads, matching";
pub(crate) const THREADS_PARSING: &str = "two threads, parsing and matching";
pub(crate) const LIMITS: &str = "limits";

/// rsigma with one set of rules.
pub(crate) fn rsigma<'t>(
    texts: impl Iterator<Item = &'t String>,
    is_routing: bool,
) -> anyhow::Result<rsigma_eval::Engine> {
    let mut engine = rsigma_eval::Engine::new();
    let mut rules = Vec::new();
    for text in texts {
        rules.extend(rsigma_parser::parse_sigma_yaml(text)?.rules);
    }
    for (place, error) in engine.add_rules(rules.iter()) {
        eprintln!("rsigma refuses {:?}: {error}", rules[place].title);
    }
    if is_routing {
        let extractor = LogSourceExtractor::new().with_field_names(
            corpus::PRODUCT,
            corpus::SERVICE,
            corpus::CATEGORY,
        );
        engine.set_logsource_extractor(Some(extractor));
    }
    Ok(engine)
}

/// All engines, built.
pub(crate) struct Engines {
    pub(crate) ours: Engine,
    pub(crate) rsigma_routing: rsigma_eval::Engine,
    pub(crate) rsigma_plain: rsigma_eval::Engine,
    /// By class; made as classes appear.
    pub(crate) rsigma_class: HashMap<usize, rsigma_eval::Engine>,
    pub(crate) sigma_rust: Vec<Option<sigma_rust::Rule>>,
}

impl Engines {
    /// Makes what newly seen classes need.
    pub(crate) fn meet(
        &mut self,
        classes: &Classes,
        rules: &[(Rule, String)],
    ) -> anyhow::Result<()> {
        for (class, places) in classes.rules.iter().enumerate() {
            if !self.rsigma_class.contains_key(&class) {
                let texts = places.iter().map(|place| &rules[*place].1);
                self.rsigma_class.insert(class, rsigma(texts, false)?);
            }
        }
        Ok(())
    }
}

fn ours(engine: &Engine, scratch: &mut Scratch, event: &event::Event) -> usize {
    let mut matches = Vec::new();
    engine.matches(event, scratch, &mut matches);
    black_box(matches).len()
}

fn theirs(engine: &rsigma_eval::Engine, value: &Value) -> usize {
    black_box(engine.evaluate(&JsonEvent::borrow(value))).len()
}

fn parsed(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_default()
}

/// Everyone, in the order of the report.
pub(crate) fn all<'e>(
    engines: &'e Engines,
    classes: &'e Classes,
    texts: &'e [String],
    pools: &'e Pools,
    sigma_rust_step: usize,
) -> anyhow::Result<Vec<Contender<'e>>> {
    let mut all = matching(engines, classes, sigma_rust_step);
    all.extend(parsing(engines)?);
    all.extend(threads(engines, pools));
    all.extend(limits(texts)?);
    Ok(all)
}

fn contender<'e>(
    group: &'static str,
    name: &'static str,
    mut one: impl FnMut(&Prepared) -> usize + 'e,
) -> Contender<'e> {
    Contender {
        name,
        group,
        clock: Clock::Thread,
        step: 1,
        passes: 1,
        run: Box::new(move |events, step| events.iter().step_by(step).map(&mut one).sum()),
    }
}

fn matching<'e>(
    engines: &'e Engines,
    classes: &'e Classes,
    sigma_rust_step: usize,
) -> Vec<Contender<'e>> {
    let mut scratch = Scratch::new();
    let slow = contender(MATCHING, "sigma-rust, routed", |event| {
        let Ok(theirs) = sigma_rust::event_from_json(&event.line) else { return 0 };
        classes.rules[event.class]
            .iter()
            .filter_map(|place| engines.sigma_rust[*place].as_ref())
            .filter(|rule| rule.is_match(&theirs))
            .count()
    });
    vec![
        contender(MATCHING, "jacquemart", move |event| {
            ours(&engines.ours, &mut scratch, &event.event)
        }),
        contender(MATCHING, "rsigma, logsource routing", |event| {
            theirs(&engines.rsigma_routing, &event.value)
        }),
        contender(MATCHING, "rsigma, one engine a class", |event| {
            engines.rsigma_class.get(&event.class).map_or(0, |engine| theirs(engine, &event.value))
        }),
        contender(MATCHING, "rsigma, no routing", |event| {
            theirs(&engines.rsigma_plain, &event.value)
        }),
        Contender { step: sigma_rust_step.max(1), ..slow },
    ]
}

fn parsing(engines: &Engines) -> anyhow::Result<Vec<Contender<'_>>> {
    let (formats, record) = (Formats::builtin(), corpus::record_of(bytes::Bytes::new())?);
    let lean = Lean::new()?;
    let (mut scratch, mut scratch_lean) = (Scratch::new(), Scratch::new());
    Ok(vec![
        contender(PARSING, "jacquemart, lean decoding", move |event| {
            lean.decode(&event.raw, event.event.id())
                .map_or(0, |event| ours(&engines.ours, &mut scratch_lean, &event))
        }),
        contender(PARSING, "jacquemart, format windows to ECS", move |event| {
            let record = event::Record { raw: event.raw.clone(), ..record.clone() };
            let event = formats.decode(record, event.event.id());
            ours(&engines.ours, &mut scratch, &event)
        }),
        contender(PARSING, "rsigma, logsource routing, serde_json", |event| {
            theirs(&engines.rsigma_routing, &parsed(&event.line))
        }),
        contender(PARSING, "rsigma, one engine a class, serde_json", |event| {
            engines
                .rsigma_class
                .get(&event.class)
                .map_or(0, |engine| theirs(engine, &parsed(&event.line)))
        }),
    ])
}

/// The first of its group with one thread of a pool instead of two.
pub(crate) const ONE_THREAD: &str = "jacquemart, the same on one thread";

/// What is measured of two threads is how fast they go, not how soon they begin, so they go over
/// the events so often that one run takes far longer than waking them.
const THREADS_PASSES: usize = 8;

/// What is done with one event.
type One = fn(&Engines, &mut Scratch, &Prepared) -> usize;
/// What is done with a chunk.
type Run<'e> = Box<dyn FnMut(&[Prepared], usize) -> usize + 'e>;

/// What one thread and two are told apart by.
pub(crate) struct Pools {
    pub(crate) one: rayon::ThreadPool,
    pub(crate) two: rayon::ThreadPool,
}

fn threads<'e>(engines: &'e Engines, pools: &'e Pools) -> Vec<Contender<'e>> {
    let on = |pool: &'e rayon::ThreadPool, one: One| -> Run<'e> {
        Box::new(move |events: &[Prepared], _: usize| {
            let some = |events: &[Prepared]| {
                Scratch::of_thread(|scratch| {
                    events.iter().map(|event| one(engines, scratch, event)).sum::<usize>()
                })
            };
            pool.install(|| {
                (0..THREADS_PASSES)
                    .into_par_iter()
                    .flat_map(|_| events.par_chunks(64))
                    .map(some)
                    .sum()
            })
        })
    };
    let of = |pool, group, name, one: One| Contender {
        name,
        group,
        clock: Clock::Process,
        step: 1,
        passes: THREADS_PASSES,
        run: on(pool, one),
    };
    let matching: One = |engines, scratch, event| ours(&engines.ours, scratch, &event.event);
    let parsing: One = |engines, scratch, event| {
        lean::decode_here(&event.raw, event.event.id())
            .map_or(0, |event| ours(&engines.ours, scratch, &event))
    };
    let Pools { one, two } = pools;
    vec![
        of(two, THREADS, "jacquemart, matching", matching),
        of(two, THREADS, "rsigma, logsource routing, matching", |engines, _, event| {
            theirs(&engines.rsigma_routing, &event.value)
        }),
        of(one, THREADS, ONE_THREAD, matching),
        of(two, THREADS_PARSING, "jacquemart, lean decoding, matching", parsing),
        of(
            two,
            THREADS_PARSING,
            "rsigma, logsource routing, serde_json, matching",
            |engines, _, event| theirs(&engines.rsigma_routing, &parsed(&event.line)),
        ),
        of(one, THREADS_PARSING, ONE_THREAD, parsing),
    ]
}

fn limits(texts: &[String]) -> anyhow::Result<Vec<Contender<'_>>> {
    let automaton = AhoCorasick::builder()
        .match_kind(MatchKind::Standard)
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .ascii_case_insensitive(true)
        .build(patterns(texts))?;
    let formats = Formats::builtin();
    let lean = Lean::new()?;
    let record = corpus::record_of(bytes::Bytes::new())?;
    Ok(vec![
        contender(LIMITS, "one Aho-Corasick pass of all patterns over all texts", move |event| {
            let texts = event.value.as_object().into_iter().flatten();
            texts
                .filter_map(|(_, value)| value.as_str())
                .map(|text| automaton.find_overlapping_iter(text).count())
                .sum()
        }),
        contender(LIMITS, "parsing: serde_json, Value", |event| {
            black_box(parsed(&event.line)).is_object().into()
        }),
        contender(LIMITS, "parsing: sonic-rs, Value", |event| {
            black_box(sonic_rs::from_str::<sonic_rs::Value>(&event.line)).is_ok().into()
        }),
        contender(LIMITS, "parsing: lean decoding", move |event| {
            black_box(lean.decode(&event.raw, event.event.id())).is_some().into()
        }),
        contender(LIMITS, "parsing: format windows to ECS", move |event| {
            let record = event::Record { raw: event.raw.clone(), ..record.clone() };
            black_box(formats.decode(record, event.event.id())).iter().len().min(1)
        }),
    ])
}

/// Texts of four characters or more that the rules' detections quote.
fn patterns(texts: &[String]) -> Vec<String> {
    let mut patterns: Vec<String> = texts
        .iter()
        .filter_map(|text| text.split("\ndetection:").nth(1))
        .flat_map(|detection| detection.split("\nfalsepositives:").next())
        .flat_map(|detection| detection.lines())
        .filter_map(|line| {
            let (_, rest) = line.split_once('\'')?;
            let (text, _) = rest.rsplit_once('\'')?;
            (text.len() >= 4).then(|| text.replace("\\\\", "\\"))
        })
        .collect();
    patterns.sort_unstable();
    patterns.dedup();
    patterns
}
