//! Incidents as they are listed, read and changed.

use event::{Detection, IncidentId, Timestamp};
use rusqlite::{Connection, Row, params, params_from_iter};

use super::{
    super::{
        Counts, DbError, Incident, IncidentChange, IncidentQuery, IncidentStatus, Page,
        TimelineEntry, TimelineKind, Verdict, change,
        page::{After, page_size},
    },
    sql::{Filter, from_json, level, rank, signed, slug, time, to_json, unsigned, word},
};
use crate::Scope;

const INCIDENTS_PAGE: usize = 50;
const DETECTIONS_PAGE: usize = 100;

/// A detection carries its event, so a page is bounded by their bytes too.
const PAGE_BYTES_MAX: usize = 16 << 20;

/// What the cursors of the list of incidents are bound to.
const LISTING: &[u8] = b"incidents";

const COLUMNS: &str = "seq, id, number, commune, title, severity, status, verdict, entities, \
     tags, detections, first_event, last_event, created, updated, version, comments_bytes";

/// An incident and what only its table knows.
pub(super) struct Stored {
    pub(super) seq: i64,
    pub(super) incident: Incident,
    comments_bytes: u64,
}

pub(super) fn find(
    db: &Connection,
    scope: &Scope,
    id: IncidentId,
) -> Result<Option<Stored>, DbError> {
    let mut filter = Filter::scoped(scope);
    filter.and("id = ?", id.as_bytes().to_vec());
    let sql = format!("SELECT {COLUMNS} FROM incident WHERE {}", filter.sql());
    db.prepare_cached(&sql)?
        .query_and_then(params_from_iter(filter.values(&[])), stored)?
        .next()
        .transpose()
}

fn get(db: &Connection, scope: &Scope, id: IncidentId) -> Result<Stored, DbError> {
    find(db, scope, id)?.ok_or_else(|| DbError::Missing { what: "incident", id: id.to_string() })
}

/// The incident in row `seq`, to be joined.
pub(super) fn by_seq(db: &Connection, seq: i64) -> Result<Incident, DbError> {
    let stored = db
        .prepare_cached(&format!("SELECT {COLUMNS} FROM incident WHERE seq = ?"))?
        .query_and_then([seq], stored)?
        .next()
        .transpose()?;
    stored.map(|stored| stored.incident).ok_or_else(|| rusqlite::Error::QueryReturnedNoRows.into())
}

pub(super) fn list(
    db: &Connection,
    scope: &Scope,
    query: &IncidentQuery,
) -> Result<Page<Incident>, DbError> {
    let after = match &query.cursor {
        Some(cursor) => Some(After::from_cursor(cursor, LISTING)?),
        None => None,
    };
    let filter = matching(scope, query, after);
    let size = page_size(query.limit, INCIDENTS_PAGE);
    // One more than asked tells whether there is a next page.
    let limit = signed(size as u64 + 1)?;
    let sql = format!(
        "SELECT {COLUMNS} FROM incident WHERE {} ORDER BY updated DESC, id LIMIT ?",
        filter.sql()
    );
    let mut items = db
        .prepare_cached(&sql)?
        .query_and_then(params_from_iter(filter.values(&[&limit])), |row| {
            stored(row).map(|stored| stored.incident)
        })?
        .collect::<Result<Vec<_>, _>>()?;
    let more = items.len() > size;
    items.truncate(size);
    let next_cursor = items
        .last()
        .filter(|_| more)
        .map(|last| After { time: last.updated, id: *last.id.as_bytes() }.to_cursor(LISTING));
    Ok(Page { items, next_cursor })
}

