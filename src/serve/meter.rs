//! What the doors count, as metrics.

use std::sync::Arc;

use event::Feed;
use ingest::collect::Meter;

use super::feed_watch::FeedWatch;
use crate::metrics::Metrics;

pub(crate) struct DoorMeter(pub(crate) Arc<Metrics>, pub(crate) Arc<FeedWatch>);

impl Meter for DoorMeter {
    fn accepted(&self, feed: &Feed, records: u64, bytes: u64) {
        let labels = [feed.commune.as_str(), feed.id.as_str()];
        self.0.records.with_label_values(&labels).inc_by(records);
        self.0.record_bytes.with_label_values(&labels).inc_by(bytes);
        self.1.accepted(feed, records, bytes);
    }

    fn rejected(&self, feed: Option<&Feed>, reason: &'static str, n: u64) {
        self.0.rejected.with_label_values(&[reason]).inc_by(n);
        self.1.rejected(feed, reason, n);
    }
}
