//! Detections in, incidents opened or joined.

use std::collections::{BTreeMap, btree_map::Entry};

use event::{CommuneId, Detection, IncidentId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    super::{
        DbError, Incident, Raised, RaisedKind,
        grouping::{self, Facts, Link},
    },
    incidents,
    sql::{time, to_json, unsigned},
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
    let mut batch = Batch { db, now, incidents: BTreeMap::new(), kept: BTreeMap::new() };
    let raised = drafts.iter().map(|draft| batch.raise(draft)).collect::<Result<_, _>>()?;
    batch.finish()?;
    Ok(raised)
}

/// What a batch changes again and again, written once at its end: in a storm an incident's row
/// would otherwise be rewritten by every detection. Until then, what is here counts rather
/// than what is stored.
struct Batch<'a> {
    db: &'a Connection,
    now: Timestamp,
    /// The incidents opened or joined, by row.
    incidents: BTreeMap<i64, Incident>,
    /// Detections stored, by commune.
    kept: BTreeMap<CommuneId, i64>,
}

impl Batch<'_> {
    fn raise(&mut self, draft: &Draft) -> Result<Raised, DbError> {
        let facts = &draft.facts;
        let raised = |incident, kind| Raised { detection: facts.id, incident, kind };
        if let Some(incident) = known(self.db, facts)? {
            return Ok(raised(incident, RaisedKind::Known));
        }
        if facts.is_silent() {
            self.store(draft, None)?;
            return Ok(raised(None, RaisedKind::Kept));
        }
        let links = facts.links();
        match self.first_open(facts, &links)? {
            Some(seq) => {
                let id = self.join(facts, seq)?;
                self.store(draft, Some(seq))?;
                Ok(raised(Some(id), RaisedKind::Joined))
            }
            None => {
                let (seq, id) = self.open(facts, &links)?;
                self.store(draft, Some(seq))?;
                Ok(raised(Some(id), RaisedKind::Opened))
            }
        }
    }

    fn open(&mut self, facts: &Facts, links: &[Link]) -> Result<(i64, IncidentId), DbError> {
        let number = next_number(self.db, facts)?;
        let (incident, entry) = grouping::open(facts, number, self.now);
        let seq = incidents::insert(self.db, &incident)?;
        incidents::note(self.db, seq, &incident, &entry)?;
        link(self.db, facts, links, seq)?;
        let id = incident.id;
        self.incidents.insert(seq, incident);
        Ok((seq, id))
    }

    fn join(&mut self, facts: &Facts, seq: i64) -> Result<IncidentId, DbError> {
        let incident = match self.incidents.entry(seq) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(incidents::by_seq(self.db, seq)?),
        };
        let joined = grouping::join(incident, facts, self.now);
        if let Some(entry) = joined.entry {
            incidents::note(self.db, seq, incident, &entry)?;
        }
        link(self.db, facts, &joined.links, seq)?;
        Ok(incident.id)
    }

    /// The first opened of the open incidents that the detection may join. Rows count up in
    /// the order of opening, so it does not depend on clocks.
    fn first_open(&self, facts: &Facts, links: &[Link]) -> Result<Option<i64>, DbError> {
        let (from, to) = facts.window();
        let mut statement = self.db.prepare_cached(
            "SELECT incident.seq, incident.first_event, incident.last_event
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
                let (begin, end) = match self.incidents.get(&seq) {
                    Some(incident) => (incident.first_event, incident.last_event),
                    None => (time(row.get(1)?), time(row.get(2)?)),
                };
                if begin <= to && from <= end {
                    first = Some(seq);
                    break;
                }
            }
        }
        Ok(first)
    }

    fn store(&mut self, draft: &Draft, incident: Option<i64>) -> Result<(), DbError> {
        let facts = &draft.facts;
        self.db
            .prepare_cached(
                "INSERT INTO detection (id, commune, incident, timestamp, raised, body)
                 VALUES (?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                facts.id.as_bytes(),
                facts.commune.as_str(),
                incident,
                facts.timestamp.as_nanos(),
                self.now.as_nanos(),
                draft.body,
            ])?;
        *self.kept.entry(facts.commune.clone()).or_default() += 1;
        Ok(())
    }

    fn finish(self) -> Result<(), DbError> {
        for (seq, incident) in &self.incidents {
            incidents::update(self.db, *seq, incident)?;
        }
        let mut tally = self.db.prepare_cached(
            "INSERT INTO tally (commune, detections) VALUES (?, ?)
             ON CONFLICT DO UPDATE SET detections = detections + excluded.detections",
        )?;
        for (commune, count) in &self.kept {
            tally.execute(params![commune.as_str(), count])?;
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
