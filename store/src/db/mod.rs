//! The database seam: incidents, communes, feeds, tokens, the catalog of splits, and the
//! cursors that must move together with them.
//!
//! SQLite stands behind it in the embedded world; PostgreSQL will in the distributed one and
//! runs the same contract suite. Methods are whole operations rather than SQL, so that each
//! backend keeps its transactions to itself.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use event::{
    BatchMark, BatchState, BusId, Commune, CommuneId, Detection, Feed, FeedId, IncidentId, Owner,
    Quota, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{
    Scope,
    auth::{Caller, Secret, SecretHash, TokenInfo},
};

mod activity;
mod change;
mod clock;
#[cfg(feature = "contract")]
pub mod contract;
mod device;
mod error;
mod grouping;
mod incident;
mod keeping;
mod notice;
mod page;
mod policy;
mod register;
mod report;
mod risk;
mod rule;
mod saved_hunt;
mod similar;
mod split;
pub mod sqlite;

pub use activity::{FeedActivity, FeedCounts, FeedFailure};
pub use change::LABELS_MAX;
pub use clock::{
    Clock, ClockName, Clocks, Nis2Report, OwnTargets, Regime, SetTargets, TARGET_MIN_MAX, Targets,
};
pub use device::{
    DEVICE_CHARS_MAX, DeviceState, FeedDevice, INVENTORY_MAX, SeenDevice, device_key, paired,
};
pub use error::DbError;
pub use grouping::{ENTITIES_MAX, JOIN_WINDOW, TIMELINE_JOINED_MAX};

pub use incident::{
    AssigneeFilter, Changes, Comment, Common, Incident, IncidentChange, IncidentQuery,
    IncidentSort, IncidentStatus, Raised, RaisedKind, SeverityOverride, SimilarIncident,
    TimelineEntry, TimelineKind, Verdict, Visibility,
};
pub use keeping::{
    CondemnedSplit, Hold, Keeping, NewHold, NewPurge, PURGE_QUERY_BYTES_MAX, Purge,
    RETENTION_DAYS_MAX,
};
pub use notice::{Hook, Notice, NoticeKind, NoticeOutcome, NoticeState, Notices};
pub use policy::{
    CHOICES_MAX, ChoiceKind, EXCEPTIONS_MAX, Mark, NewChoice, NewException, RuleChoice, RuleEffect,
    RuleException, RulePolicies, RulePolicy,
};
pub use report::{
    BySeverity, ClockFigure, Coverage, DurationName, IncidentFigures, LISTED_MAX, ListedIncident,
    NewReport, REPORTS_MAX, Report, ReportDuration, ReportInfo, Reports, RuleFigure,
};
pub use risk::{IncidentRisk, IncidentRule, RulePoints};
pub use rule::{
    Activated, RuleActivation, RuleCause, RuleChange, RuleHistory, RuleText, RuleVersion,
};
pub use saved_hunt::{NewSavedHunt, SAVED_HUNTS_MAX, SavedHunt, SavedHunts};
pub use split::{Publication, PurgedEvents, SplitMeta};

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

impl CursorName {
    /// The word used in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raise => "raise",
            Self::Index => "index",
        }
    }
}

/// A key's hash and the feed that it opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedKey {
    /// Of the key.
    pub hash: SecretHash,
    /// What it opens.
    pub feed: Feed,
    /// Until when, where it was replaced.
    pub until: Option<Timestamp>,
}

