//! What was done in a period, in figures.
//!
//! A report is kept as it was made, with the digest of its figures: asked again for the same period,
//! the same comes out, though incidents were closed, merged or judged otherwise meanwhile.

use std::{cmp::Reverse, collections::BTreeMap};

use async_trait::async_trait;
use event::{CommuneId, IncidentId, Level, Timestamp};
use serde::Serialize;

use super::{ClockName, DbError, Incident, IncidentStatus, Verdict};
use crate::Scope;

/// Incidents that a report lists, the most severe first.
pub const LISTED_MAX: usize = 1_000;
/// Rules and techniques that a report names.
pub(super) const TOP_MAX: usize = 20;

/// Reports that are kept of one commune, or of all.
pub const REPORTS_MAX: u64 = 1_000;

/// How many there are of each severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BySeverity {
    /// Critical ones.
    pub critical: u64,
    /// High ones.
    pub high: u64,
    /// Medium ones.
    pub medium: u64,
    /// Low ones.
    pub low: u64,
}

impl BySeverity {
    fn count(&mut self, severity: Level) {
        *match severity {
            Level::Critical => &mut self.critical,
            Level::High => &mut self.high,
            Level::Medium => &mut self.medium,
            Level::Low | Level::Informational => &mut self.low,
        } += 1;
    }
}

/// How long something took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ReportDuration {
    /// What.
    pub name: DurationName,
    /// Of incidents of this severity.
    pub severity: Level,
    /// Of how many.
    pub count: u64,
    /// The shortest, in milliseconds.
    pub min_ms: u64,
    /// The mean, rounded down.
    pub mean_ms: u64,
    /// The one in the middle; the greater of two.
    pub median_ms: u64,
    /// The longest.
    pub max_ms: u64,
}

/// What may take its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DurationName {
    /// From the first event, by its own clock, until the incident was opened.
    Detect,
    /// From there until the first receiver was told.
    Tell,
    /// Until somebody looked.
    Acknowledge,
    /// Until it spread no further, or was resolved.
    Contain,
    /// Until it was resolved.
    Resolve,
}

/// How clocks of one name and severity ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ClockFigure {
    /// Which.
    pub name: ClockName,
    /// Of incidents of this severity.
    pub severity: Level,
    /// In time.
    pub kept: u64,
    /// Late, or not at all by now.
    pub broken: u64,
    /// Not yet, with time left.
    pub running: u64,
}

/// A rule and what it came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleFigure {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its level.
    pub level: Level,
    /// In how many of the incidents it fired.
    pub incidents: u64,
    /// How often.
    pub detections: u64,
    /// Incidents of these that were found to be true.
    pub true_positive: u64,
    /// And false.
    pub false_positive: u64,
}

/// An incident in one line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ListedIncident {
    /// Its id.
    pub id: IncidentId,
    /// Whose it is.
    pub commune: CommuneId,
    /// Its number there.
    pub number: u64,
    /// Its title.
    pub title: String,
    /// How severe it is.
    pub severity: Level,
    /// Where work on it stands.
    pub status: IncidentStatus,
    /// What it turned out to be.
    pub verdict: Option<Verdict>,
    /// When it was opened.
    pub created: Timestamp,
    /// When somebody looked.
    pub acknowledged: Option<Timestamp>,
    /// When it was resolved.
    pub resolved: Option<Timestamp>,
    /// When the commune knew that it is to be reported under NIS 2.
    pub nis2_aware: Option<Timestamp>,
    /// How many detections it holds.
    pub detections: u64,
}

/// What became of the incidents of a period. Incidents that were merged into others are not counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct IncidentFigures {
    /// Opened in the period.
    pub opened: BySeverity,
    /// Of these, by calendar month, UTC.
    pub opened_by_month: BTreeMap<String, BySeverity>,
    /// Of these, by verdict; `none` has none yet.
    pub opened_by_verdict: BTreeMap<&'static str, u64>,
    /// Closed in the period, whenever they were opened.
    pub closed: BySeverity,
    /// Opened before its end and not closed by then.
    pub left_open: BySeverity,
    /// Detections of those opened.
    pub detections: u64,
    /// Of those opened.
    pub durations: Vec<ReportDuration>,
    /// Of those opened.
    pub clocks: Vec<ClockFigure>,
    /// The rules that fired most in those opened.
    pub rules: Vec<RuleFigure>,
    /// The ATT&CK techniques of most of those opened.
    pub techniques: Vec<(String, u64)>,
    /// Those opened, the most severe first, then the oldest.
    pub listed: Vec<ListedIncident>,
}

