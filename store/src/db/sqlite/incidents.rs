//! Incidents as they are listed, read and changed.

use event::{Detection, Feed, IncidentId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params, params_from_iter};

use super::{
    super::{
        AssigneeFilter, Changes, Comment, Counts, DbError, Incident, IncidentChange, IncidentQuery,
        IncidentSort, Page, TimelineEntry, TimelineKind, Visibility,
        change::{self, By},
        grouping::MACHINE,
        page::{After, page_size},
    },
    clocks,
    incident_rows::{COLUMNS, Stored, stored, update},
    sql::{Filter, from_json, rank, signed, time, to_json, unsigned},
};
use crate::Scope;

const INCIDENTS_PAGE: usize = 50;
const DETECTIONS_PAGE: usize = 100;

/// A detection carries its event, so a page is bounded by their bytes too.
const PAGE_BYTES_MAX: usize = 16 << 20;

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

pub(super) fn get(db: &Connection, scope: &Scope, id: IncidentId) -> Result<Stored, DbError> {
    find(db, scope, id)?.ok_or_else(|| DbError::Missing { what: "incident", id: id.to_string() })
}

/// The incident with this number in a scope of one commune.
pub(super) fn numbered(
    db: &Connection,
    scope: &Scope,
    number: u64,
) -> Result<Option<IncidentId>, DbError> {
    let mut filter = Filter::scoped(scope);
    // A number that no incident can have is none's.
    filter.and("number = ?", i64::try_from(number).unwrap_or(-1));
    let sql = format!("SELECT id FROM incident WHERE {}", filter.sql());
    let found = db
        .prepare_cached(&sql)?
        .query_row(params_from_iter(filter.values(&[])), |row| row.get(0))
        .optional()?;
    Ok(found.map(IncidentId::from_bytes))
}

/// The incident in row `seq`, to be joined.
pub(super) fn by_seq(db: &Connection, seq: i64) -> Result<Stored, DbError> {
    let found = db
        .prepare_cached(&format!("SELECT {COLUMNS} FROM incident WHERE seq = ?"))?
        .query_and_then([seq], stored)?
        .next()
        .transpose()?;
    found.ok_or_else(|| rusqlite::Error::QueryReturnedNoRows.into())
}

