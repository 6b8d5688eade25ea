//! Feeds and the hashes of their keys.

use event::{Feed, FeedId, Timestamp};
use rusqlite::{Connection, Row, params, params_from_iter};

use super::{
    super::{DbError, FeedKey},
    sql::{Filter, is_foreign_key_violation, is_unique_violation, slug, time},
};
use crate::{Scope, auth::SecretHash};

const COLUMNS: &str = "id, commune, format, name, created, key_hash, old_key_hash, old_key_until";

pub(super) fn add(db: &Connection, feed: &Feed, key: SecretHash) -> Result<(), DbError> {
    let id = || feed.id.to_string();
    let known: bool = db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM feed WHERE id = ?)")?
        .query_row([feed.id.as_str()], |row| row.get(0))?;
    if known {
        return Err(DbError::Exists { what: "feed", id: id() });
    }
    if was_one(db, key)? {
        return Err(taken());
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

/// Missing where the feed does not exist in scope.
pub(super) fn require(db: &Connection, scope: &Scope, id: &FeedId) -> Result<(), DbError> {
    get(db, scope, id)?
        .map(drop)
        .ok_or_else(|| DbError::Missing { what: "feed", id: id.to_string() })
}

pub(super) fn rotate_key(
    db: &Connection,
    id: &FeedId,
    key: SecretHash,
    old_until: Option<Timestamp>,
) -> Result<(), DbError> {
    if was_one(db, key)? {
        return Err(taken());
    }
    let rotated = db
        .prepare_cached(
            "UPDATE feed SET old_key_hash = iif(?2 IS NULL, NULL, key_hash), old_key_until = ?2,
             key_hash = ?1 WHERE id = ?3",
        )?
        .execute(params![key.0, old_until.map(Timestamp::as_nanos), id.as_str()]);
    match changed_key(rotated)? {
        0 => Err(DbError::Missing { what: "feed", id: id.to_string() }),
        _ => Ok(()),
    }
}

/// Whether it is a feed's old key. Between the two columns no index keeps keys apart.
fn was_one(db: &Connection, key: SecretHash) -> Result<bool, DbError> {
    Ok(db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM feed WHERE old_key_hash = ?)")?
        .query_row([key.0], |row| row.get(0))?)
}

fn taken() -> DbError {
    DbError::Refused("another feed has that key; draw a new one".to_owned())
}

/// A key names its feed, so two feeds cannot share one.
fn changed_key(result: rusqlite::Result<usize>) -> Result<usize, DbError> {
    match result {
        Err(error) if is_unique_violation(&error) => Err(taken()),
        result => Ok(result?),
    }
}

pub(super) fn keys(db: &Connection) -> Result<Vec<FeedKey>, DbError> {
    let mut keys = Vec::new();
    let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM feed ORDER BY id"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let feed = feed(row)?;
        keys.push(FeedKey { hash: SecretHash(row.get(5)?), feed: feed.clone(), until: None });
        if let (Some(hash), Some(until)) = (row.get(6)?, row.get::<_, Option<i64>>(7)?) {
            keys.push(FeedKey { hash: SecretHash(hash), feed, until: Some(time(until)) });
        }
    }
    Ok(keys)
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
