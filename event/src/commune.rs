//! The tenant.

use serde::{Deserialize, Serialize};

use crate::{CommuneId, Timestamp};

/// A commune served by the centre; the Métropole is one too. ECS `organization`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commune {
    /// Its slug, e.g. `chenove`; part of paths, so it never changes.
    pub id: CommuneId,
    /// Its name as people write it, e.g. `Chenôve`.
    pub name: String,
    /// When it was added.
    pub created: Timestamp,
}
