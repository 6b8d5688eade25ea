//! Incidents as rows.

use std::fmt::Write as _;

use event::{IncidentId, Timestamp};
use rusqlite::{Connection, Row, params};

use super::{
    super::{DbError, Incident, IncidentStatus, Verdict},
    clocks,
    sql::{from_json, level, rank, signed, slug, time, to_json, unsigned, word},
};

pub(super) const COLUMNS: &str = "seq, id, number, commune, title, severity, status, verdict, \
     entities, tags, detections, first_event, last_event, created, updated, version, \
     comments_bytes, severity_detected, severity_override, rules_points, risk_score, assignee, \
     labels, acknowledged, resolved, closed, merged_into, contained, nis2_aware, \
     (SELECT clocks FROM incident_clocks WHERE incident_clocks.incident = seq), due";

/// What an incident without clocks has.
const NO_CLOCKS: &str = "[]";

/// An incident and what only its table knows.
pub(super) struct Stored {
    pub(super) seq: i64,
    pub(super) incident: Incident,
    pub(super) comments_bytes: u64,
    /// What its rules add to its risk score.
    pub(super) rules_points: u32,
}

/// The number of a change at `updated`, its `?`: later than every other's. It is a time, for a
/// count would tell each commune how busy the others are. One connection writes, so numbers
/// become visible in order.
const NEXT_CHANGE: &str =
    "(SELECT max(coalesce(max(change), 0) + 1, ?) FROM incident WHERE change > 0)";

/// Adds an incident and returns its row.
pub(super) fn insert(
    db: &Connection,
    incident: &Incident,
    rules_points: u32,
) -> Result<i64, DbError> {
    let seq = db
        .prepare_cached(&format!(
            "INSERT INTO incident (id, commune, number, severity, severity_detected, status,
                 detections, first_event, last_event, created, updated, version, title, tags,
                 entities, rules_points, risk_score, due, change)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {NEXT_CHANGE})"
        ))?
        .insert(params![
            incident.id.as_bytes(),
            incident.commune.as_str(),
            signed(incident.number)?,
            rank(incident.severity),
            rank(incident.severity_detected),
            incident.status.as_str(),
            signed(incident.detections)?,
            incident.first_event.as_nanos(),
            incident.last_event.as_nanos(),
            incident.created.as_nanos(),
            incident.updated.as_nanos(),
            signed(incident.version)?,
            incident.title,
            to_json(&incident.tags)?,
            to_json(&incident.entities)?,
            rules_points,
            incident.risk_score,
            incident.due.map(Timestamp::as_nanos),
            incident.updated.as_nanos(),
        ])?;
    clocks::put(db, seq, incident)?;
    write_text(db, seq, incident)?;
    Ok(seq)
}

/// Writes what may change in an incident, its clocks aside: [`clocks::follow`] does that.
pub(super) fn update(
    db: &Connection,
    seq: i64,
    incident: &Incident,
    rules_points: u32,
) -> Result<(), DbError> {
    db.prepare_cached(&format!(
        "UPDATE incident SET severity = ?, severity_detected = ?, severity_override = ?,
             status = ?, verdict = ?, assignee = ?, labels = ?, detections = ?, first_event = ?,
             last_event = ?, updated = ?, acknowledged = ?, resolved = ?, closed = ?, version = ?,
             title = ?, tags = ?, entities = ?, rules_points = ?, risk_score = ?, merged_into = ?,
             contained = ?, nis2_aware = ?, change = {NEXT_CHANGE}
         WHERE seq = ?"
    ))?
    .execute(params![
        rank(incident.severity),
        rank(incident.severity_detected),
        incident.severity_override.as_ref().map(to_json).transpose()?,
        incident.status.as_str(),
        incident.verdict.map(Verdict::as_str),
        incident.assignee,
        to_json(&incident.labels)?,
        signed(incident.detections)?,
        incident.first_event.as_nanos(),
        incident.last_event.as_nanos(),
        incident.updated.as_nanos(),
        incident.acknowledged.map(|at| at.as_nanos()),
        incident.resolved.map(|at| at.as_nanos()),
        incident.closed.map(|at| at.as_nanos()),
        signed(incident.version)?,
        incident.title,
        to_json(&incident.tags)?,
        to_json(&incident.entities)?,
        rules_points,
        incident.risk_score,
        incident.merged_into.map(|id| *id.as_bytes()),
        incident.contained.map(Timestamp::as_nanos),
        incident.nis2_aware.map(Timestamp::as_nanos),
        incident.updated.as_nanos(),
        seq,
    ])?;
    write_text(db, seq, incident)
}

/// Keeps what it is found by, which changes less often than it does.
fn write_text(db: &Connection, seq: i64, incident: &Incident) -> Result<(), DbError> {
    db.prepare_cached(
        "INSERT INTO incident_text (incident, text) VALUES (?, ?)
         ON CONFLICT DO UPDATE SET text = excluded.text WHERE text <> excluded.text",
    )?
    .execute(params![seq, searched(incident)])?;
    Ok(())
}

/// What a list is searched in: one line each, so that no text is found across two of them.
fn searched(incident: &Incident) -> String {
    let mut text = format!("{}-{}\n{}", incident.commune, incident.number, incident.title);
    let entities = incident.entities.iter().map(|entity| &entity.name);
    for line in entities.chain(&incident.labels).chain(&incident.tags) {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n{line}");
    }
    text.to_lowercase()
}

/// Reads the [`COLUMNS`].
pub(super) fn stored(row: &Row<'_>) -> Result<Stored, DbError> {
    let text = |column| row.get::<_, String>(column);
    let number = |column| row.get::<_, i64>(column);
    let maybe_time = |column| row.get::<_, Option<i64>>(column).map(|nanos| nanos.map(time));
    let verdict: Option<String> = row.get(7)?;
    let clocks: Option<String> = row.get(29)?;
    let severity_override: Option<String> = row.get(18)?;
    let incident = Incident {
        id: IncidentId::from_bytes(row.get(1)?),
        number: unsigned(number(2)?)?,
        commune: slug(&text(3)?)?,
        title: text(4)?,
        severity: level(number(5)?)?,
        severity_detected: level(number(17)?)?,
        severity_override: severity_override
            .map(|text| from_json("severity", &text))
            .transpose()?,
        risk_score: row.get(20)?,
        status: word(&IncidentStatus::ALL, IncidentStatus::as_str, &text(6)?)?,
        verdict: verdict.map(|text| word(&Verdict::ALL, Verdict::as_str, &text)).transpose()?,
        assignee: row.get(21)?,
        labels: from_json("list of labels", &text(22)?)?,
        entities: from_json("list of entities", &text(8)?)?,
        tags: from_json("list of tags", &text(9)?)?,
        detections: unsigned(number(10)?)?,
        first_event: time(number(11)?),
        last_event: time(number(12)?),
        created: time(number(13)?),
        updated: time(number(14)?),
        acknowledged: maybe_time(23)?,
        resolved: maybe_time(24)?,
        closed: maybe_time(25)?,
        merged_into: row.get::<_, Option<[u8; 16]>>(26)?.map(IncidentId::from_bytes),
        contained: maybe_time(27)?,
        nis2_aware: maybe_time(28)?,
        clocks: from_json("list of clocks", clocks.as_deref().unwrap_or(NO_CLOCKS))?,
        due: maybe_time(30)?,
        version: unsigned(number(15)?)?,
    };
    Ok(Stored {
        seq: row.get(0)?,
        incident,
        comments_bytes: unsigned(number(16)?)?,
        rules_points: row.get(19)?,
    })
}