/// Incidents, communes, feeds, tokens and the catalog.
///
/// Contract, checked on every backend by the suite in `contract`: each method is one
/// transaction, durable when it returns; reads see what returned before they began; an object
/// outside the scope answers exactly as one that does not exist.
#[async_trait]
pub trait Database:
    Clocks
    + Keeping
    + Notices
    + Reports
    + RuleHistory
    + RulePolicies
    + SavedHunts
    + Send
    + Sync
    + 'static
{
    // Who may come in.

    /// The caller whom `token` stands for; `None` where it is unknown or expired at `now`.
    async fn authenticate(&self, token: &Secret, now: Timestamp)
    -> Result<Option<Caller>, DbError>;
    /// Keeps the hash of a new token. Refused: role Admin with `communes`, an empty list of
    /// communes, a name that is not 1 to 63 letters, digits, `.`, `_`, `-` or `@`, an end before
    /// the beginning. Missing: a commune that was not added.
    async fn add_token(&self, token: TokenInfo, hash: SecretHash) -> Result<(), DbError>;
    /// All tokens, by name; for administration.
    async fn tokens(&self) -> Result<Vec<TokenInfo>, DbError>;
    /// Makes a token worthless.
    async fn revoke_token(&self, name: &str) -> Result<(), DbError>;

    // Communes and feeds.

    /// Adds a commune. Refused: a name that is empty, long or has control characters.
    async fn add_commune(&self, commune: Commune) -> Result<(), DbError>;
    /// The communes in scope, by id.
    async fn communes(&self, scope: &Scope) -> Result<Vec<Commune>, DbError>;
    /// Adds a feed to an existing commune, with the hash of its key, which no other feed has.
    async fn add_feed(&self, feed: Feed, key: SecretHash) -> Result<(), DbError>;
    /// The feeds in scope, by id.
    async fn feeds(&self, scope: &Scope) -> Result<Vec<Feed>, DbError>;
    /// One feed.
    async fn feed(&self, scope: &Scope, id: &FeedId) -> Result<Option<Feed>, DbError>;
    /// Replaces a feed's key, which no feed has or had last. The one it replaces still opens the
    /// feed until `old_until`, where that is given; one before it opens it no more.
    async fn rotate_feed_key(
        &self,
        id: &FeedId,
        key: SecretHash,
        old_until: Option<Timestamp>,
    ) -> Result<(), DbError>;
    /// Sets how much a commune or a feed may send; a quota without bounds takes its own away.
    /// Missing: a commune or feed that was not added. Refused: a bound of 0.
    async fn set_quota(&self, of: &Owner, quota: Quota) -> Result<(), DbError>;
    /// The quotas of the communes in scope and of their feeds.
    async fn quotas(&self, scope: &Scope) -> Result<Vec<(Owner, Quota)>, DbError>;
    /// Every quota, for the collectors, which work before any scope.
    async fn all_quotas(&self) -> Result<Vec<(Owner, Quota)>, DbError>;
    /// Adds when feeds were active and what was counted meanwhile to what is known of it already,
    /// whichever process saw it.
    async fn note_feed_activity(&self, seen: Vec<FeedActivity>) -> Result<(), DbError>;
    /// When each feed was active, and when anybody listened, for the stage that watches over all
    /// feeds and shows it to nobody.
    async fn feed_activity(&self) -> Result<Vec<FeedActivity>, DbError>;
    /// Adds what devices a feed's events named to those known, whichever process saw them.
    async fn note_feed_devices(&self, id: &FeedId, seen: Vec<SeenDevice>) -> Result<(), DbError>;
    /// Makes `names` the inventory of a feed, instead of the one before: the devices that it
    /// should watch, whatever the case they are written in. Missing where the feed does not exist
    /// in scope. Refused: more than [`INVENTORY_MAX`], names that are empty, too long or have
    /// control characters.
    async fn declare_feed_devices(
        &self,
        scope: &Scope,
        id: &FeedId,
        names: Vec<String>,
        now: Timestamp,
    ) -> Result<(), DbError>;
    /// All devices that events named, by feed, for the stage that watches over all feeds.
    async fn seen_feed_devices(&self) -> Result<Vec<(FeedId, SeenDevice)>, DbError>;
    /// The devices of a feed, seen or declared, by their names in lower case; see [`paired`].
    /// Missing where the feed does not exist in scope.
    async fn feed_devices(&self, scope: &Scope, id: &FeedId) -> Result<Vec<FeedDevice>, DbError>;
    /// What is known of the batch of `feed` with this key; one that is new is pending from now on.
    async fn begin_batch(
        &self,
        feed: &FeedId,
        key: &str,
        digest: &str,
        now: Timestamp,
    ) -> Result<BatchState, DbError>;
    /// These batches are durable on the bus, whether they were known or not.
    async fn settle_batches(
        &self,
        marks: Vec<(FeedId, BatchMark)>,
        now: Timestamp,
    ) -> Result<(), DbError>;
    /// A batch that is pending is not known any more.
    async fn forget_batch(&self, feed: &FeedId, key: &str) -> Result<(), DbError>;
    /// When the longest pending batch was begun.
    async fn oldest_pending_batch(&self) -> Result<Option<Timestamp>, DbError>;
    /// Pending batches that were begun before `before` are not known any more; how many.
    async fn forget_pending_batches(&self, before: Timestamp) -> Result<usize, DbError>;
    /// Batches that were taken and begun before `before` are not known any more, nor of a feed
    /// more than the last [`BATCHES_KEPT_MAX`].
    async fn expire_batches(&self, before: Timestamp) -> Result<(), DbError>;
    /// Every feed with its keys' hashes, for the collectors, which answer before any scope: by
    /// feed, the old one after the new one.
    async fn feed_keys(&self) -> Result<Vec<FeedKey>, DbError>;

    // Incidents.

    /// Stores `detections` (those not known yet), opens or joins their incidents, and moves the
    /// `Raise` cursor to `position`, all in one transaction. Raising the same detections again
    /// changes nothing, and a position below the stored one does not move it back. `now` is
    /// stamped on what is new. One result per detection, in order.
    ///
    /// Which incident a detection joins depends on the detections raised before it in its
    /// commune, never on how they were cut into calls: the first opened of the open incidents
    /// that share a host, device or user with it and have events within [`JOIN_WINDOW`] of its
    /// own. One that names none joins by its rule instead. Accounts that every machine has
    /// (`system`, `root`…) are listed but join nothing.
    async fn raise(
        &self,
        detections: &[Detection],
        position: Position,
        now: Timestamp,
    ) -> Result<Vec<Raised>, DbError>;
    /// Incidents that match, in the order asked for, then by id. One that changes while its list
    /// is paged may move to the front, so later pages do not have it; all others are on one page.
    async fn incidents(
        &self,
        scope: &Scope,
        query: &IncidentQuery,
    ) -> Result<Page<Incident>, DbError>;
    /// One incident.
    async fn incident(&self, scope: &Scope, id: IncidentId) -> Result<Option<Incident>, DbError>;
    /// The id of the incident of `commune` that has this number.
    async fn incident_numbered(
        &self,
        scope: &Scope,
        commune: &CommuneId,
        number: u64,
    ) -> Result<Option<IncidentId>, DbError>;
    /// An incident's detections, oldest event first; `limit` 0 means 100, more than 1,000 means
    /// 1,000. A page ends early where its detections exceed 16 MiB. Missing where the incident
    /// does not exist in scope.
    async fn incident_detections(
        &self,
        scope: &Scope,
        id: IncidentId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Detection>, DbError>;
    /// What happened to an incident, oldest first, without the comments that only the SOC may
    /// see where the scope is not all communes. Missing where it does not exist in scope.
    /// Of the detections that joined, the first [`TIMELINE_JOINED_MAX`] are entries; the rest
    /// of a storm is counted in [`Incident::detections`].
    async fn incident_timeline(
        &self,
        scope: &Scope,
        id: IncidentId,
    ) -> Result<Vec<TimelineEntry>, DbError>;
    /// Merges incident `from` into `into`, with all its detections and what it is joined by, and
    /// closes it; the other one as it is then. Missing where the scope does not allow either.
    /// Refused: one and the same, two communes, one that was merged before, another that is not
    /// open.
    async fn merge_incident(
        &self,
        scope: &Scope,
        from: IncidentId,
        into: IncidentId,
        by: &str,
        now: Timestamp,
    ) -> Result<Incident, DbError>;
    /// How an incident's risk score adds up. Missing where it does not exist in scope.
    async fn incident_risk(&self, scope: &Scope, id: IncidentId) -> Result<IncidentRisk, DbError>;
    /// Other incidents in scope that have rules or entities in common with this one, the most
    /// alike first, at most `limit`. Missing where it does not exist in scope.
    async fn similar_incidents(
        &self,
        scope: &Scope,
        id: IncidentId,
        limit: usize,
    ) -> Result<Vec<SimilarIncident>, DbError>;
    /// The first `limit` incidents in scope that changed after the change `after`, as they are
    /// now, in the order of their last changes. Whoever goes on after [`Changes::next`] misses no
    /// change, for they become visible in order.
    async fn incidents_changed(
        &self,
        scope: &Scope,
        after: u64,
        limit: usize,
    ) -> Result<Changes, DbError>;
    /// The number of the last change to any incident; 0 where there is none. Numbers are times
    /// rather than counts, so that they tell no commune how busy the others are.
    async fn last_change(&self) -> Result<u64, DbError>;
    /// Marked as changed whenever an incident may have changed; its value says nothing.
    fn incident_changes(&self) -> tokio::sync::watch::Receiver<()>;
    /// Writes a comment by the centre itself, which the commune sees, into each incident that is
    /// not closed, in which rule `rule` fired for `feed`; how many. The same comment again is not
    /// written. What makes it works before any scope.
    async fn comment_on_feed(
        &self,
        feed: &Feed,
        rule: &str,
        text: &str,
        now: Timestamp,
    ) -> Result<usize, DbError>;
    /// Changes an incident and writes the change into its timeline. Missing where the scope
    /// does not allow it, then Conflict where `if_version` is another, then Refused: nothing
    /// to change, a state or verdict that it has already, closing without a verdict, another
    /// severity without a reason, a text that is empty or too long, a comment that hides from
    /// whoever writes it. Reopening a closed incident takes its verdict away.
    async fn change_incident(
        &self,
        scope: &Scope,
        id: IncidentId,
        change: IncidentChange,
        by: &str,
        now: Timestamp,
    ) -> Result<Incident, DbError>;

    // Totals.

    /// How many incidents and detections there are in scope.
    async fn counts(&self, scope: &Scope) -> Result<Counts, DbError>;

    // The catalog.

    /// Registers sealed splits, forgets replaced ones, and moves the `Index` cursor, in one
    /// transaction. Publishing the same again changes nothing, whatever happened in between:
    /// a publication whose position was reached already is ignored, and so is a merge none of
    /// whose sources is registered any more. Refused: a merge only some of whose sources are
    /// still registered, for its split would bring the others' events back. Exists: a split
    /// registered already with other contents.
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

    // Correlations.

    /// Replaces the state of correlations of a partition of topic `detections` and the position
    /// that it was taken at, in one transaction. Refused: a position before the stored one.
    async fn save_correlations(
        &self,
        state: &[u8],
        position: Position,
        now: Timestamp,
    ) -> Result<(), DbError>;
    /// The state saved last for `partition` of `bus`; `None` where none was. For the stage that
    /// correlates, which works for all communes and shows the state to nobody.
    async fn load_correlations(
        &self,
        bus: BusId,
        partition: u32,
    ) -> Result<Option<CorrelationState>, DbError>;

    /// Whether it answers, for readiness.
    async fn ping(&self) -> Result<(), DbError>;
    /// Finishes what is under way and closes.
    async fn close(&self);
}

/// The state of correlations as it was saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorrelationState {
    /// Opaque to the database.
    pub state: Vec<u8>,
    /// The next offset to read: everything below it is in the state.
    pub next: u64,
    /// When it was saved.
    pub taken: Timestamp,
}

