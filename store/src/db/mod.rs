//! The database seam: incidents, communes, feeds, tokens, the catalog of splits, and the
//! cursors that must move together with them.
//!
//! SQLite stands behind it in the embedded world; PostgreSQL will in the distributed one and
//! runs the same contract suite. Methods are whole operations rather than SQL, so that each
//! backend keeps its transactions to itself.

use std::sync::Arc;

use async_trait::async_trait;
use event::{BusId, Commune, Detection, Feed, FeedId, IncidentId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Scope,
    auth::{Caller, Secret, SecretHash, TokenInfo},
};

mod incident;
mod split;

pub use incident::{
    Comment, Incident, IncidentChange, IncidentQuery, IncidentStatus, Raised, RaisedKind,
    TimelineEntry, TimelineKind, Verdict,
};
pub use split::{Publication, SplitMeta};

/// Why a database operation failed. The texts complete "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// An object of that id is there already.
    #[error("{what} {id:?} exists already")]
    Exists {
        /// `commune`, `feed` or `token`.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// What the operation needs is not there, or not in the scope: the two are never told apart.
    #[error("{what} {id:?} does not exist")]
    Missing {
        /// `commune`, `feed`, `incident` or `token`.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// The change is not allowed in this state, e.g. closing without a verdict.
    #[error("{0}")]
    Refused(String),
    /// A page cursor that this server did not give out.
    #[error("the cursor is not one that this server gave out")]
    Cursor,
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

/// One page of a listing, newest first, and where the next begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The objects.
    pub items: Vec<T>,
    /// Opaque; `None` on the last page.
    pub next_cursor: Option<String>,
}

/// A position on the bus that moves in the transaction of its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Which bus.
    pub bus: BusId,
    /// Its partition.
    pub partition: u32,
    /// The next offset to read: everything below it has had its effect.
    pub next: u64,
}

/// Cursors kept in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorName {
    /// Of topic `detections`, moved by [`Database::raise`].
    Raise,
    /// Of topic `records`, moved by [`Database::publish`].
    Index,
}

/// Incidents, communes, feeds, tokens and the catalog.
///
/// Contract, checked on every backend by the suite in `contract`: each method is one
/// transaction, durable when it returns; reads see what returned before they began; an object
/// outside the scope answers exactly as one that does not exist.
#[async_trait]
pub trait Database: Send + Sync + 'static {
    // Who may come in.

    /// The caller whom `token` stands for; `None` where it is unknown or expired at `now`.
    async fn authenticate(&self, token: &Secret, now: Timestamp)
    -> Result<Option<Caller>, DbError>;
    /// Keeps the hash of a new token. `role` Admin requires `communes` None (else Refused).
    async fn add_token(&self, token: TokenInfo, hash: SecretHash) -> Result<(), DbError>;
    /// All tokens, by name; for administration.
    async fn tokens(&self) -> Result<Vec<TokenInfo>, DbError>;
    /// Makes a token worthless.
    async fn revoke_token(&self, name: &str) -> Result<(), DbError>;

    // Communes and feeds.

    /// Adds a commune.
    async fn add_commune(&self, commune: Commune) -> Result<(), DbError>;
    /// The communes in scope, by id.
    async fn communes(&self, scope: &Scope) -> Result<Vec<Commune>, DbError>;
    /// Adds a feed to an existing commune, with the hash of its key.
    async fn add_feed(&self, feed: Feed, key: SecretHash) -> Result<(), DbError>;
    /// The feeds in scope, by id.
    async fn feeds(&self, scope: &Scope) -> Result<Vec<Feed>, DbError>;
    /// One feed.
    async fn feed(&self, scope: &Scope, id: &FeedId) -> Result<Option<Feed>, DbError>;
    /// Replaces a feed's key; the old one stops working.
    async fn rotate_feed_key(&self, id: &FeedId, key: SecretHash) -> Result<(), DbError>;
    /// Every feed with its key's hash, for the collectors, which answer before any scope.
    async fn feed_keys(&self) -> Result<Vec<(SecretHash, Feed)>, DbError>;

    // Incidents.

    /// Stores `detections` (those not known yet), opens or joins their incidents, and moves the
    /// `Raise` cursor to `position`, all in one transaction. Raising the same detections again
    /// changes nothing. `now` is stamped on what is new. One result per detection, in order.
    async fn raise(
        &self,
        detections: &[Detection],
        position: Position,
        now: Timestamp,
    ) -> Result<Vec<Raised>, DbError>;
    /// Incidents that match, last updated first.
    async fn incidents(
        &self,
        scope: &Scope,
        query: &IncidentQuery,
    ) -> Result<Page<Incident>, DbError>;
    /// One incident.
    async fn incident(&self, scope: &Scope, id: IncidentId) -> Result<Option<Incident>, DbError>;
    /// An incident's detections, oldest event first; at most 1,000 a page.
    async fn incident_detections(
        &self,
        scope: &Scope,
        id: IncidentId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Detection>, DbError>;
    /// What happened to an incident, oldest first.
    async fn incident_timeline(
        &self,
        scope: &Scope,
        id: IncidentId,
    ) -> Result<Vec<TimelineEntry>, DbError>;
    /// Changes an incident and writes the change into its timeline. Missing where the scope
    /// does not allow it.
    async fn change_incident(
        &self,
        scope: &Scope,
        id: IncidentId,
        change: IncidentChange,
        by: &str,
        now: Timestamp,
    ) -> Result<Incident, DbError>;
    /// How many incidents and detections there are in scope.
    async fn counts(&self, scope: &Scope) -> Result<Counts, DbError>;

    // The catalog.

    /// Registers sealed splits, forgets replaced ones, and moves the `Index` cursor, in one
    /// transaction. Publishing the same again changes nothing.
    async fn publish(&self, publication: Publication) -> Result<(), DbError>;
    /// The registered splits in scope whose time range touches `from..=to`, by id.
    async fn splits(
        &self,
        scope: &Scope,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<SplitMeta>, DbError>;
    /// Every registered split, for the index itself (start-up, garbage collection).
    async fn all_splits(&self) -> Result<Vec<SplitMeta>, DbError>;
    /// Where `name` stands in `partition` of `bus`; `None` where it never moved.
    async fn cursor(
        &self,
        name: CursorName,
        bus: BusId,
        partition: u32,
    ) -> Result<Option<u64>, DbError>;

    /// Whether it answers, for readiness.
    async fn ping(&self) -> Result<(), DbError>;
    /// Finishes what is under way and closes.
    async fn close(&self);
}

/// Totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Incidents.
    pub incidents: u64,
    /// Of them not closed.
    pub open_incidents: u64,
    /// Detections.
    pub detections: u64,
}

/// A database that can be shared.
pub type SharedDatabase = Arc<dyn Database>;
