//! What a connection has read and not yet appended.

use std::sync::Arc;

use bytes::Bytes;
use event::Feed;
use tokio::time::Instant;

use crate::collect::admission::Admitted;

/// What a record takes in memory beside its bytes.
pub(super) const RECORD_OVERHEAD_BYTES: usize = 192;

/// The records of one feed, in the order in which they came.
pub(super) struct Share {
    pub(super) feed: Arc<Feed>,
    pub(super) payloads: Vec<Bytes>,
    /// Bytes of each one's raw record.
    pub(super) raw_bytes: Vec<u64>,
}

/// Records that wait to be appended together.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) shares: Vec<Share>,
    pub(super) records: usize,
    pub(super) bytes: usize,
    /// When the first of them was read.
    pub(super) since: Option<Instant>,
    admitted: Option<Admitted>,
}

impl Pending {
    /// Takes `bytes` of the budget for one more record from what it already holds of it.
    pub(super) fn try_grow(&mut self, bytes: usize) -> bool {
        self.admitted.as_mut().is_some_and(|admitted| admitted.try_grow(bytes))
    }

    /// Starts with a part of the budget. Only for an empty one.
    pub(super) fn admit(&mut self, admitted: Admitted) {
        self.admitted = Some(admitted);
    }

    /// Adds a record.
    pub(super) fn push(&mut self, feed: Arc<Feed>, payload: Bytes, raw_bytes: usize) {
        self.records += 1;
        self.bytes += payload.len();
        self.since.get_or_insert_with(Instant::now);
        // Relays mix a handful of feeds at most, so that a search is cheaper than a map.
        let share = self.shares.iter().position(|share| share.feed == feed).unwrap_or_else(|| {
            self.shares.push(Share { feed, payloads: Vec::new(), raw_bytes: Vec::new() });
            self.shares.len() - 1
        });
        self.shares[share].payloads.push(payload);
        self.shares[share].raw_bytes.push(raw_bytes as u64);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records == 0
    }
}
