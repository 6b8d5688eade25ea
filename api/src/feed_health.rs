//! How feeds do.

use std::collections::BTreeMap;

use event::{FeedId, Timestamp};
use serde::Serialize;

/// Who watches the feeds.
pub trait FeedWatch: Send + Sync {
    /// How a feed does. One that nothing came from has zeros.
    fn of(&self, feed: &FeedId) -> FeedHealth;

    /// Requests and connections that were turned away before anyone knew which feed they are
    /// of, by reason.
    fn refused_unknown(&self) -> BTreeMap<String, u64>;
}

/// How a feed does, since the process that answers began.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FeedHealth {
    /// Since when it is counted.
    pub since: Timestamp,
    /// Records that were accepted: they are durable.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the first record came.
    pub first_received: Option<Timestamp>,
    /// When the last record came, in whichever run of the centre.
    pub last_received: Option<Timestamp>,
    /// When the first record came, in whichever run of the centre.
    pub known_since: Option<Timestamp>,
    /// Whether it has been silent for longer than its rhythm explains.
    pub is_silent: bool,
    /// Records of the last whole minutes, the newest first, an hour at most.
    pub records_by_minute: Vec<u64>,
    /// Requests or records that were turned away, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Records that became events.
    pub decoded: u64,
    /// Events with values whose names have no room: `jacquemart.unmapped`.
    pub partly_decoded: u64,
    /// Records that could not be decoded; they are kept and found as `event.kind:pipeline_error`.
    pub failed: u64,
    /// The last of these.
    pub failures: Vec<FeedFailure>,
    /// The latest time that an event says of itself.
    pub last_event: Option<Timestamp>,
    /// How long after its own time the last event came; negative where its clock is ahead.
    pub lag_ms: Option<i64>,
    /// Hosts and phones seen, at most 10,000.
    pub devices: usize,
    /// When the first event came that some rule in force can use.
    pub first_usable: Option<Timestamp>,
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

/// A record that could not be decoded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FeedFailure {
    /// When it came.
    pub received: Timestamp,
    /// Why it is no event.
    pub reason: String,
    /// How it begins.
    pub raw: String,
}
