//! The bus that the configuration names.

use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use ingest::bus::{
    Bus,
    journal::{Journal, JournalConfig},
};

use crate::{Exit, Failure, config::Config};

/// Opens it.
pub(crate) async fn open(config: &Config) -> Result<Arc<dyn Bus>, Failure> {
    let url = config.bus_url();
    match url.split_once("://") {
        Some(("journal", dir)) => {
            let journal = Journal::open(JournalConfig {
                journal_bytes_max: config.journal.journal_bytes_max.0,
                segment_bytes: config.journal.segment_bytes.0,
                ..JournalConfig::new(dir)
            })
            .context("failed to open the journal")?;
            Ok(journal)
        }
        Some(("kafka", brokers)) => open_kafka(config, brokers).await,
        _ => Err(Failure::new(
            Exit::Usage,
            anyhow!("bus: {url:?} is no bus; use journal:///… or kafka://HOST:PORT,…"),
        )),
    }
}

#[cfg(not(feature = "kafka"))]
async fn open_kafka(_config: &Config, _brokers: &str) -> Result<Arc<dyn Bus>, Failure> {
    Err(without_kafka())
}

/// What a binary without Kafka says of it.
#[cfg(not(feature = "kafka"))]
pub(crate) fn without_kafka() -> Failure {
    Failure::usage(
        "bus: this binary was built without Kafka; build it with `--features kafka` (needs libssl-dev, zlib1g-dev and pkg-config), or use journal:///…",
    )
}

#[cfg(feature = "kafka")]
async fn open_kafka(config: &Config, brokers: &str) -> Result<Arc<dyn Bus>, Failure> {
    let config = kafka::config(&config.kafka, brokers)?;
    let bus = ingest::bus::kafka::Kafka::open(config).await.context("failed to open the bus")?;
    Ok(bus)
}

#[cfg(feature = "kafka")]
pub(crate) mod kafka {
    use std::{collections::BTreeMap, path::Path, time::Duration};

    use anyhow::Context as _;
    use ingest::bus::kafka::{KafkaConfig, TopicPlan};

    use crate::{
        Failure,
        config::kafka::{Kafka, Sasl, Security},
    };

    /// How the brokers are reached.
    pub(crate) fn config(section: &Kafka, brokers: &str) -> Result<KafkaConfig, Failure> {
        if brokers.split(',').any(|broker| broker.rsplit_once(':').is_none()) {
            return Err(Failure::usage(format!(
                "bus: kafka://{brokers}: write each broker as HOST:PORT, with commas between them"
            )));
        }
        let mut properties = BTreeMap::new();
        let mut set = |key: &str, value: &str| properties.insert(key.to_owned(), value.to_owned());
        set(
            "security.protocol",
            match section.security {
                Security::Plaintext => "plaintext",
                Security::Ssl => "ssl",
                Security::SaslPlaintext => "sasl_plaintext",
                Security::SaslSsl => "sasl_ssl",
            },
        );
        let files = [
            ("ssl.ca.location", &section.ca_file),
            ("ssl.certificate.location", &section.certificate_file),
            ("ssl.key.location", &section.key_file),
        ];
        for (key, file) in files {
            if let Some(file) = file {
                set(key, &file.to_string_lossy());
            }
        }
        if section.security.has_sasl() {
            set(
                "sasl.mechanism",
                match section.sasl {
                    Sasl::Plain => "PLAIN",
                    Sasl::ScramSha256 => "SCRAM-SHA-256",
                    Sasl::ScramSha512 => "SCRAM-SHA-512",
                },
            );
            set("sasl.username", section.username.as_deref().unwrap_or_default());
            if let Some(file) = &section.password_file {
                set("sasl.password", &password(file)?);
            }
        }
        Ok(KafkaConfig {
            prefix: section.prefix.clone(),
            properties,
            message_bytes_max: usize::try_from(section.message_bytes_max.0).unwrap_or(usize::MAX),
            under_way_bytes_max: section.under_way_bytes_max.0,
            delivery_timeout: Duration::from_secs(section.delivery_timeout_s),
            ..KafkaConfig::new(brokers)
        })
    }

    fn password(file: &Path) -> Result<String, Failure> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("failed to read kafka.password_file {}", file.display()))?;
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }

    /// How the topics are to be.
    pub(crate) fn plan(section: &Kafka) -> TopicPlan {
        TopicPlan {
            records_partitions: section.records_partitions,
            detections_partitions: section.detections_partitions,
            replication: section.replication,
            min_insync_replicas: section.min_insync_replicas,
            retention: Duration::from_secs(section.retention_days.saturating_mul(24 * 3600)),
        }
    }
}
