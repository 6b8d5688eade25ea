//! How long events are kept, holds and purges.

use async_trait::async_trait;
use event::{CommuneId, Owner, SplitId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};
use sha2::{Digest as _, Sha256};

use super::{
    super::{
        CondemnedSplit, DbError, Hold, Keeping, Mark, NewHold, NewPurge, Purge,
        keeping::{check_days, check_hold, check_purge},
    },
    Sqlite,
    policies::{mark, require_commune},
    quotas::{commune_of, owner},
    sql::{Filter, signed, slug, time, unsigned},
};
use crate::Scope;

const HOLD: &str =
    "id, commune, feed, from_time, to_time, reason, began, began_by, ended, ended_by";
const PURGE: &str = "id, commune, query, from_time, to_time, reason, asked, asked_by, events, \
     splits, held, done, trouble";

#[async_trait]
impl Keeping for Sqlite {
    async fn set_retention(&self, of: &Owner, days: Option<u32>) -> Result<(), DbError> {
        check_days(days)?;
        let of = of.clone();
        self.pool.write(move |tx| set_retention(tx, &of, days)).await
    }

    async fn retentions(&self, scope: &Scope) -> Result<Vec<(Owner, u32)>, DbError> {
        let filter = Filter::scoped(scope);
        let found = self.pool.read(move |tx| retentions(tx, &filter)).await?;
        Ok(found.into_iter().map(|(_, of, days)| (of, days)).collect())
    }

    async fn all_retentions(&self) -> Result<Vec<(CommuneId, Owner, u32)>, DbError> {
        self.pool.read(|tx| retentions(tx, &Filter::everything())).await
    }

    async fn place_hold(
        &self,
        scope: &Scope,
        hold: NewHold,
        by: &str,
        now: Timestamp,
    ) -> Result<Hold, DbError> {
        check_hold(&hold)?;
        let (scope, by) = (scope.clone(), by.to_owned());
        self.pool.write(move |tx| place_hold(tx, &scope, hold, by, now)).await
    }