/// What rules in force at a moment cover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Rules.
    pub rules: u64,
    /// ATT&CK techniques, subtechniques as their own, that some rule names.
    pub techniques: u64,
}

/// A report to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewReport {
    /// Of one commune; `None` is all.
    pub commune: Option<CommuneId>,
    /// From when, inclusive.
    pub from: Timestamp,
    /// Until when, exclusive.
    pub to: Timestamp,
    /// Its figures, as JSON.
    pub figures: String,
}

/// A report that was kept, without its figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReportInfo {
    /// Derived from what it is of, when it was made, and its figures.
    pub id: String,
    /// Of one commune; `None` is all.
    pub commune: Option<CommuneId>,
    /// From when, inclusive.
    pub from: Timestamp,
    /// Until when, exclusive.
    pub to: Timestamp,
    /// When it was made.
    pub made: Timestamp,
    /// By whom.
    pub by: String,
    /// SHA-256 of its figures' text, in hexadecimal.
    pub digest: String,
}

/// A report that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What it is of.
    pub info: ReportInfo,
    /// Its figures, as they were.
    pub figures: String,
}

/// Figures of periods, and the reports made of them.
///
/// Contract as of [`Database`](super::Database), whose part it is.
#[async_trait]
pub trait Reports: Send + Sync {
    /// What became of the incidents in scope from `from` until before `to`, as things stand at `now`.
    async fn incident_figures(
        &self,
        scope: &Scope,
        from: Timestamp,
        to: Timestamp,
        now: Timestamp,
    ) -> Result<IncidentFigures, DbError>;
    /// What the rules in force at `at` cover; the scope only shows that somebody was let in.
    async fn coverage(&self, scope: &Scope, at: Timestamp) -> Result<Coverage, DbError>;
    /// Keeps a report. Missing: a commune that is not there or not in scope; all of them for a scope
    /// that is not all. Refused: an end that is not after the beginning, or is to come; more than
    /// [`REPORTS_MAX`] of one commune.
    async fn keep_report(
        &self,
        scope: &Scope,
        report: NewReport,
        by: &str,
        now: Timestamp,
    ) -> Result<Report, DbError>;
    /// The reports in scope, the latest first; those of all communes only for a scope that is all.
    async fn reports(&self, scope: &Scope) -> Result<Vec<ReportInfo>, DbError>;
    /// One of them.
    async fn report(&self, scope: &Scope, id: &str) -> Result<Option<Report>, DbError>;
}

/// Refuses a period that cannot be told of.
pub(super) fn check(report: &NewReport, now: Timestamp) -> Result<(), DbError> {
    let reason = if report.to <= report.from {
        "the end of the period is not after its beginning"
    } else if report.to > now {
        "the period is not over; figures are kept of one that is"
    } else {
        return Ok(());
    };
    Err(DbError::Refused(reason.to_owned()))
}

/// Adds up incidents.
pub(super) struct Tally {
    from: Timestamp,
    to: Timestamp,
    now: Timestamp,
    figures: IncidentFigures,
    spans: BTreeMap<(DurationName, Reverse<Level>), Vec<u64>>,
    clocks: BTreeMap<(ClockName, Reverse<Level>), [u64; 3]>,
    techniques: BTreeMap<String, u64>,
}

impl Tally {
    pub(super) fn new(from: Timestamp, to: Timestamp, now: Timestamp) -> Self {
        Self {
            from,
            to,
            now,
            figures: IncidentFigures::default(),
            spans: BTreeMap::new(),
            clocks: BTreeMap::new(),
            techniques: BTreeMap::new(),
        }
    }

