//! What is too old is dropped, and what somebody asked for is purged.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::Context as _;
use event::Timestamp;
use ingest::bus::{Bus, Group, GroupLag, Topic};
use serde_json::json;
use store::{
    audit::{Entry, Phase, Trail},
    db::{Database, Purge},
    index::{Dropped, Index, Keep},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// Between two looks for purges.
const EVERY: Duration = Duration::from_secs(2);
/// Between two looks for what is too old, which is days old at least.
const EXPIRE_EVERY: Duration = Duration::from_secs(3600);
/// After one of either that failed.
const AGAIN: Duration = Duration::from_secs(60);
/// What was on its way when a purge was asked for is sealed by then, where all is well.
const SEALED_MAX: Duration = Duration::from_secs(60);
/// A clock that went ahead by more than this without as much time passing is not believed.
const JUMP_MAX: Duration = Duration::from_secs(86_400);
/// Who drops and purges, in the audit trail.
const BY: &str = "jacquemart";

pub(crate) struct Keeper {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) db: Arc<dyn Database>,
    pub(crate) index: Arc<Index>,
    pub(crate) trail: Arc<Trail>,
    pub(crate) metrics: Arc<Metrics>,
    /// How long events are kept, where nobody said otherwise.
    pub(crate) days: u32,
}

impl Keeper {
    /// Drops and purges until `stop`. What fails leaves everything as it was and is tried again.
    pub(crate) async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        // Rewriting may take long, and may be cut at any moment, as a crash would.
        let began = (Instant::now(), Timestamp::now());
        let working = async {
            let mut awaited = Awaited::new();
            let mut expire_at = Instant::now();
            loop {
                self.turn(began, &mut awaited, &mut expire_at).await;
                tokio::time::sleep(EVERY).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            () = working => Ok(()),
        }
    }

    async fn turn(
        &self,
        began: (Instant, Timestamp),
        awaited: &mut Awaited,
        expire_at: &mut Instant,
    ) {
        if let Err(error) = self.purge_all(awaited).await {
            self.metrics.worker_errors.with_label_values(&["keeping"]).inc();
            tracing::error!(error = format!("{error:#}"), "failed to look for purges");
        }
        if Instant::now() >= *expire_at {
            let expired = match believed(began, Instant::now(), Timestamp::now()) {
                Ok(now) => self.expire(now).await,
                Err(error) => Err(error),
            };
            let pause = match expired {
                Ok(()) => EXPIRE_EVERY,
                Err(error) => {
                    self.metrics.worker_errors.with_label_values(&["keeping"]).inc();
                    tracing::error!(error = format!("{error:#}"), "failed to drop what is old");
                    AGAIN
                }
            };
            *expire_at = Instant::now() + pause;
        }
    }

    async fn expire(&self, now: Timestamp) -> anyhow::Result<()> {
        let own =
            self.db.all_retentions().await.context("failed to read how long events are kept")?;
        let holds = self.db.holds_in_force().await.context("failed to read the holds")?;
        let keep = Keep { days: self.days, own, holds };
        // Before anything goes, as a crash might come before what is written after it.
        for (commune, splits) in self.index.due(&keep, now) {
            let body = json!({"splits": splits});
            self.write("retention.drop", Phase::Asked, commune.to_string(), body).await?;
        }
        let mut dropped = Vec::new();
        let outcome = self.index.expire(&keep, now, &mut dropped).await;
        for dropped in dropped {
            let Dropped { commune, events, splits, time: (from, to), received_max } = dropped;
            self.metrics.removed.with_label_values(&["old"]).inc_by(events);
            tracing::info!(%commune, events, splits, "old events were dropped");
            let body = json!({
                "events": events, "splits": splits, "from": from, "to": to,
                "received_until": received_max,
            });
            self.write("retention.drop", Phase::Done, commune.to_string(), body).await?;
        }
        let passed_over = outcome?;
        anyhow::ensure!(
            passed_over == 0,
            "old events are left in {passed_over} splits; `jacquemart store verify` names those that \
             are damaged"
        );
        Ok(())
    }

