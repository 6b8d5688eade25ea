//! What analysts may do to an incident.

use event::Timestamp;

use super::{
    Comment, DbError, Incident, IncidentChange, IncidentStatus, TimelineEntry, TimelineKind,
    Verdict,
};

const COMMENT_BYTES_MAX: usize = 64 << 10;

/// All comments of one incident together, so that its timeline stays readable as a whole.
const COMMENTS_BYTES_MAX: u64 = 16 << 20;

/// Applies `change` to `incident`, which has `comments_bytes` of comments, and returns what to
/// write into its timeline; changes nothing where it fails.
pub(super) fn apply(
    incident: &mut Incident,
    comments_bytes: u64,
    change: IncidentChange,
    by: &str,
    now: Timestamp,
) -> Result<Vec<TimelineEntry>, DbError> {
    if change.if_version.is_some_and(|version| version != incident.version) {
        return Err(DbError::Conflict { current: incident.version });
    }
    let status = change.status.unwrap_or(incident.status);
    let verdict = verdict_after(incident, status, change.verdict);
    check(incident, comments_bytes, &change, verdict)?;

    let mut kinds = Vec::new();
    if let Some(to) = verdict.filter(|to| incident.verdict != Some(*to)) {
        kinds.push(TimelineKind::Verdict { to });
    }
    if status != incident.status {
        kinds.push(TimelineKind::Status { from: incident.status, to: status });
    }
    if let Some(text) = change.comment {
        kinds.push(TimelineKind::Comment(Comment { text }));
    }
    incident.verdict = verdict;
    incident.status = status;
    incident.updated = incident.updated.max(now);
    incident.version += 1;
    let entry = |kind| TimelineEntry { at: now, by: by.to_owned(), kind };
    Ok(kinds.into_iter().map(entry).collect())
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

fn check(
    incident: &Incident,
    comments_bytes: u64,
    change: &IncidentChange,
    verdict: Option<Verdict>,
) -> Result<(), DbError> {
    if let Some(comment) = &change.comment {
        check_comment(comment, comments_bytes)?;
    }
    if change.status == Some(incident.status) {
        return refuse(format!("the incident is {} already", incident.status.as_str()));
    }
    if change.status == Some(IncidentStatus::Closed) && verdict.is_none() {
        let words = Verdict::ALL.map(Verdict::as_str).join(", ");
        return refuse(format!("closing an incident demands a verdict, one of {words}"));
    }
    if change.status.is_none() && change.comment.is_none() {
        return match change.verdict {
            None => refuse(
                "there is nothing to change; give a status, a verdict or a comment".to_owned(),
            ),
            Some(same) if incident.verdict == Some(same) => {
                refuse(format!("the incident's verdict is {} already", same.as_str()))
            }
            Some(_) => Ok(()),
        };
    }
    Ok(())
}

fn check_comment(comment: &str, comments_bytes: u64) -> Result<(), DbError> {
    let bytes = comment.len();
    if comment.trim().is_empty() {
        refuse("the comment is empty".to_owned())
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

fn refuse(reason: String) -> Result<(), DbError> {
    Err(DbError::Refused(reason))
}
