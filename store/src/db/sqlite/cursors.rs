//! Positions on a bus that move in the transaction of their effect.

use event::BusId;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    super::{CursorName, DbError, Position},
    sql::{signed, unsigned},
};

/// Moves `name` on to `position`; never back.
pub(super) fn advance(
    db: &Connection,
    name: CursorName,
    position: Position,
) -> Result<(), DbError> {
    db.prepare_cached(
        "INSERT INTO cursor (name, bus, partition, next) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET next = excluded.next WHERE next < excluded.next",
    )?
    .execute(params![
        name.as_str(),
        position.bus.as_bytes(),
        position.partition,
        signed(position.next)?
    ])?;
    Ok(())
}

pub(super) fn get(
    db: &Connection,
    name: CursorName,
    bus: BusId,
    partition: u32,
) -> Result<Option<u64>, DbError> {
    db.prepare_cached("SELECT next FROM cursor WHERE name = ? AND bus = ? AND partition = ?")?
        .query_row(params![name.as_str(), bus.as_bytes(), partition], |row| row.get(0))
        .optional()?
        .map(unsigned)
        .transpose()
}
