//! Detections in, incidents opened or joined.

use std::collections::{BTreeMap, btree_map::Entry};

use event::{CommuneId, Detection, IncidentId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    super::{
        DbError, Incident, Raised, RaisedKind, clock,
        grouping::{self, Facts, Link},
        risk,
    },
    clocks,
    incident_rows::{self, Stored},
    incident_rules, incidents,
    sql::{signed, time, to_json, unsigned},
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
    let mut batch = Batch::default();
    let raised =
        drafts.iter().map(|draft| batch.raise(db, draft, now)).collect::<Result<_, _>>()?;
    batch.write(db)?;
    Ok(raised)
}

/// The incidents that a batch touches, as they are by now. Each is read and written once,
/// however many detections join it: a storm costs little more than its detections.
#[derive(Default)]
struct Batch {
    incidents: BTreeMap<i64, Working>,
    /// Detections stored, by commune.
    stored: BTreeMap<CommuneId, u64>,
}

struct Working {
    incident: Incident,
    rules_points: u32,
    /// Whether the database has it otherwise.
    changed: bool,
}

impl Batch {
    fn raise(&mut self, db: &Connection, draft: &Draft, now: Timestamp) -> Result<Raised, DbError> {
        let facts = &draft.facts;
        let raised = |incident, kind| Raised { detection: facts.id, incident, kind };
        if let Some(incident) = known(db, facts)? {
            return Ok(raised(incident, RaisedKind::Known));
        }
        *self.stored.entry(facts.commune.clone()).or_default() += 1;
        if facts.is_silent() {
            store(db, draft, None, now)?;
            return Ok(raised(None, RaisedKind::Kept));
        }
        let links = facts.links();
        match self.first_open(db, facts, &links)? {
            Some(seq) => {
                let more = incident_rules::fired(db, seq, facts.commune.as_str(), &facts.rule)?;
                let working = self.working(db, seq)?;
                working.rules_points = working.rules_points.saturating_add(more);
                working.changed = true;
                let incident = &mut working.incident;
                let severity = incident.severity;
                let joined = grouping::join(incident, facts, working.rules_points, now);
                clocks::follow_joined(db, seq, incident, severity, now)?;
                if let Some(entry) = joined.entry {
                    incidents::note(db, seq, incident, &entry)?;
                }
                link(db, facts, &joined.links, seq)?;
                store(db, draft, Some(seq), now)?;
                Ok(raised(Some(incident.id), RaisedKind::Joined))
            }
            None => {
                let (mut incident, entry) = grouping::open(facts, next_number(db, facts)?, now);
                let targets = clocks::in_force(db, &incident.commune, incident.severity)?;
                clock::tend(&mut incident, Some(&targets), false, now);
                let rules_points = risk::points(facts.rule.level);
                let seq = incident_rows::insert(db, &incident, rules_points)?;
                incident_rules::fired(db, seq, facts.commune.as_str(), &facts.rule)?;
                incidents::note(db, seq, &incident, &entry)?;
                link(db, facts, &links, seq)?;
                store(db, draft, Some(seq), now)?;
                let id = incident.id;
                self.incidents.insert(seq, Working { incident, rules_points, changed: false });
                Ok(raised(Some(id), RaisedKind::Opened))
            }
        }
    }

    fn working(&mut self, db: &Connection, seq: i64) -> Result<&mut Working, DbError> {
        match self.incidents.entry(seq) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let Stored { incident, rules_points, .. } = incidents::by_seq(db, seq)?;
                Ok(entry.insert(Working { incident, rules_points, changed: false }))
            }
        }
    }

    /// The first opened of the open incidents that the detection may join. Rows count up in the
    /// order of opening, so it does not depend on clocks.
    fn first_open(
        &self,
        db: &Connection,
        facts: &Facts,
        links: &[Link],
    ) -> Result<Option<i64>, DbError> {
        let (from, to) = facts.window();
        let mut statement = db.prepare_cached(
            "SELECT link.incident, incident.first_event, incident.last_event
             FROM link JOIN incident ON incident.seq = link.incident
             WHERE link.commune = ? AND link.kind = ? AND link.name = ? AND link.open = 1
             ORDER BY link.incident",
        )?;
        let mut first: Option<i64> = None;
        for link in links {
            let mut rows =
                statement.query(params![facts.commune.as_str(), link.kind, link.name])?;
            while let Some(row) = rows.next()? {
                let seq: i64 = row.get(0)?;
                if first.is_some_and(|first| first <= seq) {
                    break;
                }
                // Within the batch it may have grown since it was read.
                let (first_event, last_event) = match self.incidents.get(&seq) {
                    Some(working) => (working.incident.first_event, working.incident.last_event),
                    None => (time(row.get(1)?), time(row.get(2)?)),
                };
                if last_event >= from && first_event <= to {
                    first = Some(seq);
                    break;
                }
            }
        }
        Ok(first)
    }

    /// Writes what the database does not have yet.
    fn write(self, db: &Connection) -> Result<(), DbError> {
        for (seq, working) in self.incidents.iter().filter(|(_, working)| working.changed) {
            incident_rows::update(db, *seq, &working.incident, working.rules_points)?;
        }
        let mut statement = db.prepare_cached(
            "INSERT INTO tally (commune, detections) VALUES (?, ?)
             ON CONFLICT DO UPDATE SET detections = detections + excluded.detections",
        )?;
        for (commune, count) in self.stored {
            statement.execute(params![commune.as_str(), signed(count)?])?;
        }
        Ok(())
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
    Ok(())
}
