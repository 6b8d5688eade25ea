//! What the doors count.

use std::sync::Arc;

use event::Feed;

/// Where the doors report what they did, so that they need not know how it is exposed. Called
/// from tokio workers: must not block.
pub trait Meter: Send + Sync + 'static {
    /// `records` of `feed` are durable on the bus; together they have `bytes` of raw bytes.
    fn accepted(&self, feed: &Feed, records: u64, bytes: u64);

    /// `n` records, or whole requests, frames or connections whose records nobody could count,
    /// were turned away for `reason`: one of few constant words, fit for a metric's label.
    /// `feed` is absent where the sender did not get as far as showing a valid key.
    fn rejected(&self, feed: Option<&Feed>, reason: &'static str, n: u64);
}

/// A shared [`Meter`].
pub type CollectMetrics = Arc<dyn Meter>;

/// Counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unmetered;

impl Meter for Unmetered {
    fn accepted(&self, _: &Feed, _: u64, _: u64) {}
    fn rejected(&self, _: Option<&Feed>, _: &'static str, _: u64) {}
}
