//! The centre, running: doors, the four readers, the API, and how they end.

mod backoff;
mod batches;
mod correlate;
mod correlate_state;
mod dead_letter;
mod decoded;
mod detect;
mod feed_silence;
mod feed_watch;
mod feeds;
mod health;
mod index;
mod keeping;
mod listen;
mod matching;
mod merge;
mod meter;
mod pull;
mod raise;
mod rhythm;
mod rule_book;
mod tend;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use feed_watch::FeedWatch;
pub(crate) use feeds::{FeedTable, LOCAL_KEY};
pub(crate) use health::Health;
pub(crate) use rule_book::RuleBook;

use self::{
    batches::BatchKeeper, correlate::CorrelateWorker, dead_letter::DeadLetters, decoded::Decoded,
    detect::DetectWorker, feed_silence::FeedSilence, index::IndexWorker, keeping::Keeper,
    matching::Pool, raise::RaiseWorker,
};
use crate::{
    Failure,
    config::Config,
    indicators,
    notify::{NotifyWorker, Receiver},
    rules,
    wire::Wired,
};

/// How long doors may take to answer what they have taken.
const DOORS_CLOSE_MAX: Duration = Duration::from_secs(20);

/// A running centre.
pub(crate) struct Server {
    wired: Wired,
    ingest: SocketAddr,
    api: SocketAddr,
    /// Closes the doors.
    doors_stop: CancellationToken,
    doors: JoinSet<anyhow::Result<()>>,
    /// Ends the readers; cancelled by itself when one fails.
    stop: CancellationToken,
    workers: JoinSet<anyhow::Result<()>>,
    socket: std::path::PathBuf,
}

impl Server {
    /// Starts readers first and doors last, so that whatever is let in is worked at once.
    pub(crate) async fn start(config: &Config, wired: Wired) -> Result<Self, Failure> {
        let bus = wired.bus.clone().context("the bus is not open")?;
        let (stop, doors_stop) = (CancellationToken::new(), wired.doors_stop.clone());
        let pool = Arc::new(Pool::new(config.detect.threads)?);
        let dead_letters = Arc::new(DeadLetters::new(
            config.data_dir.join("dead-letters"),
            Arc::clone(&wired.metrics),
        ));
        let decoded = Arc::new(Decoded::new(
            bus.id(),
            Arc::clone(&wired.formats) as _,
            Arc::clone(&pool),
            Arc::clone(&dead_letters),
            Arc::clone(&wired.metrics),
        ));

        let mut workers = JoinSet::new();
        let detect = DetectWorker {
            bus: Arc::clone(&bus),
            db: Arc::clone(&wired.db),
            rules: Arc::clone(wired.rules.in_force()),
            decoded: Arc::clone(&decoded),
            pool: Arc::clone(&pool),
            metrics: Arc::clone(&wired.metrics),
            feed_watch: Arc::clone(&wired.feed_watch),
            batch_events_max: config.detect.batch_events_max,
        };
        let index = IndexWorker {
            bus: Arc::clone(&bus),
            db: Arc::clone(&wired.db),
            index: Arc::clone(&wired.index),
            decoded,
            metrics: Arc::clone(&wired.metrics),
            health: Arc::clone(&wired.health),
            refresh: Duration::from_millis(config.index.refresh_ms),
        };
        let correlate = CorrelateWorker {
            bus: Arc::clone(&bus),
            db: Arc::clone(&wired.db),
            rules: Arc::clone(wired.rules.in_force()),
            pool,
            dead_letters: Arc::clone(&dead_letters),
            metrics: Arc::clone(&wired.metrics),
            limits: config.correlate.limits(),
            snapshot_every: Duration::from_secs(config.correlate.snapshot_s),
        };
        let raise = RaiseWorker {
            bus: Arc::clone(&bus),
            db: Arc::clone(&wired.db),
            dead_letters,
            metrics: Arc::clone(&wired.metrics),
        };
        spawn(&mut workers, "detect", &stop, &wired.health, detect.run(stop.clone()));
        spawn(&mut workers, "index", &stop, &wired.health, index.run(stop.clone()));
        spawn(&mut workers, "correlate", &stop, &wired.health, correlate.run(stop.clone()));
        spawn(&mut workers, "raise", &stop, &wired.health, raise.run(stop.clone()));
        let silence = FeedSilence {
            bus: Arc::clone(&bus),
            db: Arc::clone(&wired.db),
            feeds: Arc::clone(&wired.feeds),
            watch: Arc::clone(&wired.feed_watch),
            metrics: Arc::clone(&wired.metrics),
        };
        spawn(&mut workers, "feeds", &stop, &wired.health, silence.run(stop.clone()));
        let keeper = BatchKeeper {
            bus: Arc::clone(&bus),
            db: Arc::clone(&wired.db),
            metrics: Arc::clone(&wired.metrics),
        };
        spawn(&mut workers, "batches", &stop, &wired.health, keeper.run(stop.clone()));
        spawn(
            &mut workers,
            "tend",
            &stop,
            &wired.health,
            tend::run(
                Arc::clone(&bus),
                Arc::clone(&wired.db),
                Arc::clone(&wired.feeds),
                Arc::clone(&wired.metrics),
                stop.clone(),
            ),
        );

        let watching = rules::watch(
            Arc::clone(&wired.rules),
            Duration::from_secs(config.rules.watch_s),
            stop.clone(),
        );
        spawn(&mut workers, "rules", &stop, &wired.health, watching);

        for receiver in Receiver::all(&config.notify) {
            let (db, metrics) = (Arc::clone(&wired.db), Arc::clone(&wired.metrics));
            let telling = NotifyWorker { receiver, db, metrics };
            spawn(&mut workers, "notify", &stop, &wired.health, telling.run(stop.clone()));
        }

        let merging =
            merge::run(Arc::clone(&wired.index), Arc::clone(&wired.metrics), stop.clone());
        spawn(&mut workers, "merge", &stop, &wired.health, merging);

        let keeper = Keeper {
            bus: Arc::clone(&bus),
            db: Arc::clone(&wired.db),
            index: Arc::clone(&wired.index),
            trail: Arc::clone(&wired.trail),
            metrics: Arc::clone(&wired.metrics),
            days: config.retention.days,
        };
        spawn(&mut workers, "keeping", &stop, &wired.health, keeper.run(stop.clone()));

        let watching = indicators::watch(Arc::clone(&wired.indicators), stop.clone());
        spawn(&mut workers, "indicators", &stop, &wired.health, watching);
        let fetching = indicators::fetch_each(Arc::clone(&wired.indicators), stop.clone());
        spawn(&mut workers, "intel", &stop, &wired.health, fetching);

        let mut doors = JoinSet::new();
        let opened = listen::open(config, &wired, &mut doors, &doors_stop).await?;
        tracing::info!(
            ingest = %opened.ingest, api = %opened.api, rules = wired.rules.in_force().now().rules().len(),
            data = %config.data_dir.display(), "jacquemart keeps watch"
        );
        Ok(Self {
            wired,
            ingest: opened.ingest,
            api: opened.api,
            doors_stop,
            doors,
            stop,
            workers,
            socket: config.socket(),
        })
    }

