//! How much communes and feeds may send.

use event::{Owner, Quota};
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};

use super::{
    super::DbError,
    sql::{Filter, slug},
};
use crate::Scope;

const COLUMNS: &str = "kind, id, records_per_s, bytes_per_s";

pub(super) fn set(db: &Connection, of: &Owner, quota: Quota) -> Result<(), DbError> {
    let commune = commune_of(db, of)?;
    if quota.is_unbounded() {
        db.prepare_cached("DELETE FROM quota WHERE kind = ? AND id = ?")?
            .execute([of.kind(), of.id()])?;
        return Ok(());
    }
    let bound = |n: Option<u64>| n.map(|n| i64::try_from(n).unwrap_or(i64::MAX));
    db.prepare_cached(
        "INSERT INTO quota (kind, id, commune, records_per_s, bytes_per_s) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET records_per_s = excluded.records_per_s,
         bytes_per_s = excluded.bytes_per_s",
    )?
    .execute(params![
        of.kind(),
        of.id(),
        commune,
        bound(quota.records_per_s),
        bound(quota.bytes_per_s)
    ])?;
    Ok(())
}

pub(super) fn list(db: &Connection, scope: &Scope) -> Result<Vec<(Owner, Quota)>, DbError> {
    let filter = Filter::scoped(scope);
    let sql = format!("SELECT {COLUMNS} FROM quota WHERE {} ORDER BY kind, id", filter.sql());
    db.prepare_cached(&sql)?.query_and_then(params_from_iter(filter.values(&[])), quota)?.collect()
}

pub(super) fn all(db: &Connection) -> Result<Vec<(Owner, Quota)>, DbError> {
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM quota ORDER BY kind, id"))?
        .query_and_then([], quota)?
        .collect()
}

fn quota(row: &Row<'_>) -> Result<(Owner, Quota), DbError> {
    let (kind, id): (String, String) = (row.get(0)?, row.get(1)?);
    let of = owner(&kind, &id)?;
    let bound = |column| {
        let n: Option<i64> = row.get(column)?;
        Ok::<_, DbError>(n.and_then(|n| u64::try_from(n).ok()))
    };
    Ok((of, Quota { records_per_s: bound(2)?, bytes_per_s: bound(3)? }))
}

/// The commune that has, or is, `of`; Missing where it was not added.
pub(super) fn commune_of(db: &Connection, of: &Owner) -> Result<String, DbError> {
    let sql = match of {
        Owner::Commune(_) => "SELECT id FROM commune WHERE id = ?",
        Owner::Feed(_) => "SELECT commune FROM feed WHERE id = ?",
    };
    db.prepare_cached(sql)?
        .query_row([of.id()], |row| row.get(0))
        .optional()?
        .ok_or_else(|| DbError::Missing { what: of.kind(), id: of.id().to_owned() })
}

/// From its [`Owner::kind`] and id.
pub(super) fn owner(kind: &str, id: &str) -> Result<Owner, DbError> {
    Ok(match kind {
        "commune" => Owner::Commune(slug(id)?),
        _ => Owner::Feed(slug(id)?),
    })
}
