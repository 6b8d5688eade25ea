//! `jacquemart detect`.

use std::{
    collections::HashMap,
    io::{self, BufWriter, IsTerminal as _, Write},
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use detect::{Correlator, Limits, Ruleset};
use event::{Contribution, Detection, Event, EventId, Level, Timestamp};
use indicatif::{ProgressBar, ProgressStyle};
use ingest::{capture::Capture, formats::Formats};
use rayon::prelude::*;
use serde_json::json;

use super::offline::{self, Origin};
use crate::{
    Exit, Failure,
    cli::{Detect, Global},
    rules,
};

/// Events that are matched at once.
const BATCH_EVENTS: usize = 2_000;
/// Matches that are held to be put in order; past it the oldest are looked at.
const MATCHES_HELD_MAX: usize = 5_000_000;

pub(crate) fn run(global: &Global, args: Detect) -> Result<Exit, Failure> {
    let formats = offline::formats(global)?;
    offline::known_format(&formats, &args.format)?;
    for path in &args.rules {
        if !path.exists() {
            return Err(Failure::usage(format!("--rules: {} does not exist", path.display())));
        }
    }
    let ruleset = rules::compile(args.rules.is_empty(), &args.rules);
    for refusal in ruleset.refused() {
        eprintln!("rule refused: {}", crate::print::safe(&refusal.to_string()));
    }
    let (indicators, refused) = crate::indicators::of_files(&args.indicators)
        .map_err(|error| Failure::new(Exit::Usage, error).context("failed to read --indicators"))?;
    for refusal in &refused {
        eprintln!("indicator refused: {}", crate::print::safe(refusal));
    }
    let ruleset = ruleset.with_indicators(indicators);
    if ruleset.rules().is_empty() && ruleset.indicators().is_empty() {
        return Err(Failure::usage("no rule loaded; see `jacquemart rules check`"));
    }
    let mut run = Run {
        formats,
        correlator: Correlator::new(Arc::clone(ruleset.correlations()), limits()),
        fired: Vec::new(),
        places: HashMap::new(),
        ruleset,
        origin: Origin::new(args.format),
        level_min: args.level_min,
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut totals = Totals::default();
    let started = Instant::now();
    for (index, path) in (0..).zip(&args.files) {
        let capture = Capture::open(path)?;
        let progress = progress(capture.progress().bytes_total());
        let mut batch = Vec::with_capacity(BATCH_EVENTS);
        let name = path.display().to_string();
        let mut capture = capture;
        let mut number = 0;
        while let Some(item) = capture.next() {
            match item {
                Ok(record) => {
                    number += 1;
                    batch.push((number, record.raw));
                }
                Err(error) => {
                    totals.unreadable += 1;
                    progress.suspend(|| eprintln!("{error}"));
                }
            }
            if batch.len() == BATCH_EVENTS {
                run.flush(index, &name, &mut batch, &mut out, &mut totals)?;
                progress.set_position(capture.progress().bytes_read());
                progress.set_message(totals.to_string());
            }
        }
        run.flush(index, &name, &mut batch, &mut out, &mut totals)?;
        progress.finish_and_clear();
    }
    run.correlate(&args.files, &mut out, &mut totals)?;
    out.flush()?;
    let seconds = started.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = totals.events as f64 / seconds.max(1e-9);
    eprintln!(
        "{totals}; {} rules, {} correlations, {seconds:.2} s, {rate:.0} events/s",
        run.ruleset.rules().len(),
        run.ruleset.correlations().len()
    );
    Ok(Exit::Done)
}

/// What the run found so far.
#[derive(Default)]
struct Totals {
    events: u64,
    detections: u64,
    undecodable: u64,
    unreadable: u64,
}

impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} events, {} detections", self.events, self.detections)?;
        if self.undecodable > 0 {
            write!(f, ", {} undecodable", self.undecodable)?;
        }
        if self.unreadable > 0 {
            write!(f, ", {} unreadable", self.unreadable)?;
        }
        Ok(())
    }
}

