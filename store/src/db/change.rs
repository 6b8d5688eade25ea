//! What analysts may do to an incident.

use event::{Level, Timestamp};

use super::{
    ClockName, Comment, DbError, Incident, IncidentChange, IncidentStatus, Nis2Report,
    SeverityOverride, TimelineEntry, TimelineKind, Verdict, Visibility, clock, grouping,
};
use crate::Scope;

const COMMENT_BYTES_MAX: usize = 64 << 10;

/// All comments of one incident together, so that its timeline stays readable as a whole.
const COMMENTS_BYTES_MAX: u64 = 16 << 20;

/// The most labels of an incident.
pub const LABELS_MAX: usize = 32;

const LABEL_CHARS_MAX: usize = 64;
const ASSIGNEE_CHARS_MAX: usize = 128;
const REASON_CHARS_MAX: usize = 1_000;

/// Who changes an incident, and when.
pub(super) struct By<'a> {
    pub(super) scope: &'a Scope,
    pub(super) name: &'a str,
    pub(super) now: Timestamp,
}

/// Applies `change` to `incident`, which has `comments_bytes` of comments, and returns what to
/// write into its timeline; changes nothing where it fails.
pub(super) fn apply(
    incident: &mut Incident,
    comments_bytes: u64,
    change: IncidentChange,
    by: &By<'_>,
) -> Result<Vec<TimelineEntry>, DbError> {
    if change.if_version.is_some_and(|version| version != incident.version) {
        return Err(DbError::Conflict { current: incident.version });
    }
    if let Some(other) = incident.merged_into
        && (change.status.is_some() || change.verdict.is_some() || change.severity.is_some())
    {
        return refuse(format!("the incident was merged into {other}; change that one"));
    }
    let mut after = incident.clone();
    let mut kinds = Vec::new();
    work(&mut after, &change, by, &mut kinds)?;
    if let Some(assignee) = change.assignee {
        kinds.extend(assign(&mut after, assignee)?);
    }
    if let Some(contained) = change.contained {
        kinds.push(contain(&mut after, contained, by)?);
    }
    if change.reason.is_some() && change.severity.is_none() && change.nis2_aware != Some(None) {
        return refuse(
            "a reason is given for a severity, or for not reporting; give one of them, too",
        );
    }
    if let Some(aware) = change.nis2_aware {
        kinds.push(significant(&mut after, aware, change.reason.as_deref(), by)?);
    }
    if let Some(report) = change.nis2_report {
        kinds.push(reported(&mut after, report, by)?);
    }
    if let Some(level) = change.severity {
        kinds.push(rate(&mut after, level, change.reason, by)?);
    }
    if let Some(labels) = change.labels {
        kinds.extend(label(&mut after, labels)?);
    }
    if let Some(text) = change.comment {
        check_comment(&text, comments_bytes)?;
        let visibility = visibility(by.scope, change.visibility)?;
        kinds.push(TimelineKind::Comment(Comment { text, visibility }));
    } else if change.visibility.is_some() {
        return refuse("a visibility is given for a comment; give the comment, too");
    }
    if kinds.is_empty() {
        return refuse(
            "there is nothing to change; give a status, a verdict, an assignee, a severity, labels, \
             containment, a NIS 2 report or a comment that the incident does not have",
        );
    }
    after.updated = after.updated.max(by.now);
    after.version += 1;
    *incident = after;
    Ok(kinds.into_iter().map(|kind| entry(kind, by)).collect())
}

/// Checks whether `from` may be merged into `into`, closes it as such, and returns what to write
/// into its timeline.
pub(super) fn merge(
    from: &mut Incident,
    into: &Incident,
    by: &By<'_>,
) -> Result<Vec<TimelineEntry>, DbError> {
    if from.id == into.id {
        return refuse("an incident is not merged into itself");
    }
    if from.commune != into.commune {
        return refuse("incidents of two communes are not merged: each commune sees its own alone");
    }
    for (incident, which) in [(&*from, "the incident"), (into, "the other incident")] {
        if let Some(other) = incident.merged_into {
            return refuse(format!("{which} was merged into {other} already"));
        }
    }
    if !into.status.is_open() {
        let status = into.status.as_str();
        return refuse(format!("the other incident is {status}; reopen it first"));
    }
    let mut kinds = vec![TimelineKind::MergedInto { incident: into.id }];
    if from.status != IncidentStatus::Closed {
        kinds.push(TimelineKind::Status { from: from.status, to: IncidentStatus::Closed });
        from.status = IncidentStatus::Closed;
        stamp(from, by.now);
    }
    // The judgement is the other's; this one only must have some.
    from.verdict.get_or_insert(Verdict::Undetermined);
    from.merged_into = Some(into.id);
    // What is to be reported is the other one now.
    from.nis2_aware = None;
    from.detections = 0;
    from.updated = from.updated.max(by.now);
    from.version += 1;
    Ok(kinds.into_iter().map(|kind| entry(kind, by)).collect())
}

