//! `[retention]`.

use serde::{Deserialize, Serialize};
use store::db::RETENTION_DAYS_MAX;

/// How long events are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Retention {
    /// Days since their receipt, where neither their feed nor their commune has its own.
    pub(crate) days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { days: 365 }
    }
}

impl Retention {
    /// The key that cannot be used and why.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if (1..=RETENTION_DAYS_MAX).contains(&self.days) {
            return Ok(());
        }
        Err(("days", format!("must be between 1 and {RETENTION_DAYS_MAX}")))
    }
}