/// Files are read to their end before anything is correlated, so that the order of files and of
/// the records in them does not matter.
fn limits() -> Limits {
    // Whose the files are is not known, so they are one commune's and the Métropole's too.
    let metropole = offline::commune();
    Limits { held_max: MATCHES_HELD_MAX, metropole: Some(metropole), ..Limits::default() }
}

struct Run {
    formats: Formats,
    ruleset: Ruleset,
    correlator: Correlator,
    fired: Vec<Detection>,
    /// File and number of the events that correlations may name as the one that completed them.
    places: HashMap<EventId, (u32, u64)>,
    origin: Origin,
    level_min: Option<Level>,
}

impl Run {
    fn flush(
        &mut self,
        file: u32,
        name: &str,
        batch: &mut Vec<(u64, Bytes)>,
        out: &mut impl Write,
        totals: &mut Totals,
    ) -> io::Result<()> {
        let (numbers, events): (Vec<u64>, Vec<Arc<Event>>) = batch
            .par_drain(..)
            .map(|(number, raw)| {
                (number, Arc::new(self.origin.decode(&self.formats, file, number, raw)))
            })
            .unzip();
        totals.events += events.len() as u64;
        totals.undecodable +=
            events.iter().filter(|event| event.is_pipeline_error()).count() as u64;
        // Detections come in the order of the events, so one pass over both finds each number.
        let mut at = 0;
        let found = self.ruleset.detect(&events, Timestamp::now());
        let mut numbered: HashMap<EventId, u64> = HashMap::new();
        if !self.ruleset.correlations().is_empty() {
            numbered = events.iter().map(|event| event.id()).zip(numbers.iter().copied()).collect();
        }
        for contribution in found.contributions {
            self.hear(contribution, file, &numbered);
        }
        for detection in found.detections {
            while events.get(at).is_some_and(|event| event.id() != detection.event_id) {
                at += 1;
            }
            if self.ruleset.correlations().reads(&detection.rule.id) {
                self.hear(Contribution::from(&detection), file, &numbered);
            }
            if self.level_min.is_some_and(|level| detection.rule.level < level) {
                continue;
            }
            totals.detections += 1;
            write_line(out, name, numbers.get(at).copied().unwrap_or_default(), &detection)?;
        }
        Ok(())
    }

    fn hear(&mut self, contribution: Contribution, file: u32, numbered: &HashMap<EventId, u64>) {
        let number = numbered.get(&contribution.event_id).copied().unwrap_or_default();
        self.places.insert(contribution.event_id, (file, number));
        // Everything was received at once, so nothing fires before the end unless more matches
        // come than are held.
        self.correlator.push(Arc::new(contribution), &mut self.fired);
    }

    /// Prints what the correlations make of all that was read, in the order of time.
    fn correlate(
        &mut self,
        files: &[std::path::PathBuf],
        out: &mut impl Write,
        totals: &mut Totals,
    ) -> io::Result<()> {
        self.correlator.finish(&mut self.fired);
        for detection in std::mem::take(&mut self.fired) {
            if self.level_min.is_some_and(|level| detection.rule.level < level) {
                continue;
            }
            totals.detections += 1;
            let (file, number) = self.places.get(&detection.event_id).copied().unwrap_or_default();
            let name = files.get(file as usize).map(|path| path.display().to_string());
            write_line(out, &name.unwrap_or_default(), number, &detection)?;
        }
        Ok(())
    }
}

fn write_line(
    out: &mut impl Write,
    file: &str,
    number: u64,
    detection: &Detection,
) -> io::Result<()> {
    let mut line = json!({
        "@timestamp": detection.timestamp,
        "event": { "id": detection.event_id, "kind": "signal", "sequence": number },
        "rule": {
            "id": detection.rule.id,
            "name": detection.rule.name,
            "level": detection.rule.level,
            "version": detection.rule.version,
        },
        "log": { "file": { "path": file } },
        "entities": detection.entities,
        "matched": detection.matched,
    });
    if let Some(correlation) = &detection.correlation {
        line["correlation"] = serde_json::to_value(correlation)?;
    }
    if let Some(indicator) = &detection.indicator {
        line["indicator"] = json!(indicator);
    }
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}

/// A bar on stderr where that is a terminal.
fn progress(total_bytes: Option<u64>) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = total_bytes.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {eta} {msg}");
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
