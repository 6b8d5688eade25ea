//! A commune's configured source.

use serde::{Deserialize, Serialize};

use crate::{CommuneId, FeedId, FormatName, Timestamp};

/// A source of records: it belongs to one commune and has one format. Its key is never
/// part of it; the store keeps only the key's hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feed {
    /// Its slug, unique in the installation.
    pub id: FeedId,
    /// The commune that it belongs to.
    pub commune: CommuneId,
    /// What its records are decoded with.
    pub format: FormatName,
    /// What people call it.
    pub name: String,
    /// When it was added.
    pub created: Timestamp,
}
