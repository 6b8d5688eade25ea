//! The feeds as the collectors see them.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use event::{Feed, FeedId, Timestamp};
use ingest::{
    Feeds,
    quota::{Load, OverQuota, Quotas},
};
use store::{
    auth::{Secret, SecretHash},
    db::{Database, DbError, FeedKey},
};

/// A snapshot of the database's feeds, replaced as a whole when they change.
#[derive(Default)]
pub(crate) struct FeedTable {
    snapshot: ArcSwap<Snapshot>,
    quotas: Quotas,
}

#[derive(Default)]
struct Snapshot {
    /// With until when the key opens the feed, where it was replaced.
    by_key: HashMap<SecretHash, (Arc<Feed>, Option<Timestamp>)>,
    by_id: HashMap<FeedId, Arc<Feed>>,
}

impl FeedTable {
    /// Reads the feeds and quotas anew.
    pub(crate) async fn refresh(&self, db: &dyn Database) -> Result<(), DbError> {
        self.quotas.set(db.all_quotas().await?);
        let mut snapshot = Snapshot::default();
        for FeedKey { hash, feed, until } in db.feed_keys().await? {
            let feed = Arc::new(feed);
            snapshot.by_id.insert(feed.id.clone(), Arc::clone(&feed));
            snapshot.by_key.insert(hash, (feed, until));
        }
        self.snapshot.store(Arc::new(snapshot));
        Ok(())
    }
}

impl FeedTable {
    /// All of them.
    pub(crate) fn all(&self) -> Vec<Arc<Feed>> {
        self.snapshot.load().by_id.values().cloned().collect()
    }
}

impl Feeds for FeedTable {
    fn by_key(&self, key: &str) -> Option<Arc<Feed>> {
        let snapshot = self.snapshot.load();
        let (feed, until) = snapshot.by_key.get(&Secret::presented(key).hash())?;
        let opens = until.is_none_or(|until| Timestamp::now() < until);
        opens.then(|| Arc::clone(feed))
    }

    fn by_id(&self, id: &FeedId) -> Option<Arc<Feed>> {
        self.snapshot.load().by_id.get(id).cloned()
    }

    fn admit(&self, loads: &[Load<'_>]) -> Result<(), OverQuota> {
        self.quotas.admit(loads)
    }
}

/// What a key is for the socket in the data folder: `feed:` and a feed's id. Whoever reaches
/// the socket may read the folder, and needs no other proof. Quotas are not for replays by the
/// operator, who is at the machine.
pub(crate) struct LocalFeeds(pub(crate) Arc<FeedTable>);

/// What stands before a feed's id in a key for [`LocalFeeds`].
pub(crate) const LOCAL_KEY: &str = "feed:";

impl Feeds for LocalFeeds {
    fn by_key(&self, key: &str) -> Option<Arc<Feed>> {
        let id = FeedId::new(key.strip_prefix(LOCAL_KEY)?).ok()?;
        self.0.by_id(&id)
    }

    fn by_id(&self, id: &FeedId) -> Option<Arc<Feed>> {
        self.0.by_id(id)
    }
}
