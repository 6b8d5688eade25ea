//! Which feed a key opens.

use std::sync::Arc;

use event::{Feed, FeedId};

/// The feeds as the collectors see them: a snapshot in memory, refreshed when feeds change.
pub trait Feeds: Send + Sync + 'static {
    /// The feed whose key this is. Compares hashes of keys, so that timing tells nothing of
    /// the stored ones; does not block.
    fn by_key(&self, key: &str) -> Option<Arc<Feed>>;

    /// The feed of this id, for listeners that the configuration binds to one.
    fn by_id(&self, id: &FeedId) -> Option<Arc<Feed>>;
}
