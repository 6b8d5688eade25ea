//! Vendors' APIs that this process asks for its own feeds.

use std::sync::Arc;

use event::{FeedId, Timestamp};
use ingest::{
    Feeds,
    bus::Bus,
    collect::CollectMetrics,
    pull::{BusOutlet, Outlet, Round},
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::FeedWatch;
use crate::{
    config::Config,
    metrics::Metrics,
    pull::{Configured, OutletOf, Tell, tend},
};

/// Where what is pulled goes.
pub(super) struct Into {
    pub(super) bus: Arc<dyn Bus>,
    pub(super) feeds: Arc<dyn Feeds>,
    pub(super) metrics: CollectMetrics,
    pub(super) watch: Arc<FeedWatch>,
}

/// Asks the sources that have a feed, each by itself, in `set` until `stop`.
pub(super) fn spawn(
    config: &Config,
    into: &Into,
    metrics: &Arc<Metrics>,
    set: &mut JoinSet<anyhow::Result<()>>,
    stop: &CancellationToken,
) {
    let folder = config.data_dir.join("pull");
    for source in &config.pull.sources {
        let Some(feed) = source.feed.clone() else { continue };
        let (bus, feeds) = (Arc::clone(&into.bus), Arc::clone(&into.feeds));
        let counted = Arc::clone(&into.metrics);
        let told = Measured {
            metrics: Arc::clone(metrics),
            watch: Arc::clone(&into.watch),
            feed: feed.clone(),
        };
        let outlet: OutletOf = Arc::new(move |format| {
            let outlet: Arc<dyn Outlet> = Arc::new(BusOutlet {
                bus: Arc::clone(&bus),
                feeds: Arc::clone(&feeds),
                metrics: Arc::clone(&counted),
                feed: feed.clone(),
                format,
            });
            Ok(outlet)
        });
        let tell = Arc::new(told);
        let asking = tend(Configured::new(source, &folder), outlet, tell, stop.clone());
        set.spawn(async move {
            asking.await;
            Ok(())
        });
    }
}

/// Rounds as metrics, and in the feed's health.
struct Measured {
    metrics: Arc<Metrics>,
    watch: Arc<FeedWatch>,
    feed: FeedId,
}

impl Tell for Measured {
    fn ended(&self, source: &str, _: &Round) {
        let now = Timestamp::now().as_millis() / 1_000;
        self.metrics.pulled.with_label_values(&[source]).set(now);
        self.watch.pulled(&self.feed, Ok(()));
    }

    fn failed(&self, source: &str, error: &str) {
        self.metrics.pull_failures.with_label_values(&[source]).inc();
        self.watch.pulled(&self.feed, Err(error));
    }

    fn expires(&self, source: &str, at: Timestamp) {
        self.metrics.pull_token_expires.with_label_values(&[source]).set(at.as_millis() / 1_000);
        self.watch.pull_token_expires(&self.feed, at);
    }
}
