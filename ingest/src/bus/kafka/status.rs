//! How far each group is.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    TopicPartitionList,
    config::FromClientConfig as _,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaResult,
};

use super::{
    super::{Group, GroupLag, Topic},
    Shared, lock, position,
};

/// How long one question may take: whoever asks waits for all of them.
const ANSWER_MAX: Duration = Duration::from_secs(3);

/// A client for each group that asks on its behalf and never joins it.
pub(super) struct Groups {
    shared: Arc<Shared>,
    clients: std::sync::Mutex<Vec<(Group, BaseConsumer)>>,
}

impl Groups {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, clients: std::sync::Mutex::default() }
    }

    /// Asks the brokers; blocks.
    pub(super) fn lags(&self) -> KafkaResult<Vec<GroupLag>> {
        let mut clients = lock(&self.clients);
        if clients.is_empty() {
            for group in Topic::ALL.iter().flat_map(|topic| topic.groups()) {
                let config = self.shared.config.consumer(*group);
                clients.push((*group, BaseConsumer::from_config(&config)?));
            }
        }
        let mut lags = Vec::new();
        for topic in Topic::ALL {
            let name = self.shared.config.topic(topic);
            let partitions = self.shared.partitions(topic);
            let mut ends = Vec::new();
            for (group, client) in
                clients.iter().filter(|(group, _)| topic.groups().contains(group))
            {
                if ends.is_empty() {
                    for partition in 0..partitions {
                        ends.push(client.fetch_watermarks(&name, as_i32(partition), ANSWER_MAX)?);
                    }
                }
                let mut asked = TopicPartitionList::new();
                asked.add_partition_range(&name, 0, as_i32(partitions.saturating_sub(1)));
                let committed = client.committed_offsets(asked, ANSWER_MAX)?;
                for element in committed.elements() {
                    let partition = u32::try_from(element.partition()).unwrap_or_default();
                    let (low, high) = ends.get(partition as usize).copied().unwrap_or_default();
                    let (offset, index) = committed_place(&element, low);
                    lags.push(GroupLag {
                        topic,
                        partition,
                        group: *group,
                        committed: position::pack(offset, index),
                        end: position::pack(high, 0),
                        behind: u64::try_from(high - offset).unwrap_or(0),
                    });
                }
            }
        }
        Ok(lags)
    }
}

/// Where a group is to go on: the message's offset, and how many of its payloads are done.
/// Without a commit it begins at what Kafka still has.
pub(super) fn committed_place(
    element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>,
    low: i64,
) -> (i64, usize) {
    match element.offset() {
        rdkafka::Offset::Offset(offset) => (offset, element.metadata().trim().parse().unwrap_or(0)),
        _ => (low, 0),
    }
}

pub(super) fn as_i32(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}
