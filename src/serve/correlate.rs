//! Matches in, correlations out: the `correlate` reader group.
//!
//! It reads topic `detections` in order and appends what fires to the same topic, behind what
//! made it fire, for the raise stage to read. The state goes to the database with the position it
//! was taken at; the bus keeps what came after. A crash repeats from there: the same matches meet
//! the same state, so the same detections come out, under the same ids. Whatever else would make
//! a difference travels on the bus too: the passing of time while nothing comes, as a tick.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use detect::{Correlations, Correlator, Limits, Ruleset};
use event::{Detection, Signal, Timestamp};
use ingest::bus::{Batch, Bus, Group, PollLimit, Polled, Reader, Topic};
use store::db::{Database, Position};
use tokio_util::sync::CancellationToken;

use super::{
    backoff::Backoff, correlate_state as envelope, dead_letter::DeadLetters, matching::Pool,
};
use crate::{metrics::Metrics, rules::InForce};

const LIMIT: PollLimit = PollLimit { records_max: 2_000, bytes_max: 8 << 20 };
/// How long a poll waits before it looks around again.
const POLL_WAIT: Duration = Duration::from_secs(1);
/// A snapshot is taken so many times its own cost after the last, so that however large the
/// state is, writing it down takes a small part of the time.
const COST_FACTOR: u32 = 20;
/// How often evictions are complained about.
const ALARM_EVERY: Duration = Duration::from_secs(60);

pub(crate) struct CorrelateWorker {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) db: Arc<dyn Database>,
    pub(crate) rules: Arc<InForce>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) dead_letters: Arc<DeadLetters>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: Limits,
    pub(crate) snapshot_every: Duration,
}

/// One partition's state.
struct Partition {
    correlator: Correlator,
    /// What fired and is not on the bus yet.
    outbox: Vec<Fired>,
    /// The next offset to read.
    next: u64,
    /// The position of the last snapshot.
    saved: u64,
    saved_at: Instant,
    cost: Duration,
    reported: detect::Stats,
    alarmed_at: Option<Instant>,
}

/// A detection on its way to the bus.
pub(super) struct Fired {
    pub(super) key: String,
    pub(super) payload: Bytes,
}

