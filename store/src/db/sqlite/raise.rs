//! Detections in, incidents opened or joined.

use event::{Detection, IncidentId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    super::{
        DbError, Raised, RaisedKind,
        grouping::{self, Facts, Link},
        risk,
    },
    incident_rows::{self, Stored},
    incident_rules, incidents,
    sql::{to_json, unsigned},
};

/// A detection ready to be stored.
pub(super) struct Draft {
    facts: Facts,
    body: String,
}

/// Detections between which other tasks get their turn while drafting.
const DRAFTS_AT_ONCE: usize = 32;

/// What [`raise`] needs of `detections`, so that they need not be copied whole to be handed to
/// the thread that writes.
pub(super) async fn drafts(detections: &[Detection]) -> Result<Vec<Draft>, DbError> {
    let mut drafts = Vec::with_capacity(detections.len());
    for some in detections.chunks(DRAFTS_AT_ONCE) {
        for detection in some {
            drafts.push(Draft { facts: Facts::of(detection), body: to_json(detection)? });
        }
        tokio::task::yield_now().await;
    }
    Ok(drafts)
}

/// Raises one after the other, each seeing what those before it did: that is what makes the
/// outcome the same however they are cut into batches.
pub(super) fn raise(
    db: &Connection,
    drafts: &[Draft],
    now: Timestamp,
) -> Result<Vec<Raised>, DbError> {
    drafts.iter().map(|draft| raise_one(db, draft, now)).collect()
}

fn raise_one(db: &Connection, draft: &Draft, now: Timestamp) -> Result<Raised, DbError> {
    let facts = &draft.facts;
    let raised = |incident, kind| Raised { detection: facts.id, incident, kind };
    if let Some(incident) = known(db, facts)? {
        return Ok(raised(incident, RaisedKind::Known));
    }
    if facts.is_silent() {
        store(db, draft, None, now)?;
        return Ok(raised(None, RaisedKind::Kept));
    }
    let links = facts.links();
    match first_open(db, facts, &links)? {
        Some(seq) => {
            let Stored { mut incident, rules_points, .. } = incidents::by_seq(db, seq)?;
            let more = incident_rules::fired(db, seq, facts.commune.as_str(), &facts.rule)?;
            let rules_points = rules_points.saturating_add(more);
            let joined = grouping::join(&mut incident, facts, rules_points, now);
            incident_rows::update(db, seq, &incident, rules_points)?;
            if let Some(entry) = joined.entry {
                incidents::note(db, seq, &incident, &entry)?;
            }
            link(db, facts, &joined.links, seq)?;
            store(db, draft, Some(seq), now)?;
            Ok(raised(Some(incident.id), RaisedKind::Joined))
        }
        None => {
            let (incident, entry) = grouping::open(facts, next_number(db, facts)?, now);
            let seq = incident_rows::insert(db, &incident, risk::points(facts.rule.level))?;
            incident_rules::fired(db, seq, facts.commune.as_str(), &facts.rule)?;
            incidents::note(db, seq, &incident, &entry)?;
            link(db, facts, &links, seq)?;
            store(db, draft, Some(seq), now)?;
            Ok(raised(Some(incident.id), RaisedKind::Opened))
        }
    }
}

/// The incident of a detection that was raised before; the inner `None` where it raised none.
fn known(db: &Connection, facts: &Facts) -> Result<Option<Option<IncidentId>>, DbError> {
    let found: Option<Option<[u8; 16]>> = db
        .prepare_cached(
            "SELECT incident.id FROM detection LEFT JOIN incident
                 ON incident.seq = detection.incident
             WHERE detection.id = ?",
        )?
        .query_row([facts.id.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(found.map(|incident| incident.map(IncidentId::from_bytes)))
}

/// The first opened of the open incidents that the detection may join. Rows count up in the
/// order of opening, so it does not depend on clocks.
fn first_open(db: &Connection, facts: &Facts, links: &[Link]) -> Result<Option<i64>, DbError> {
    let (from, to) = facts.window();
    let mut statement = db.prepare_cached(
        "SELECT link.incident FROM link JOIN incident ON incident.seq = link.incident
         WHERE link.commune = ? AND link.kind = ? AND link.name = ? AND link.open = 1
             AND incident.last_event >= ? AND incident.first_event <= ?
         ORDER BY link.incident LIMIT 1",
    )?;
    let mut first: Option<i64> = None;
    for link in links {
        let found = statement
            .query_row(
                params![
                    facts.commune.as_str(),
                    link.kind,
                    link.name,
                    from.as_nanos(),
                    to.as_nanos()
                ],
                |row| row.get(0),
            )
            .optional()?;
        first = match (first, found) {
            (Some(first), Some(found)) => Some(i64::min(first, found)),
            (first, found) => first.or(found),
        };
    }
    Ok(first)
}

fn link(db: &Connection, facts: &Facts, links: &[Link], seq: i64) -> Result<(), DbError> {
    let mut statement = db.prepare_cached(
        "INSERT INTO link (commune, kind, name, open, incident) VALUES (?, ?, ?, 1, ?)
         ON CONFLICT DO NOTHING",
    )?;
    for link in links {
        statement.execute(params![facts.commune.as_str(), link.kind, link.name, seq])?;
    }
    Ok(())
}

fn next_number(db: &Connection, facts: &Facts) -> Result<u64, DbError> {
    let number = db
        .prepare_cached(
            "INSERT INTO tally (commune, number) VALUES (?, 1)
             ON CONFLICT DO UPDATE SET number = number + 1 RETURNING number",
        )?
        .query_row([facts.commune.as_str()], |row| row.get(0))?;
    unsigned(number)
}

fn store(
    db: &Connection,
    draft: &Draft,
    incident: Option<i64>,
    now: Timestamp,
) -> Result<(), DbError> {
    let facts = &draft.facts;
    db.prepare_cached(
        "INSERT INTO detection (id, commune, incident, timestamp, raised, body)
         VALUES (?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        facts.id.as_bytes(),
        facts.commune.as_str(),
        incident,
        facts.timestamp.as_nanos(),
        now.as_nanos(),
        draft.body,
    ])?;
    db.prepare_cached(
        "INSERT INTO tally (commune, detections) VALUES (?, 1)
         ON CONFLICT DO UPDATE SET detections = detections + 1",
    )?
    .execute([facts.commune.as_str()])?;
    Ok(())
}
