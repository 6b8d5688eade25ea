//! What `/metrics` shows, each with its unit in its name.

mod correlate;

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

pub(crate) use self::correlate::CorrelateMetrics;

/// Bounds for times from receipt, in seconds.
const LATENCY_BUCKETS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0];

/// The counters, gauges and histograms of one process.
pub(crate) struct Metrics {
    pub(crate) registry: Registry,
    pub(crate) records: IntCounterVec,
    pub(crate) record_bytes: IntCounterVec,
    pub(crate) rejected: IntCounterVec,
    pub(crate) decode_failures: IntCounterVec,
    pub(crate) detections: IntCounterVec,
    pub(crate) incidents: IntCounterVec,
    pub(crate) dead_letters: IntCounterVec,
    pub(crate) worker_errors: IntCounterVec,
    pub(crate) notices: IntCounterVec,
    pub(crate) lag: IntGaugeVec,
    pub(crate) bus_bytes: IntGauge,
    pub(crate) bus_quarantined: IntGauge,
    pub(crate) rules: IntGauge,
    pub(crate) rules_refused: IntGauge,
    pub(crate) rules_kept: IntGauge,
    pub(crate) rules_reloads: IntCounterVec,
    pub(crate) suppressed: IntCounterVec,
    pub(crate) indicators: IntGaugeVec,
    pub(crate) indicators_refused: IntGaugeVec,
    pub(crate) indicators_refreshed: IntGaugeVec,
    pub(crate) indicator_failures: IntCounterVec,
    pub(crate) indicator_hits: IntCounterVec,
    pub(crate) indicators_allowed: IntCounter,
    pub(crate) indicators_cut: IntCounter,
    pub(crate) pulled: IntGaugeVec,
    pub(crate) pull_failures: IntCounterVec,
    pub(crate) pull_token_expires: IntGaugeVec,
    pub(crate) indexed: IntCounter,
    pub(crate) matched: IntCounter,
    pub(crate) raised: IntCounter,
    pub(crate) checkpoints: IntCounter,
    pub(crate) removed: IntCounterVec,
    pub(crate) correlate: CorrelateMetrics,
    pub(crate) to_detection: Histogram,
    pub(crate) to_incident: Histogram,
    pub(crate) to_searchable: Histogram,
}

