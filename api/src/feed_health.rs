//! How feeds do.

use std::collections::BTreeMap;

use event::{FeedId, Timestamp};
use serde::Serialize;
use store::db::{FeedCounts, SeenDevice};

/// Who watches the feeds.
pub trait FeedWatch: Send + Sync {
    /// How a feed does. One that nothing came from has zeros.
    fn of(&self, feed: &FeedId) -> FeedHealth;

    /// Devices of a feed that were seen since the database was told.
    fn new_devices(&self, feed: &FeedId) -> Vec<SeenDevice>;

    /// Requests and connections that were turned away before anyone knew which feed they are
    /// of, by reason.
    fn refused_unknown(&self) -> BTreeMap<String, u64>;
}

/// How a feed does.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FeedHealth {
    /// What was counted, in all runs of the centre; a crash may lose the last minute of it or
    /// count what is worked again.
    #[serde(flatten)]
    pub counts: FeedCounts,
    /// When the first record came.
    pub first_received: Option<Timestamp>,
    /// When the last record came.
    pub last_received: Option<Timestamp>,
    /// Whether it has been silent for longer than its rhythm explains.
    pub is_silent: bool,
    /// Records of the last whole minutes, the newest first, an hour at most, since the process
    /// began that answers.
    pub records_by_minute: Vec<u64>,
    /// How long after its own time the last event came; negative where its clock is ahead.
    pub lag_ms: Option<i64>,
    /// Hosts and phones seen, at most 10,000.
    pub devices: usize,
    /// How asking a vendor's API for it goes, where this process asks.
    pub pull: Option<FeedPull>,
}

/// How asking a vendor's API goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FeedPull {
    /// When the vendor was last asked for all that it has.
    pub last_success: Option<Timestamp>,
    /// When that last failed.
    pub last_failure: Option<Timestamp>,
    /// Why, as long as it has not succeeded since.
    pub error: Option<String>,
    /// When the token that is shown expires, where the vendor tells.
    pub token_expires: Option<Timestamp>,
}
