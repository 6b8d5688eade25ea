//! How much may be sent.

use serde::{Deserialize, Serialize};

/// How much a commune or a feed may send, on average. What is absent has no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quota {
    /// Records a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records_per_s: Option<u64>,
    /// Bytes of raw records a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_s: Option<u64>,
}

impl Quota {
    /// Whether it bounds nothing.
    pub fn is_unbounded(&self) -> bool {
        self.records_per_s.is_none() && self.bytes_per_s.is_none()
    }
}
