//! When feeds were active, what is counted of them, and their devices.

use event::{FeedId, Slots, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{
    super::{
        DbError, DeviceState, FeedActivity, FeedCounts, FeedDevice, SeenDevice,
        device::{device_key, inventory},
    },
    sql::{slug, time},
};

const COLUMNS: &str = "feed, slots, first, last, silence_told, end_told, counts";

pub(super) fn note(db: &Connection, seen: &[FeedActivity]) -> Result<(), DbError> {
    let mut known =
        db.prepare_cached(&format!("SELECT {COLUMNS} FROM feed_activity WHERE feed = ?"))?;
    let mut write = db.prepare_cached(&format!(
        "INSERT OR REPLACE INTO feed_activity ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"
    ))?;
    for activity in seen {
        let feed = activity.feed.as_ref().map_or("", |feed| feed.as_str());
        let mut whole = match known.query_row([feed], |row| Ok(read(row))).optional()? {
            Some(known) => known?,
            None => FeedActivity::of(activity.feed.clone()),
        };
        whole.merge(activity);
        let nanos = |time: Option<Timestamp>| time.map(Timestamp::as_nanos);
        write.execute(params![
            feed,
            whole.slots.to_bytes(),
            nanos(whole.first),
            nanos(whole.last),
            nanos(whole.silence_told),
            nanos(whole.end_told),
            serde_json::to_string(&whole.counts).map_err(|error| DbError::Backend(error.into()))?
        ])?;
    }
    Ok(())
}

pub(super) fn all(db: &Connection) -> Result<Vec<FeedActivity>, DbError> {
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM feed_activity ORDER BY feed"))?
        .query_and_then([], read)?
        .collect()
}

fn read(row: &Row<'_>) -> Result<FeedActivity, DbError> {
    let feed: String = row.get(0)?;
    let bytes: Vec<u8> = row.get(1)?;
    let unreadable =
        || DbError::Backend(format!("the activity of feed {feed:?} is not readable").into());
    let slots = Slots::from_bytes(&bytes).ok_or_else(unreadable)?;
    let counts: String = row.get(6)?;
    let counts: FeedCounts = serde_json::from_str(&counts).map_err(|_| unreadable())?;
    let at = |column| Ok::<_, DbError>(row.get::<_, Option<i64>>(column)?.map(time));
    Ok(FeedActivity {
        feed: if feed.is_empty() { None } else { Some(slug(&feed)?) },
        slots,
        first: at(2)?,
        last: at(3)?,
        silence_told: at(4)?,
        end_told: at(5)?,
        counts,
    })
}

pub(super) fn note_devices(
    db: &Connection,
    feed: &FeedId,
    seen: &[SeenDevice],
) -> Result<(), DbError> {
    let mut write = db.prepare_cached(
        "INSERT INTO feed_device (feed, device, name, first, last) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET name = excluded.name,
             first = min(coalesce(first, excluded.first), excluded.first),
             last = max(coalesce(last, excluded.last), excluded.last)",
    )?;
    for SeenDevice { name, first, last } in seen {
        let (first, last) = (first.as_nanos(), last.as_nanos());
        write.execute(params![feed.as_str(), device_key(name), name, first, last])?;
    }
    Ok(())
}

pub(super) fn seen_devices(db: &Connection) -> Result<Vec<(FeedId, SeenDevice)>, DbError> {
    db.prepare_cached(
        "SELECT feed, name, first, last FROM feed_device WHERE first IS NOT NULL
         ORDER BY feed, device",
    )?
    .query_and_then([], |row| {
        let feed: String = row.get(0)?;
        let (first, last) = (time(row.get(2)?), time(row.get(3)?));
        Ok((slug(&feed)?, SeenDevice { name: row.get(1)?, first, last }))
    })?
    .collect()
}

pub(super) fn devices(db: &Connection, feed: &FeedId) -> Result<Vec<FeedDevice>, DbError> {
    db.prepare_cached(
        "SELECT name, first, last, declared FROM feed_device WHERE feed = ? ORDER BY device",
    )?
    .query_and_then([feed.as_str()], |row| {
        let at = |column| Ok::<_, DbError>(row.get::<_, Option<i64>>(column)?.map(time));
        let (first_seen, last_seen, declared) = (at(1)?, at(2)?, at(3)?);
        let state = match (first_seen, declared) {
            (None, _) => DeviceState::Missing,
            (Some(_), None) => DeviceState::Unknown,
            (Some(_), Some(_)) => DeviceState::Seen,
        };
        Ok(FeedDevice { name: row.get(0)?, state, first_seen, last_seen, declared })
    })?
    .collect()
}

pub(super) fn declare(
    db: &Connection,
    feed: &FeedId,
    names: Vec<String>,
    now: Timestamp,
) -> Result<(), DbError> {
    let inventory = inventory(names)?;
    let declared: Vec<String> = db
        .prepare_cached("SELECT device FROM feed_device WHERE feed = ? AND declared IS NOT NULL")?
        .query_and_then([feed.as_str()], |row| row.get(0))?
        .collect::<Result<_, rusqlite::Error>>()?;
    let mut forget =
        db.prepare_cached("UPDATE feed_device SET declared = NULL WHERE feed = ? AND device = ?")?;
    for device in declared.iter().filter(|device| !inventory.contains_key(*device)) {
        forget.execute([feed.as_str(), device])?;
    }
    db.prepare_cached(
        "DELETE FROM feed_device WHERE feed = ? AND declared IS NULL AND first IS NULL",
    )?
    .execute([feed.as_str()])?;
    let mut write = db.prepare_cached(
        "INSERT INTO feed_device (feed, device, name, declared) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET declared = coalesce(declared, excluded.declared)",
    )?;
    for (device, name) in inventory {
        write.execute(params![feed.as_str(), device, name, now.as_nanos()])?;
    }
    Ok(())
}
