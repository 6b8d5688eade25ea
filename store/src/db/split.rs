//! The catalog's nouns.

use std::path::PathBuf;

use event::{CommuneId, SplitId, Timestamp};
use serde::{Deserialize, Serialize};

use super::Position;

/// A sealed, immutable index of one commune's events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitMeta {
    /// Its id.
    pub id: SplitId,
    /// Whose events it holds; also the first part of its object's path.
    pub commune: CommuneId,
    /// Earliest `@timestamp` in it.
    pub min_time: Timestamp,
    /// Latest `@timestamp` in it.
    pub max_time: Timestamp,
    /// Earliest receipt in it.
    pub min_received: Timestamp,
    /// Latest receipt in it.
    pub max_received: Timestamp,
    /// Events in it.
    pub events: u64,
    /// Bytes of their originals.
    pub raw_bytes: u64,
    /// Bytes of its object.
    pub bytes: u64,
    /// CRC-32C of its object.
    pub crc32c: u32,
    /// Version of the index format and schema.
    pub format_version: u32,
    /// When it was sealed.
    pub sealed: Timestamp,
}

impl SplitMeta {
    /// The object's path below the splits' root: `<commune>/<id>.split`.
    pub fn object_path(&self) -> PathBuf {
        PathBuf::from(self.commune.as_str()).join(format!("{}.split", self.id))
    }
}

/// A change of the catalog that goes with a cursor.
#[derive(Clone, Debug)]
pub struct Publication {
    /// Splits whose objects are durable in the split storage.
    pub added: Vec<SplitMeta>,
    /// Splits that `added` replaces (merges) or that retention drops.
    pub removed: Vec<SplitId>,
    /// Where the index reader stands then; `None` for merges and retention.
    pub position: Option<Position>,
    /// What a purge took out of `removed`, counted with it.
    pub purged: Option<PurgedEvents>,
}

/// What one publication counts into a purge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurgedEvents {
    /// The [`Purge::id`](super::Purge::id).
    pub purge: String,
    /// Events that are gone with it.
    pub events: u64,
}
