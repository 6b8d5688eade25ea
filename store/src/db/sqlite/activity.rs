//! When feeds were active.

use event::{Slots, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{
    super::{DbError, FeedActivity},
    sql::{slug, time},
};

const COLUMNS: &str = "feed, slots, first, last, silence_told, end_told";

pub(super) fn note(db: &Connection, seen: &[FeedActivity]) -> Result<(), DbError> {
    let mut known =
        db.prepare_cached(&format!("SELECT {COLUMNS} FROM feed_activity WHERE feed = ?"))?;
    let mut write = db.prepare_cached(
        "INSERT OR REPLACE INTO feed_activity (feed, slots, first, last, silence_told, end_told)
         VALUES (?, ?, ?, ?, ?, ?)",
    )?;
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
            nanos(whole.end_told)
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
    let slots = Slots::from_bytes(&bytes).ok_or_else(|| {
        DbError::Backend(format!("the activity of feed {feed:?} is not readable").into())
    })?;
    let at = |column| Ok::<_, DbError>(row.get::<_, Option<i64>>(column)?.map(time));
    Ok(FeedActivity {
        feed: if feed.is_empty() { None } else { Some(slug(&feed)?) },
        slots,
        first: at(2)?,
        last: at(3)?,
        silence_told: at(4)?,
        end_told: at(5)?,
    })
}
