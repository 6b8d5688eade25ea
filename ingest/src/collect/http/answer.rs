//! What the sender is told of its records.

use event::EventId;
use serde::{Deserialize, Serialize};

/// One record that was turned away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rejection {
    /// Its place among the records of the body, from 0; blank lines do not count.
    pub(super) record: u64,
    /// The line of the (decompressed) body that it begins on, from 1.
    pub(super) line: u64,
    /// What is wrong with it.
    pub(super) reason: String,
}

/// The answer to a body that could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Receipt {
    /// Records that are durable on the bus.
    pub(super) accepted: u64,
    /// Records that were turned away and stay with the sender.
    pub(super) rejected_count: u64,
    /// The first of them, up to `answer_rejections_max`, in the order of the body.
    pub(super) rejected: Vec<Rejection>,
    /// Where the bus failed in the middle: the first record that is not on it. Those before it
    /// are settled, sending them again would double them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) resume_at_record: Option<u64>,
    /// The accepted records and the ids that their events have, in the order of the body; only
    /// for protocols that tell them.
    #[serde(skip)]
    pub(super) ids: Vec<(u64, EventId)>,
    /// Whether the batch came before and this is what was answered then.
    #[serde(skip)]
    pub(super) is_replayed: bool,
    /// The line that this record begins on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) resume_at_line: Option<u64>,
}

impl Receipt {
    /// Adds what another part of the same body came to.
    pub(super) fn join(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.rejected_count += other.rejected_count;
        self.rejected.extend(other.rejected);
        self.rejected.sort_by_key(|rejection| rejection.record);
        self.ids.extend(other.ids);
        self.ids.sort_by_key(|(record, _)| *record);
    }
}
