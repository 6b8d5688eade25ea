//! The bus on Apache Kafka.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::ByteSize;

/// How Kafka is reached, and how its topics are to be. `bus = "kafka://…"` names the brokers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Kafka {
    /// What the names of topics and groups begin with.
    pub(crate) prefix: String,
    pub(crate) security: Security,
    /// Certificates of the authorities that brokers' certificates are checked with; the
    /// system's where it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Our own certificate and its key, where the brokers want one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) certificate_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) sasl: Sasl,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) username: Option<String>,
    /// The first line of this file is the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) password_file: Option<PathBuf>,
    /// One append at most.
    pub(crate) message_bytes_max: ByteSize,
    /// What waits for the brokers at most.
    pub(crate) under_way_bytes_max: ByteSize,
    /// After so long without an answer, senders are told to try again.
    pub(crate) delivery_timeout_s: u64,
    /// For `jacquemart bus init` and `check`.
    pub(crate) records_partitions: u32,
    pub(crate) detections_partitions: u32,
    /// Copies of everything; 0 is three, or as many as there are brokers.
    pub(crate) replication: u32,
    /// Copies that must be there before a sender is answered; 0 is one less than `replication`.
    pub(crate) min_insync_replicas: u32,
    /// How long Kafka keeps what came, read or not.
    pub(crate) retention_days: u64,
}

impl Default for Kafka {
    fn default() -> Self {
        Self {
            prefix: "jacquemart".to_owned(),
            security: Security::Plaintext,
            ca_file: None,
            certificate_file: None,
            key_file: None,
            sasl: Sasl::ScramSha512,
            username: None,
            password_file: None,
            message_bytes_max: ByteSize::mib(16),
            under_way_bytes_max: ByteSize::mib(64),
            delivery_timeout_s: 30,
            records_partitions: 6,
            detections_partitions: 1,
            replication: 0,
            min_insync_replicas: 0,
            retention_days: 7,
        }
    }
}

/// How the connection is protected, in Kafka's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Security {
    Plaintext,
    Ssl,
    SaslPlaintext,
    SaslSsl,
}

impl Security {
    /// Whether a user name and a password are shown.
    pub(crate) const fn has_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

/// How the password is shown, in Kafka's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Sasl {
    #[serde(rename = "PLAIN")]
    Plain,
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

impl Kafka {
    /// What is wrong with it: the key and the reason.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if self.prefix.is_empty() || self.prefix.len() > 200 || !self.prefix.chars().all(is_plain) {
            return Err(("prefix", "must be 1 to 200 of a-z, A-Z, 0-9, '.', '_', '-'".to_owned()));
        }
        if self.security.has_sasl() && (self.username.is_none() || self.password_file.is_none()) {
            return Err((
                "security",
                "SASL needs kafka.username and kafka.password_file".to_owned(),
            ));
        }
        if self.certificate_file.is_some() != self.key_file.is_some() {
            return Err(("key_file", "a certificate and its key come together".to_owned()));
        }
        let bytes = self.message_bytes_max;
        if bytes < ByteSize::mib(10) || bytes > ByteSize::mib(512) {
            return Err((
                "message_bytes_max",
                "must be from 10 MiB, as a record may have 8 MiB, to 512 MiB".to_owned(),
            ));
        }
        if self.under_way_bytes_max < bytes {
            return Err((
                "under_way_bytes_max",
                "must be at least kafka.message_bytes_max".to_owned(),
            ));
        }
        if !(1..=600).contains(&self.delivery_timeout_s) {
            return Err(("delivery_timeout_s", "must be from 1 to 600".to_owned()));
        }
        if self.records_partitions == 0 || self.detections_partitions == 0 {
            return Err(("records_partitions", "a topic has at least one partition".to_owned()));
        }
        if self.retention_days == 0 {
            return Err(("retention_days", "must be at least 1".to_owned()));
        }
        Ok(())
    }
}