    async fn release_hold(
        &self,
        scope: &Scope,
        id: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<Hold, DbError> {
        let (scope, id, by) = (scope.clone(), id.to_owned(), by.to_owned());
        self.pool.write(move |tx| release_hold(tx, &scope, &id, by, now)).await
    }

    async fn holds(&self, scope: &Scope) -> Result<Vec<Hold>, DbError> {
        let filter = Filter::scoped(scope);
        self.pool.read(move |tx| holds(tx, &filter)).await
    }

    async fn holds_in_force(&self) -> Result<Vec<Hold>, DbError> {
        let mut filter = Filter::everything();
        filter.and_all("ended IS NULL", []);
        self.pool.read(move |tx| holds(tx, &filter)).await
    }

    async fn ask_purge(
        &self,
        scope: &Scope,
        purge: NewPurge,
        by: &str,
        now: Timestamp,
    ) -> Result<Purge, DbError> {
        check_purge(&purge)?;
        let (scope, by) = (scope.clone(), by.to_owned());
        self.pool.write(move |tx| ask_purge(tx, &scope, purge, by, now)).await
    }

    async fn purges(&self, scope: &Scope) -> Result<Vec<Purge>, DbError> {
        let filter = Filter::scoped(scope);
        self.pool.read(move |tx| purges(tx, &filter, "asked DESC, id")).await
    }

    async fn purge(&self, scope: &Scope, id: &str) -> Result<Option<Purge>, DbError> {
        let mut filter = Filter::scoped(scope);
        filter.and("id = ?", id.to_owned());
        let found = self.pool.read(move |tx| purges(tx, &filter, "id")).await?;
        Ok(found.into_iter().next())
    }

    async fn pending_purges(&self) -> Result<Vec<Purge>, DbError> {
        let mut filter = Filter::everything();
        filter.and_all("done IS NULL", []);
        self.pool.read(move |tx| purges(tx, &filter, "asked, id")).await
    }

    async fn finish_purge(&self, id: &str, held: u64, now: Timestamp) -> Result<(), DbError> {
        let id = id.to_owned();
        let sql = "UPDATE purge SET held = ?, done = max(?, asked), trouble = NULL
             WHERE id = ? AND done IS NULL";
        let write = move |tx: &Connection| {
            let changed =
                tx.prepare_cached(sql)?.execute(params![signed(held)?, now.as_nanos(), id])?;
            found(changed, &id)
        };
        self.pool.write(move |tx| write(tx)).await
    }

    async fn trouble_purge(&self, id: &str, trouble: &str) -> Result<(), DbError> {
        let (id, trouble) = (id.to_owned(), trouble.to_owned());
        let sql = "UPDATE purge SET trouble = ? WHERE id = ? AND done IS NULL";
        let write = move |tx: &Connection| {
            let changed = tx.prepare_cached(sql)?.execute(params![trouble, id])?;
            found(changed, &id)
        };
        self.pool.write(move |tx| write(tx)).await
    }

    async fn condemned_splits(&self) -> Result<Vec<CondemnedSplit>, DbError> {
        self.pool.read(condemned).await
    }

    async fn forget_splits(&self, gone: Vec<CondemnedSplit>) -> Result<(), DbError> {
        self.pool.write(move |tx| forget(tx, &gone)).await
    }
}

fn found(changed: usize, id: &str) -> Result<(), DbError> {
    match changed {
        0 => Err(DbError::Missing { what: "purge", id: id.to_owned() }),
        _ => Ok(()),
    }
}

fn set_retention(db: &Connection, of: &Owner, days: Option<u32>) -> Result<(), DbError> {
    let commune = commune_of(db, of)?;
    match days {
        None => db
            .prepare_cached("DELETE FROM retention WHERE kind = ? AND id = ?")?
            .execute([of.kind(), of.id()])?,
        Some(days) => db
            .prepare_cached(
                "INSERT INTO retention (kind, id, commune, days) VALUES (?, ?, ?, ?)
                 ON CONFLICT DO UPDATE SET days = excluded.days",
            )?
            .execute(params![of.kind(), of.id(), commune, days])?,
    };
    Ok(())
}

fn retentions(db: &Connection, filter: &Filter) -> Result<Vec<(CommuneId, Owner, u32)>, DbError> {
    let sql = format!(
        "SELECT kind, id, commune, days FROM retention WHERE {} ORDER BY kind, id",
        filter.sql()
    );
    db.prepare_cached(&sql)?
        .query_and_then(params_from_iter(filter.values(&[])), |row| {
            let kind: String = row.get(0)?;
            let (id, commune): (String, String) = (row.get(1)?, row.get(2)?);
            Ok((slug(&commune)?, owner(&kind, &id)?, row.get(3)?))
        })?
        .collect()
}

fn place_hold(
    db: &Connection,
    scope: &Scope,
    new: NewHold,
    by: String,
    now: Timestamp,
) -> Result<Hold, DbError> {
    require_commune(db, scope, &new.commune)?;
    if let Some(feed) = &new.feed {
        let known = db
            .prepare_cached("SELECT 1 FROM feed WHERE id = ? AND commune = ?")?
            .query_row([feed.as_str(), new.commune.as_str()], |_| Ok(()))
            .optional()?;
        if known.is_none() {
            return Err(DbError::Missing { what: "feed", id: feed.to_string() });
        }
    }
    let NewHold { commune, feed, from, to, reason } = new;
    let covered = feed.as_ref().map(ToString::to_string).unwrap_or_default();
    let hold = Hold {
        id: derived_id("hold", &commune, &[&covered, &reason], now),
        commune,
        feed,
        from,
        to,
        reason,
        began: Mark { at: now, by },
        ended: None,
    };
    let added = db
        .prepare_cached(
            "INSERT INTO hold (id, commune, feed, from_time, to_time, reason, began, began_by)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            hold.id,
            hold.commune.as_str(),
            hold.feed.as_ref().map(|feed| feed.as_str()),
            hold.from.map(Timestamp::as_nanos),
            hold.to.map(Timestamp::as_nanos),
            hold.reason,
            now.as_nanos(),
            hold.began.by,
        ])?;
    if added == 0 { Err(DbError::Exists { what: "hold", id: hold.id }) } else { Ok(hold) }
}

fn release_hold(
    db: &Connection,
    scope: &Scope,
    id: &str,
    by: String,
    now: Timestamp,
) -> Result<Hold, DbError> {
    let mut filter = Filter::scoped(scope);
    filter.and("id = ?", id.to_owned());
    filter.and_all("ended IS NULL", []);
    let Some(mut hold) = holds(db, &filter)?.pop() else {
        return Err(DbError::Missing { what: "hold", id: id.to_owned() });
    };
    let at = now.max(hold.began.at);
    db.prepare_cached("UPDATE hold SET ended = ?, ended_by = ? WHERE id = ?")?.execute(params![
        at.as_nanos(),
        by,
        id
    ])?;
    hold.ended = Some(Mark { at, by });
    Ok(hold)
}

