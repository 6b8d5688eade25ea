//! Merging small splits, beside everything else.

use std::{sync::Arc, time::Duration};

use event::Timestamp;
use store::index::Index;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

const EVERY: Duration = Duration::from_secs(60);

/// Merges until `stop`. A merge that fails leaves everything as it was and is tried again.
pub(crate) async fn run(
    index: Arc<Index>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(EVERY) => {}
        }
        match index.merge_small(Timestamp::now()).await {
            Ok(0) => {}
            Ok(merges) => tracing::info!(merges, "small splits were merged"),
            Err(error) => {
                metrics.worker_errors.with_label_values(&["merge"]).inc();
                tracing::error!(%error, "failed to merge small splits; trying again within a minute");
            }
        }
    }
}
