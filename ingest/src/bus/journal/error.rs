//! Why opening fails.

use std::path::Path;

use super::VERSION;

/// Why a journal could not be opened. The texts complete "failed to open the journal: …".
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("{dir} is in use by another process (pid {holder}); stop that one first")]
    Locked {
        /// The folder.
        dir: String,
        /// Who has it, as far as known.
        holder: String,
    },
    /// A later version of this program wrote it.
    #[error(
        "{path} has format version {version}, this program reads version {VERSION}; run the \
         version that wrote it or a later one"
    )]
    Newer {
        /// The file.
        path: String,
        /// Its version.
        version: u32,
    },
    /// What is there is no journal, or not this one's.
    #[error("{path}: {reason}")]
    Format {
        /// The file.
        path: String,
        /// What is wrong and how to mend it.
        reason: String,
    },
    /// The disk said no.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl OpenError {
    pub(super) fn newer(path: &Path, version: u32) -> Self {
        Self::Newer { path: path.display().to_string(), version }
    }
}
