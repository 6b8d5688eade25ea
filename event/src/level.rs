//! How serious a rule says its match is.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A Sigma rule's level; an incident's severity is the highest level of its detections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For enrichment and compliance only; raises no incident.
    Informational,
    /// Notable but rarely an incident on its own.
    Low,
    /// To be reviewed.
    Medium,
    /// To be reviewed soon.
    High,
    /// To be acted on at once.
    Critical,
}

impl Level {
    /// All levels, lowest first.
    pub const ALL: [Self; 5] =
        [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// Sigma's spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Level {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|level| level.as_str() == text).ok_or_else(|| {
            format!("{text:?} is no level; use informational, low, medium, high or critical")
        })
    }
}
