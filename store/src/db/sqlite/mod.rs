//! The database in one SQLite file.
//!
//! One connection writes and a few read, each on tokio's blocking threads. The file is in WAL
//! mode with `synchronous = FULL`: a transaction is on disk when its method returns, and
//! readers neither wait for the writer nor hold it up. One file per concern holds the SQL.

use std::path::Path;

use async_trait::async_trait;
use event::{
    BatchMark, BatchState, BusId, Commune, CommuneId, Detection, Feed, FeedId, IncidentId, Owner,
    Quota, Timestamp,
};

use tokio::sync::watch;

use super::{
    Changes, CorrelationState, Counts, CursorName, Database, DbError, FeedActivity, FeedDevice,
    FeedKey, Incident, IncidentChange, IncidentQuery, IncidentRisk, Page, Position, Publication,
    Raised, SeenDevice, SimilarIncident, SplitMeta, TimelineEntry, change::By,
};
use crate::{
    Scope,
    auth::{Caller, Secret, SecretHash, TokenInfo},
};

mod activity;
mod batches;
mod clocks;
mod communes;
mod correlations;
mod cursors;
mod feeds;
mod incident_rows;
mod incident_rules;
mod incidents;
mod keeping;
mod merge;
mod migrate;
mod notices;
mod open;
mod policies;
mod pool;
mod quotas;
mod raise;
mod reports;
mod rules;
mod saved_hunts;
mod splits;
mod sql;
mod tokens;

pub(super) use open::snapshot;
use pool::Pool;

/// The database in one SQLite file.
pub struct Sqlite {
    pool: Pool,
    /// Told of everything that may have changed an incident. One process has the file, so every
    /// change passes here.
    changes: watch::Sender<()>,
}

impl Sqlite {
    /// Opens the file at `path`, which only its owner may read; creates it where it is missing
    /// (its folder must be there) and brings its schema up to date.
    pub async fn open(path: &Path) -> Result<Self, DbError> {
        Ok(Self { pool: Pool::open(path).await?, changes: watch::Sender::new(()) })
    }
}

#[async_trait]
impl Database for Sqlite {
    async fn authenticate(
        &self,
        token: &Secret,
        now: Timestamp,
    ) -> Result<Option<Caller>, DbError> {
        let hash = token.hash();
        self.pool.read(move |tx| tokens::authenticate(tx, hash, now)).await
    }

    async fn add_token(&self, token: TokenInfo, hash: SecretHash) -> Result<(), DbError> {
        super::register::check_token(&token)?;
        self.pool.write(move |tx| tokens::add(tx, &token, hash)).await
    }

    async fn tokens(&self) -> Result<Vec<TokenInfo>, DbError> {
        self.pool.read(tokens::list).await
    }

    async fn revoke_token(&self, name: &str) -> Result<(), DbError> {
        let name = name.to_owned();
        self.pool.write(move |tx| tokens::revoke(tx, &name)).await
    }

    async fn add_commune(&self, commune: Commune) -> Result<(), DbError> {
        super::register::check_commune(&commune)?;
        self.pool.write(move |tx| communes::add(tx, &commune)).await
    }

    async fn communes(&self, scope: &Scope) -> Result<Vec<Commune>, DbError> {
        let scope = scope.clone();
        self.pool.read(move |tx| communes::list(tx, &scope)).await
    }

    async fn add_feed(&self, feed: Feed, key: SecretHash) -> Result<(), DbError> {
        super::register::check_feed(&feed)?;
        self.pool.write(move |tx| feeds::add(tx, &feed, key)).await
    }

    async fn feeds(&self, scope: &Scope) -> Result<Vec<Feed>, DbError> {
        let scope = scope.clone();
        self.pool.read(move |tx| feeds::list(tx, &scope)).await
    }

    async fn feed(&self, scope: &Scope, id: &FeedId) -> Result<Option<Feed>, DbError> {
        let (scope, id) = (scope.clone(), id.clone());
        self.pool.read(move |tx| feeds::get(tx, &scope, &id)).await
    }

    async fn rotate_feed_key(
        &self,
        id: &FeedId,
        key: SecretHash,
        old_until: Option<Timestamp>,
    ) -> Result<(), DbError> {
        let id = id.clone();
        self.pool.write(move |tx| feeds::rotate_key(tx, &id, key, old_until)).await
    }

    async fn set_quota(&self, of: &Owner, quota: Quota) -> Result<(), DbError> {
        super::register::check_quota(&quota)?;
        let of = of.clone();
        self.pool.write(move |tx| quotas::set(tx, &of, quota)).await
    }