fn holds(db: &Connection, filter: &Filter) -> Result<Vec<Hold>, DbError> {
    let sql = format!("SELECT {HOLD} FROM hold WHERE {} ORDER BY began DESC, id", filter.sql());
    db.prepare_cached(&sql)?
        .query_and_then(params_from_iter(filter.values(&[])), |row: &Row<'_>| {
            let feed: Option<String> = row.get(2)?;
            Ok(Hold {
                id: row.get(0)?,
                commune: slug(&row.get::<_, String>(1)?)?,
                feed: feed.as_deref().map(slug).transpose()?,
                from: row.get::<_, Option<i64>>(3)?.map(time),
                to: row.get::<_, Option<i64>>(4)?.map(time),
                reason: row.get(5)?,
                began: Mark { at: time(row.get(6)?), by: row.get(7)? },
                ended: mark(row, 8)?,
            })
        })?
        .collect()
}

fn ask_purge(
    db: &Connection,
    scope: &Scope,
    new: NewPurge,
    by: String,
    now: Timestamp,
) -> Result<Purge, DbError> {
    require_commune(db, scope, &new.commune)?;
    let NewPurge { commune, query, from, to, reason } = new;
    let purge = Purge {
        id: derived_id("purge", &commune, &[&query, &reason], now),
        commune,
        query,
        from,
        to,
        reason,
        asked: Mark { at: now, by },
        events: 0,
        splits: 0,
        held: 0,
        done: None,
        trouble: None,
    };
    let added = db
        .prepare_cached(
            "INSERT INTO purge (id, commune, query, from_time, to_time, reason, asked, asked_by)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            purge.id,
            purge.commune.as_str(),
            purge.query,
            purge.from.map(Timestamp::as_nanos),
            purge.to.map(Timestamp::as_nanos),
            purge.reason,
            now.as_nanos(),
            purge.asked.by,
        ])?;
    if added == 0 { Err(DbError::Exists { what: "purge", id: purge.id }) } else { Ok(purge) }
}

fn purges(db: &Connection, filter: &Filter, order: &str) -> Result<Vec<Purge>, DbError> {
    let sql = format!("SELECT {PURGE} FROM purge WHERE {} ORDER BY {order}", filter.sql());
    db.prepare_cached(&sql)?
        .query_and_then(params_from_iter(filter.values(&[])), |row: &Row<'_>| {
            Ok(Purge {
                id: row.get(0)?,
                commune: slug(&row.get::<_, String>(1)?)?,
                query: row.get(2)?,
                from: row.get::<_, Option<i64>>(3)?.map(time),
                to: row.get::<_, Option<i64>>(4)?.map(time),
                reason: row.get(5)?,
                asked: Mark { at: time(row.get(6)?), by: row.get(7)? },
                events: unsigned(row.get(8)?)?,
                splits: unsigned(row.get(9)?)?,
                held: unsigned(row.get(10)?)?,
                done: row.get::<_, Option<i64>>(11)?.map(time),
                trouble: row.get(12)?,
            })
        })?
        .collect()
}

/// Counts what a publication took out of a split into its purge.
pub(super) fn count_purged(db: &Connection, id: &str, events: u64) -> Result<(), DbError> {
    db.prepare_cached("UPDATE purge SET events = events + ?, splits = splits + 1 WHERE id = ?")?
        .execute(params![signed(events)?, id])?;
    Ok(())
}

/// Marks the object of a registered split to be removed.
pub(super) fn condemn(db: &Connection, id: SplitId) -> Result<(), DbError> {
    db.prepare_cached(
        "INSERT INTO condemned_split (id, commune, crc32c)
         SELECT id, commune, crc32c FROM split WHERE id = ? ON CONFLICT DO NOTHING",
    )?
    .execute([id.as_bytes()])?;
    Ok(())
}

fn condemned(db: &Connection) -> Result<Vec<CondemnedSplit>, DbError> {
    db.prepare_cached("SELECT id, commune, crc32c FROM condemned_split ORDER BY id, crc32c")?
        .query_and_then([], |row| {
            let commune: String = row.get(1)?;
            Ok(CondemnedSplit {
                id: SplitId::from_bytes(row.get(0)?),
                commune: slug(&commune)?,
                crc32c: row.get(2)?,
            })
        })?
        .collect()
}

fn forget(db: &Connection, gone: &[CondemnedSplit]) -> Result<(), DbError> {
    let mut delete =
        db.prepare_cached("DELETE FROM condemned_split WHERE id = ? AND crc32c = ?")?;
    for split in gone {
        delete.execute(params![split.id.as_bytes(), split.crc32c])?;
    }
    Ok(())
}

/// Derived, so that the same asked twice at once is one.
fn derived_id(what: &str, commune: &CommuneId, of: &[&str], now: Timestamp) -> String {
    let digest =
        Sha256::digest(format!("{what}\0{commune}\0{}\0{}", now.as_nanos(), of.join("\0")));
    digest[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}
