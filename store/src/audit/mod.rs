//! The audit trail: who asked for what, when, from where, and how it ended.
//!
//! What enters: an [`Entry`] for each thing that somebody did. What leaves: files of NDJSON, one
//! line an entry, that can only grow. Each line names the hash of the line before it, so that
//! nothing in between can be altered, removed or put elsewhere without being found by
//! [`verify`]; at intervals a line carries a signature over all before it. Deliberately ignored:
//! what is worth an entry (`api` says so of each route).
//!
//! A line is a JSON object that ends with `,"hash":"<64 hex digits>"}`. The hash is SHA-256 over
//! the line's bytes before that end, which hold `"prev"`, the hash of the line before (zeros for
//! the first). So anybody can check it with `sha256sum`.

use std::{path::PathBuf, sync::Arc};

use event::Timestamp;
use serde::{Deserialize, Serialize};

use crate::auth::Role;

mod file;
mod key;
mod line;
mod read;
mod trail;
mod verify;

pub use key::PublicKey;
pub use read::{AuditQuery, read};
pub use trail::{Trail, TrailConfig};
pub use verify::{Checked, Fault, FaultKind, verify};

/// Something that somebody did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// What, e.g. `incident.change`; the API's documentation lists them.
    pub action: String,
    /// Whether it is about to be done or was: a change has an entry for each.
    pub phase: Phase,
    /// Who, e.g. `token:soc-night`; empty where nobody known.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub by: String,
    /// What they may do.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub role: Option<Role>,
    /// The address that asked, or `local` for the machine itself.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub from: String,
    /// The id of what it was done to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub object: Option<String>,
    /// The parameters as they were sent, e.g. a hunt's query.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub query: Option<String>,
    /// The body as it was sent, without values that are too long to keep here.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub body: Option<serde_json::Value>,
    /// The status of the answer, once there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<u16>,
    /// The id of the request, which the server's log and the answer name.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub request: String,
    /// How often, where several are one entry.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub count: Option<u64>,
}

/// When an entry was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Before anything was done.
    Asked,
    /// When it was done, before anybody heard of it.
    #[default]
    Done,
}

/// An entry as it stands in the trail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Counts up by one, from 1.
    pub seq: u64,
    /// When it was written.
    pub at: Timestamp,
    /// What was done.
    #[serde(flatten)]
    pub entry: Entry,
    /// The signature over `prev`, in a seal: Ed25519, as hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub signature: Option<String>,
    /// The hash of the record before.
    pub prev: String,
    /// The hash of this one.
    #[serde(skip_serializing, default)]
    pub hash: String,
}

/// The action of a record that signs all before it.
pub const SEAL: &str = "audit.seal";

/// The action of a record that says that the trail was opened.
pub const OPENED: &str = "audit.open";

/// Why the trail cannot be used. The texts complete "failed to …".
#[derive(Clone, Debug, thiserror::Error)]
pub enum AuditError {
    /// A file or folder.
    #[error("use the audit trail at {path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: Arc<std::io::Error>,
    },
    /// The last record is damaged, so that none can follow it.
    #[error(
        "go on with the audit trail: {0}; `jacquemart audit verify` says more. Move the folder away to begin another"
    )]
    Damaged(String),
    /// The key.
    #[error("use the audit trail's key {path}: {reason}")]
    Key {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// It was closed.
    #[error("write to the audit trail: it is closed")]
    Closed,
}

impl AuditError {
    fn io(path: &std::path::Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), source: Arc::new(source) }
    }
}
