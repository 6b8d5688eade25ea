//! Which feed a key opens.

use std::sync::Arc;

use event::{Feed, FeedId};

use crate::quota::{Load, OverQuota};

/// The feeds as the collectors see them: a snapshot in memory, refreshed when feeds change.
pub trait Feeds: Send + Sync + 'static {
    /// The feed whose key this is. Compares hashes of keys, so that timing tells nothing of
    /// the stored ones; does not block.
    fn by_key(&self, key: &str) -> Option<Arc<Feed>>;

    /// The feed of this id, for listeners that the configuration binds to one.
    fn by_id(&self, id: &FeedId) -> Option<Arc<Feed>>;

    /// Charges all `shares` to the quotas of their feeds and communes, or none where one of them
    /// is used up. By default nothing has a quota.
    fn admit(&self, shares: &[Load<'_>]) -> Result<(), OverQuota> {
        let _ = shares;
        Ok(())
    }
}