    async fn quotas(&self, scope: &Scope) -> Result<Vec<(Owner, Quota)>, DbError> {
        let scope = scope.clone();
        self.pool.read(move |tx| quotas::list(tx, &scope)).await
    }

    async fn all_quotas(&self) -> Result<Vec<(Owner, Quota)>, DbError> {
        self.pool.read(quotas::all).await
    }

    async fn note_feed_activity(&self, seen: Vec<FeedActivity>) -> Result<(), DbError> {
        self.pool.write(move |tx| activity::note(tx, &seen)).await
    }

    async fn feed_activity(&self) -> Result<Vec<FeedActivity>, DbError> {
        self.pool.read(activity::all).await
    }

    async fn note_feed_devices(&self, id: &FeedId, seen: Vec<SeenDevice>) -> Result<(), DbError> {
        let id = id.clone();
        self.pool.write(move |tx| activity::note_devices(tx, &id, &seen)).await
    }

    async fn declare_feed_devices(
        &self,
        scope: &Scope,
        id: &FeedId,
        names: Vec<String>,
        now: Timestamp,
    ) -> Result<(), DbError> {
        let (scope, id) = (scope.clone(), id.clone());
        self.pool
            .write(move |tx| {
                feeds::require(tx, &scope, &id)?;
                activity::declare(tx, &id, names, now)
            })
            .await
    }

    async fn seen_feed_devices(&self) -> Result<Vec<(FeedId, SeenDevice)>, DbError> {
        self.pool.read(activity::seen_devices).await
    }

    async fn feed_devices(&self, scope: &Scope, id: &FeedId) -> Result<Vec<FeedDevice>, DbError> {
        let (scope, id) = (scope.clone(), id.clone());
        self.pool
            .read(move |tx| {
                feeds::require(tx, &scope, &id)?;
                activity::devices(tx, &id)
            })
            .await
    }

    async fn begin_batch(
        &self,
        feed: &FeedId,
        key: &str,
        digest: &str,
        now: Timestamp,
    ) -> Result<BatchState, DbError> {
        let (feed, key, digest) = (feed.clone(), key.to_owned(), digest.to_owned());
        self.pool.write(move |tx| batches::begin(tx, &feed, &key, &digest, now)).await
    }

    async fn settle_batches(
        &self,
        marks: Vec<(FeedId, BatchMark)>,
        now: Timestamp,
    ) -> Result<(), DbError> {
        self.pool.write(move |tx| batches::settle(tx, &marks, now)).await
    }

    async fn forget_batch(&self, feed: &FeedId, key: &str) -> Result<(), DbError> {
        let (feed, key) = (feed.clone(), key.to_owned());
        self.pool.write(move |tx| batches::forget(tx, &feed, &key)).await
    }

    async fn oldest_pending_batch(&self) -> Result<Option<Timestamp>, DbError> {
        self.pool.read(batches::oldest_pending).await
    }

    async fn forget_pending_batches(&self, before: Timestamp) -> Result<usize, DbError> {
        self.pool.write(move |tx| batches::forget_pending(tx, before)).await
    }

    async fn expire_batches(&self, before: Timestamp) -> Result<(), DbError> {
        self.pool.write(move |tx| batches::expire(tx, before)).await
    }

    async fn feed_keys(&self) -> Result<Vec<FeedKey>, DbError> {
        self.pool.read(feeds::keys).await
    }

    async fn raise(
        &self,
        detections: &[Detection],
        position: Position,
        now: Timestamp,
    ) -> Result<Vec<Raised>, DbError> {
        let drafts = raise::drafts(detections).await?;
        let raised = self
            .pool
            .write(move |tx| {
                let raised = raise::raise(tx, &drafts, now)?;
                cursors::advance(tx, CursorName::Raise, position)?;
                Ok(raised)
            })
            .await?;
        self.changes.send_replace(());
        Ok(raised)
    }

    async fn incidents(
        &self,
        scope: &Scope,
        query: &IncidentQuery,
    ) -> Result<Page<Incident>, DbError> {
        let (scope, query) = (scope.clone(), query.clone());
        self.pool.read(move |tx| incidents::list(tx, &scope, &query)).await
    }

    async fn incident(&self, scope: &Scope, id: IncidentId) -> Result<Option<Incident>, DbError> {
        let scope = scope.clone();
        self.pool.read(move |tx| Ok(incidents::find(tx, &scope, id)?.map(|row| row.incident))).await
    }

    async fn incident_numbered(
        &self,
        scope: &Scope,
        commune: &CommuneId,
        number: u64,
    ) -> Result<Option<IncidentId>, DbError> {
        let scope = scope.narrowed(commune);
        self.pool.read(move |tx| incidents::numbered(tx, &scope, number)).await
    }

