//! How much communes and feeds may send.

use event::{Quota, QuotaOf};
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};

use super::{
    super::DbError,
    sql::{Filter, slug},
};
use crate::Scope;

const COLUMNS: &str = "kind, id, records_per_s, bytes_per_s";

pub(super) fn set(db: &Connection, of: &QuotaOf, quota: Quota) -> Result<(), DbError> {
    let owner = match of {
        QuotaOf::Commune(_) => "SELECT id FROM commune WHERE id = ?",
        QuotaOf::Feed(_) => "SELECT commune FROM feed WHERE id = ?",
    };
    let owner: Option<String> =
        db.prepare_cached(owner)?.query_row([of.id()], |row| row.get(0)).optional()?;
    let Some(commune) = owner else {
        return Err(DbError::Missing { what: of.kind(), id: of.id().to_owned() });
    };
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

pub(super) fn list(db: &Connection, scope: &Scope) -> Result<Vec<(QuotaOf, Quota)>, DbError> {
    let filter = Filter::scoped(scope);
    let sql = format!("SELECT {COLUMNS} FROM quota WHERE {} ORDER BY kind, id", filter.sql());
    db.prepare_cached(&sql)?.query_and_then(params_from_iter(filter.values(&[])), quota)?.collect()
}

pub(super) fn all(db: &Connection) -> Result<Vec<(QuotaOf, Quota)>, DbError> {
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM quota ORDER BY kind, id"))?
        .query_and_then([], quota)?
        .collect()
}

fn quota(row: &Row<'_>) -> Result<(QuotaOf, Quota), DbError> {
    let id: String = row.get(1)?;
    let of = match row.get::<_, String>(0)?.as_str() {
        "commune" => QuotaOf::Commune(slug(&id)?),
        _ => QuotaOf::Feed(slug(&id)?),
    };
    let bound = |column| {
        let n: Option<i64> = row.get(column)?;
        Ok::<_, DbError>(n.and_then(|n| u64::try_from(n).ok()))
    };
    Ok((of, Quota { records_per_s: bound(2)?, bytes_per_s: bound(3)? }))
}
