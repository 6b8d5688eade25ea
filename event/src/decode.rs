//! The seam between raw and normalised, so that rooms which only need events do not know
//! formats.

use crate::{Event, EventId, Record};

/// Turns records into events.
///
/// Total and pure: every record gives exactly one event, the same each time. What cannot be
/// decoded becomes an event of `event.kind: pipeline_error` with the reason in
/// `error.message` and the original kept. Called from rayon and tantivy threads alike; must
/// not block.
pub trait Decode: Send + Sync {
    /// The event that `record`, known as `id`, stands for.
    fn decode(&self, record: Record, id: EventId) -> Event;
}