fn matching(scope: &Scope, query: &IncidentQuery, after: Option<After>) -> Filter {
    let mut filter = match &query.commune {
        Some(commune) => Filter::scoped(&scope.narrowed(commune)),
        None => Filter::scoped(scope),
    };
    if !query.status.is_empty() {
        filter.and_one_of("status", query.status.iter().map(|status| status.as_str()));
    }
    if let Some(least) = query.severity_min {
        filter.and("severity >= ?", rank(least));
    }
    if let Some(since) = query.updated_since {
        filter.and("updated >= ?", since.as_nanos());
    }
    if let Some(after) = after {
        let nanos = after.time.as_nanos();
        // The first condition lets the index begin at the right place.
        filter.and_all(
            "updated <= ? AND (updated < ? OR id > ?)",
            [nanos.into(), nanos.into(), after.id.to_vec().into()],
        );
    }
    filter
}

pub(super) fn detections(
    db: &Connection,
    scope: &Scope,
    id: IncidentId,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Page<Detection>, DbError> {
    let after = match cursor {
        Some(cursor) => Some(After::from_cursor(cursor, id.as_bytes())?),
        None => None,
    };
    let incident = get(db, scope, id)?;
    let mut filter = Filter::scoped(scope);
    filter.and("incident = ?", incident.seq);
    if let Some(after) = after {
        filter.and_all(
            "(timestamp, id) > (?, ?)",
            [after.time.as_nanos().into(), after.id.to_vec().into()],
        );
    }
    let size = page_size(limit, DETECTIONS_PAGE);
    let sql = format!(
        "SELECT body FROM detection INDEXED BY detection_by_incident
         WHERE {} ORDER BY timestamp, id LIMIT ?",
        filter.sql()
    );
    let limit = signed(size as u64 + 1)?;
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(filter.values(&[&limit])))?;
    let (mut items, mut bytes, mut more) = (Vec::<Detection>::new(), 0, false);
    while let Some(row) = rows.next()? {
        let body: String = row.get(0)?;
        bytes += body.len();
        if items.len() == size || (bytes > PAGE_BYTES_MAX && !items.is_empty()) {
            more = true;
            break;
        }
        items.push(from_json("detection", &body)?);
    }
    let next_cursor = items.last().filter(|_| more).map(|last| {
        After { time: last.timestamp, id: *last.id.as_bytes() }.to_cursor(id.as_bytes())
    });
    Ok(Page { items, next_cursor })
}

pub(super) fn timeline(
    db: &Connection,
    scope: &Scope,
    id: IncidentId,
) -> Result<Vec<TimelineEntry>, DbError> {
    let incident = get(db, scope, id)?;
    let mut filter = Filter::scoped(scope);
    filter.and("incident = ?", incident.seq);
    let sql = format!("SELECT at, by, kind FROM timeline WHERE {} ORDER BY seq", filter.sql());
    db.prepare_cached(&sql)?
        .query_and_then(params_from_iter(filter.values(&[])), |row| {
            let kind: String = row.get(2)?;
            let kind: TimelineKind = from_json("timeline entry", &kind)?;
            Ok(TimelineEntry { at: time(row.get(0)?), by: row.get(1)?, kind })
        })?
        .collect()
}

pub(super) fn change(
    db: &Connection,
    scope: &Scope,
    id: IncidentId,
    change: IncidentChange,
    by: &str,
    now: Timestamp,
) -> Result<Incident, DbError> {
    let Stored { seq, mut incident, comments_bytes } = get(db, scope, id)?;
    let was_open = incident.status.is_open();
    let comment_bytes = change.comment.as_ref().map_or(0, String::len) as u64;
    let entries = change::apply(&mut incident, comments_bytes, change, by, now)?;
    update(db, seq, &incident)?;
    if comment_bytes > 0 {
        db.prepare_cached("UPDATE incident SET comments_bytes = ? WHERE seq = ?")?
            .execute(params![signed(comments_bytes + comment_bytes)?, seq])?;
    }
    if incident.status.is_open() != was_open {
        db.prepare_cached("UPDATE link SET open = ? WHERE incident = ?")?
            .execute(params![incident.status.is_open(), seq])?;
    }
    for entry in &entries {
        note(db, seq, &incident, entry)?;
    }
    Ok(incident)
}

