//! `[audit]`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use store::audit::TrailConfig;

/// The audit trail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Audit {
    /// The folder of its files; without it `<data_dir>/audit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) folder: Option<PathBuf>,
    /// The key that seals are signed with; without it `signing-key.p8` in the folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_file: Option<PathBuf>,
    /// The longest time that a record waits for a seal.
    pub(crate) seal_s: u64,
}

impl Default for Audit {
    fn default() -> Self {
        Self { folder: None, key_file: None, seal_s: 3_600 }
    }
}

impl Audit {
    /// Where and how it is kept.
    pub(crate) fn trail(&self, data_dir: &Path) -> TrailConfig {
        let folder = self.folder.clone().unwrap_or_else(|| data_dir.join("audit"));
        let mut trail = TrailConfig::in_folder(&folder);
        if let Some(key) = &self.key_file {
            trail.key.clone_from(key);
        }
        trail.seal_every = Duration::from_secs(self.seal_s.max(1));
        trail
    }
}
