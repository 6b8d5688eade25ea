//! Rounds, one after the other, until stopped.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use event::Timestamp;
use ingest::pull::{Outlet, Puller, Round};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Configured;

/// The pause after a round failed for the first time; each further one is twice as long, up to
/// [`AGAIN_MAX`].
const AGAIN: Duration = Duration::from_secs(10);
const AGAIN_MAX: Duration = Duration::from_mins(10);
/// How long a round that is under way gets when all stops, so that what it handed on is noted.
const CLOSE_MAX: Duration = Duration::from_secs(10);
/// How often the vendor is asked when its token expires, and how long before that is said.
const PROOF_EVERY: Duration = Duration::from_hours(12);
const PROOF_WARN: Duration = Duration::from_hours(14 * 24);

/// What is told of rounds.
pub(crate) trait Tell: Send + Sync + 'static {
    /// A round came to its end.
    fn ended(&self, source: &str, round: &Round);
    /// A round did not, for this reason.
    fn failed(&self, source: &str, error: &str);
    /// When the token that is shown expires.
    fn expires(&self, source: &str, at: Timestamp);
}

/// Where records of a format go.
pub(crate) type OutletOf =
    Arc<dyn Fn(&'static str) -> anyhow::Result<Arc<dyn Outlet>> + Send + Sync>;

/// Asks one source at its interval until `stop`.
pub(crate) async fn tend(
    configured: Configured,
    outlet: OutletOf,
    tell: Arc<dyn Tell>,
    stop: CancellationToken,
) {
    let name = configured.source.name.clone();
    let (mut puller, mut pause, mut proof_asked) = (None, AGAIN, None::<Instant>);
    loop {
        let mut passing = Box::pin(round(&configured, &outlet, &mut puller));
        let (round, outcome) = tokio::select! {
            ended = &mut passing => ended,
            () = stop.cancelled() => {
                if timeout(CLOSE_MAX, passing).await.is_err() {
                    tracing::warn!(source = name, "a round was cut short; its last page may come again");
                }
                return;
            }
        };
        drop(passing);
        for reason in &round.refused {
            tracing::error!(source = name, reason, "a record is refused for good");
        }
        let wait = match outcome {
            Ok(()) => {
                if round.accepted > 0 {
                    tracing::info!(source = name, records = round.accepted, "pulled");
                }
                tell.ended(&name, &round);
                pause = AGAIN;
                if round.is_cut_short { Duration::ZERO } else { configured.interval() }
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(source = name, %error, again_s = pause.as_secs(), "failed to pull");
                tell.failed(&name, &error);
                let wait = pause;
                pause = pause.saturating_mul(2).min(AGAIN_MAX);
                wait
            }
        };
        if let Some(puller) = &puller
            && proof_asked.is_none_or(|asked| asked.elapsed() >= PROOF_EVERY)
        {
            proof_asked = Some(Instant::now());
            ask_proof(&name, puller, &*tell, &stop).await;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(wait) => {}
        }
    }
}

/// One round. What asks is made anew where there is none, and given up where the vendor no longer
/// takes its proof, so that a replaced secret is read.
pub(crate) async fn round(
    configured: &Configured,
    outlet: &OutletOf,
    puller: &mut Option<Puller>,
) -> (Round, anyhow::Result<()>) {
    let mut asking = match puller.take() {
        Some(puller) => puller,
        None => {
            let (configured, outlet) = (configured.clone(), Arc::clone(outlet));
            let made =
                tokio::task::spawn_blocking(move || configured.puller(|format| outlet(format)));
            match made.await.context("reading its secrets panicked").flatten() {
                Ok(puller) => puller,
                Err(error) => return (Round::default(), Err(error)),
            }
        }
    };
    let (round, outcome) = asking.round().await;
    if !outcome.as_ref().is_err_and(ingest::pull::PullError::is_about_proof) {
        *puller = Some(asking);
    }
    (round, outcome.map_err(Into::into))
}

async fn ask_proof(name: &str, puller: &Puller, tell: &dyn Tell, stop: &CancellationToken) {
    let expires = tokio::select! {
        () = stop.cancelled() => return,
        expires = puller.proof_expires() => expires,
    };
    let Some(expires) = expires else { return };
    tell.expires(name, expires);
    let left = expires.since(Timestamp::now());
    if left < PROOF_WARN {
        let days = left.as_secs() / 86_400;
        tracing::warn!(source = name, %expires, days, "the token expires soon; make a new one");
    }
}
