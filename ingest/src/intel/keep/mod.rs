//! What sources said, kept in a folder, so that a restart without a network matches what was
//! matched before.
//!
//! One file a source, `<source>.indicators`, replaced as a whole: written beside it, made durable,
//! renamed. Its first line is `jacquemart-indicators 1 ` and the CRC-32C of all that follows, in
//! eight hexadecimal digits; then comes the header ([`Kept`]) as one line of JSON, then, in zstd,
//! one indicator a line as JSON, with its group where it has one.

mod draft;
mod file;

use std::{
    io,
    path::{Path, PathBuf},
};

use event::{Indicator, IndicatorSourceId, Timestamp};
use serde::{Deserialize, Serialize};

use super::fetch::{Outcome, State};

pub use draft::Draft;

/// Refusals that are kept word for word; more are counted.
const REFUSED_KEPT_MAX: usize = 200;

/// What a file says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// How many indicators it holds.
    pub indicators: u64,
    /// When the source last said something new.
    pub changed: Option<Timestamp>,
    /// Where to go on from.
    pub state: State,
    /// What was refused of what came last, at most 200 of them.
    pub refused: Vec<KeptRefusal>,
    /// How many were refused of what came last.
    pub refused_total: u64,
    /// What whoever imported it said of it; absent where the configuration does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import: Option<serde_json::Value>,
}

/// A refusal as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptRefusal {
    /// Where in the document.
    pub place: String,
    /// What is wrong.
    pub reason: String,
}

/// Why what a source said can't be kept or read again. The texts complete "failed to keep …".
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The disk.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not as it was written.
    #[error("{}: {reason}; it is fetched anew, or import it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// More than a source may have.
    #[error("there are more than {0} indicators; raise the limit, or split the source")]
    TooMany(u64),
}

impl KeepError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

/// The folder. Everything in it blocks.
#[derive(Clone, Debug)]
pub struct Keeper {
    dir: PathBuf,
    indicators_max: u64,
}

impl Keeper {
    /// The folder `dir`, made where it is not there. A source may have `indicators_max`
    /// indicators.
    pub fn open(dir: PathBuf, indicators_max: u64) -> Result<Self, KeepError> {
        std::fs::create_dir_all(&dir).map_err(KeepError::io(&dir))?;
        Ok(Self { dir, indicators_max })
    }

    fn path(&self, source: &IndicatorSourceId) -> PathBuf {
        self.dir.join(format!("{source}.{}", file::EXTENSION))
    }

    /// The sources that there are files of, sorted, each with what changes when its file does.
    pub fn sources(&self) -> Result<Vec<(IndicatorSourceId, Version)>, KeepError> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.dir).map_err(KeepError::io(&self.dir))? {
            let entry = entry.map_err(KeepError::io(&self.dir))?;
            let path = entry.path();
            let is_one = path.extension().is_some_and(|extension| extension == file::EXTENSION);
            let name =
                path.file_stem().and_then(|stem| IndicatorSourceId::new(stem.to_str()?).ok());
            if let (true, Some(name)) = (is_one, name) {
                let about = entry.metadata().map_err(KeepError::io(&path))?;
                let modified = about.modified().map_err(KeepError::io(&path))?;
                found.push((name, Version { modified, bytes: about.len() }));
            }
        }
        found.sort();
        Ok(found)
    }

    /// Gives `each` what `source` said, one by one; what its file says of itself. `None` where
    /// there is no file.
    pub fn read(
        &self,
        source: &IndicatorSourceId,
        each: &mut dyn FnMut(Indicator),
    ) -> Result<Option<Kept>, KeepError> {
        file::read(&self.path(source), &mut |line| each(line.indicator))
    }

    /// What the file of `source` says of itself.
    pub fn about(&self, source: &IndicatorSourceId) -> Result<Option<Kept>, KeepError> {
        file::header(&self.path(source))
    }

    /// Begins to take what `source` says now.
    pub fn draft(&self) -> Result<Draft, KeepError> {
        Draft::new(&self.dir, self.indicators_max)
    }

    /// Keeps a draft as `source`'s word. With [`Outcome::Changes`] what the file holds stands
    /// where the draft does not replace or withdraw it; with [`Outcome::Whole`] only the draft
    /// stands; with [`Outcome::Unchanged`] nothing is done. Durable when it returns.
    pub fn commit(
        &self,
        source: &IndicatorSourceId,
        draft: &mut Draft,
        outcome: Outcome,
        kept: Kept,
        now: Timestamp,
    ) -> Result<Kept, KeepError> {
        if outcome == Outcome::Unchanged {
            return Ok(kept);
        }
        draft.commit(&self.path(source), outcome == Outcome::Changes, kept, now)
    }

    /// Forgets what `source` said; whether there was anything.
    pub fn remove(&self, source: &IndicatorSourceId) -> Result<bool, KeepError> {
        let path = self.path(source);
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(KeepError::io(&path)(error)),
        }
    }
}

/// Changes when a source's file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    modified: std::time::SystemTime,
    bytes: u64,
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
