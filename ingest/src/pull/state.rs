//! Cursors on disk.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{cursor::Cursor, funnel::Objects};

/// The file of one source's cursors, replaced as a whole.
#[derive(Clone, Debug)]
pub struct StateFile {
    path: PathBuf,
}

/// Why cursors can't be kept.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The disk said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no such file.
    #[error("{}: {source}; move it away to begin anew at `lookback_h`", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
}

/// What is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    /// Whose cursors they are; those of another place are of no use.
    pub(super) of: String,
    /// By stream.
    pub(super) cursors: BTreeMap<String, Cursor>,
    /// Of a queue: how far objects came.
    #[serde(default)]
    pub(super) objects: Objects,
}

impl StateFile {
    /// The file `<folder>/<name>.json`.
    pub fn new(folder: &Path, name: &str) -> Self {
        Self { path: folder.join(format!("{name}.json")) }
    }

    /// What is kept of `of`; nothing where there is no file, or it is another's. Blocks.
    pub(super) fn load(&self, of: &str) -> Result<State, StateError> {
        let fresh = State { of: of.to_owned(), ..State::default() };
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(fresh),
            Err(source) => return Err(StateError::Io { path: self.path.clone(), source }),
        };
        let state: State = serde_json::from_slice(&bytes)
            .map_err(|source| StateError::Damaged { path: self.path.clone(), source })?;
        Ok(if state.of == of { state } else { fresh })
    }

    /// Keeps `state` durably. Blocks.
    pub(super) fn save(&self, state: &State) -> Result<(), StateError> {
        let failed = |source| StateError::Io { path: self.path.clone(), source };
        let folder = self.path.parent().unwrap_or_else(|| Path::new("."));
        std::fs::create_dir_all(folder).map_err(failed)?;
        let mut staged = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        let text = serde_json::to_vec(state).map_err(|error| failed(error.into()))?;
        staged.write_all(&text).map_err(failed)?;
        staged.as_file().sync_all().map_err(failed)?;
        staged.persist(&self.path).map_err(|error| failed(error.error))?;
        std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }
}
