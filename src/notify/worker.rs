//! One receiver's task.

use std::{sync::Arc, time::Duration};

use event::Timestamp;
use store::db::{Database, IncidentStatus, Notice, NoticeKind, NoticeOutcome};
use tokio_util::sync::CancellationToken;

use super::{Message, Receiver, Refusal};
use crate::metrics::Metrics;

/// How often is looked for what has become due; a change is told of at once.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Notices taken from the database at once.
const AT_ONCE: usize = 50;

/// The pauses after a try that failed; the last one is repeated.
const PAUSES_S: [u64; 7] = [5, 30, 60, 300, 900, 1_800, 3_600];

/// Makes the notices of one receiver, and sends them in the order in which they are due.
pub(crate) struct NotifyWorker {
    pub(crate) receiver: Receiver,
    pub(crate) db: Arc<dyn Database>,
    pub(crate) metrics: Arc<Metrics>,
}

impl NotifyWorker {
    /// Tells until `stop`. Whatever fails is tried again, and stops no other part.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut changes = self.db.incident_changes();
        loop {
            changes.mark_unchanged();
            if let Err(error) = self.round(&stop).await {
                tracing::warn!(receiver = self.receiver.name(), %error, "failed to look for what to tell; trying again");
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(LOOK_EVERY) => {}
                Ok(()) = changes.changed() => {}
            }
        }
    }

    async fn round(&mut self, stop: &CancellationToken) -> Result<(), store::db::DbError> {
        let hook = self.receiver.terms.hook.clone();
        while self.db.make_notices(&hook, Timestamp::now()).await?.1 {
            if stop.is_cancelled() {
                return Ok(());
            }
        }
        loop {
            let due = self.db.due_notices(&hook.name, Timestamp::now(), AT_ONCE).await?;
            let whole = due.len() < AT_ONCE;
            for notice in due {
                let outcome = tokio::select! {
                    outcome = self.tell(&notice) => outcome,
                    // Whether it arrived is not known: it is sent again, with the same id.
                    () = stop.cancelled() => return Ok(()),
                };
                let failed = matches!(outcome, NoticeOutcome::Again { .. });
                self.count(&notice, &outcome);
                self.db.settle_notice(notice.id, outcome, Timestamp::now()).await?;
                if failed {
                    // The others would likely fail, too, and each would wait for its time.
                    return Ok(());
                }
            }
            if whole {
                return Ok(());
            }
        }
    }

    async fn tell(&mut self, notice: &Notice) -> NoticeOutcome {
        if is_stale(notice) {
            return NoticeOutcome::Dropped;
        }
        match self.receiver.send(&Message::Notice(notice)).await {
            Ok(()) => NoticeOutcome::Sent,
            Err(refusal) => self.failed(notice, refusal),
        }
    }

    fn failed(&self, notice: &Notice, refusal: Refusal) -> NoticeOutcome {
        let now = Timestamp::now();
        let (error, give_up) = (refusal.reason, self.receiver.terms.give_up_after);
        let tries = usize::try_from(notice.attempts).unwrap_or(usize::MAX);
        let pause = Duration::from_secs(PAUSES_S[tries.min(PAUSES_S.len() - 1)]);
        let due = now.plus(pause);
        if refusal.for_good || due > notice.made.plus(give_up) {
            return NoticeOutcome::Dead { error };
        }
        NoticeOutcome::Again { due, error }
    }

    fn count(&self, notice: &Notice, outcome: &NoticeOutcome) {
        let (receiver, incident) = (self.receiver.name(), notice.incident);
        let word = match outcome {
            NoticeOutcome::Sent => "sent",
            NoticeOutcome::Dropped => "dropped",
            NoticeOutcome::Again { error, .. } => {
                tracing::warn!(receiver, %incident, error, "failed to tell of an incident; trying again");
                "failed"
            }
            NoticeOutcome::Dead { error } => {
                tracing::error!(receiver, %incident, error, "gave up telling of an incident");
                "dead"
            }
        };
        self.metrics.notices.with_label_values(&[receiver, word]).inc();
    }
}

/// Whether what it would tell is no longer so.
fn is_stale(notice: &Notice) -> bool {
    match notice.kind {
        NoticeKind::Unacknowledged => notice.status != IncidentStatus::New,
        NoticeKind::ClockWarning | NoticeKind::ClockBroken => notice.clock_due.is_none(),
        _ => false,
    }
}