pub(super) fn list(
    db: &Connection,
    scope: &Scope,
    query: &IncidentQuery,
) -> Result<Page<Incident>, DbError> {
    // The cursors of one order are none of another.
    let (sort, direction) = (query.sort.as_str(), if query.ascending { "ASC" } else { "DESC" });
    let listing = format!("incidents by {sort} {direction}");
    let listing = listing.as_bytes();
    let after = match &query.cursor {
        Some(cursor) => Some(After::from_cursor(cursor, listing)?),
        None => None,
    };
    let filter = matching(scope, query, after);
    let size = page_size(query.limit, INCIDENTS_PAGE);
    // One more than asked tells whether there is a next page.
    let limit = signed(size as u64 + 1)?;
    let sql = format!(
        "SELECT {COLUMNS} FROM incident WHERE {} ORDER BY {sort} {direction}, id LIMIT ?",
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
    let next_cursor = items.last().filter(|_| more).map(|last| {
        After { time: key(last, query.sort), id: *last.id.as_bytes() }.to_cursor(listing)
    });
    Ok(Page { items, next_cursor })
}

/// What an incident is ordered by; whole numbers are carried as times.
fn key(incident: &Incident, sort: IncidentSort) -> Timestamp {
    match sort {
        IncidentSort::Updated => incident.updated,
        IncidentSort::Created => incident.created,
        IncidentSort::Severity => time(rank(incident.severity)),
        IncidentSort::RiskScore => time(incident.risk_score.into()),
        // The list holds none without.
        IncidentSort::Due => incident.due.unwrap_or_default(),
    }
}

fn matching(scope: &Scope, query: &IncidentQuery, after: Option<After>) -> Filter {
    let mut filter = match &query.commune {
        Some(commune) => Filter::scoped(&scope.narrowed(commune)),
        None => Filter::scoped(scope),
    };
    if !query.status.is_empty() {
        filter.and_one_of("status", query.status.iter().map(|status| status.as_str()));
    }
    if !query.verdict.is_empty() {
        filter.and_one_of("verdict", query.verdict.iter().map(|verdict| verdict.as_str()));
    }
    if let Some(least) = query.severity_min {
        filter.and("severity >= ?", rank(least));
    }
    match &query.assignee {
        None => {}
        Some(AssigneeFilter::Nobody) => filter.and_all("assignee IS NULL", []),
        Some(AssigneeFilter::Named(name)) => filter.and("assignee = ?", name.clone()),
    }
    if let Some(label) = &query.label {
        filter.and("EXISTS (SELECT 1 FROM json_each(labels) WHERE value = ?)", label.clone());
    }
    if let Some(text) = &query.text {
        // Each line is a text of its own.
        let text = if text.contains('\n') { "\n\n".to_owned() } else { text.to_lowercase() };
        filter.and("seq IN (SELECT incident FROM incident_text WHERE contains(text, ?))", text);
    }
    if let Some(since) = query.updated_since {
        filter.and("updated >= ?", since.as_nanos());
    }
    if query.sort == IncidentSort::Due || query.due_before.is_some() {
        filter.and_all("due IS NOT NULL", []);
    }
    if let Some(before) = query.due_before {
        filter.and("due < ?", before.as_nanos());
    }
    if let Some(after) = after {
        let key = after.time.as_nanos();
        let (sort, beyond) = (query.sort.as_str(), if query.ascending { ">" } else { "<" });
        // The first condition lets the index begin at the right place.
        filter.and_all(
            &format!("{sort} {beyond}= ? AND ({sort} {beyond} ? OR id > ?)"),
            [key.into(), key.into(), after.id.to_vec().into()],
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
    if !scope.is_all() {
        filter.and_all("soc_only = 0", []);
    }
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
    let Stored { seq, mut incident, comments_bytes, rules_points } = get(db, scope, id)?;
    let was_open = incident.status.is_open();
    let before = clocks::Before::of(&incident);
    if matches!(change.nis2_aware, Some(Some(_))) {
        clocks::require_regime(db, &incident.commune)?;
    }
    let comment_bytes = change.comment.as_ref().map_or(0, String::len) as u64;
    let entries =
        change::apply(&mut incident, comments_bytes, change, &By { scope, name: by, now })?;
    clocks::follow(db, seq, &mut incident, &before, now)?;
    update(db, seq, &incident, rules_points)?;
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

/// Writes `text` into the incidents that are not closed in which `rule` fired for `feed`.
pub(super) fn comment(
    db: &Connection,
    feed: &Feed,
    rule: &str,
    text: &str,
    now: Timestamp,
) -> Result<usize, DbError> {
    let ids: Vec<IncidentId> = db
        .prepare_cached(
            "SELECT i.id FROM incident_rule r JOIN incident i ON i.seq = r.incident
             WHERE r.rule = ?1 AND r.commune = ?2 AND i.status <> 'closed'
                 AND EXISTS (SELECT 1 FROM detection d WHERE d.incident = i.seq
                     AND d.body ->> '$.rule.id' = ?1 AND d.body ->> '$.feed' = ?3)
                 AND NOT EXISTS (SELECT 1 FROM timeline t WHERE t.incident = i.seq
                     AND t.by = ?4 AND t.kind ->> '$.text' = ?5)",
        )?
        .query_map(params![rule, feed.commune.as_str(), feed.id.as_str(), MACHINE, text], |row| {
            Ok(IncidentId::from_bytes(row.get(0)?))
        })?
        .collect::<Result<_, _>>()?;
    for id in &ids {
        let comment = IncidentChange {
            comment: Some(text.to_owned()),
            visibility: Some(Visibility::Shared),
            ..IncidentChange::default()
        };
        change(db, &Scope::all(), *id, comment, MACHINE, now)?;
    }
    Ok(ids.len())
}

/// Writes an entry into an incident's timeline.
pub(super) fn note(
    db: &Connection,
    seq: i64,
    incident: &Incident,
    entry: &TimelineEntry,
) -> Result<(), DbError> {
    db.prepare_cached(
        "INSERT INTO timeline (incident, commune, at, by, kind, soc_only)
         VALUES (?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        seq,
        incident.commune.as_str(),
        entry.at.as_nanos(),
        entry.by,
        to_json(&entry.kind)?,
        matches!(&entry.kind, TimelineKind::Comment(Comment { visibility: Visibility::Soc, .. })),
    ])?;
    Ok(())
}

/// Incidents whose last change is after `after`, in the order of their last changes.
pub(super) fn changed(
    db: &Connection,
    scope: &Scope,
    after: u64,
    limit: usize,
) -> Result<Changes, DbError> {
    let mut filter = Filter::scoped(scope);
    filter.and("change > ?", i64::try_from(after).unwrap_or(i64::MAX));
    let sql = format!(
        "SELECT {COLUMNS}, change FROM incident INDEXED BY incident_by_change
         WHERE {} AND change > 0 ORDER BY change LIMIT ?",
        filter.sql()
    );
    let most = signed(limit as u64)?;
    let incidents = db
        .prepare_cached(&sql)?
        .query_and_then(params_from_iter(filter.values(&[&most])), |row| {
            Ok((unsigned(row.get("change")?)?, stored(row)?.incident))
        })?
        .collect::<Result<Vec<_>, DbError>>()?;
    // Where that is all of them, others' changes after them need not be looked at again.
    let next = match incidents.last() {
        Some((last, _)) if incidents.len() >= limit => *last,
        _ => last_change(db)?.max(after),
    };
    Ok(Changes { incidents, next })
}

/// The number of the last change to any incident.
pub(super) fn last_change(db: &Connection) -> Result<u64, DbError> {
    let last: i64 = db
        .prepare_cached("SELECT coalesce(max(change), 0) FROM incident WHERE change > 0")?
        .query_row([], |row| row.get(0))?;
    unsigned(last)
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