    /// Where `/ingest` listens.
    pub(crate) fn ingest_address(&self) -> SocketAddr {
        self.ingest
    }

    /// Where the API listens.
    pub(crate) fn api_address(&self) -> SocketAddr {
        self.api
    }

    /// Waits until a part fails; does not return while all is well.
    pub(crate) async fn failed(&self) {
        self.stop.cancelled().await;
    }

    /// Closes the doors, lets them answer, ends the readers after the batch they are at (the
    /// index seals what is open), and closes the bus and the database.
    pub(crate) async fn drain(mut self) -> Result<(), Failure> {
        tracing::info!("closing the doors");
        self.doors_stop.cancel();
        if tokio::time::timeout(DOORS_CLOSE_MAX, join_all(&mut self.doors)).await.is_err() {
            tracing::warn!(
                "doors took longer than {DOORS_CLOSE_MAX:?} to close; what they did not acknowledge is the sender's"
            );
            self.doors.shutdown().await;
        }
        self.stop.cancel();
        let outcome = join_all(&mut self.workers).await;
        // A socket that is left behind is replaced at the next start.
        let _ = std::fs::remove_file(&self.socket);
        self.wired.close().await;
        tracing::info!("jacquemart has stopped");
        Ok(outcome?)
    }
}

/// Runs `work` as `name`; its failure stops everything, as a centre that half works would look
/// like one that works.
fn spawn(
    set: &mut JoinSet<anyhow::Result<()>>,
    name: &'static str,
    stop: &CancellationToken,
    health: &Arc<Health>,
    work: impl Future<Output = anyhow::Result<()>> + Send + 'static,
) {
    let (stop, health) = (stop.clone(), Arc::clone(health));
    set.spawn(async move {
        // A task of its own, so that a panic in it is seen here too.
        let outcome = match tokio::spawn(work).await {
            Ok(outcome) => outcome,
            Err(panic) => Err(anyhow!("{panic}")),
        };
        health.ended(name, &outcome);
        if let Err(error) = &outcome {
            tracing::error!(stage = name, error = format!("{error:#}"), "a stage failed; stopping");
        }
        stop.cancel();
        outcome.with_context(|| format!("stage {name} failed"))
    });
}

/// Waits for all; the first failure.
async fn join_all(set: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
    let mut first = Ok(());
    while let Some(joined) = set.join_next().await {
        let outcome = joined.unwrap_or_else(|panic| Err(anyhow!("{panic}")));
        if first.is_ok() {
            first = outcome;
        }
    }
    first
}
