//! Which batches with an `Idempotency-Key` were taken: kept in the database, decided by the bus.
//!
//! A door writes down that it begins with a batch; its mark is on the bus with the last record;
//! the detect worker, which reads all of them, settles what comes by before it moves on. A batch
//! that is still pending once the worker has passed all that was on the bus a minute after it was
//! begun never came, and may be sent again.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use async_trait::async_trait;
use event::{BatchMark, BatchState, FeedId, Record, Timestamp};
use ingest::{
    Batches, BatchesError,
    bus::{Batch, Bus, Group, Topic},
};
use store::db::{Database, DbError};
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use crate::metrics::Metrics;

/// How often it is looked for batches that never came.
const EVERY: Duration = Duration::from_secs(10);
/// How often those of long ago are forgotten, which reads all that are known: every ten minutes.
const EXPIRE_EVERY: u32 = 60;
/// After so long an append that is under way has ended.
const PENDING_MAX: Duration = Duration::from_secs(60);
/// For how long a batch is known.
const KEPT: Duration = Duration::from_secs(86_400);

/// The doors' side.
pub(crate) struct KeptBatches(pub(crate) Arc<dyn Database>);

fn told(error: &DbError) -> BatchesError {
    BatchesError(error.to_string())
}

#[async_trait]
impl Batches for KeptBatches {
    async fn begin(
        &self,
        feed: &FeedId,
        key: &str,
        digest: &str,
    ) -> Result<BatchState, BatchesError> {
        self.0.begin_batch(feed, key, digest, Timestamp::now()).await.map_err(|error| told(&error))
    }

    async fn settle(&self, feed: &FeedId, mark: BatchMark) -> Result<(), BatchesError> {
        let marks = vec![(feed.clone(), mark)];
        self.0.settle_batches(marks, Timestamp::now()).await.map_err(|error| told(&error))
    }

    async fn forget(&self, feed: &FeedId, key: &str) -> Result<(), BatchesError> {
        self.0.forget_batch(feed, key).await.map_err(|error| told(&error))
    }
}

/// Settles the batches that end in `batch`; false where it was told to stop before.
pub(crate) async fn settle(
    db: &dyn Database,
    metrics: &Metrics,
    batch: &Batch,
    stop: &CancellationToken,
) -> bool {
    let ends = batch.entries.iter().filter_map(|entry| Record::batch_end(&entry.payload));
    let marks: Vec<_> = ends.collect();
    if marks.is_empty() {
        return true;
    }
    let mut backoff = Backoff::default();
    loop {
        match db.settle_batches(marks.clone(), Timestamp::now()).await {
            Ok(()) => return true,
            Err(error) => {
                metrics.worker_errors.with_label_values(&["detect"]).inc();
                tracing::warn!(%error, "failed to keep which batches were taken; trying again");
                if !backoff.wait(stop).await {
                    return false;
                }
            }
        }
    }
}

/// Forgets batches that never came, and those of long ago.
pub(crate) struct BatchKeeper {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) db: Arc<dyn Database>,
    pub(crate) metrics: Arc<Metrics>,
}

/// Batches that come by before the detect worker is there, or not at all.
struct Awaited {
    /// They were begun before.
    before: Timestamp,
    /// By partition, where the bus ended since then.
    ends: Vec<(u32, u64)>,
}

impl BatchKeeper {
    /// Looks until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut awaited = None;
        for turn in 0_u32.. {
            if turn % EXPIRE_EVERY == 0
                && let Err(error) = self.db.expire_batches(Timestamp::now().minus(KEPT)).await
            {
                tracing::warn!(%error, "failed to forget batches of long ago");
            }
            if let Err(error) = self.look(&mut awaited, Timestamp::now()).await {
                self.metrics.worker_errors.with_label_values(&["batches"]).inc();
                tracing::error!(error = format!("{error:#}"), "failed to look after batches");
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(EVERY) => {}
            }
        }
        Ok(())
    }

    async fn look(&self, awaited: &mut Option<Awaited>, now: Timestamp) -> anyhow::Result<()> {
        let before = now.minus(PENDING_MAX);
        let oldest = self.db.oldest_pending_batch().await;
        let oldest = oldest.context("failed to look for pending batches")?;
        if oldest.is_none_or(|oldest| oldest >= before) {
            *awaited = None;
            return Ok(());
        }
        let status = self.bus.status().await;
        let lags = || {
            let of_detect = |lag: &&ingest::bus::GroupLag| {
                lag.topic == Topic::Records && lag.group == Group::Detect
            };
            status.lags.iter().filter(of_detect)
        };
        let Some(waiting) = awaited else {
            let ends = lags().map(|lag| (lag.partition, lag.end)).collect();
            *awaited = Some(Awaited { before, ends });
            return Ok(());
        };
        let has_passed = |(partition, end): &(u32, u64)| {
            lags().any(|lag| lag.partition == *partition && lag.committed >= *end)
        };
        if !waiting.ends.is_empty() && waiting.ends.iter().all(has_passed) {
            let forgotten = self.db.forget_pending_batches(waiting.before).await;
            let forgotten = forgotten.context("failed to forget batches that never came")?;
            tracing::info!(forgotten, "batches that were begun and never came may be sent again");
            *awaited = None;
        }
        Ok(())
    }
}
