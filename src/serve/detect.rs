//! Records in, detections out: the `detect` reader group.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use bytes::Bytes;
use event::{CommuneId, Detection, Signal, Timestamp};
use ingest::bus::{Batch, Bus, Group, PollLimit, Polled, Topic};
use store::db::Database;
use tokio_util::sync::CancellationToken;

use super::{backoff::Backoff, batches, decoded::Decoded, feed_watch::FeedWatch, matching::Pool};
use crate::{metrics::Metrics, rules::InForce};

/// Bytes that a detection has on the bus at most; a larger one leaves its copy of the event
/// behind, which stays to be found by its id.
const DETECTION_BYTES_MAX: usize = 4 << 20;

/// Bytes of records that one batch has at most.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// How long a poll waits before it looks around again.
const POLL_WAIT: Duration = Duration::from_secs(1);

pub(crate) struct DetectWorker {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) db: Arc<dyn Database>,
    pub(crate) rules: Arc<InForce>,
    pub(crate) decoded: Arc<Decoded>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) feed_watch: Arc<FeedWatch>,
    pub(crate) batch_events_max: usize,
}

impl DetectWorker {
    /// Reads until `stop`; the batch under way is finished first. The cursor moves only once
    /// the detections are durable on the bus, so a crash repeats a batch and loses none; the
    /// repeated detections have the same ids.
    pub(crate) async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut reader = self.bus.reader(Topic::Records, Group::Detect).await?;
        let limit = PollLimit { records_max: self.batch_events_max, bytes_max: BATCH_BYTES_MAX };
        loop {
            let polled = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                polled = reader.poll(limit, POLL_WAIT) => polled.context("failed to read the bus")?,
            };
            let Polled::Batch(batch) = polled else { continue };
            let (partition, next) = (batch.partition, batch.next());
            if !self.process(&batch, &stop).await? {
                return Ok(());
            }
            if !batches::settle(&*self.db, &self.metrics, &batch, &stop).await {
                return Ok(());
            }
            reader.commit(partition, next).await.context("failed to commit the detect cursor")?;
        }
    }

    /// Returns false where it was told to stop before the detections were durable.
    async fn process(&self, batch: &Batch, stop: &CancellationToken) -> anyhow::Result<bool> {
        let events = self.decoded.events(batch).await.context("failed to keep a dead letter")?;
        let count = events.len() as u64;
        // Taken once a batch, so that each batch is matched by one set of rules from end to end
        // and the next one by whatever is in force by then.
        let ruleset = self.rules.now();
        self.feed_watch.events(&events, &ruleset);
        let found = self.pool.run(move || ruleset.detect(&events, Timestamp::now())).await;
        for (suppression, count) in &found.suppressed {
            let reason = if suppression.exception.is_some() { "exception" } else { "disabled" };
            let labels = [suppression.commune.as_str(), &suppression.rule, reason];
            self.metrics.suppressed.with_label_values(&labels).inc_by(*count);
        }
        self.metrics.matched.inc_by(count);
        self.metrics.indicators_allowed.inc_by(found.left_out.allowed);
        self.metrics.indicators_cut.inc_by(found.left_out.cut);
        let detections = found.detections;
        let mut payloads: Vec<(&CommuneId, Bytes)> =
            Vec::with_capacity(detections.len() + found.contributions.len());
        for detection in &detections {
            let payload = encode(detection).context("failed to encode a detection")?;
            payloads.push((&detection.commune, payload));
        }
        for contribution in &found.contributions {
            let payload = Signal::Contribution(contribution.clone()).to_vec();
            let payload = payload.context("failed to encode a match")?;
            payloads.push((&contribution.commune, payload.into()));
        }
        for (commune, payloads) in by_commune(payloads) {
            if !self.append(commune.as_str(), payloads, stop).await? {
                return Ok(false);
            }
        }
        let now = Timestamp::now();
        for detection in &detections {
            if let Some(indicator) = &detection.indicator {
                let label = [indicator.source.as_str()];
                self.metrics.indicator_hits.with_label_values(&label).inc();
            }
            let labels = [detection.commune.as_str(), detection.rule.level.as_str()];
            self.metrics.detections.with_label_values(&labels).inc();
            self.metrics.to_detection.observe(now.since(detection.received).as_secs_f64());
        }
        Ok(true)
    }

    /// Appends until the bus takes it: detections are never dropped.
    async fn append(
        &self,
        key: &str,
        payloads: Vec<Bytes>,
        stop: &CancellationToken,
    ) -> anyhow::Result<bool> {
        let mut backoff = Backoff::default();
        loop {
            match self.bus.append(Topic::Detections, key, payloads.clone()).await {
                Ok(_) => return Ok(true),
                Err(error) if error.is_passing() => {
                    self.metrics.worker_errors.with_label_values(&["detect"]).inc();
                    tracing::warn!(%error, "topic detections takes nothing; waiting");
                    if !backoff.wait(stop).await {
                        return Ok(false);
                    }
                }
                Err(error) => return Err(error).context("failed to append detections"),
            }
        }
    }
}

/// The payloads of each commune, in the order in which communes first appear.
fn by_commune(payloads: Vec<(&CommuneId, Bytes)>) -> Vec<(&CommuneId, Vec<Bytes>)> {
    let mut groups: Vec<(&CommuneId, Vec<Bytes>)> = Vec::new();
    for (commune, payload) in payloads {
        match groups.iter_mut().find(|(known, _)| *known == commune) {
            Some((_, group)) => group.push(payload),
            None => groups.push((commune, vec![payload])),
        }
    }
    groups
}

fn encode(detection: &Detection) -> serde_json::Result<Bytes> {
    let bytes = serde_json::to_vec(detection)?;
    if bytes.len() <= DETECTION_BYTES_MAX {
        return Ok(bytes.into());
    }
    let mut smaller = detection.clone();
    smaller.event = serde_json::json!({
        "event": { "id": detection.event_id },
        "error": { "message": "the event is too large to travel with its detection; look it up by its id" },
    });
    serde_json::to_vec(&smaller).map(Bytes::from)
}