impl Metrics {
    /// Registers everything in a registry of its own.
    pub(crate) fn new() -> prometheus::Result<Self> {
        let registry = Registry::new_custom(Some("jacquemart".to_owned()), None)?;
        let counter =
            |name: &str, help: &str, labels: &[&str]| -> prometheus::Result<IntCounterVec> {
                let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
                registry.register(Box::new(counter.clone()))?;
                Ok(counter)
            };
        let single = |name: &str, help: &str| -> prometheus::Result<IntCounter> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let gauge = |name: &str, help: &str| -> prometheus::Result<IntGauge> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let of_source = |name: &str, help: &str| -> prometheus::Result<IntGaugeVec> {
            let gauge = IntGaugeVec::new(Opts::new(name, help), &["source"])?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let latency = |name: &str, help: &str| -> prometheus::Result<Histogram> {
            let opts = HistogramOpts::new(name, help).buckets(LATENCY_BUCKETS.to_vec());
            let histogram = Histogram::with_opts(opts)?;
            registry.register(Box::new(histogram.clone()))?;
            Ok(histogram)
        };
        let feed = &["commune", "feed"];
        let lag = IntGaugeVec::new(
            Opts::new("lag_records", "Records that a reader group has not passed yet"),
            &["topic", "partition", "group"],
        )?;
        registry.register(Box::new(lag.clone()))?;
        Ok(Self {
            records: counter("records_total", "Records acknowledged to their sender", feed)?,
            record_bytes: counter("record_bytes_total", "Bytes of the records acknowledged", feed)?,
            rejected: counter(
                "rejected_records_total",
                "Records refused at a door, by reason",
                &["reason"],
            )?,
            decode_failures: counter(
                "decode_failures_total",
                "Records kept as event.kind pipeline_error",
                feed,
            )?,
            detections: counter(
                "detections_total",
                "Detections made, by level",
                &["commune", "level"],
            )?,
            incidents: counter("incidents_total", "Incidents opened", &["commune"])?,
            dead_letters: counter(
                "dead_letters_total",
                "Payloads on the bus that this version can't read",
                &["topic"],
            )?,
            worker_errors: counter(
                "worker_errors_total",
                "Tries of a stage that failed and were repeated",
                &["stage"],
            )?,
            notices: counter(
                "notices_total",
                "Tries to tell a receiver of an incident, by what came of them",
                &["receiver", "outcome"],
            )?,
            lag,
            bus_bytes: gauge("bus_bytes", "Bytes that the bus holds on disk")?,
            bus_quarantined: gauge(
                "bus_quarantined_ranges",
                "Damaged ranges that the bus moved aside",
            )?,
            rules: gauge("rules", "Rules in use")?,
            rules_refused: gauge("rules_refused", "Rules that did not load")?,
            rules_kept: gauge(
                "rules_kept",
                "Rules and filters that stand as they were read earlier, because their files became bad",
            )?,
            rules_reloads: counter(
                "rules_reloads_total",
                "Times that the rule files were read anew, by cause and outcome",
                &["cause", "outcome"],
            )?,
            suppressed: counter(
                "suppressed_matches_total",
                "Matches that a commune's policy took away, by reason: disabled or exception",
                &["commune", "rule", "reason"],
            )?,
            indicators: of_source("indicators", "Indicators in use")?,
            indicators_refused: of_source(
                "indicators_refused",
                "Indicators of no use, of what a source said last",
            )?,
            indicators_refreshed: of_source(
                "indicators_refreshed_timestamp_seconds",
                "When a source last answered, since 1970",
            )?,
            indicator_failures: counter(
                "indicator_failures_total",
                "Times that a source of indicators could not be refreshed",
                &["source"],
            )?,
            indicator_hits: counter(
                "indicator_hits_total",
                "Detections that rest on an indicator",
                &["source"],
            )?,
            indicators_allowed: single(
                "indicators_allowed_total",
                "Values that an indicator names and an allow list keeps silent",
            )?,
            indicators_cut: single(
                "indicators_cut_total",
                "Indicators past the 64 that one event is a detection of",
            )?,
            pulled: of_source(
                "pull_success_timestamp_seconds",
                "When a vendor's API was last asked for all that it has, since 1970",
            )?,
            pull_failures: counter(
                "pull_failures_total",
                "Rounds over a vendor's API that did not come to their end",
                &["source"],
            )?,
            pull_token_expires: of_source(
                "pull_token_expires_timestamp_seconds",
                "When the token for a vendor's API expires, since 1970, where the vendor tells",
            )?,
            indexed: single("indexed_events_total", "Events made searchable")?,
            matched: single("matched_events_total", "Events that all rules were matched against")?,
            raised: single(
                "raised_detections_total",
                "Detections that passed the raise stage, known ones included",
            )?,
            checkpoints: single(
                "index_checkpoints_total",
                "Times that splits were sealed and published",
            )?,
            removed: counter(
                "events_removed_total",
                "Events that were dropped as they were old, or purged",
                &["why"],
            )?,
            correlate: CorrelateMetrics::register(&registry)?,
            to_detection: latency(
                "receipt_to_detection_seconds",
                "From receipt of a record to its detections being durable",
            )?,
            to_incident: latency(
                "receipt_to_incident_seconds",
                "From receipt of a record to its incident being durable",
            )?,
            to_searchable: latency(
                "receipt_to_searchable_seconds",
                "From receipt of a record to its event being searchable",
            )?,
            registry,
        })
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_name_registers_once() {
        let metrics = super::Metrics::new().unwrap();
        metrics.indexed.inc();
        assert!(!metrics.registry.gather().is_empty());
    }
}
