//! How feeds do.

use std::collections::BTreeMap;

use event::{FeedId, Level, Timestamp};
use serde::Serialize;
use store::db::{FeedCounts, SeenDevice};

/// Who watches the feeds.
pub trait FeedWatch: Send + Sync {
    /// How a feed does. One that nothing came from has zeros.
    fn of(&self, feed: &FeedId) -> FeedHealth;

    /// The rules in force that some event of the feed was offered to since the process began,
    /// and what keeps them from firing.
    fn rules(&self, feed: &FeedId) -> Vec<FeedRule>;

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
    /// Keys of its records that the format does not read, and keeps under the vendor's namespace
    /// all the same, of those looked at since the process began; `None` where the format cannot
    /// tell, or nothing was looked at.
    pub unmapped: Option<Vec<String>>,
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

/// A rule that is for events of a feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FeedRule {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// How severe it is.
    pub level: Level,
    /// Whether the feed fills what it cannot fire without.
    pub can_fire: bool,
    /// The fields that it cannot fire without and no event had, as the rule names them.
    pub lacks: Vec<String>,
}