/// What is written into the timeline of the incident that another was merged into.
pub(super) fn absorbed(from: &Incident, detections: u64, by: &By<'_>) -> TimelineEntry {
    entry(TimelineKind::Absorbed { incident: from.id, detections }, by)
}

fn entry(kind: TimelineKind, by: &By<'_>) -> TimelineEntry {
    TimelineEntry { at: by.now, by: by.name.to_owned(), kind }
}

/// Status and verdict, which depend on each other.
fn work(
    incident: &mut Incident,
    change: &IncidentChange,
    by: &By<'_>,
    kinds: &mut Vec<TimelineKind>,
) -> Result<(), DbError> {
    let before = incident.status;
    let status = change.status.unwrap_or(before);
    if change.status == Some(before) {
        return refuse(format!("the incident is {} already", before.as_str()));
    }
    if let Some(same) = change.verdict.filter(|verdict| incident.verdict == Some(*verdict))
        && change.status.is_none()
    {
        return refuse(format!("the incident's verdict is {} already", same.as_str()));
    }
    let verdict = verdict_after(incident, status, change.verdict);
    if status == IncidentStatus::Closed && verdict.is_none() {
        let words = Verdict::ALL.map(Verdict::as_str).join(", ");
        return refuse(format!("closing an incident demands a verdict, one of {words}"));
    }
    if let Some(to) = verdict.filter(|to| incident.verdict != Some(*to)) {
        kinds.push(TimelineKind::Verdict { to });
    }
    incident.verdict = verdict;
    if status != before {
        kinds.push(TimelineKind::Status { from: before, to: status });
        incident.status = status;
        stamp(incident, by.now);
    }
    Ok(())
}

/// A reopened incident is judged anew, so that its next closing demands a verdict again.
fn verdict_after(
    incident: &Incident,
    status: IncidentStatus,
    given: Option<Verdict>,
) -> Option<Verdict> {
    let reopened = incident.status == IncidentStatus::Closed && status != IncidentStatus::Closed;
    given.or(if reopened { None } else { incident.verdict })
}

/// When its state was reached. Somebody who resolves or closes an incident has seen it, too.
fn stamp(incident: &mut Incident, now: Timestamp) {
    use IncidentStatus::{Closed, New, Resolved};
    // A clock that went back makes no time negative.
    let now = now.max(incident.created);
    if incident.status != New {
        incident.acknowledged.get_or_insert(now);
    }
    match incident.status {
        Closed => {
            incident.resolved.get_or_insert(now);
            incident.closed = Some(now);
        }
        Resolved => {
            incident.resolved.get_or_insert(now);
            incident.closed = None;
        }
        _ => (incident.resolved, incident.closed) = (None, None),
    }
}

fn assign(incident: &mut Incident, to: Option<String>) -> Result<Option<TimelineKind>, DbError> {
    if let Some(name) = &to {
        check_text("assignee", name, ASSIGNEE_CHARS_MAX)?;
    }
    if incident.assignee == to {
        return Ok(None);
    }
    let from = std::mem::replace(&mut incident.assignee, to.clone());
    Ok(Some(TimelineKind::Assignee { from, to }))
}

fn contain(incident: &mut Incident, contained: bool, by: &By<'_>) -> Result<TimelineKind, DbError> {
    if contained == incident.contained.is_some() {
        return refuse(match contained {
            true => "the incident is contained already",
            false => "nobody said that the incident is contained",
        });
    }
    incident.contained = contained.then_some(by.now.max(incident.created));
    Ok(TimelineKind::Contained { contained })
}

fn significant(
    incident: &mut Incident,
    aware: Option<Timestamp>,
    reason: Option<&str>,
    by: &By<'_>,
) -> Result<TimelineKind, DbError> {
    if let Some(aware) = aware {
        if aware > by.now {
            return refuse(format!("{aware} is to come; say since when it is known"));
        }
        if incident.nis2_aware == Some(aware) {
            return refuse("that is said already");
        }
        incident.nis2_aware = Some(aware);
        clock::tend(incident, None, false, by.now);
        return Ok(TimelineKind::Nis2Aware { aware });
    }
    let Some(reason) = reason else {
        return refuse("not reporting an incident after all demands a reason");
    };
    check_text("reason", reason, REASON_CHARS_MAX)?;
    if incident.nis2_aware.take().is_none() {
        return refuse("nobody said that the incident is to be reported");
    }
    Ok(TimelineKind::Nis2Withdrawn { reason: reason.to_owned() })
}

