//! Why a rule is refused.

use std::{fmt, path::PathBuf};

/// A reason with its line, inside one file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}: {reason}")]
pub(crate) struct Problem {
    pub(crate) line: u32,
    pub(crate) reason: String,
}

impl Problem {
    pub(crate) fn new(line: u32, reason: impl Into<String>) -> Self {
        Self { line, reason: reason.into() }
    }
}

/// A rule (or a file) that was not loaded, or, as a warning, that was but has a flaw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The file.
    pub path: PathBuf,
    /// The line in it, from 1; 0 where the whole file is meant.
    pub line: u32,
    /// The rule's `id`, where it could be read.
    pub rule_id: Option<String>,
    /// The rule's `title`, where it could be read.
    pub title: Option<String>,
    /// What is wrong and how to mend it: a lowercase fragment.
    pub reason: String,
}

/// `path:line: reason`, the form that editors jump to.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.reason)
    }
}
