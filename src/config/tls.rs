//! TLS of a listener.

use std::path::{Path, PathBuf};

use ingest::collect::TlsFiles;
use serde::{Deserialize, Serialize};

/// PEM files; they are read again when they change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    /// The certificate, with those between it and the authority behind it.
    pub(crate) certificate_file: PathBuf,
    /// Its private key.
    pub(crate) key_file: PathBuf,
    /// Authorities whose certificates senders must show; without it they need none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_ca_file: Option<PathBuf>,
}

impl Tls {
    pub(crate) fn files(&self) -> TlsFiles {
        TlsFiles {
            certificate: self.certificate_file.clone(),
            key: self.key_file.clone(),
            client_ca: self.client_ca_file.clone(),
        }
    }

    /// The first of its files that can't be read, with what the system said.
    pub(crate) fn check(&self) -> Result<(), String> {
        let files =
            [Some(&self.certificate_file), Some(&self.key_file), self.client_ca_file.as_ref()];
        for file in files.into_iter().flatten() {
            let path: &Path = file;
            std::fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(())
    }
}
