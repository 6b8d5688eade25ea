//! When feeds were active, as several processes see it.

use event::{FeedId, Slots, Timestamp};

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
}

impl FeedActivity {
    /// Of a feed that nothing is known of yet.
    pub fn of(feed: Option<FeedId>) -> Self {
        Self { feed, ..Self::default() }
    }

    /// Adds what `other` knows of the same feed.
    pub fn merge(&mut self, other: &Self) {
        self.slots.merge(&other.slots);
        self.first = match (self.first, other.first) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.last = self.last.max(other.last);
        self.silence_told = self.silence_told.max(other.silence_told);
        self.end_told = self.end_told.max(other.end_told);
    }
}
