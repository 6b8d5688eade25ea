//! The trail's files: `trail-<seq of the first record>.ndjson`.

use std::path::{Path, PathBuf};

use super::AuditError;

const PREFIX: &str = "trail-";
const SUFFIX: &str = ".ndjson";

pub(super) fn name(first: u64) -> String {
    format!("{PREFIX}{first:020}{SUFFIX}")
}

/// All in `folder` with the record that each begins with, the oldest first.
pub(super) fn list(folder: &Path) -> Result<Vec<(u64, PathBuf)>, AuditError> {
    let entries = std::fs::read_dir(folder).map_err(|error| AuditError::io(folder, error))?;
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| AuditError::io(folder, error))?;
        let first = entry
            .file_name()
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok());
        files.extend(first.map(|first| (first, entry.path())));
    }
    files.sort();
    Ok(files)
}