impl CorrelateWorker {
    /// Reads until `stop`, then writes the state down.
    pub(crate) async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut reader = self.bus.reader(Topic::Detections, Group::Correlate).await?;
        let mut partitions: HashMap<u32, Partition> = HashMap::new();
        loop {
            let wait = partitions.values().filter_map(|p| p.correlator.next_due()).min();
            let wait = wait.map_or(POLL_WAIT, |due| {
                due.since(Timestamp::now()).clamp(Duration::from_millis(10), POLL_WAIT)
            });
            let polled = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                polled = reader.poll(LIMIT, wait) => polled.context("failed to read the bus")?,
            };
            match polled {
                Polled::Batch(batch) => {
                    let partition = partitions
                        .get_mut(&batch.partition)
                        .ok_or_else(|| anyhow!("partition {} was not assigned", batch.partition))?;
                    if !self.process(partition, &batch, reader.as_mut(), &stop).await? {
                        break;
                    }
                }
                Polled::Assigned(assigned) => {
                    for number in assigned {
                        let partition = self.open(number, reader.as_mut()).await?;
                        partitions.insert(number, partition);
                    }
                }
                Polled::Revoked(revoked) => {
                    revoked.iter().for_each(|number| drop(partitions.remove(number)));
                }
                Polled::Idle => self.tick(&partitions).await?,
            }
            for (number, partition) in &mut partitions {
                self.measure(partition);
                // After a start something may be left that nothing else would send.
                if !self.send(*number, partition, reader.as_mut(), &stop).await? {
                    break;
                }
                let pause = self.snapshot_every.max(partition.cost * COST_FACTOR);
                if partition.next > partition.saved && partition.saved_at.elapsed() >= pause {
                    self.save(*number, partition, reader.as_mut(), &stop).await?;
                }
            }
        }
        for (number, partition) in &mut partitions {
            if partition.next > partition.saved || !partition.outbox.is_empty() {
                // What cannot be written now is read again at the next start.
                let saved = self.try_save(*number, partition, reader.as_mut()).await;
                if let Err(error) = saved {
                    tracing::warn!(error = format!("{error:#}"), "the last snapshot failed");
                }
            }
        }
        Ok(())
    }

    /// The state of a partition as it was saved, where it was, and the reader at its position.
    async fn open(&self, number: u32, reader: &mut dyn Reader) -> anyhow::Result<Partition> {
        let rules = Arc::clone(self.rules.now().correlations());
        let saved = self
            .db
            .load_correlations(self.bus.id(), number)
            .await
            .context("failed to read the state of the correlations")?;
        let mut partition = Partition {
            correlator: Correlator::new(Arc::clone(&rules), self.limits.clone()),
            outbox: Vec::new(),
            next: 0,
            saved: 0,
            saved_at: Instant::now(),
            cost: Duration::ZERO,
            reported: detect::Stats::default(),
            alarmed_at: None,
        };
        let Some(saved) = saved else { return Ok(partition) };
        (partition.next, partition.saved) = (saved.next, saved.next);
        reader.seek(number, saved.next).await?;
        match restore(&saved.state, &rules, self.limits.clone()) {
            Ok((outbox, restored)) => {
                tracing::info!(
                    offset = saved.next, bytes = saved.state.len(), kept = restored.adopted.kept,
                    restarted = ?restored.adopted.restarted, dropped = ?restored.adopted.dropped,
                    "restored the correlations"
                );
                partition.correlator = restored.correlator;
                partition.outbox = outbox;
            }
            Err(error) => {
                self.metrics.worker_errors.with_label_values(&["correlate"]).inc();
                tracing::error!(
                    error = format!("{error:#}"),
                    "the saved state of the correlations cannot be used; they begin anew, and what was under way in their windows is lost"
                );
            }
        }
        Ok(partition)
    }

    /// Returns false where it was told to stop before all that fired was durable.
    async fn process(
        &self,
        partition: &mut Partition,
        batch: &Batch,
        reader: &mut dyn Reader,
        stop: &CancellationToken,
    ) -> anyhow::Result<bool> {
        if !self.send(batch.partition, partition, reader, stop).await? {
            return Ok(false);
        }
        let rules = Arc::clone(self.rules.now().correlations());
        if !Arc::ptr_eq(&rules, partition.correlator.rules()) {
            let adopted = partition.correlator.adopt(rules);
            tracing::info!(
                kept = adopted.kept, restarted = ?adopted.restarted, dropped = ?adopted.dropped,
                "correlations of the new rules are in force"
            );
            // Written down at once, so that a crash does not repeat what the old ones did.
            if !self.save(batch.partition, partition, reader, stop).await? {
                return Ok(false);
            }
        }
        self.correlate(partition, batch).await?;
        partition.next = batch.next();
        self.send(batch.partition, partition, reader, stop).await
    }

    /// Takes a batch in, on a thread that may be busy for long; what fires is in the outbox.
    async fn correlate(&self, partition: &mut Partition, batch: &Batch) -> anyhow::Result<()> {
        let none = Correlator::new(Arc::default(), self.limits.clone());
        let mut correlator = std::mem::replace(&mut partition.correlator, none);
        let entries = batch.entries.clone();
        let (correlator, found, unreadable) = self
            .pool
            .run(move || {
                let (mut found, mut unreadable) = (Vec::new(), Vec::new());
                for entry in entries {
                    match Signal::heard(&entry.payload) {
                        Ok(Some(Signal::Contribution(contribution))) => {
                            correlator.push(Arc::new(contribution), &mut found);
                        }
                        Ok(Some(Signal::Tick(now))) => correlator.tick(now, &mut found),
                        Ok(Some(Signal::Detection(_)) | None) => {}
                        Err(error) => unreadable.push((entry, error)),
                    }
                }
                (correlator, found, unreadable)
            })
            .await;
        partition.correlator = correlator;
        for (entry, error) in unreadable {
            self.dead_letters
                .keep("detections", batch.partition, &entry, &error.to_string())
                .context("failed to keep a dead letter")?;
        }
        let ruleset = self.rules.now();
        for mut detection in found {
            if !self.stands(&ruleset, &mut detection) {
                continue;
            }
            self.count(&detection);
            let key = detection.commune.as_str().to_owned();
            let payload = serde_json::to_vec(&detection).context("failed to encode a detection")?;
            partition.outbox.push(Fired { key, payload: payload.into() });
        }
        Ok(())
    }

    /// Whether the commune lets the correlation count, and at which level.
    fn stands(&self, ruleset: &Ruleset, detection: &mut Detection) -> bool {
        // One that is in force no more fired on what it still had; it counts as it is.
        let Some(entry) = ruleset.entry(&detection.rule.id) else { return true };
        let policies = ruleset.policies();
        if policies.is_enabled(&detection.commune, entry) {
            detection.rule.level = policies.level(&detection.commune, entry);
            return true;
        }
        let labels = [detection.commune.as_str(), entry.id(), "disabled"];
        self.metrics.suppressed.with_label_values(&labels).inc();
        false
    }

    fn count(&self, detection: &Detection) {
        let labels = [detection.commune.as_str(), detection.rule.level.as_str()];
        self.metrics.detections.with_label_values(&labels).inc();
        let since = Timestamp::now().since(detection.received);
        self.metrics.to_detection.observe(since.as_secs_f64());
    }

    /// Appends what fired until the bus takes it.
    async fn send(
        &self,
        number: u32,
        partition: &mut Partition,
        reader: &mut dyn Reader,
        stop: &CancellationToken,
    ) -> anyhow::Result<bool> {
        let mut backoff = Backoff::default();
        while let Some(first) = partition.outbox.first() {
            let key = first.key.clone();
            let same = partition.outbox.iter().take_while(|fired| fired.key == key).count();
            let payloads = partition.outbox[..same].iter().map(|fired| fired.payload.clone());
            match self.bus.append(Topic::Detections, &key, payloads.collect()).await {
                Ok(_) => drop(partition.outbox.drain(..same)),
                Err(error) if error.is_passing() => {
                    self.metrics.worker_errors.with_label_values(&["correlate"]).inc();
                    tracing::warn!(%error, "topic detections takes nothing; waiting");
                    // It may be full of what this reader has read and not yet let go.
                    if partition.next > partition.saved
                        && !self.save(number, partition, reader, stop).await?
                    {
                        return Ok(false);
                    }
                    if !backoff.wait(stop).await {
                        return Ok(false);
                    }
                }
                Err(error) => return Err(error).context("failed to append detections"),
            }
        }
        Ok(true)
    }

    /// Where matches are held and none came for as long as they are held, says on the bus that
    /// the time has passed.
    async fn tick(&self, partitions: &HashMap<u32, Partition>) -> anyhow::Result<()> {
        let now = Timestamp::now();
        let due = partitions.values().filter_map(|partition| partition.correlator.next_due()).min();
        if due.is_none_or(|due| now < due) {
            return Ok(());
        }
        let tick = Signal::Tick(now).to_vec().context("failed to encode a tick")?;
        match self.bus.append(Topic::Detections, "tick", vec![tick.into()]).await {
            Ok(_) => Ok(()),
            // A full topic has enough in it to move time on, and the next tick tries again.
            Err(error) if error.is_passing() => Ok(()),
            Err(error) => Err(error).context("failed to append a tick"),
        }
    }

    /// Saves until the database takes it; false where it was told to stop.
    async fn save(
        &self,
        number: u32,
        partition: &mut Partition,
        reader: &mut dyn Reader,
        stop: &CancellationToken,
    ) -> anyhow::Result<bool> {
        let mut backoff = Backoff::default();
        while let Err(error) = self.try_save(number, partition, reader).await {
            self.metrics.worker_errors.with_label_values(&["correlate"]).inc();
            tracing::error!(
                error = format!("{error:#}"),
                "failed to save the correlations; trying again"
            );
            if !backoff.wait(stop).await {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn try_save(
        &self,
        number: u32,
        partition: &mut Partition,
        reader: &mut dyn Reader,
    ) -> anyhow::Result<()> {
        let began = Instant::now();
        let none = Correlator::new(Arc::default(), self.limits.clone());
        let correlator = std::mem::replace(&mut partition.correlator, none);
        let outbox = std::mem::take(&mut partition.outbox);
        let (correlator, outbox, state) = self
            .pool
            .run(move || {
                let state = envelope::seal(&outbox, &correlator.snapshot());
                (correlator, outbox, state)
            })
            .await;
        (partition.correlator, partition.outbox) = (correlator, outbox);
        let position = Position { bus: self.bus.id(), partition: number, next: partition.next };
        self.db
            .save_correlations(&state, position, Timestamp::now())
            .await
            .context("failed to save the state of the correlations")?;
        partition.saved = partition.next;
        partition.saved_at = Instant::now();
        partition.cost = began.elapsed();
        let bytes = i64::try_from(state.len()).unwrap_or(i64::MAX);
        self.metrics.correlate.snapshot_bytes.set(bytes);
        // The bus may forget what is in the state.
        reader.commit(number, partition.next).await.context("failed to commit the correlate cursor")
    }

    fn measure(&self, partition: &mut Partition) {
        let (now, before) = (partition.correlator.stats(), partition.reported);
        self.metrics.correlate.measure(&now, &before, partition.saved_at.elapsed());
        let evicted = |stats: &detect::Stats| stats.groups_evicted + stats.entries_evicted;
        let quiet = partition.alarmed_at.is_none_or(|at| at.elapsed() >= ALARM_EVERY);
        if evicted(&now) > evicted(&before) && quiet {
            tracing::error!(
                groups = now.groups_evicted,
                matches = now.entries_evicted,
                "correlations had to forget groups or matches to stay within their limits and may miss something; raise correlate.groups_max, correlate.rule_groups_max or correlate.group_entries_max"
            );
            partition.alarmed_at = Some(Instant::now());
        }
        partition.reported = now;
    }
}

fn restore(
    state: &[u8],
    rules: &Arc<Correlations>,
    limits: Limits,
) -> anyhow::Result<(Vec<Fired>, detect::Restored)> {
    let (outbox, snapshot) = envelope::open(state)?;
    Ok((outbox, Correlator::restore(snapshot, rules, limits)?))
}
