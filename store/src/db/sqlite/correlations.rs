//! The state of correlations, in pieces, with the position it was taken at.

use event::{BusId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    super::{CorrelationState, DbError, Position},
    sql::{signed, unsigned},
};

/// Bytes of one piece, well below what SQLite holds in one value.
const PIECE_BYTES: usize = 4 << 20;

pub(super) fn save(
    db: &Connection,
    state: &[u8],
    position: Position,
    now: Timestamp,
) -> Result<(), DbError> {
    let (bus, partition) = (position.bus, position.partition);
    if let Some(stored) = next(db, bus, partition)?
        && stored > position.next
    {
        return Err(DbError::Refused(format!(
            "the state of correlations is at offset {stored} already, beyond {}; does another process write it?",
            position.next
        )));
    }
    db.prepare_cached("DELETE FROM correlation_piece WHERE bus = ? AND partition = ?")?
        .execute(params![bus.as_bytes(), partition])?;
    let mut insert = db.prepare_cached(
        "INSERT INTO correlation_piece (bus, partition, number, bytes) VALUES (?, ?, ?, ?)",
    )?;
    for (number, piece) in state.chunks(PIECE_BYTES).enumerate() {
        insert.execute(params![bus.as_bytes(), partition, signed(number as u64)?, piece])?;
    }
    db.prepare_cached(
        "INSERT INTO correlation_state (bus, partition, next, bytes, taken) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET
             next = excluded.next, bytes = excluded.bytes, taken = excluded.taken",
    )?
    .execute(params![
        bus.as_bytes(),
        partition,
        signed(position.next)?,
        signed(state.len() as u64)?,
        now.as_nanos()
    ])?;
    Ok(())
}

fn next(db: &Connection, bus: BusId, partition: u32) -> Result<Option<u64>, DbError> {
    db.prepare_cached("SELECT next FROM correlation_state WHERE bus = ? AND partition = ?")?
        .query_row(params![bus.as_bytes(), partition], |row| row.get(0))
        .optional()?
        .map(unsigned)
        .transpose()
}

pub(super) fn load(
    db: &Connection,
    bus: BusId,
    partition: u32,
) -> Result<Option<CorrelationState>, DbError> {
    let row = db
        .prepare_cached(
            "SELECT next, bytes, taken FROM correlation_state WHERE bus = ? AND partition = ?",
        )?
        .query_row(params![bus.as_bytes(), partition], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?))
        })
        .optional()?;
    let Some((next, bytes, taken)) = row else { return Ok(None) };
    let (next, bytes) = (unsigned(next)?, unsigned(bytes)?);
    let mut state = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
    let mut pieces = db.prepare_cached(
        "SELECT bytes FROM correlation_piece WHERE bus = ? AND partition = ? ORDER BY number",
    )?;
    let mut rows = pieces.query(params![bus.as_bytes(), partition])?;
    while let Some(row) = rows.next()? {
        state.extend_from_slice(
            row.get_ref(0)?.as_blob().map_err(|error| DbError::Backend(Box::new(error)))?,
        );
    }
    if state.len() as u64 != bytes {
        return Err(DbError::Backend(
            format!("the state of correlations has {} bytes instead of {bytes}", state.len())
                .into(),
        ));
    }
    Ok(Some(CorrelationState { state, next, taken: Timestamp::from_nanos(taken) }))
}
