//! Where to go on from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a source was last seen at, kept beside what it said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The document's `ETag`; of a file its time and size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The document's `Last-Modified`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
    /// By TAXII collection: when the last object that came was added, as the server wrote it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub added_after: BTreeMap<String, String>,
    /// By MISP event: its timestamp in the manifest.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub events: BTreeMap<String, String>,
}
