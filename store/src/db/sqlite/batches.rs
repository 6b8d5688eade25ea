//! Batches that their senders may repeat.

use event::{BatchMark, BatchState, FeedId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    super::{BATCHES_KEPT_MAX, DbError},
    sql::time,
};

pub(super) fn begin(
    db: &Connection,
    feed: &FeedId,
    key: &str,
    digest: &str,
    now: Timestamp,
) -> Result<BatchState, DbError> {
    let known: Option<(String, Option<String>)> = db
        .prepare_cached("SELECT digest, receipt FROM batch WHERE feed = ? AND key = ?")?
        .query_row([feed.as_str(), key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match known {
        Some((digest, Some(receipt))) => return Ok(BatchState::Taken { digest, receipt }),
        Some((digest, None)) => return Ok(BatchState::Pending { digest }),
        None => {}
    }
    db.prepare_cached("INSERT INTO batch (feed, key, digest, begun) VALUES (?, ?, ?, ?)")?
        .execute(params![feed.as_str(), key, digest, now.as_nanos()])?;
    Ok(BatchState::New)
}

pub(super) fn settle(
    db: &Connection,
    marks: &[(FeedId, BatchMark)],
    now: Timestamp,
) -> Result<(), DbError> {
    let mut write = db.prepare_cached(
        "INSERT INTO batch (feed, key, digest, receipt, begun) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET receipt = coalesce(receipt, excluded.receipt)",
    )?;
    for (feed, BatchMark { key, digest, receipt }) in marks {
        write.execute(params![feed.as_str(), key, digest, receipt, now.as_nanos()])?;
    }
    Ok(())
}

pub(super) fn forget(db: &Connection, feed: &FeedId, key: &str) -> Result<(), DbError> {
    db.prepare_cached("DELETE FROM batch WHERE feed = ? AND key = ? AND receipt IS NULL")?
        .execute([feed.as_str(), key])?;
    Ok(())
}

pub(super) fn oldest_pending(db: &Connection) -> Result<Option<Timestamp>, DbError> {
    let oldest: Option<i64> = db
        .prepare_cached("SELECT min(begun) FROM batch WHERE receipt IS NULL")?
        .query_row([], |row| row.get(0))?;
    Ok(oldest.map(time))
}

pub(super) fn forget_pending(db: &Connection, before: Timestamp) -> Result<usize, DbError> {
    let forgotten = db
        .prepare_cached("DELETE FROM batch WHERE receipt IS NULL AND begun < ?")?
        .execute([before.as_nanos()])?;
    Ok(forgotten)
}

pub(super) fn expire(db: &Connection, before: Timestamp) -> Result<(), DbError> {
    db.prepare_cached("DELETE FROM batch WHERE begun < ? AND receipt IS NOT NULL")?
        .execute([before.as_nanos()])?;
    let crowded: Vec<String> = db
        .prepare_cached("SELECT feed FROM batch GROUP BY feed HAVING count(*) > ?")?
        .query_map([BATCHES_KEPT_MAX], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for feed in crowded {
        db.prepare_cached(
            "DELETE FROM batch WHERE feed = ?1 AND receipt IS NOT NULL AND key IN (
                 SELECT key FROM batch WHERE feed = ?1 ORDER BY begun DESC LIMIT -1 OFFSET ?2)",
        )?
        .execute(params![feed, BATCHES_KEPT_MAX])?;
    }
    Ok(())
}
