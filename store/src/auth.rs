//! Who a caller is: secrets, tokens, and the only code that makes a [`Scope`].

use std::{
    fmt,
    fs::File,
    path::{Path, PathBuf},
};

use event::{CommuneId, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Scope;

/// A token or feed key in clear. Never logged (`Debug` hides it), never stored; shown once,
/// by the command that made it.
pub struct Secret(String);

impl Secret {
    /// Draws 256 random bits. `prefix` says what it opens: `jqt` for API tokens, `jqf` for
    /// feed keys, so that a leaked one is recognised by secret scanners.
    pub fn generate(prefix: &str) -> std::io::Result<Self> {
        use std::io::Read as _;
        let mut bytes = [0; 32];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        let mut text = format!("{prefix}_");
        for byte in bytes {
            use fmt::Write as _;
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Ok(Self(text))
    }

    /// A secret that somebody presented.
    pub fn presented(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The secret in clear, to show it once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored of it: secrets have 256 bits of entropy, so a plain hash suffices.
    pub fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// SHA-256 of a [`Secret`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecretHash(pub [u8; 32]);

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

/// What a caller may do, beside the communes it may do it in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Reads what its scope allows.
    Reader,
    /// Also works incidents: status, comments.
    Analyst,
    /// Also administers communes, feeds and tokens; scope is always all communes.
    Admin,
}

impl Role {
    /// All, the least able first.
    pub const ALL: [Self; 3] = [Self::Reader, Self::Analyst, Self::Admin];

    /// The word used in JSON and SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Analyst => "analyst",
            Self::Admin => "admin",
        }
    }
}

/// Somebody whom authentication let in.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Shown beside what they did, e.g. `token:soc-night` or `operator`.
    pub name: String,
    /// What they may do.
    pub role: Role,
    scope: Scope,
}

impl Caller {
    /// What they may read.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Made by a database backend for a token that it found by its hash: `communes` is `None`
    /// for all.
    pub(crate) fn from_token(token: &TokenInfo) -> Self {
        let scope = match &token.communes {
            None => Scope::all(),
            Some(communes) => Scope::only(communes.iter().cloned()),
        };
        Self { name: format!("token:{}", token.name), role: token.role, scope }
    }

    /// The operator at the machine: whoever holds the data folder can read its files anyway.
    pub fn operator(_held: &DataDir) -> Self {
        Self { name: "operator".to_owned(), role: Role::Admin, scope: Scope::all() }
    }
}

/// An API token as it is listed: never the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInfo {
    /// Unique name, chosen by who made it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Which communes it may read; `None` is all.
    pub communes: Option<Vec<CommuneId>>,
    /// When it was made.
    pub created: Timestamp,
    /// When it stops working; `None` is never.
    pub expires: Option<Timestamp>,
}

/// The data folder, held by this process alone.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// Why the data folder could not be taken. The texts complete "failed to open the data folder: …".
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another process holds it.
    #[error("{0} is in use by another jacquemart; stop it, or choose another --data-dir")]
    InUse(PathBuf),
    /// The system said no.
    #[error("{path}: {source}")]
    Io {
        /// The folder or its lock.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl DataDir {
    /// Creates `path` where it is missing (mode 0700) and takes its lock.
    pub fn hold(path: &Path) -> Result<Self, DataDirError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| DataDirError::Io { path, source }
        };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io(path))?;
        let lock_path = path.join("LOCK");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(io(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(std::fs::TryLockError::WouldBlock) => Err(DataDirError::InUse(path.to_owned())),
            Err(std::fs::TryLockError::Error(source)) => Err(io(&lock_path)(source)),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_different_and_hidden() {
        let a = Secret::generate("jqt").unwrap();
        let b = Secret::generate("jqt").unwrap();
        assert_ne!(a.reveal(), b.reveal());
        assert_eq!(a.reveal().len(), 4 + 64);
        assert!(!format!("{a:?} {:?}", a.hash()).contains(&a.reveal()[4..12]));
        assert_eq!(Secret::presented(a.reveal()).hash(), a.hash());
    }

    #[test]
    fn a_data_folder_is_held_once() {
        let dir = tempfile::tempdir().unwrap();
        let held = DataDir::hold(dir.path()).unwrap();
        assert!(matches!(DataDir::hold(dir.path()), Err(DataDirError::InUse(_))));
        drop(held);
        DataDir::hold(dir.path()).unwrap();
    }
}
