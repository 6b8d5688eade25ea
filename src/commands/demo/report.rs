//! What came of it.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    capture::{Capture, Stage},
    play::Sent,
    watch::{Board, Catch},
};
use crate::print::safe;

/// The demo's end, in figures.
pub(super) struct Report {
    title: String,
    stages: Vec<(StageSummary, Option<Catch>)>,
    benign: Vec<(String, String)>,
    correlations: Vec<String>,
    incidents: usize,
    detections: u64,
    sent: u64,
    accepted: u64,
    found: u64,
    seconds: f64,
    ready_ms: u128,
    total: Duration,
}

struct StageSummary {
    id: String,
    title: String,
    tactic: String,
    technique: String,
    commune: String,
    expected: bool,
    reason: String,
}

impl From<&Stage> for StageSummary {
    fn from(stage: &Stage) -> Self {
        Self {
            id: stage.id.clone(),
            title: stage.title.clone(),
            tactic: stage.tactic.clone(),
            technique: stage.technique.clone(),
            commune: stage.commune.to_string(),
            expected: stage.expected,
            reason: stage.reason.clone(),
        }
    }
}

impl Report {
    pub(super) fn new(
        capture: &Capture,
        board: &Board,
        sent: &Sent,
        found: u64,
        ready_ms: u128,
        total: Duration,
    ) -> Self {
        let state = board.lock();
        Self {
            title: capture.title.clone(),
            stages: capture
                .stages
                .iter()
                .map(StageSummary::from)
                .zip(state.catches.iter().cloned())
                .collect(),
            benign: state.benign(),
            correlations: state.correlations(),
            incidents: state.incidents.len(),
            detections: state.detections,
            sent: sent.events,
            accepted: sent.accepted,
            found,
            seconds: sent.took.as_secs_f64(),
            ready_ms,
            total,
        }
    }

    fn missed(&self) -> impl Iterator<Item = &StageSummary> {
        self.stages.iter().filter(|(_, catch)| catch.is_none()).map(|(stage, _)| stage)
    }

    fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.found)
    }

    /// Every expected stage caught, nothing benign raised, nothing lost or doubled.
    pub(super) fn is_clean(&self) -> bool {
        self.missed().all(|stage| !stage.expected)
            && self.benign.is_empty()
            && self.found == self.sent
    }

    pub(super) fn to_json(&self) -> Value {
        let stages: Vec<Value> = self
            .stages
            .iter()
            .map(|(stage, catch)| {
                json!({
                    "id": stage.id,
                    "title": stage.title,
                    "tactic": stage.tactic,
                    "technique": stage.technique,
                    "commune": stage.commune,
                    "expected": stage.expected,
                    "caught": catch.is_some(),
                    "rule": catch.as_ref().map(|catch| &catch.rule),
                    "level": catch.as_ref().map(|catch| catch.level),
                    "receipt_to_detection_ms": catch.as_ref().map(|catch| millis(catch.detected_ms)),
                    "sent_to_incident_seen_ms": catch.as_ref().map(|catch| millis(catch.seen_ms)),
                    "reason": if stage.expected { None } else { Some(&stage.reason) },
                })
            })
            .collect();
        let benign: Vec<Value> =
            self.benign.iter().map(|(rule, event)| json!({"rule": rule, "event": event})).collect();
        json!({
            "clean": self.is_clean(),
            "capture": self.title,
            "stages": stages,
            "benign_raised": benign,
            "correlations": self.correlations,
            "events": { "sent": self.sent, "accepted": self.accepted, "searchable": self.found, "lost": self.lost() },
            "detections": self.detections,
            "incidents": self.incidents,
            "ready_ms": millis(self.ready_ms),
            "played_seconds": self.seconds,
            "total_seconds": self.total.as_secs_f64(),
        })
    }

    pub(super) fn print(&self) {
        println!("\n{}\n", safe(&self.title));
        for (stage, catch) in &self.stages {
            let head = format!(
                "{} · {} ({} {})",
                stage.title, stage.commune, stage.tactic, stage.technique
            );
            match catch {
                Some(catch) => println!(
                    "  caught  {}\n          by “{}” ({}), detected {} ms after receipt, incident seen {} ms after sending",
                    safe(&head),
                    safe(&catch.rule),
                    catch.level,
                    catch.detected_ms,
                    catch.seen_ms
                ),
                None if stage.expected => println!("  MISSED  {}", safe(&head)),
                None => println!(
                    "  missed  {}\n          as expected: {}",
                    safe(&head),
                    safe(&stage.reason)
                ),
            }
        }
        println!();
        for rule in &self.correlations {
            println!("  joined  by “{}”", safe(rule));
        }
        for (rule, event) in &self.benign {
            println!(
                "  FALSE ALARM  “{}” on {}",
                safe(rule),
                safe(&event.chars().take(200).collect::<String>())
            );
        }
        println!(
            "{} events sent in {:.1} s, {} acknowledged, {} searchable, {} lost; {} detections in {} incidents; {} false alarms",
            self.sent,
            self.seconds,
            self.accepted,
            self.found,
            self.lost(),
            self.detections,
            self.incidents,
            self.benign.len()
        );
        println!(
            "ready after {} ms, finished after {:.1} s",
            self.ready_ms,
            self.total.as_secs_f64()
        );
    }
}

fn millis(ms: u128) -> u64 {
    u64::try_from(ms).unwrap_or(u64::MAX)
}
