//! Reading the trail, the latest first.

use std::path::Path;

use event::Timestamp;

use super::{AuditError, Record, file, line};

/// Which records. Everything given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// At or after.
    pub from: Option<Timestamp>,
    /// At or before.
    pub to: Option<Timestamp>,
    /// By exactly this one.
    pub by: Option<String>,
    /// Of this action, or of all that begin with it before a `*`.
    pub action: Option<String>,
    /// About exactly this object.
    pub object: Option<String>,
    /// Before this record.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

impl AuditQuery {
    fn has(&self, record: &Record) -> bool {
        let named = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        let action = match &self.action {
            None => true,
            Some(wanted) => match wanted.strip_suffix('*') {
                Some(begin) => record.entry.action.starts_with(begin),
                None => *wanted == record.entry.action,
            },
        };
        action
            && self.from.is_none_or(|from| record.at >= from)
            && self.to.is_none_or(|to| record.at <= to)
            && self.before.is_none_or(|before| record.seq < before)
            && named(&self.by, &record.entry.by)
            && named(&self.object, record.entry.object.as_deref().unwrap_or_default())
    }
}

/// The records of the trail in `folder` that match, the latest first. Lines that are no record
/// are left out: finding them is what verifying is for. Blocks.
pub fn read(folder: &Path, query: &AuditQuery) -> Result<Vec<Record>, AuditError> {
    let mut found = Vec::new();
    for (first, path) in file::list(folder)?.into_iter().rev() {
        if query.before.is_some_and(|before| first >= before) {
            continue;
        }
        let text = std::fs::read(&path).map_err(|error| AuditError::io(&path, error))?;
        for text in text.rsplit(|byte| *byte == b'\n') {
            if found.len() == query.limit {
                return Ok(found);
            }
            let Ok((record, _)) = line::read(text) else { continue };
            if query.has(&record) {
                found.push(record);
            } else if query.from.is_some_and(|from| record.at < from) {
                // Times follow the clock, which may go back a little, never a day.
                let slack = std::time::Duration::from_hours(24);
                if query.from.is_some_and(|from| record.at.plus(slack) < from) {
                    return Ok(found);
                }
            }
        }
    }
    Ok(found)
}
