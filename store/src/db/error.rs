//! Why the database refuses or fails.

/// Why a database operation failed. The texts complete "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// An object of that id is there already.
    #[error("{what} {id:?} exists already")]
    Exists {
        /// `commune`, `feed`, `token` or `exception`.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// What the operation needs is not there, or not in the scope: the two are never told apart.
    #[error("{what} {id:?} does not exist")]
    Missing {
        /// `commune`, `feed`, `incident`, `token`, `choice`, `exception` or `notice`.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// The change is not allowed in this state, e.g. closing without a verdict.
    #[error("{0}")]
    Refused(String),
    /// The object is no longer at the version that the change was made for.
    #[error("the incident is at version {current} now; read it again and repeat the change")]
    Conflict {
        /// The version it has.
        current: u64,
    },
    /// A page cursor that this server did not give out.
    #[error("the cursor is not one that this server gave out")]
    Cursor,
    /// No database can be behind this URL; it is named by its scheme alone, for it may hold a
    /// password.
    #[error("the database url {0}; use sqlite:///absolute/path/to/file")]
    Url(String),
    /// What is stored is of a newer version.
    #[error(
        "the database has schema version {found}, this jacquemart knows up to {known}; use a newer jacquemart"
    )]
    Version {
        /// Version found.
        found: u32,
        /// Version known.
        known: u32,
    },
    /// The backend failed.
    #[error("the database failed: {0}")]
    Backend(Box<dyn std::error::Error + Send + Sync>),
}
