//! Detections in, incidents out: the `raise` reader group.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use event::{Detection, Signal, Timestamp};
use ingest::bus::{Batch, Bus, Group, PollLimit, Polled, Topic};
use store::db::{CursorName, Database, Position, Raised, RaisedKind};
use tokio_util::sync::CancellationToken;

use super::{backoff::Backoff, dead_letter::DeadLetters};
use crate::metrics::Metrics;

const LIMIT: PollLimit = PollLimit { records_max: 500, bytes_max: 8 << 20 };
const POLL_WAIT: Duration = Duration::from_secs(1);

pub(crate) struct RaiseWorker {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) db: Arc<dyn Database>,
    pub(crate) dead_letters: Arc<DeadLetters>,
    pub(crate) metrics: Arc<Metrics>,
}

impl RaiseWorker {
    /// Reads until `stop`. The database moves its own cursor in the transaction that raises,
    /// and that one counts; the bus's follows, so that the bus may forget.
    pub(crate) async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut reader = self.bus.reader(Topic::Detections, Group::Raise).await?;
        loop {
            let polled = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                polled = reader.poll(LIMIT, POLL_WAIT) => polled.context("failed to read the bus")?,
            };
            match polled {
                Polled::Batch(batch) => {
                    if !self.process(&batch, &stop).await? {
                        return Ok(());
                    }
                    reader
                        .commit(batch.partition, batch.next())
                        .await
                        .context("failed to commit the raise cursor")?;
                }
                Polled::Assigned(partitions) => {
                    for partition in partitions {
                        let next = self
                            .db
                            .cursor(CursorName::Raise, self.bus.id(), partition)
                            .await
                            .context("failed to read the raise cursor")?;
                        if let Some(next) = next {
                            reader.seek(partition, next).await?;
                        }
                    }
                }
                Polled::Idle | Polled::Revoked(_) => {}
            }
        }
    }

    /// Returns false where it was told to stop before the incidents were durable.
    async fn process(&self, batch: &Batch, stop: &CancellationToken) -> anyhow::Result<bool> {
        let mut detections = Vec::with_capacity(batch.entries.len());
        for entry in &batch.entries {
            match Signal::detection(&entry.payload) {
                Ok(detection) => detections.extend(detection),
                Err(error) => self
                    .dead_letters
                    .keep("detections", batch.partition, entry, &error.to_string())
                    .context("failed to keep a dead letter")?,
            }
        }
        let position =
            Position { bus: self.bus.id(), partition: batch.partition, next: batch.next() };
        let mut backoff = Backoff::default();
        let raised = loop {
            match self.db.raise(&detections, position, Timestamp::now()).await {
                Ok(raised) => break raised,
                Err(error) => {
                    self.metrics.worker_errors.with_label_values(&["raise"]).inc();
                    tracing::error!(%error, "failed to raise; trying again");
                    if !backoff.wait(stop).await {
                        return Ok(false);
                    }
                }
            }
        };
        self.measure(&detections, &raised);
        Ok(true)
    }

    fn measure(&self, detections: &[Detection], raised: &[Raised]) {
        let now = Timestamp::now();
        self.metrics.raised.inc_by(raised.len() as u64);
        for (detection, raised) in detections.iter().zip(raised) {
            match raised.kind {
                RaisedKind::Opened => {
                    self.metrics.incidents.with_label_values(&[detection.commune.as_str()]).inc();
                    tracing::info!(
                        commune = %detection.commune, incident = ?raised.incident.map(|id| id.to_string()),
                        level = %detection.rule.level, "incident opened"
                    );
                }
                RaisedKind::Joined => {}
                RaisedKind::Known | RaisedKind::Kept => continue,
            }
            self.metrics.to_incident.observe(now.since(detection.received).as_secs_f64());
        }
    }
}
