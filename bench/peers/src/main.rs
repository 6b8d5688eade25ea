//! The detection engine beside its peers: on the shared Windows captures with all of SigmaHQ's
//! Windows rules, in one interleaved run, on processor time.

mod compare;
mod contenders;
mod corpus;
mod curve;
mod generate;
mod lean;
mod measure;
mod memory;
mod report;

use std::collections::HashMap;

use anyhow::Context as _;
use clap::Parser;
use detect::{Engine, Rule};

use self::{
    compare::Comparison,
    contenders::{Engines, Pools},
    corpus::Events,
    measure::{Clock, Took},
    report::{Candidates, Load, Loads, Report, Row},
};

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

/// Events that are prepared and measured at a time.
const CHUNK_EVENTS: usize = 4_000;
/// Events that the curve is measured on.
const CURVE_EVENTS: usize = 4_000;

/// Measures the detection engine beside its peers.
#[derive(Debug, Parser)]
struct Args {
    /// Only every so many events of the capture
    #[arg(long, default_value_t = 1)]
    step: usize,
    /// How often each contender meets each event
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// sigma-rust meets every so many of the events, as it is slow
    #[arg(long, default_value_t = 50)]
    sigma_rust_step: usize,
    /// Leave the curve from 100 to 100,000 rules out
    #[arg(long)]
    no_curve: bool,
    /// Only contenders whose name has this in it; ratios are then of the first of these
    #[arg(long, default_value = "")]
    only: String,
    /// Measure the curve alone
    #[arg(long)]
    only_curve: bool,
    /// The result as JSON
    #[arg(long)]
    json: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let Some(root) = corpus::root() else { return Ok(()) };
    let rules = corpus::windows_rules(&root)?;
    let mut report = Report { rules: rules.len(), ..Report::default() };
    if !args.only_curve {
        compare_all(&args, &root, &rules, &mut report)?;
    }
    if !args.no_curve {
        // Of all kinds that the capture has, some.
        let mut events = Events::open(&root, args.step.max(19), &rules)?;
        let sample = events.chunk(CURVE_EVENTS)?;
        report.curve = curve::measure(&rules, &sample, args.rounds);
    }
    if args.json {
        println!("{:#}", report.to_json());
    } else {
        report.print();
    }
    Ok(())
}

fn compare_all(
    args: &Args,
    root: &std::path::Path,
    rules: &[(Rule, String)],
    report: &mut Report,
) -> anyhow::Result<()> {
    let (mut engines, loads) = build(rules)?;
    report.loads = loads;
    let texts: Vec<String> = rules.iter().map(|(_, text)| text.clone()).collect();
    let pool = |threads| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .context("failed to start threads")
    };
    let pools = Pools { one: pool(1)?, two: pool(2)? };
    let mut events = Events::open(root, args.step, rules)?;
    let mut comparison = Comparison::default();
    let (mut rows, mut candidates): (Vec<Row>, _) = (Vec::new(), Candidates::default());
    loop {
        let chunk = events.chunk(CHUNK_EVENTS)?;
        if chunk.is_empty() {
            break;
        }
        if args.only.is_empty() {
            engines.meet(&events.classes, rules)?;
            comparison.add(&chunk, &engines, &events.classes, rules);
        }
        candidates.add(&engines.ours, &chunk);
        let mut all =
            contenders::all(&engines, &events.classes, &texts, &pools, args.sigma_rust_step)?;
        all.retain(|contender| contender.name.contains(&args.only));
        rows.resize_with(all.len(), Row::default);
        for round in 0..args.rounds.max(1) {
            for turn in 0..all.len() {
                // Each begins a round in turn, so that nobody always finds the same caches.
                let place = (turn + round) % all.len();
                let (contender, row) = (&mut all[place], &mut rows[place]);
                let step = contender.step;
                let (took, found) = contender.clock.time(|| (contender.run)(&chunk, step));
                row.describe(contender);
                let (took, found) = (took.over(contender.passes), found / contender.passes);
                row.add(round, took, chunk.len().div_ceil(step), found);
            }
        }
    }
    report.rows = rows;
    report.classes = events.classes.rules.len();
    report.allocations = allocations(&engines.ours, root, rules)?;
    report.comparison = comparison;
    report.candidates = candidates;
    Ok(())
}

/// Compiles the rules with everyone, counting time and memory.
fn build(rules: &[(Rule, String)]) -> anyhow::Result<(Engines, Loads)> {
    let owned: Vec<Rule> = rules.iter().map(|(rule, _)| rule.clone()).collect();
    let texts = || rules.iter().map(|(_, text)| text);
    let load = |(used, (took, rules)): (memory::Used, (Took, usize))| Load { rules, used, took };
    let mut ours = None;
    let compiled =
        memory::counted(|| Clock::Process.time(|| ours.insert(Engine::new(owned)).rules().len()));
    let (mut routing, mut sigma_rust) = (None, Vec::new());
    let rsigma = memory::counted(|| {
        Clock::Process.time(|| {
            routing = contenders::rsigma(texts(), true).ok();
            routing.as_ref().map_or(0, rsigma_eval::Engine::rule_count)
        })
    });
    let rust = memory::counted(|| {
        Clock::Process.time(|| {
            sigma_rust = texts().map(|text| sigma_rust::rule_from_yaml(text).ok()).collect();
            sigma_rust.iter().flatten().count()
        })
    });
    let parsed = memory::counted(|| {
        Clock::Process.time(|| {
            texts()
                .map(|text| detect::parse(text, std::path::Path::new("rule.yml")).rules.len())
                .sum()
        })
    });
    let engines = Engines {
        ours: ours.context("failed to compile the rules")?,
        rsigma_routing: routing.context("rsigma failed to read the rules")?,
        rsigma_plain: contenders::rsigma(texts(), false)?,
        rsigma_class: HashMap::new(),
        sigma_rust,
    };
    let loads = vec![
        ("jacquemart, reading", load(parsed)),
        ("jacquemart, compiling", load(compiled)),
        ("rsigma, reading and compiling", load(rsigma)),
        ("sigma-rust, reading and compiling", load(rust)),
    ];
    Ok((engines, loads))
}

/// How often matching asks for memory, an event on which nothing fires.
fn allocations(
    engine: &Engine,
    root: &std::path::Path,
    rules: &[(Rule, String)],
) -> anyhow::Result<f64> {
    let chunk = Events::open(root, 97, rules)?.chunk(CHUNK_EVENTS / 4)?;
    let (mut scratch, mut matches) = (detect::Scratch::new(), Vec::new());
    let mut quiet = Vec::new();
    for event in &chunk {
        engine.matches(&event.event, &mut scratch, &mut matches);
        if matches.is_empty() {
            quiet.push(&event.event);
        }
        matches.clear();
    }
    let (used, ()) = memory::counted(|| {
        for event in &quiet {
            engine.matches(event, &mut scratch, &mut matches);
        }
    });
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let each = used.calls as f64 / quiet.len().max(1) as f64;
    Ok(each)
}
