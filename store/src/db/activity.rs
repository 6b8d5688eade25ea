//! When feeds were active and what is counted of them, as several processes and runs see it.

use std::collections::BTreeMap;

use event::{FeedId, Slots, Timestamp};
use serde::{Deserialize, Serialize};

/// Failures that are kept of a feed.
const FAILURES_MAX: usize = 5;

/// When a feed sent something, or when a collector listened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedActivity {
    /// The feed; `None` is what collectors listened for any.
    pub feed: Option<FeedId>,
    /// In which slots.
    pub slots: Slots,
    /// When the first record came.
    pub first: Option<Timestamp>,
    /// When the last record came.
    pub last: Option<Timestamp>,
    /// The last record before the silence that was told last.
    pub silence_told: Option<Timestamp>,
    /// The last record before the silence whose end was told last.
    pub end_told: Option<Timestamp>,
    /// What is counted of it.
    pub counts: FeedCounts,
}

impl FeedActivity {
    /// Of a feed that nothing is known of yet.
    pub fn of(feed: Option<FeedId>) -> Self {
        Self { feed, ..Self::default() }
    }

    /// Adds what `other` knows of the same feed.
    pub fn merge(&mut self, other: &Self) {
        self.slots.merge(&other.slots);
        self.first = earliest(self.first, other.first);
        self.last = self.last.max(other.last);
        self.silence_told = self.silence_told.max(other.silence_told);
        self.end_told = self.end_told.max(other.end_told);
        self.counts.add(&other.counts);
    }
}

fn earliest(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// What is counted of a feed. What is not known yet is zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FeedCounts {
    /// Since when it is counted.
    pub since: Option<Timestamp>,
    /// Records that were accepted: they are durable.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Records that became events.
    pub decoded: u64,
    /// Events with values whose names have no room: `jacquemart.unmapped`.
    pub partly_decoded: u64,
    /// Records that could not be decoded; they are kept and found as `event.kind:pipeline_error`.
    pub failed: u64,
    /// The last of these, the latest first.
    pub failures: Vec<FeedFailure>,
    /// Requests or records that were turned away, by reason.
    pub refused: BTreeMap<String, u64>,
    /// The latest time that an event says of itself.
    pub last_event: Option<Timestamp>,
    /// When the first event came that some rule then in force could use.
    pub first_usable: Option<Timestamp>,
}

/// A record that could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedFailure {
    /// When it came.
    pub received: Timestamp,
    /// Why it is no event.
    pub reason: String,
    /// How it begins.
    pub raw: String,
}

impl FeedCounts {
    /// Adds what was counted by another process or at another time.
    pub fn add(&mut self, other: &Self) {
        self.since = earliest(self.since, other.since);
        self.records += other.records;
        self.bytes += other.bytes;
        self.decoded += other.decoded;
        self.partly_decoded += other.partly_decoded;
        self.failed += other.failed;
        self.failures.extend(other.failures.iter().cloned());
        self.failures.sort_by_key(|failure| std::cmp::Reverse(failure.received));
        self.failures.truncate(FAILURES_MAX);
        for (reason, count) in &other.refused {
            *self.refused.entry(reason.clone()).or_default() += count;
        }
        self.last_event = self.last_event.max(other.last_event);
        self.first_usable = earliest(self.first_usable, other.first_usable);
    }

    /// Counts a record that could not be decoded.
    pub fn fail(&mut self, failure: FeedFailure) {
        self.failed += 1;
        self.failures.insert(0, failure);
        self.failures.truncate(FAILURES_MAX);
    }
}
