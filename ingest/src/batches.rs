//! Which batches were taken, over restarts.

use async_trait::async_trait;
use event::{BatchMark, BatchState, FeedId};

/// Why it is not known which batches were taken.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BatchesError(pub String);

/// Where it is kept which batches with an `Idempotency-Key` were taken.
///
/// A batch that is begun stays pending until it is settled or forgotten. Whoever reads the bus
/// settles each whose [`BatchMark`] comes by, and forgets those whose mark should have: so a batch
/// is known as taken exactly where it is durable, also where its process was killed in between.
#[async_trait]
pub trait Batches: Send + Sync {
    /// Before a batch is taken: what is known of it. One that is new is pending from now on.
    async fn begin(
        &self,
        feed: &FeedId,
        key: &str,
        digest: &str,
    ) -> Result<BatchState, BatchesError>;

    /// The batch is durable.
    async fn settle(&self, feed: &FeedId, mark: BatchMark) -> Result<(), BatchesError>;

    /// Nothing of the pending batch is on the bus, so that it may come again.
    async fn forget(&self, feed: &FeedId, key: &str) -> Result<(), BatchesError>;
}
