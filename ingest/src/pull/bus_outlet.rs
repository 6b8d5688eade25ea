//! Straight to the bus, in the service's own process.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use event::{Feed, FeedId, Timestamp};
use tokio::time::sleep;

use super::{Delivered, Outlet, PullError, batch};
use crate::{
    Feeds,
    bus::Bus,
    collect::{CollectMetrics, append, encode},
    quota::Load,
};

/// Records in one append, and bytes.
const BATCH_RECORDS_MAX: usize = 5_000;
const BATCH_BYTES_MAX: usize = 8 << 20;
/// Waits between two tries to append, growing.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(10);
/// After so long a quota is looked at again, as it may have been raised.
const QUOTA_WAIT_MAX: Duration = Duration::from_secs(5);

/// A feed of the service.
pub struct BusOutlet {
    /// The bus.
    pub bus: Arc<dyn Bus>,
    /// The feeds that there are.
    pub feeds: Arc<dyn Feeds>,
    /// What is counted.
    pub metrics: CollectMetrics,
    /// The feed that records are of.
    pub feed: FeedId,
    /// The format that it must have.
    pub format: &'static str,
}

#[async_trait]
impl Outlet for BusOutlet {
    async fn deliver(&self, records: &[Bytes]) -> Result<Delivered, PullError> {
        let feed = self.feed()?;
        let mut delivered = Delivered::default();
        let mut from = 0;
        while from < records.len() {
            let to = from + batch(&records[from..], BATCH_RECORDS_MAX, BATCH_BYTES_MAX);
            self.append(&feed, &records[from..to], &mut delivered).await?;
            from = to;
        }
        Ok(delivered)
    }
}

impl BusOutlet {
    fn feed(&self) -> Result<Arc<Feed>, PullError> {
        let id = &self.feed;
        let feed = self.feeds.by_id(id).ok_or_else(|| {
            PullError::Outlet(format!("there is no feed {id}; add it with `jacquemart feed add`"))
        })?;
        if feed.format.as_str() != self.format {
            return Err(PullError::Outlet(format!(
                "feed {id} has format {}; what this source gives is {}",
                feed.format, self.format
            )));
        }
        Ok(feed)
    }

    async fn append(
        &self,
        feed: &Feed,
        records: &[Bytes],
        delivered: &mut Delivered,
    ) -> Result<(), PullError> {
        let bytes: u64 = records.iter().map(|record| record.len() as u64).sum();
        let load = Load { feed, records: records.len() as u64, bytes };
        while let Err(over) = self.feeds.admit(&[load]) {
            sleep(over.wait.min(QUOTA_WAIT_MAX)).await;
        }
        let received = Timestamp::now();
        let payloads: Vec<Bytes> =
            records.iter().map(|record| encode(feed, received, record.clone(), None)).collect();
        let (mut from, mut pause) = (0, RETRY_MIN);
        while from < payloads.len() {
            let done = append(self.bus.as_ref(), feed, &payloads[from..]).await;
            let settled = from + done.settled;
            let mut bytes: u64 =
                records[from..settled].iter().map(|record| record.len() as u64).sum();
            for refused in &done.refused {
                bytes -= records[from + refused.index].len() as u64;
                self.metrics.rejected(Some(feed), "record-too-large", 1);
                delivered.refused.push(refused.reason.clone());
            }
            let accepted = (done.settled - done.refused.len()) as u64;
            if accepted > 0 {
                self.metrics.accepted(feed, accepted, bytes);
                delivered.accepted += accepted;
                pause = RETRY_MIN;
            }
            from = settled;
            match done.failure {
                None => {}
                Some(error) if error.is_passing() => {
                    tracing::debug!(feed = %feed.id, %error, "waiting for the bus");
                    sleep(pause).await;
                    pause = (pause * 2).min(RETRY_MAX);
                }
                Some(error) => return Err(PullError::Outlet(error.to_string())),
            }
        }
        Ok(())
    }
}
