//! Sources asked again and again, and what is kept put in force when it changes.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use event::Timestamp;
use ingest::intel::{SharedSink, fetch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Indicators, source::Configured};

/// How often the folder is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The pause after a source failed for the first time; each further one is twice as long, up to
/// the source's own interval.
const AGAIN: Duration = Duration::from_secs(30);

/// Puts in force what changes in the folder, by a source or by an import. A set that can't be
/// compiled leaves the one before in force.
pub(crate) async fn watch(all: Arc<Indicators>, stop: CancellationToken) -> anyhow::Result<()> {
    let mut told = String::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let compiling = Arc::clone(&all);
        let compiled = tokio::task::spawn_blocking(move || compiling.compile()).await;
        let error = match compiled.context("compiling indicators panicked")? {
            Ok(()) => String::new(),
            Err(error) => format!("{error:#}"),
        };
        // Tried again each time, told once.
        if error != told && !error.is_empty() {
            tracing::error!(error, "failed to put indicators in force; those before stand");
        }
        told = error;
    }
}

/// Asks each configured source at its interval, each by itself. A source that fails keeps what it
/// said; its failure is told, counted, and no other part's.
pub(crate) async fn fetch_each(
    all: Arc<Indicators>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut asking = JoinSet::new();
    for place in 0..all.sources.len() {
        let (all, stop) = (Arc::clone(&all), stop.clone());
        asking.spawn(async move {
            let Some(source) = all.sources.get(place) else { return };
            let mut pause = AGAIN;
            loop {
                let asked = tokio::select! {
                    () = stop.cancelled() => return,
                    asked = ask(&all, source) => asked,
                };
                let wait = match asked {
                    Ok(()) => {
                        pause = AGAIN;
                        source.interval
                    }
                    Err(error) => {
                        report(&all, source, &error);
                        let wait = pause.min(source.interval);
                        pause = pause.saturating_mul(2);
                        wait
                    }
                };
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(wait) => {}
                }
            }
        });
    }
    while let Some(ended) = asking.join_next().await {
        ended.context("asking a source of indicators panicked")?;
    }
    // Without sources there is nothing to ask, which is no reason to stop.
    stop.cancelled().await;
    Ok(())
}

fn report(all: &Indicators, source: &Configured, error: &anyhow::Error) {
    let reason = format!("{error:#}");
    tracing::warn!(source = %source.name, error = reason, "failed to refresh indicators; those known stand");
    all.board.failed(&source.name, &reason);
    all.metrics.indicator_failures.with_label_values(&[source.name.as_str()]).inc();
}

/// Asks once and keeps what came, also where not all came.
async fn ask(all: &Arc<Indicators>, source: &Configured) -> anyhow::Result<()> {
    let (keeper, name, client) = (all.keeper.clone(), source.name.clone(), source.client());
    let begin = move || {
        let kept = match keeper.about(&name) {
            Ok(kept) => kept.unwrap_or_default(),
            // Fetched anew, as a whole.
            Err(error) => {
                tracing::error!(source = %name, %error, "indicators are damaged; fetching them anew");
                keeper.remove(&name)?;
                ingest::intel::Kept::default()
            }
        };
        anyhow::Ok((kept, keeper.draft()?, client()?))
    };
    let (kept, draft, client) = tokio::task::spawn_blocking(begin).await??;
    let draft = Arc::new(Mutex::new(draft));
    let sink: SharedSink = draft.clone();
    let run = fetch(&source.origin, &client, &source.options, kept.state.clone(), &sink).await;
    drop(sink);
    let kept = ingest::intel::Kept { state: run.state, import: None, ..kept };
    let (keeper, name) = (all.keeper.clone(), source.name.clone());
    let keep = move || {
        let mut draft = draft.lock().unwrap_or_else(PoisonError::into_inner);
        keeper.commit(&name, &mut draft, run.outcome, kept, Timestamp::now())
    };
    tokio::task::spawn_blocking(keep).await?.context("failed to keep indicators")?;
    if let Some(error) = run.error {
        return Err(error).context("failed to fetch indicators");
    }
    all.board.succeeded(&source.name);
    let now = Timestamp::now().as_millis() / 1_000;
    all.metrics.indicators_refreshed.with_label_values(&[source.name.as_str()]).set(now);
    Ok(())
}
