//! Pages of a vendor's objects.

use bytes::Bytes;
use event::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::PullError;
use crate::outbound::shown;

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// Objects of this time and later,
    pub(super) from: Timestamp,
    /// and of those, what the vendor's own token says; `None` for the first.
    pub(super) token: Option<String>,
}

/// Objects, the oldest first.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) items: Vec<Item>,
    /// Where the next one begins; `None` where there is none.
    pub(super) next: Option<Position>,
}

/// One object.
#[derive(Debug)]
pub(super) struct Item {
    /// As the vendor wrote it.
    pub(super) raw: Bytes,
    /// When it was made or last changed.
    pub(super) at: Option<Timestamp>,
    /// What tells this version of it from all others.
    pub(super) version: Version,
}

/// What tells one version of an object from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Version(pub(super) u128);

impl Item {
    /// Of the object's text, and its id and time as it says them. Without an id the text itself
    /// tells it from others.
    pub(super) fn new(raw: &RawValue, id: Option<&str>, at: Option<Timestamp>) -> Self {
        let mut digest = Sha256::new();
        match (id, at) {
            (Some(id), Some(at)) => {
                digest.update(id);
                digest.update([0]);
                digest.update(at.as_nanos().to_be_bytes());
            }
            _ => digest.update(raw.get()),
        }
        let digest: [u8; 32] = digest.finalize().into();
        let (head, _) = digest.split_at(16);
        let version = head.iter().fold(0, |sum, byte| sum << 8 | u128::from(*byte));
        Self { raw: Bytes::copy_from_slice(raw.get().as_bytes()), at, version: Version(version) }
    }
}

/// An answer's body, read.
pub(super) fn read<T: DeserializeOwned>(url: &Url, body: &[u8]) -> Result<T, PullError> {
    serde_json::from_slice(body).map_err(|error| PullError::Answer {
        url: shown(url),
        reason: format!("the answer is not what its API says: {error}"),
    })
}

/// `base` with `path` after it, whether or not it ends in a slash, and `query`.
pub(super) fn join(base: &Url, path: &str, query: &[(&str, &str)]) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{}", base.path().trim_end_matches('/'), path));
    url.set_query(None);
    url.set_fragment(None);
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    url
}
