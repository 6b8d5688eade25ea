//! Feeds and the hashes of their keys.

use event::{Feed, FeedId};
use rusqlite::{Connection, Row, params, params_from_iter};

use super::{
    super::DbError,
    sql::{Filter, is_foreign_key_violation, is_unique_violation, slug, time},
};
use crate::{Scope, auth::SecretHash};

const COLUMNS: &str = "id, commune, format, name, created, key_hash";

pub(super) fn add(db: &Connection, feed: &Feed, key: SecretHash) -> Result<(), DbError> {
    let id = || feed.id.to_string();
    let known: bool = db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM feed WHERE id = ?)")?
        .query_row([feed.id.as_str()], |row| row.get(0))?;
    if known {
        return Err(DbError::Exists { what: "feed", id: id() });
    }
    let added = db
        .prepare_cached(
            "INSERT INTO feed (id, commune, format, name, created, key_hash)
             VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            feed.id.as_str(),
            feed.commune.as_str(),
            feed.format.as_str(),
            feed.name,
            feed.created.as_nanos(),
            key.0
        ]);
    match added {
        Err(error) if is_foreign_key_violation(&error) => {
            Err(DbError::Missing { what: "commune", id: feed.commune.to_string() })
        }
        added => changed_key(added).map(drop),
    }
}

pub(super) fn list(db: &Connection, scope: &Scope) -> Result<Vec<Feed>, DbError> {
    let filter = Filter::scoped(scope);
    let sql = format!("SELECT {COLUMNS} FROM feed WHERE {} ORDER BY id", filter.sql());
    db.prepare_cached(&sql)?.query_and_then(params_from_iter(filter.values(&[])), feed)?.collect()
}

pub(super) fn get(db: &Connection, scope: &Scope, id: &FeedId) -> Result<Option<Feed>, DbError> {
    let mut filter = Filter::scoped(scope);
    filter.and("id = ?", id.as_str().to_owned());
    let sql = format!("SELECT {COLUMNS} FROM feed WHERE {}", filter.sql());
    db.prepare_cached(&sql)?
        .query_and_then(params_from_iter(filter.values(&[])), feed)?
        .next()
        .transpose()
}

pub(super) fn rotate_key(db: &Connection, id: &FeedId, key: SecretHash) -> Result<(), DbError> {
    let rotated = db
        .prepare_cached("UPDATE feed SET key_hash = ? WHERE id = ?")?
        .execute(params![key.0, id.as_str()]);
    match changed_key(rotated)? {
        0 => Err(DbError::Missing { what: "feed", id: id.to_string() }),
        _ => Ok(()),
    }
}

/// A key names its feed, so two feeds cannot share one.
fn changed_key(result: rusqlite::Result<usize>) -> Result<usize, DbError> {
    match result {
        Err(error) if is_unique_violation(&error) => {
            Err(DbError::Refused("another feed has that key; draw a new one".to_owned()))
        }
        result => Ok(result?),
    }
}

pub(super) fn keys(db: &Connection) -> Result<Vec<(SecretHash, Feed)>, DbError> {
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM feed ORDER BY id"))?
        .query_and_then([], |row| Ok((SecretHash(row.get(5)?), feed(row)?)))?
        .collect()
}

fn feed(row: &Row<'_>) -> Result<Feed, DbError> {
    let text = |column| row.get::<_, String>(column);
    Ok(Feed {
        id: slug(&text(0)?)?,
        commune: slug(&text(1)?)?,
        format: slug(&text(2)?)?,
        name: text(3)?,
        created: time(row.get(4)?),
    })
}
