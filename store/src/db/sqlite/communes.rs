//! Communes.

use event::Commune;
use rusqlite::{Connection, Row, params, params_from_iter};

use super::{
    super::DbError,
    sql::{Filter, is_unique_violation, slug, time},
};
use crate::Scope;

pub(super) fn add(db: &Connection, commune: &Commune) -> Result<(), DbError> {
    let added = db
        .prepare_cached("INSERT INTO commune (id, name, created) VALUES (?, ?, ?)")?
        .execute(params![commune.id.as_str(), commune.name, commune.created.as_nanos()]);
    match added {
        Err(error) if is_unique_violation(&error) => {
            Err(DbError::Exists { what: "commune", id: commune.id.to_string() })
        }
        added => Ok(added.map(drop)?),
    }
}

pub(super) fn list(db: &Connection, scope: &Scope) -> Result<Vec<Commune>, DbError> {
    // The condition speaks of a column `commune`, which is `id` here.
    let filter = Filter::scoped(scope);
    let sql = format!(
        "SELECT commune, name, created FROM (SELECT id AS commune, name, created FROM commune)
         WHERE {} ORDER BY commune",
        filter.sql()
    );
    db.prepare_cached(&sql)?
        .query_and_then(params_from_iter(filter.values(&[])), commune)?
        .collect()
}

fn commune(row: &Row<'_>) -> Result<Commune, DbError> {
    Ok(Commune {
        id: slug(&row.get::<_, String>(0)?)?,
        name: row.get(1)?,
        created: time(row.get(2)?),
    })
}