fn reported(
    incident: &mut Incident,
    report: Nis2Report,
    by: &By<'_>,
) -> Result<TimelineKind, DbError> {
    let name = ClockName::ALL.into_iter().find(|name| name.report() == Some(report));
    let clock = incident.clocks.iter_mut().find(|clock| Some(clock.name) == name);
    match clock.filter(|_| incident.nis2_aware.is_some()) {
        None => refuse("the incident is not one to report; say first since when that is known"),
        Some(clock) if clock.met.is_some() => {
            refuse(format!("the {} was sent already", report.as_str()))
        }
        Some(clock) => {
            clock.met = Some(by.now);
            Ok(TimelineKind::Nis2Reported { report })
        }
    }
}

fn rate(
    incident: &mut Incident,
    level: Option<Level>,
    reason: Option<String>,
    by: &By<'_>,
) -> Result<TimelineKind, DbError> {
    let Some(reason) = reason else {
        return refuse("another severity demands a reason");
    };
    check_text("reason", &reason, REASON_CHARS_MAX)?;
    let from = incident.severity;
    match level {
        Some(Level::Informational) => {
            return refuse(
                "an incident is low, medium, high or critical; close it where it is none",
            );
        }
        Some(to) => {
            let (by, at) = (by.name.to_owned(), by.now);
            incident.severity_override = Some(SeverityOverride { reason: reason.clone(), by, at });
            incident.severity = to;
        }
        None if incident.severity_override.is_none() => {
            return refuse("nobody set the incident's severity; it is the computed one already");
        }
        None => {
            incident.severity_override = None;
            incident.severity = grouping::computed_severity(incident);
        }
    }
    let (to, computed) = (incident.severity, level.is_none());
    Ok(TimelineKind::Severity { from, to, reason, computed })
}

fn label(
    incident: &mut Incident,
    mut labels: Vec<String>,
) -> Result<Option<TimelineKind>, DbError> {
    for text in &labels {
        check_text("label", text, LABEL_CHARS_MAX)?;
    }
    labels.sort();
    labels.dedup();
    if labels.len() > LABELS_MAX {
        let count = labels.len();
        return refuse(format!("there are {count} labels; use at most {LABELS_MAX}"));
    }
    let before = std::mem::replace(&mut incident.labels, labels);
    let without = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|label| !those.contains(label)).cloned().collect()
    };
    let added = without(&incident.labels, &before);
    let removed = without(&before, &incident.labels);
    let changed = !added.is_empty() || !removed.is_empty();
    Ok(changed.then_some(TimelineKind::Labels { added, removed }))
}

/// What a commune writes it may read.
fn visibility(scope: &Scope, given: Option<Visibility>) -> Result<Visibility, DbError> {
    match given {
        Some(Visibility::Soc) if !scope.is_all() => {
            refuse("only those who see all communes may keep a comment to themselves")
        }
        Some(given) => Ok(given),
        None if scope.is_all() => Ok(Visibility::Soc),
        None => Ok(Visibility::Shared),
    }
}

fn check_text(what: &str, text: &str, chars_max: usize) -> Result<(), DbError> {
    if text.trim().is_empty() {
        return refuse(format!("the {what} is empty"));
    }
    if text.trim() != text || text.chars().any(char::is_control) {
        return refuse(format!("the {what} has spaces around it or control characters"));
    }
    let chars = text.chars().count();
    if chars > chars_max {
        return refuse(format!("the {what} has {chars} characters; use at most {chars_max}"));
    }
    Ok(())
}

fn check_comment(comment: &str, comments_bytes: u64) -> Result<(), DbError> {
    let bytes = comment.len();
    if comment.trim().is_empty() {
        refuse("the comment is empty")
    } else if bytes > COMMENT_BYTES_MAX {
        refuse(format!("the comment has {bytes} bytes; use at most {COMMENT_BYTES_MAX}"))
    } else if comments_bytes + bytes as u64 > COMMENTS_BYTES_MAX {
        refuse(format!(
            "the incident's comments would exceed {COMMENTS_BYTES_MAX} bytes; keep the rest elsewhere and link to it"
        ))
    } else {
        Ok(())
    }
}

fn refuse<T>(reason: impl Into<String>) -> Result<T, DbError> {
    Err(DbError::Refused(reason.into()))
}
