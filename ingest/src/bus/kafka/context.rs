//! What librdkafka calls back.

use std::{collections::VecDeque, sync::Mutex};

use rdkafka::{
    ClientContext, TopicPartitionList,
    client::DefaultClientContext,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::KafkaError,
    types::RDKafkaRespErr,
};
use tokio::sync::Notify;

use super::lock;

/// What changed in the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// These partitions are ours, and wait to be begun.
    Assigned(Vec<u32>),
    /// These partitions are ours no more.
    Revoked(Vec<u32>),
}

/// Logs, and remembers what changed in the group until the reader says it.
#[derive(Default)]
pub(super) struct Context {
    changes: Mutex<VecDeque<Change>>,
    pub(super) changed: Notify,
}

impl Context {
    /// What changed first and was not said yet.
    pub(super) fn first_change(&self) -> Option<Change> {
        lock(&self.changes).front().cloned()
    }

    /// It was said.
    pub(super) fn said(&self) {
        lock(&self.changes).pop_front();
    }

    fn note(&self, change: Change) {
        lock(&self.changes).push_back(change);
        self.changed.notify_one();
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error => tracing::error!(facility, "kafka: {message}"),
            RDKafkaLogLevel::Warning => tracing::warn!(facility, "kafka: {message}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(facility, "kafka: {message}");
            }
            RDKafkaLogLevel::Debug => tracing::debug!(facility, "kafka: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // librdkafka goes on trying; what cannot go on is told where it was asked for.
        tracing::warn!(%error, "kafka: {reason}");
    }
}

impl ConsumerContext for Context {
    /// Gives partitions up at once, and leaves it to the reader to begin new ones, as only its
    /// owner knows where: in its database, or as was committed.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let numbers = numbers(partitions);
        let answered = match code {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS if numbers.is_empty() => {
                consumer.incremental_assign(partitions)
            }
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                self.note(Change::Assigned(numbers));
                Ok(())
            }
            _ => {
                let answered = consumer.incremental_unassign(partitions);
                if !numbers.is_empty() {
                    self.note(Change::Revoked(numbers));
                }
                answered
            }
        };
        if let Err(error) = answered {
            tracing::warn!(%error, "kafka: a change of partitions was not taken");
        }
    }
}

fn numbers(partitions: &TopicPartitionList) -> Vec<u32> {
    let elements = partitions.elements();
    elements.iter().filter_map(|element| u32::try_from(element.partition()).ok()).collect()
}

/// The context of clients that only ask.
pub(super) type Asking = DefaultClientContext;