/// Batches that are known of one feed.
pub const BATCHES_KEPT_MAX: u32 = 10_000;

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

/// Writes the database behind `url` as it is at one moment to the new file `to`, also while it is in
/// use. What kind of file that is depends on the database. Blocks.
pub fn snapshot(url: &str, to: &Path) -> Result<(), DbError> {
    match url.split_once("://") {
        Some(("sqlite", path)) if path.starts_with('/') => sqlite::snapshot(Path::new(path), to),
        _ => Err(DbError::Url("is not kept in a file of this machine".to_owned())),
    }
}

/// Opens the database behind `url`, creating it or bringing it up to date where needed.
/// `sqlite:///path` is a file; the path is taken literally.
pub async fn connect(url: &str) -> Result<SharedDatabase, DbError> {
    match url.split_once("://") {
        Some(("sqlite", path)) if path.starts_with('/') => {
            Ok(Arc::new(sqlite::Sqlite::open(Path::new(path)).await?))
        }
        Some(("sqlite", path)) => Err(DbError::Url(format!("has the relative path {path:?}"))),
        Some(("postgres" | "postgresql", _)) => Err(DbError::Url(
            "begins with postgres://, which comes with a later version".to_owned(),
        )),
        Some((scheme, _)) => {
            let scheme: String = scheme.chars().take(20).collect();
            Err(DbError::Url(format!("begins with {scheme:?}, which is no known database")))
        }
        None => Err(DbError::Url("has no scheme".to_owned())),
    }
}
