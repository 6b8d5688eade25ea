//! How Kafka is reached.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::{ClientConfig, config::FromClientConfigAndContext as _, producer::FutureProducer};

use super::{
    super::{Group, Topic},
    context::Context,
    setup::SetupError,
};

/// How to reach Kafka, and within which bounds.
#[derive(Clone)]
pub struct KafkaConfig {
    /// `host:port`, several with commas.
    pub brokers: String,
    /// What the names of topics and groups begin with.
    pub prefix: String,
    /// Properties of librdkafka, for TLS and SASL; they stand above what is set here.
    pub properties: BTreeMap<String, String>,
    /// Bytes of one message, which is one append, at most.
    pub message_bytes_max: usize,
    /// Bytes that wait for the brokers' acknowledgement at most.
    pub under_way_bytes_max: u64,
    /// After so long without acknowledgement an append fails.
    pub delivery_timeout: Duration,
}

impl std::fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Properties may hold a password.
        f.debug_struct("KafkaConfig")
            .field("brokers", &self.brokers)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl KafkaConfig {
    /// The defaults, at these brokers.
    pub fn new(brokers: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            prefix: "jacquemart".to_owned(),
            properties: BTreeMap::new(),
            message_bytes_max: 16 << 20,
            under_way_bytes_max: 64 << 20,
            delivery_timeout: Duration::from_secs(30),
        }
    }

    /// The name of a topic.
    pub(super) fn topic(&self, topic: Topic) -> String {
        format!("{}.{}", self.prefix, topic.as_str())
    }

    /// The name of the topic that the bus's id is in.
    pub(super) fn meta_topic(&self) -> String {
        format!("{}.meta", self.prefix)
    }

    /// The name of a consumer group.
    pub(super) fn group(&self, group: Group) -> String {
        format!("{}-{}", self.prefix, group.as_str())
    }

    /// What every client has.
    pub(super) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", concat!("jacquemart-", env!("CARGO_PKG_VERSION")))
            // A broker that comes back is found within a second.
            .set("reconnect.backoff.max.ms", "1000")
            .set("topic.metadata.refresh.interval.ms", "30000")
            .set("allow.auto.create.topics", "false");
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config
    }

    pub(super) fn producer(&self) -> Result<FutureProducer<Context>, SetupError> {
        let mut config = self.client();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", "zstd")
            .set("compression.level", "1")
            .set("linger.ms", "2")
            .set("message.max.bytes", (self.message_bytes_max + ROOM_BYTES).to_string())
            .set("delivery.timeout.ms", self.delivery_timeout.as_millis().to_string())
            .set("queue.buffering.max.kbytes", (self.under_way_bytes_max / 512).to_string())
            // As the Java clients do it.
            .set("partitioner", "murmur2_random");
        FutureProducer::from_config_and_context(&config, Context::default())
            .map_err(|source| SetupError::Client { source })
    }

    /// A member of `group`.
    pub(super) fn consumer(&self, group: Group) -> ClientConfig {
        let mut config = self.client();
        config
            .set("group.id", self.group(group))
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "earliest")
            // Sealing what was indexed may keep its reader from polling for minutes.
            .set("max.poll.interval.ms", "900000")
            .set("session.timeout.ms", "30000")
            .set("queued.max.messages.kbytes", "32768")
            .set("fetch.wait.max.ms", "100");
        config
    }
}

/// What a message has beside its payload, at most: Kafka's own framing and the key.
pub(super) const ROOM_BYTES: usize = 64 << 10;