/// Adds an incident and returns its row.
pub(super) fn insert(db: &Connection, incident: &Incident) -> Result<i64, DbError> {
    let seq = db
        .prepare_cached(
            "INSERT INTO incident (id, commune, number, severity, status, detections, first_event,
                 last_event, created, updated, version, title, tags, entities)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .insert(params![
            incident.id.as_bytes(),
            incident.commune.as_str(),
            signed(incident.number)?,
            rank(incident.severity),
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
        ])?;
    Ok(seq)
}

/// Writes what may change in an incident.
pub(super) fn update(db: &Connection, seq: i64, incident: &Incident) -> Result<(), DbError> {
    db.prepare_cached(
        "UPDATE incident SET severity = ?, status = ?, verdict = ?, detections = ?,
             first_event = ?, last_event = ?, updated = ?, version = ?, title = ?, tags = ?,
             entities = ?
         WHERE seq = ?",
    )?
    .execute(params![
        rank(incident.severity),
        incident.status.as_str(),
        incident.verdict.map(Verdict::as_str),
        signed(incident.detections)?,
        incident.first_event.as_nanos(),
        incident.last_event.as_nanos(),
        incident.updated.as_nanos(),
        signed(incident.version)?,
        incident.title,
        to_json(&incident.tags)?,
        to_json(&incident.entities)?,
        seq,
    ])?;
    Ok(())
}

/// Writes an entry into an incident's timeline.
pub(super) fn note(
    db: &Connection,
    seq: i64,
    incident: &Incident,
    entry: &TimelineEntry,
) -> Result<(), DbError> {
    db.prepare_cached(
        "INSERT INTO timeline (incident, commune, at, by, kind) VALUES (?, ?, ?, ?, ?)",
    )?
    .execute(params![
        seq,
        incident.commune.as_str(),
        entry.at.as_nanos(),
        entry.by,
        to_json(&entry.kind)?,
    ])?;
    Ok(())
}

pub(super) fn counts(db: &Connection, scope: &Scope) -> Result<Counts, DbError> {
    let filter = Filter::scoped(scope);
    let incidents = format!(
        "SELECT count(*), count(*) FILTER (WHERE status <> 'closed') FROM incident WHERE {}",
        filter.sql()
    );
    let detections =
        format!("SELECT coalesce(sum(detections), 0) FROM tally WHERE {}", filter.sql());
    let (all, open): (i64, i64) = db
        .prepare_cached(&incidents)?
        .query_row(params_from_iter(filter.values(&[])), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let detections: i64 = db
        .prepare_cached(&detections)?
        .query_row(params_from_iter(filter.values(&[])), |row| row.get(0))?;
    Ok(Counts {
        incidents: unsigned(all)?,
        open_incidents: unsigned(open)?,
        detections: unsigned(detections)?,
    })
}

/// Reads the [`COLUMNS`].
fn stored(row: &Row<'_>) -> Result<Stored, DbError> {
    let text = |column| row.get::<_, String>(column);
    let number = |column| row.get::<_, i64>(column);
    let verdict: Option<String> = row.get(7)?;
    let incident = Incident {
        id: IncidentId::from_bytes(row.get(1)?),
        number: unsigned(number(2)?)?,
        commune: slug(&text(3)?)?,
        title: text(4)?,
        severity: level(number(5)?)?,
        status: word(&IncidentStatus::ALL, IncidentStatus::as_str, &text(6)?)?,
        verdict: verdict.map(|text| word(&Verdict::ALL, Verdict::as_str, &text)).transpose()?,
        entities: from_json("list of entities", &text(8)?)?,
        tags: from_json("list of tags", &text(9)?)?,
        detections: unsigned(number(10)?)?,
        first_event: time(number(11)?),
        last_event: time(number(12)?),
        created: time(number(13)?),
        updated: time(number(14)?),
        version: unsigned(number(15)?)?,
    };
    Ok(Stored { seq: row.get(0)?, incident, comments_bytes: unsigned(number(16)?)? })
}
