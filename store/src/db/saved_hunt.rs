//! Queries that somebody keeps.

use async_trait::async_trait;
use event::{CommuneId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{DbError, policy::check_text};
use crate::Scope;

/// Hunts that one owner keeps.
pub const SAVED_HUNTS_MAX: u64 = 500;

const NAME_CHARS_MAX: usize = 100;
const NOTE_CHARS_MAX: usize = 2_000;
const QUERY_BYTES_MAX: usize = 16 << 10;

/// A hunt to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSavedHunt {
    /// What people call it.
    pub name: String,
    /// A query as hunts have them; the database does not read it.
    pub query: String,
    /// What it is for.
    pub note: Option<String>,
    /// In whose events it looks; `None` is all that the one who runs it may see.
    pub commune: Option<CommuneId>,
    /// Whether others see it: those who see the commune, or, without one, those who see all.
    pub shared: bool,
}

/// A hunt that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedHunt {
    /// Derived from what it is, whose and when.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// A query as hunts have them.
    pub query: String,
    /// What it is for.
    pub note: Option<String>,
    /// In whose events it looks; `None` is all that the one who runs it may see.
    pub commune: Option<CommuneId>,
    /// Whether others see it.
    pub shared: bool,
    /// Who keeps it.
    pub owner: String,
    /// Since when.
    pub created: Timestamp,
}

/// Queries that somebody keeps.
///
/// Contract as of [`Database`](super::Database), whose part it is.
#[async_trait]
pub trait SavedHunts: Send + Sync {
    /// Keeps a hunt for `owner`. Missing: a commune that is not there or not in scope. Refused: a
    /// name, note or query that is empty or too long, one shared with those who see all by somebody
    /// who does not, a name that the owner has already, more than [`SAVED_HUNTS_MAX`].
    async fn save_hunt(
        &self,
        scope: &Scope,
        hunt: NewSavedHunt,
        owner: &str,
        now: Timestamp,
    ) -> Result<SavedHunt, DbError>;
    /// The hunts that `owner` keeps and those that are shared in scope, by name.
    async fn saved_hunts(&self, scope: &Scope, owner: &str) -> Result<Vec<SavedHunt>, DbError>;
    /// Forgets one of these; what it was. Missing where it is none of them.
    async fn forget_hunt(&self, scope: &Scope, id: &str, owner: &str)
    -> Result<SavedHunt, DbError>;
}

pub(super) fn check(hunt: &NewSavedHunt, scope: &Scope) -> Result<(), DbError> {
    check_text("name", &hunt.name, NAME_CHARS_MAX)?;
    if let Some(note) = &hunt.note {
        check_text("note", note, NOTE_CHARS_MAX)?;
    }
    let bytes = hunt.query.len();
    if bytes == 0 || bytes > QUERY_BYTES_MAX {
        return Err(DbError::Refused(format!(
            "the query has {bytes} bytes; use at least 1 and at most {QUERY_BYTES_MAX}"
        )));
    }
    if hunt.shared && hunt.commune.is_none() && !scope.is_all() {
        return Err(DbError::Refused(
            "the commune is missing: a hunt of all communes is shared by those who see all".into(),
        ));
    }
    Ok(())
}
