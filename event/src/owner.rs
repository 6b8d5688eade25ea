//! A commune or one of its feeds, where a setting may be of either.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{CommuneId, FeedId};

/// Whose setting it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// Of a commune, for all its feeds.
    Commune(CommuneId),
    /// One feed.
    Feed(FeedId),
}

impl Owner {
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

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.id())
    }
}