    /// Counts an incident, of which somebody was `told` first.
    pub(super) fn add(&mut self, incident: Incident, told: Option<Timestamp>) {
        if incident.merged_into.is_some() || incident.created >= self.to {
            return;
        }
        let severity = incident.severity;
        match incident.closed {
            Some(closed) if closed < self.to => {
                if closed >= self.from {
                    self.figures.closed.count(severity);
                }
            }
            _ => self.figures.left_open.count(severity),
        }
        if incident.created < self.from {
            return;
        }
        self.figures.opened.count(severity);
        let month: String = incident.created.to_string().chars().take(7).collect();
        self.figures.opened_by_month.entry(month).or_default().count(severity);
        let verdict = incident.verdict.map_or("none", Verdict::as_str);
        *self.figures.opened_by_verdict.entry(verdict).or_default() += 1;
        self.figures.detections += incident.detections;
        let contained = incident.contained.or(incident.resolved);
        for (name, from, to) in [
            (DurationName::Detect, incident.first_event, Some(incident.created)),
            (DurationName::Tell, incident.created, told),
            (DurationName::Acknowledge, incident.created, incident.acknowledged),
            (DurationName::Contain, incident.created, contained),
            (DurationName::Resolve, incident.created, incident.resolved),
        ] {
            if let Some(to) = to {
                let ms = u64::try_from(to.since(from).as_millis()).unwrap_or(u64::MAX);
                self.spans.entry((name, Reverse(severity))).or_default().push(ms);
            }
        }
        for clock in &incident.clocks {
            let ended = match clock.met {
                Some(met) if met <= clock.due => 0,
                None if clock.due > self.now => 2,
                _ => 1,
            };
            self.clocks.entry((clock.name, Reverse(severity))).or_default()[ended] += 1;
        }
        let techniques = incident.tags.iter().filter(|tag| event::technique_of(tag).is_some());
        for technique in techniques {
            *self.techniques.entry(technique.clone()).or_default() += 1;
        }
        self.list(incident);
    }

    fn list(&mut self, incident: Incident) {
        let listed = &mut self.figures.listed;
        listed.push(ListedIncident {
            id: incident.id,
            commune: incident.commune,
            number: incident.number,
            title: incident.title,
            severity: incident.severity,
            status: incident.status,
            verdict: incident.verdict,
            created: incident.created,
            acknowledged: incident.acknowledged,
            resolved: incident.resolved,
            nis2_aware: incident.nis2_aware,
            detections: incident.detections,
        });
        if listed.len() >= 2 * LISTED_MAX {
            shorten(listed);
        }
    }

    /// The figures, with the rules that fired.
    pub(super) fn finish(mut self, rules: Vec<RuleFigure>) -> IncidentFigures {
        shorten(&mut self.figures.listed);
        self.figures.durations = self
            .spans
            .into_iter()
            .filter_map(|((name, Reverse(severity)), ms)| duration(name, severity, ms))
            .collect();
        self.figures.clocks = self
            .clocks
            .into_iter()
            .map(|((name, Reverse(severity)), [kept, broken, running])| ClockFigure {
                name,
                severity,
                kept,
                broken,
                running,
            })
            .collect();
        let mut techniques: Vec<(String, u64)> = self.techniques.into_iter().collect();
        techniques.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        techniques.truncate(TOP_MAX);
        self.figures.techniques = techniques;
        self.figures.rules = rules;
        self.figures
    }
}

fn shorten(listed: &mut Vec<ListedIncident>) {
    listed.sort_by(|a, b| {
        b.severity.cmp(&a.severity).then(a.created.cmp(&b.created)).then(a.id.cmp(&b.id))
    });
    listed.truncate(LISTED_MAX);
}

fn duration(name: DurationName, severity: Level, mut ms: Vec<u64>) -> Option<ReportDuration> {
    ms.sort_unstable();
    let count = ms.len() as u64;
    let sum: u128 = ms.iter().map(|ms| u128::from(*ms)).sum();
    Some(ReportDuration {
        name,
        severity,
        count,
        min_ms: *ms.first()?,
        mean_ms: u64::try_from(sum / u128::from(count)).unwrap_or(u64::MAX),
        median_ms: *ms.get(ms.len() / 2)?,
        max_ms: *ms.last()?,
    })
}
