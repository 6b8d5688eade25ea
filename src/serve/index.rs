//! Records in, searchable splits out: the `index` reader group.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use event::{Event, Timestamp};
use ingest::bus::{Batch, Bus, Group, PollLimit, Polled, Reader, Topic};
use store::{
    db::{CursorName, Database, Position},
    index::{Index, IndexError},
    split::SplitError,
};
use tokio::{
    task::{JoinError, JoinSet},
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use super::{decoded::Decoded, health::Health};
use crate::metrics::Metrics;

/// The pause after splits could not be stored, and the longest after it went on so.
const AGAIN: Duration = Duration::from_secs(2);
const AGAIN_MAX: Duration = Duration::from_secs(60);

const LIMIT: PollLimit = PollLimit { records_max: 2_000, bytes_max: 8 << 20 };

pub(crate) struct IndexWorker {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) db: Arc<dyn Database>,
    pub(crate) index: Arc<Index>,
    pub(crate) decoded: Arc<Decoded>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Arc<Health>,
    pub(crate) refresh: Duration,
}

impl IndexWorker {
    /// Reads until `stop`, then seals what is open. The catalog's cursor counts: it moves in
    /// the transaction that publishes the splits, and the bus's follows. After a crash, what
    /// was not sealed is read from the bus again.
    pub(crate) async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut reader = self.bus.reader(Topic::Records, Group::Index).await?;
        let mut refresh = tokio::time::interval_at(Instant::now() + self.refresh, self.refresh);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut receipts = Vec::new();
        // At most one checkpoint, beside the reading, so that sealing a large split keeps
        // nothing from becoming searchable meanwhile.
        let mut sealing = JoinSet::new();
        let (mut pause, mut not_before) = (AGAIN, Instant::now());
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = refresh.tick() => {
                    self.show(&mut receipts).await?;
                    let may = sealing.is_empty() && Instant::now() >= not_before;
                    if may && self.index.checkpoint_due() {
                        let (index, bus) = (Arc::clone(&self.index), self.bus.id());
                        sealing.spawn(async move { index.checkpoint(bus).await });
                    }
                }
                Some(sealed) = sealing.join_next() => {
                    if self.passed(&mut *reader, sealed).await? {
                        pause = AGAIN;
                    } else {
                        not_before = Instant::now() + pause;
                        pause = (pause * 2).min(AGAIN_MAX);
                    }
                }
                polled = reader.poll(LIMIT, self.refresh) => {
                    match polled.context("failed to read the bus")? {
                        Polled::Batch(batch) => self.add(&batch, &mut receipts).await?,
                        Polled::Assigned(partitions) => self.begin(&mut *reader, &partitions).await?,
                        Polled::Idle | Polled::Revoked(_) => {}
                    }
                }
            }
        }
        while let Some(sealed) = sealing.join_next().await {
            self.passed(&mut *reader, sealed).await?;
        }
        self.passed(&mut *reader, Ok(self.index.checkpoint(self.bus.id()).await)).await?;
        Ok(())
    }

    async fn begin(&self, reader: &mut dyn Reader, partitions: &[u32]) -> anyhow::Result<()> {
        for partition in partitions {
            let next = self
                .db
                .cursor(CursorName::Index, self.bus.id(), *partition)
                .await
                .context("failed to read the index cursor")?;
            if let Some(next) = next {
                reader.seek(*partition, next).await?;
            }
        }
        Ok(())
    }

    async fn add(&self, batch: &Batch, receipts: &mut Vec<Timestamp>) -> anyhow::Result<()> {
        let events: Vec<Arc<Event>> =
            self.decoded.events(batch).await.context("failed to keep a dead letter")?;
        receipts.extend(events.iter().map(|event| event.received()));
        let first = batch.entries.first().map_or(0, |entry| entry.offset);
        self.index
            .add(batch.partition, first, events, batch.next())
            .await
            .context("failed to index")
    }

    /// Makes what was added searchable, and measures how long that took since receipt.
    async fn show(&self, receipts: &mut Vec<Timestamp>) -> anyhow::Result<()> {
        if receipts.is_empty() {
            return Ok(());
        }
        self.index.refresh().await.context("failed to make events searchable")?;
        let now = Timestamp::now();
        self.metrics.indexed.inc_by(receipts.len() as u64);
        for received in receipts.drain(..) {
            self.metrics.to_searchable.observe(now.since(received).as_secs_f64());
        }
        Ok(())
    }

    /// What was sealed and published need not be read again. Where the storage fails, all stays
    /// searchable here and on the bus, and it is false: the same is to be tried again.
    async fn passed(
        &self,
        reader: &mut dyn Reader,
        sealed: Result<Result<Vec<Position>, IndexError>, JoinError>,
    ) -> anyhow::Result<bool> {
        let positions = match sealed.context("the checkpoint panicked")? {
            Err(IndexError::Split(error @ SplitError::Storage { .. })) => {
                let reason = format!("splits cannot be stored: {error}");
                self.metrics.worker_errors.with_label_values(&["index"]).inc();
                tracing::error!(%error, "splits cannot be stored; trying again");
                self.health.trouble("splits", Some(reason));
                return Ok(false);
            }
            sealed => sealed.context("failed to seal and publish splits")?,
        };
        self.health.trouble("splits", None);
        for position in positions {
            reader
                .commit(position.partition, position.next)
                .await
                .context("failed to commit the index cursor")?;
        }
        self.metrics.checkpoints.inc();
        Ok(true)
    }
}