    async fn purge_all(&self, awaited: &mut Awaited) -> anyhow::Result<()> {
        let pending = self.db.pending_purges().await.context("failed to read the purges")?;
        awaited.retain(|id, _| pending.iter().any(|purge| purge.id == *id));
        for purge in pending {
            let waiting = awaited.get(&purge.id);
            if waiting.is_some_and(|waiting| Instant::now() < waiting.not_before) {
                continue;
            }
            if let Err(error) = self.purge(&purge, awaited).await {
                self.metrics.worker_errors.with_label_values(&["keeping"]).inc();
                let reason = format!("{error:#}");
                tracing::error!(
                    purge = purge.id,
                    error = reason,
                    "a purge goes on no further for now"
                );
                if let Some(waiting) = awaited.get_mut(&purge.id) {
                    waiting.not_before = Instant::now() + AGAIN;
                }
                if purge.trouble.as_ref() != Some(&reason) {
                    self.db.trouble_purge(&purge.id, &reason).await?;
                }
            }
        }
        Ok(())
    }

    async fn purge(&self, purge: &Purge, awaited: &mut Awaited) -> anyhow::Result<()> {
        // What was on its way when it was asked for must be in splits.
        let status = self.bus.status().await;
        let lags: Vec<&GroupLag> = status
            .lags
            .iter()
            .filter(|lag| lag.topic == Topic::Records && lag.group == Group::Index)
            .collect();
        anyhow::ensure!(!lags.is_empty(), "the bus does not say where it ends");
        let Waiting { ends, since, .. } =
            awaited.entry(purge.id.clone()).or_insert_with(|| Waiting {
                ends: lags.iter().map(|lag| (lag.partition, lag.end)).collect(),
                since: Instant::now(),
                not_before: Instant::now(),
            });
        let has_passed = |(partition, end): &(u32, u64)| {
            lags.iter().any(|lag| lag.partition == *partition && lag.committed >= *end)
        };
        if !ends.iter().all(has_passed) {
            self.index.seal_soon();
            anyhow::ensure!(
                since.elapsed() < SEALED_MAX,
                "what was on its way when it was asked for is not sealed yet"
            );
            return Ok(());
        }
        let holds = self.db.holds_in_force().await.context("failed to read the holds")?;
        let held = self.index.purge(purge, &holds).await.context("failed to purge")?;
        // The trail first: what is done is then written there, at least once.
        let pending = self.db.pending_purges().await?;
        let counted = pending.iter().find(|pending| pending.id == purge.id);
        let done = counted.map_or(0, |purge| purge.events);
        let body = json!({"purge": purge.id, "events": done, "held": held});
        self.write("purge.done", Phase::Done, purge.commune.to_string(), body).await?;
        self.metrics.removed.with_label_values(&["purged"]).inc_by(done);
        self.db.finish_purge(&purge.id, held, Timestamp::now()).await?;
        tracing::info!(purge = purge.id, commune = %purge.commune, events = done, held, "purged");
        Ok(())
    }

    async fn write(
        &self,
        action: &str,
        phase: Phase,
        object: String,
        body: serde_json::Value,
    ) -> anyhow::Result<()> {
        let entry = Entry {
            action: action.to_owned(),
            phase,
            by: BY.to_owned(),
            from: "local".to_owned(),
            object: Some(object),
            body: Some(body),
            ..Entry::default()
        };
        self.trail.append(entry).await.context("failed to write the audit trail")?;
        Ok(())
    }
}

/// By purge, what it waits for.
type Awaited = HashMap<String, Waiting>;

struct Waiting {
    /// By partition, where the bus ended when it was first seen.
    ends: Vec<(u32, u64)>,
    /// When it was first seen.
    since: Instant,
    /// When it is tried again.
    not_before: Instant,
}

/// The time, unless the clock went ahead: what is dropped does not come back.
fn believed(began: (Instant, Timestamp), at: Instant, now: Timestamp) -> anyhow::Result<Timestamp> {
    let (ran, shown) = (at.duration_since(began.0), now.since(began.1));
    anyhow::ensure!(
        shown <= ran + JUMP_MAX,
        "the clock says {now}, {} days ahead of the time that passed since the start; nothing is \
         dropped until the clock is right, or the centre is started again",
        shown.saturating_sub(ran).as_secs() / 86_400
    );
    Ok(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumped_ahead_is_not_believed() {
        let began = (Instant::now(), Timestamp::from_secs(1_000_000_000));
        let hours = |n: u64| Duration::from_secs(n * 3_600);
        let at = began.0 + hours(48);
        let told = |shown| believed(began, at, began.1.plus(hours(shown))).ok();
        assert_eq!(told(48), Some(began.1.plus(hours(48))));
        assert_eq!(told(1), Some(began.1.plus(hours(1))), "back is no harm");
        assert!(told(71).is_some());
        assert!(told(73).is_none());
        assert!(told(24 * 400).is_none());
    }
}
