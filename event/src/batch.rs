//! Batches that a sender may repeat.

use serde::{Deserialize, Serialize};

/// What tells that a batch with an `Idempotency-Key` was taken as a whole. It is on the bus with
/// the last of its records, so that it is durable exactly when they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchMark {
    /// The key, one of its feed's.
    pub key: String,
    /// What tells its body from another, in hexadecimal.
    pub digest: String,
    /// What the sender was answered, or would have been, as JSON.
    pub receipt: String,
}

/// What is known of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchState {
    /// It was not known before; from now on it is being taken.
    New,
    /// It is being taken, or was when its process ended.
    Pending {
        /// Of its body.
        digest: String,
    },
    /// It is durable.
    Taken {
        /// Of its body.
        digest: String,
        /// What its sender was answered.
        receipt: String,
    },
}
