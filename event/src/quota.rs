//! How much may be sent.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{CommuneId, FeedId};

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

/// Whose quota it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotaOf {
    /// All feeds of a commune together.
    Commune(CommuneId),
    /// One feed.
    Feed(FeedId),
}

impl QuotaOf {
    /// `commune` or `feed`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Commune(_) => "commune",
            Self::Feed(_) => "feed",
        }
    }

    /// The id of the commune or feed.
    pub fn id(&self) -> &str {
        match self {
            Self::Commune(id) => id.as_str(),
            Self::Feed(id) => id.as_str(),
        }
    }
}

impl fmt::Display for QuotaOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.id())
    }
}
