//! What `/metrics` shows of correlations.

use std::time::Duration;

use detect::Stats;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// The counters and gauges of the correlate stage.
pub(crate) struct CorrelateMetrics {
    matches: IntCounter,
    detections: IntCounter,
    missed: IntCounterVec,
    evicted: IntCounterVec,
    groups: IntGauge,
    held: IntGauge,
    pub(crate) snapshot_bytes: IntGauge,
    snapshot_age: IntGauge,
}

impl CorrelateMetrics {
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| -> prometheus::Result<IntCounter> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let labelled = |name: &str, help: &str, label: &str| -> prometheus::Result<IntCounterVec> {
            let counter = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let gauge = |name: &str, help: &str| -> prometheus::Result<IntGauge> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        Ok(Self {
            matches: counter("correlation_matches_total", "Matches that feed a correlation")?,
            detections: counter("correlation_detections_total", "Detections of correlations")?,
            missed: labelled(
                "correlation_irregular_matches_total",
                "Matches that were late, too_late to count, repeated, without_field, or forced out of order",
                "how",
            )?,
            evicted: labelled(
                "correlation_evicted_total",
                "Groups, and matches of groups, forgotten to stay within the limits",
                "what",
            )?,
            groups: gauge("correlation_groups", "Groups that correlations hold")?,
            held: gauge("correlation_held_matches", "Matches held to be put in order")?,
            snapshot_bytes: gauge(
                "correlation_snapshot_bytes",
                "Bytes of the state of correlations as it was last saved",
            )?,
            snapshot_age: gauge(
                "correlation_snapshot_age_seconds",
                "Time since the state of correlations was last saved",
            )?,
        })
    }

    /// Shows what happened since `before`.
    pub(crate) fn measure(&self, now: &Stats, before: &Stats, age: Duration) {
        self.matches.inc_by(now.matches.saturating_sub(before.matches));
        self.detections.inc_by(now.detections.saturating_sub(before.detections));
        for (how, now, before) in [
            ("late", now.late, before.late),
            ("too_late", now.too_late, before.too_late),
            ("repeated", now.repeated, before.repeated),
            ("without_field", now.without_field, before.without_field),
            ("forced", now.forced, before.forced),
        ] {
            self.missed.with_label_values(&[how]).inc_by(now.saturating_sub(before));
        }
        for (what, now, before) in [
            ("group", now.groups_evicted, before.groups_evicted),
            ("match", now.entries_evicted, before.entries_evicted),
        ] {
            self.evicted.with_label_values(&[what]).inc_by(now.saturating_sub(before));
        }
        self.groups.set(i64::try_from(now.groups).unwrap_or(i64::MAX));
        self.held.set(i64::try_from(now.held).unwrap_or(i64::MAX));
        self.snapshot_age.set(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
    }
}
