//! From URLs to what runs: the only place that knows which backend stands behind which seam.

pub(crate) mod bus;
pub(crate) mod splits;

use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use api::RequestMetrics;
use axum::{Extension, Router};
use event::{Decode, FormatName};
use ingest::{bus::Bus, formats::Formats};
use store::{
    audit::Trail,
    auth::{Caller, DataDir},
    db::{self, Database},
    hunt::{Hunt, Hunter, HunterConfig},
    index::{Index, IndexConfig},
};

use tokio_util::sync::CancellationToken;

use crate::{
    Exit, Failure,
    config::Config,
    indicators::Indicators,
    metrics::Metrics,
    rules::{InForce, Keeper},
    serve::{FeedTable, FeedWatch, Health, RuleBook},
};

/// What a process opens the data folder for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenMode {
    /// To run the centre.
    Serve,
    /// To answer one command; the bus stays shut.
    Offline,
}

/// The parts, opened and connected, none of them running yet.
pub(crate) struct Wired {
    pub(crate) data: DataDir,
    pub(crate) bus: Option<Arc<dyn Bus>>,
    pub(crate) db: Arc<dyn Database>,
    pub(crate) index: Arc<Index>,
    pub(crate) hunt: Arc<dyn Hunt>,
    pub(crate) formats: Arc<Formats>,
    pub(crate) rules: Arc<Keeper>,
    pub(crate) indicators: Arc<Indicators>,
    pub(crate) feeds: Arc<FeedTable>,
    pub(crate) feed_watch: Arc<FeedWatch>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Arc<Health>,
    requests: RequestMetrics,
    pub(crate) trail: Arc<Trail>,
    audit: api::Audit,
    streams: api::Streams,
    /// Closes the doors.
    pub(crate) doors_stop: CancellationToken,
    metrics_open: bool,
}

impl Wired {
    /// Takes the data folder and opens what the configuration names.
    pub(crate) async fn open(config: &Config, mode: OpenMode) -> Result<Self, Failure> {
        let data = DataDir::hold(&config.data_dir).map_err(|error| {
            Failure::new(Exit::Unreachable, error.into()).context("failed to open the data folder")
        })?;
        let metrics = Arc::new(Metrics::new().context("failed to register metrics")?);
        let requests =
            RequestMetrics::register(&metrics.registry).context("failed to register metrics")?;
        let formats = config.formats().map_err(|error| Failure::usage(error.to_string()))?;
        let formats = Arc::new(formats);
        let decode: Arc<dyn Decode> = Arc::clone(&formats) as _;

        let db =
            db::connect(&config.database_url()).await.context("failed to open the database")?;
        let trail = Trail::open(config.audit.trail(&config.data_dir)).await;
        let trail = Arc::new(trail.map_err(|error| anyhow!("failed to {error}"))?);
        let splits = splits::open(config)?;
        let index_config = IndexConfig {
            checkpoint_events_max: config.index.checkpoint_events_max,
            checkpoint_bytes_max: config.index.checkpoint_bytes_max.0,
            checkpoint_age_max: std::time::Duration::from_secs(config.index.checkpoint_age_max_s),
            ..IndexConfig::new(config.data_dir.join("index"))
        };
        let index = Index::open(index_config, Arc::new(splits), Arc::clone(&db), decode)
            .await
            .context("failed to open the index")?;
        let hunt: Arc<dyn Hunt> =
            Arc::new(Hunter::new(Arc::clone(&index), HunterConfig::default()));
        let bus = match mode {
            OpenMode::Serve => Some(bus::open(config).await?),
            OpenMode::Offline => None,
        };
        let feeds = Arc::new(FeedTable::default());
        feeds.refresh(&*db).await.context("failed to read the feeds")?;
        let is_serving = mode == OpenMode::Serve;
        let (of_db, of_metrics) = (Arc::clone(&db), Arc::clone(&metrics));
        let rules = Keeper::open(config.rules.clone(), of_db, of_metrics, is_serving)
            .await
            .context("failed to load the rules")?;
        let indicators = open_indicators(config, rules.in_force(), &metrics, is_serving).await?;
        let health = Arc::new(Health::new(
            bus.clone(),
            Arc::clone(&db),
            Arc::clone(&trail),
            Arc::clone(&rules),
        ));
        let feed_watch = FeedWatch::new(Arc::clone(&formats), Arc::clone(rules.in_force()));
        let feed_watch = Arc::new(feed_watch);
        Ok(Self {
            data,
            bus,
            db,
            index,
            hunt,
            formats,
            rules,
            indicators,
            feeds,
            feed_watch,
            metrics,
            health,
            requests,
            audit: api::Audit::new(Arc::clone(&trail)),
            trail,
            streams: api::Streams::default(),
            doors_stop: CancellationToken::new(),
            metrics_open: config.api.metrics_open,
        })
    }

    /// The API, with `Caller`s known by their tokens.
    pub(crate) fn api(&self) -> Router {
        let (feeds, db) = (Arc::clone(&self.feeds), Arc::clone(&self.db));
        let changed = move || {
            let (feeds, db) = (Arc::clone(&feeds), Arc::clone(&db));
            tokio::spawn(async move {
                if let Err(error) = feeds.refresh(&*db).await {
                    tracing::error!(%error, "failed to read the feeds anew; trying again within seconds");
                }
            });
        };
        api::router(api::Api {
            db: Arc::clone(&self.db),
            hunt: Arc::clone(&self.hunt),
            rules: Arc::new(RuleBook::new(Arc::clone(&self.rules))),
            indicators: Arc::clone(&self.indicators) as _,
            feeds_changed: Arc::new(changed),
            feed_watch: Arc::clone(&self.feed_watch) as _,
            formats: self
                .formats
                .names()
                .into_iter()
                .filter_map(|name| FormatName::new(name).ok())
                .collect(),
            health: Arc::clone(&self.health) as _,
            metrics: self.metrics.registry.clone(),
            requests: self.requests.clone(),
            audit: self.audit.clone(),
            streams: self.streams.clone(),
            stopping: self.doors_stop.clone(),
            metrics_open: self.metrics_open,
        })
    }

    /// The API for whoever reaches the data folder: the operator.
    pub(crate) fn local_api(&self) -> Router {
        self.api().layer(Extension(api::LocalOperator(Caller::operator(&self.data))))
    }

    /// Closes what was opened and is not running.
    pub(crate) async fn close(self) {
        if let Some(bus) = &self.bus {
            bus.close().await;
        }
        self.trail.close().await;
        self.db.close().await;
    }
}

/// The indicators, in force where something is about to be matched, so that a restart misses
/// nothing; a command compiles them only where it asks for them.
async fn open_indicators(
    config: &Config,
    in_force: &Arc<InForce>,
    metrics: &Arc<Metrics>,
    is_serving: bool,
) -> Result<Arc<Indicators>, Failure> {
    let opened = Indicators::open(config, Arc::clone(in_force), Arc::clone(metrics))?;
    let indicators = Arc::new(opened);
    if is_serving {
        let compiling = Arc::clone(&indicators);
        tokio::task::spawn_blocking(move || compiling.compile())
            .await
            .context("compiling indicators panicked")?
            .context("failed to put indicators in force")?;
    }
    Ok(indicators)
}
