//! The catalog of splits.

use event::{SplitId, Timestamp};
use rusqlite::{Connection, Row, params, params_from_iter};

use super::{
    super::{CursorName, DbError, Publication, PurgedEvents, SplitMeta},
    cursors, keeping,
    sql::{Filter, signed, slug, time, unsigned},
};
use crate::Scope;

const COLUMNS: &str = "id, commune, min_time, max_time, min_received, max_received, events, \
     raw_bytes, bytes, crc32c, format_version, sealed";

pub(super) fn publish(db: &Connection, publication: &Publication) -> Result<(), DbError> {
    if is_done(db, publication)? {
        return Ok(());
    }
    // What is replaced goes first, for a merge may have the id of its first source.
    for id in &publication.removed {
        keeping::condemn(db, *id)?;
        db.prepare_cached("DELETE FROM split WHERE id = ?")?.execute([id.as_bytes()])?;
    }
    for split in &publication.added {
        add(db, split)?;
    }
    if let Some(PurgedEvents { purge, events }) = &publication.purged {
        keeping::count_purged(db, purge, *events)?;
    }
    if let Some(position) = publication.position {
        cursors::advance(db, CursorName::Index, position)?;
    }
    Ok(())
}

/// Whether the publication had its effect before. Asking the catalog for the added splits is
/// not enough, for they may have been merged since.
fn is_done(db: &Connection, publication: &Publication) -> Result<bool, DbError> {
    let Publication { added, removed, position, purged } = publication;
    if let Some(position) = position {
        let next = cursors::get(db, CursorName::Index, position.bus, position.partition)?;
        return Ok(next.is_some_and(|next| next >= position.next));
    }
    if removed.is_empty() || (added.is_empty() && purged.is_none()) {
        return Ok(false);
    }
    let mut gone = Vec::new();
    for id in removed {
        if get(db, *id)?.is_none() {
            gone.push(*id);
        }
    }
    if gone.is_empty() {
        return Ok(false);
    }
    // A merge may have the id of one of its sources, which then seems to be there still.
    let mut applied = true;
    for split in added {
        applied &= get(db, split.id)?.as_ref() == Some(split);
    }
    if applied || gone.len() == removed.len() {
        return Ok(true);
    }
    Err(DbError::Refused(format!(
        "split {} is no longer registered, so its merge would bring its events back; merge the others anew",
        gone[0]
    )))
}

fn add(db: &Connection, split: &SplitMeta) -> Result<(), DbError> {
    let added = db
        .prepare_cached(
            "INSERT INTO split (id, commune, min_time, max_time, min_received, max_received,
                 events, raw_bytes, bytes, crc32c, format_version, sealed)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            split.id.as_bytes(),
            split.commune.as_str(),
            split.min_time.as_nanos(),
            split.max_time.as_nanos(),
            split.min_received.as_nanos(),
            split.max_received.as_nanos(),
            signed(split.events)?,
            signed(split.raw_bytes)?,
            signed(split.bytes)?,
            split.crc32c,
            split.format_version,
            split.sealed.as_nanos(),
        ])?;
    // What is registered again is not to be removed any more.
    db.prepare_cached("DELETE FROM condemned_split WHERE id = ?")?
        .execute([split.id.as_bytes()])?;
    if added == 0 && get(db, split.id)?.as_ref() != Some(split) {
        return Err(DbError::Exists { what: "split", id: split.id.to_string() });
    }
    Ok(())
}

fn get(db: &Connection, id: SplitId) -> Result<Option<SplitMeta>, DbError> {
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM split WHERE id = ?"))?
        .query_and_then([id.as_bytes()], split)?
        .next()
        .transpose()
}

pub(super) fn list(
    db: &Connection,
    scope: &Scope,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<SplitMeta>, DbError> {
    let mut filter = Filter::scoped(scope);
    filter.and("max_time >= ?", from.as_nanos());
    filter.and("min_time <= ?", to.as_nanos());
    let sql = format!("SELECT {COLUMNS} FROM split WHERE {} ORDER BY id", filter.sql());
    db.prepare_cached(&sql)?.query_and_then(params_from_iter(filter.values(&[])), split)?.collect()
}

pub(super) fn all(db: &Connection) -> Result<Vec<SplitMeta>, DbError> {
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM split ORDER BY id"))?
        .query_and_then([], split)?
        .collect()
}

fn split(row: &Row<'_>) -> Result<SplitMeta, DbError> {
    let commune: String = row.get(1)?;
    Ok(SplitMeta {
        id: SplitId::from_bytes(row.get(0)?),
        commune: slug(&commune)?,
        min_time: time(row.get(2)?),
        max_time: time(row.get(3)?),
        min_received: time(row.get(4)?),
        max_received: time(row.get(5)?),
        events: unsigned(row.get(6)?)?,
        raw_bytes: unsigned(row.get(7)?)?,
        bytes: unsigned(row.get(8)?)?,
        crc32c: row.get(9)?,
        format_version: row.get(10)?,
        sealed: time(row.get(11)?),
    })
}
