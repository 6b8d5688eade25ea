//! What is looked after every few seconds.

use std::{sync::Arc, time::Duration};

use ingest::bus::Bus;
use store::db::Database;
use tokio_util::sync::CancellationToken;

use super::feeds::FeedTable;
use crate::metrics::Metrics;

const EVERY: Duration = Duration::from_secs(2);

/// Refreshes the lag gauges and, in case another process changed them, the feeds.
pub(crate) async fn run(
    bus: Arc<dyn Bus>,
    db: Arc<dyn Database>,
    feeds: Arc<FeedTable>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut reported = 0;
    loop {
        let status = bus.status().await;
        for lag in &status.lags {
            let labels = [lag.topic.as_str(), &lag.partition.to_string(), lag.group.as_str()];
            let behind = i64::try_from(lag.behind).unwrap_or(i64::MAX);
            metrics.lag.with_label_values(&labels).set(behind);
        }
        metrics.bus_bytes.set(i64::try_from(status.used_bytes).unwrap_or(i64::MAX));
        metrics.bus_quarantined.set(i64::try_from(status.quarantined.len()).unwrap_or(i64::MAX));
        for range in status.quarantined.iter().skip(reported) {
            tracing::error!(range, "the bus found damage and moved it aside");
        }
        reported = status.quarantined.len();
        if let Err(error) = feeds.refresh(&*db).await {
            tracing::warn!(%error, "failed to read the feeds; keeping those known");
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}