    async fn incident_detections(
        &self,
        scope: &Scope,
        id: IncidentId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Detection>, DbError> {
        let (scope, cursor) = (scope.clone(), cursor.map(str::to_owned));
        self.pool
            .read(move |tx| incidents::detections(tx, &scope, id, cursor.as_deref(), limit))
            .await
    }

    async fn incident_timeline(
        &self,
        scope: &Scope,
        id: IncidentId,
    ) -> Result<Vec<TimelineEntry>, DbError> {
        let scope = scope.clone();
        self.pool.read(move |tx| incidents::timeline(tx, &scope, id)).await
    }

    async fn comment_on_feed(
        &self,
        feed: &Feed,
        rule: &str,
        text: &str,
        now: Timestamp,
    ) -> Result<usize, DbError> {
        let (feed, rule, text) = (feed.clone(), rule.to_owned(), text.to_owned());
        let written =
            self.pool.write(move |tx| incidents::comment(tx, &feed, &rule, &text, now)).await;
        self.changes.send_replace(());
        written
    }

    async fn change_incident(
        &self,
        scope: &Scope,
        id: IncidentId,
        change: IncidentChange,
        by: &str,
        now: Timestamp,
    ) -> Result<Incident, DbError> {
        let (scope, by) = (scope.clone(), by.to_owned());
        let changed =
            self.pool.write(move |tx| incidents::change(tx, &scope, id, change, &by, now)).await?;
        self.changes.send_replace(());
        Ok(changed)
    }

    async fn merge_incident(
        &self,
        scope: &Scope,
        from: IncidentId,
        into: IncidentId,
        by: &str,
        now: Timestamp,
    ) -> Result<Incident, DbError> {
        let (scope, by) = (scope.clone(), by.to_owned());
        let merged = self
            .pool
            .write(move |tx| merge::merge(tx, from, into, &By { scope: &scope, name: &by, now }));
        let merged = merged.await?;
        self.changes.send_replace(());
        Ok(merged)
    }

    async fn incident_risk(&self, scope: &Scope, id: IncidentId) -> Result<IncidentRisk, DbError> {
        let scope = scope.clone();
        self.pool.read(move |tx| incident_rules::risk(tx, &scope, id)).await
    }

    async fn similar_incidents(
        &self,
        scope: &Scope,
        id: IncidentId,
        limit: usize,
    ) -> Result<Vec<SimilarIncident>, DbError> {
        let scope = scope.clone();
        self.pool.read(move |tx| incident_rules::resembling(tx, &scope, id, limit)).await
    }

    async fn incidents_changed(
        &self,
        scope: &Scope,
        after: u64,
        limit: usize,
    ) -> Result<Changes, DbError> {
        let scope = scope.clone();
        self.pool.read(move |tx| incidents::changed(tx, &scope, after, limit)).await
    }

    async fn last_change(&self) -> Result<u64, DbError> {
        self.pool.read(incidents::last_change).await
    }

    fn incident_changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    async fn counts(&self, scope: &Scope) -> Result<Counts, DbError> {
        let scope = scope.clone();
        self.pool.read(move |tx| incidents::counts(tx, &scope)).await
    }

    async fn publish(&self, publication: Publication) -> Result<(), DbError> {
        self.pool.write(move |tx| splits::publish(tx, &publication)).await
    }

    async fn splits(
        &self,
        scope: &Scope,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<SplitMeta>, DbError> {
        let scope = scope.clone();
        self.pool.read(move |tx| splits::list(tx, &scope, from, to)).await
    }

    async fn all_splits(&self) -> Result<Vec<SplitMeta>, DbError> {
        self.pool.read(splits::all).await
    }

    async fn cursor(
        &self,
        name: CursorName,
        bus: BusId,
        partition: u32,
    ) -> Result<Option<u64>, DbError> {
        self.pool.read(move |tx| cursors::get(tx, name, bus, partition)).await
    }

    async fn save_correlations(
        &self,
        state: &[u8],
        position: Position,
        now: Timestamp,
    ) -> Result<(), DbError> {
        let state = state.to_vec();
        self.pool.write(move |tx| correlations::save(tx, &state, position, now)).await
    }

    async fn load_correlations(
        &self,
        bus: BusId,
        partition: u32,
    ) -> Result<Option<CorrelationState>, DbError> {
        self.pool.read(move |tx| correlations::load(tx, bus, partition)).await
    }

    async fn ping(&self) -> Result<(), DbError> {
        self.pool.read(|tx| Ok(tx.query_row("SELECT 1", [], |_| Ok(()))?)).await
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
