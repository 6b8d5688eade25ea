//! One member of a consumer group.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt as _;
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    config::FromClientConfigAndContext as _,
    consumer::{CommitMode, Consumer as _, StreamConsumer},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    message::BorrowedMessage,
};
use tokio::{task::JoinHandle, time::Instant};

use super::{
    super::{Batch, BusError, Entry, Group, PollLimit, Polled, Reader, Topic},
    ANSWER_MAX, Shared,
    context::{Change, Context},
    frame, lock,
    position::{pack, unpack},
    status::{as_i32, committed_place},
};

/// How long a commit or a seek is tried again while brokers are away or the group is changing.
const PATIENCE: Duration = Duration::from_secs(300);

/// Between two tries.
const AGAIN: Duration = Duration::from_millis(200);

/// How long a closing bus waits for partitions that never came.
const JOIN_MAX: Duration = Duration::from_secs(5);

/// A partition that is ours.
#[derive(Debug, Default)]
struct Place {
    /// Where it begins: a message, and how many of its payloads are done.
    begin: (i64, usize),
    /// How many payloads each message has that was handed out and is not committed.
    counts: BTreeMap<i64, usize>,
    committed: u64,
    /// Nothing was left when we looked last.
    at_end: bool,
}

/// A message whose payloads are being handed out.
struct Pending {
    partition: u32,
    entries: VecDeque<Entry>,
}

pub(super) struct KafkaReader {
    /// Always there until it is dropped.
    consumer: Option<Arc<StreamConsumer<Context>>>,
    shared: Arc<Shared>,
    topic: String,
    group: String,
    places: BTreeMap<u32, Place>,
    /// Asked of the brokers for the first change that is to be said. It is kept here, as a poll
    /// may be dropped before they answer, and the next one waits on.
    asking: Option<JoinHandle<KafkaResult<Vec<Begin>>>>,
    /// Told to the owner, and to be begun when it polls again: until then it may seek.
    starting: Vec<u32>,
    pending: Option<Pending>,
    /// Went wrong behind a batch that was handed out.
    failed: Option<BusError>,
    closing_since: Option<Instant>,
}

impl KafkaReader {
    /// Joins the group; partitions come with the first polls.
    pub(super) fn join(shared: Arc<Shared>, topic: Topic, group: Group) -> Result<Self, BusError> {
        let config = shared.config.consumer(group);
        let name = shared.config.topic(topic);
        let consumer: StreamConsumer<Context> =
            StreamConsumer::from_config_and_context(&config, Context::default())
                .map_err(|error| refused(&name, &error))?;
        consumer.subscribe(&[&name]).map_err(|error| refused(&name, &error))?;
        let group = shared.config.group(group);
        Ok(Self {
            consumer: Some(Arc::new(consumer)),
            shared,
            topic: name,
            group,
            places: BTreeMap::new(),
            asking: None,
            starting: Vec::new(),
            pending: None,
            failed: None,
            closing_since: None,
        })
    }

    fn consumer(&self) -> Result<Arc<StreamConsumer<Context>>, BusError> {
        self.consumer.clone().ok_or(BusError::Stopped)
    }

    /// Begins what the owner was told of and has sought by now.
    fn begin(&mut self) -> Result<(), BusError> {
        if self.starting.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        for partition in self.starting.drain(..) {
            let begin = self.places.get(&partition).map_or(0, |place| place.begin.0);
            list.add_partition_offset(&self.topic, as_i32(partition), Offset::Offset(begin))
                .map_err(|error| refused(&self.topic, &error))?;
        }
        let consumer = self.consumer.as_ref().ok_or(BusError::Stopped)?;
        // Partitions that were taken away again meanwhile are refused here; the change that says
        // so is on its way to the owner.
        if let Err(error) = consumer.incremental_assign(&list) {
            tracing::warn!(%error, group = self.group, "kafka: partitions could not be begun");
        }
        Ok(())
    }

    /// What changed in the group, if something did.
    async fn change(&mut self) -> Result<Option<Polled>, BusError> {
        let consumer = self.consumer()?;
        let change = match consumer.context().first_change() {
            None => return Ok(None),
            Some(Change::Assigned(partitions)) => {
                let asking = self.asking.get_or_insert_with(|| {
                    let (topic, asked) = (self.topic.clone(), partitions.clone());
                    let consumer = Arc::clone(&consumer);
                    tokio::task::spawn_blocking(move || begins(&consumer, &topic, &asked))
                });
                let found = asking.await;
                self.asking = None;
                match found {
                    Ok(Ok(begins)) => begins.into_iter().for_each(|begin| self.place(begin)),
                    Ok(Err(error)) if is_final(&error) => {
                        return Err(refused(&self.topic, &error));
                    }
                    // The change stays to be said; the next poll asks again.
                    unanswered => {
                        tracing::warn!(
                            ?unanswered,
                            group = self.group,
                            "kafka: no broker says where to begin; asking again"
                        );
                        tokio::time::sleep(AGAIN).await;
                        return Ok(Some(Polled::Idle));
                    }
                }
                self.starting.extend(&partitions);
                Polled::Assigned(partitions)
            }
            Some(Change::Revoked(partitions)) => {
                self.places.retain(|partition, _| !partitions.contains(partition));
                self.starting.retain(|partition| !partitions.contains(partition));
                if self.pending.as_ref().is_some_and(|p| partitions.contains(&p.partition)) {
                    self.pending = None;
                }
                Polled::Revoked(partitions)
            }
        };
        consumer.context().said();
        Ok(Some(change))
    }

    fn place(&mut self, Begin { partition, low, committed: mut begin }: Begin) {
        let committed = pack(begin.0, begin.1);
        if begin.0 < low {
            lock(&self.shared.lost).push(format!(
                "{} partition {partition}: Kafka deleted the messages {} to {} before group {} had \
                 read them; raise the topic's retention",
                self.topic,
                begin.0,
                low - 1,
                self.group
            ));
            begin = (low, 0);
        }
        let place = Place { begin, committed, ..Place::default() };
        self.places.insert(partition, place);
    }

    /// Takes what came; messages of partitions that are not ours any more are nobody's loss.
    fn receive(&mut self, received: KafkaResult<BorrowedMessage<'_>>) -> Result<(), BusError> {
        let message = match received {
            Ok(message) => message,
            Err(KafkaError::PartitionEOF(partition)) => {
                let partition = u32::try_from(partition).unwrap_or_default();
                if let Some(place) = self.places.get_mut(&partition) {
                    place.at_end = true;
                }
                return Ok(());
            }
            Err(error) if is_final(&error) => return Err(refused(&self.topic, &error)),
            Err(error) => {
                tracing::warn!(%error, topic = self.topic, "kafka: reading is disturbed; it goes on");
                return Ok(());
            }
        };
        let partition = u32::try_from(message.partition()).unwrap_or_default();
        let Some(place) = self.places.get_mut(&partition) else { return Ok(()) };
        let offset = message.offset();
        let payload = Bytes::copy_from_slice(message.payload().unwrap_or_default());
        // What is no message of ours is handed on as it is: its reader keeps it with the reason.
        let payloads = frame::decode(&payload).unwrap_or_else(|| vec![payload]);
        let done = if place.begin.0 == offset { place.begin.1 } else { 0 };
        place.at_end = false;
        place.counts.insert(offset, payloads.len());
        let entries = payloads.into_iter().enumerate().skip(done);
        let entries: VecDeque<Entry> = entries
            .map(|(index, payload)| Entry { offset: pack(offset, index), payload })
            .collect();
        self.pending = (!entries.is_empty()).then_some(Pending { partition, entries });
        Ok(())
    }

    /// Hands out what there is of one partition, without waiting for more.
    fn take(&mut self, limit: PollLimit) -> Option<Batch> {
        let partition = self.pending.as_ref()?.partition;
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while let Some(pending) = self.pending.as_mut().filter(|p| p.partition == partition) {
            while let Some(entry) = pending.entries.front() {
                bytes += entry.payload.len();
                let is_full = entries.len() >= limit.records_max || bytes > limit.bytes_max;
                if is_full && !entries.is_empty() {
                    return Some(Batch { partition, entries });
                }
                entries.extend(pending.entries.pop_front());
            }
            self.pending = None;
            let Some(consumer) = self.consumer.clone() else { break };
            match consumer.recv().now_or_never() {
                None => break,
                Some(received) => {
                    if let Err(error) = self.receive(received) {
                        self.failed = Some(error);
                        break;
                    }
                    // An end, or a disturbance: enough for now.
                    if self.pending.is_none() {
                        break;
                    }
                }
            }
        }
        (!entries.is_empty()).then_some(Batch { partition, entries })
    }

    /// Whether a closing bus has nothing left for this reader.
    fn is_drained(&mut self) -> bool {
        if !self.shared.closing.is_cancelled() {
            return false;
        }
        let since = *self.closing_since.get_or_insert_with(Instant::now);
        if self.places.is_empty() {
            return since.elapsed() >= JOIN_MAX;
        }
        self.starting.is_empty() && self.places.values().all(|place| place.at_end)
    }
}

#[async_trait]
impl Reader for KafkaReader {
    async fn poll(&mut self, limit: PollLimit, wait: Duration) -> Result<Polled, BusError> {
        let until = Instant::now() + wait;
        self.begin()?;
        loop {
            if let Some(change) = self.change().await? {
                return Ok(change);
            }
            if let Some(batch) = self.take(limit) {
                return Ok(Polled::Batch(batch));
            }
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            if self.is_drained() {
                return Err(BusError::Stopped);
            }
            let consumer = self.consumer()?;
            let closing = self.closing_since.is_some();
            let late = if closing { until.min(Instant::now() + JOIN_MAX) } else { until };
            tokio::select! {
                biased;
                () = consumer.context().changed.notified() => {}
                () = self.shared.closing.cancelled(), if !closing => {}
                received = consumer.recv() => self.receive(received)?,
                () = tokio::time::sleep_until(late) => {
                    if !self.is_drained() {
                        return Ok(Polled::Idle);
                    }
                }
            }
        }
    }

    async fn seek(&mut self, partition: u32, offset: u64) -> Result<(), BusError> {
        if !self.places.contains_key(&partition) {
            return Err(BusError::Refused(format!(
                "partition {partition} of {} is not this reader's",
                self.topic
            )));
        }
        let (consumer, topic) = (self.consumer()?, self.topic.clone());
        let is_running = !self.starting.contains(&partition);
        let seek = move || {
            let (low, high) = consumer.fetch_watermarks(&topic, as_i32(partition), ANSWER_MAX)?;
            let (message, done) = unpack(offset);
            let begin = match message {
                past if past < low => (low, 0),
                ahead if ahead >= high => (high, 0),
                _ => (message, done),
            };
            if is_running {
                let to = Offset::Offset(begin.0);
                consumer.seek(&topic, as_i32(partition), to, ANSWER_MAX)?;
            }
            Ok(begin)
        };
        let begin = on_thread(&self.topic, move || patiently(seek)).await?;
        if self.pending.as_ref().is_some_and(|pending| pending.partition == partition) {
            self.pending = None;
        }
        if let Some(place) = self.places.get_mut(&partition) {
            place.begin = begin;
            place.at_end = false;
        }
        Ok(())
    }

    async fn commit(&mut self, partition: u32, next: u64) -> Result<(), BusError> {
        // Somebody else's by now, who begins at what was committed.
        let Some(place) = self.places.get(&partition) else { return Ok(()) };
        if next <= place.committed {
            return Ok(());
        }
        let (mut message, mut done) = unpack(next);
        if place.counts.get(&message) == Some(&done) {
            (message, done) = (message + 1, 0);
        }
        let (consumer, topic) = (self.consumer()?, self.topic.clone());
        on_thread(&self.topic, move || commit(&consumer, &topic, partition, message, done)).await?;
        if let Some(place) = self.places.get_mut(&partition) {
            place.committed = next;
            place.counts = place.counts.split_off(&message);
        }
        Ok(())
    }
}

impl Drop for KafkaReader {
    /// Leaves the group, which asks the brokers and so must not be done here.
    fn drop(&mut self) {
        let consumer = self.consumer.take();
        let leave = std::thread::Builder::new().name("kafka-leave".to_owned());
        match leave.spawn(move || drop(consumer)) {
            Ok(thread) => {
                let mut leaving = lock(&self.shared.leaving);
                leaving.retain(|thread| !thread.is_finished());
                leaving.push(thread);
            }
            Err(error) => tracing::warn!(%error, "kafka: left a group on the thread at hand"),
        }
    }
}

/// Where a partition is to begin.
#[derive(Debug)]
struct Begin {
    partition: u32,
    /// The first message that Kafka still has.
    low: i64,
    /// As was committed: a message, and how many of its payloads are done.
    committed: (i64, usize),
}

fn begins(
    consumer: &StreamConsumer<Context>,
    topic: &str,
    partitions: &[u32],
) -> KafkaResult<Vec<Begin>> {
    let mut asked = TopicPartitionList::new();
    for partition in partitions {
        asked.add_partition(topic, as_i32(*partition));
    }
    let committed = consumer.committed_offsets(asked, ANSWER_MAX)?;
    let mut begins = Vec::new();
    for element in committed.elements() {
        let (low, _) = consumer.fetch_watermarks(topic, element.partition(), ANSWER_MAX)?;
        let partition = u32::try_from(element.partition()).unwrap_or_default();
        begins.push(Begin { partition, low, committed: committed_place(&element, low) });
    }
    Ok(begins)
}

fn commit(
    consumer: &StreamConsumer<Context>,
    topic: &str,
    partition: u32,
    message: i64,
    done: usize,
) -> KafkaResult<()> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, as_i32(partition), Offset::Offset(message))?;
    if done > 0
        && let Some(mut element) = list.find_partition(topic, as_i32(partition))
    {
        element.set_metadata(done.to_string());
    }
    patiently(|| match consumer.commit(&list, CommitMode::Sync) {
        // The partition went to somebody else, who will do again what was not committed.
        Err(error)
            if matches!(
                error.rdkafka_error_code(),
                Some(
                    RDKafkaErrorCode::IllegalGeneration
                        | RDKafkaErrorCode::UnknownMemberId
                        | RDKafkaErrorCode::AssignmentLost
                        | RDKafkaErrorCode::FencedInstanceId
                )
            ) =>
        {
            Ok(())
        }
        committed => committed,
    })
}

/// Tries again for as long as that may help.
fn patiently<T>(mut run: impl FnMut() -> KafkaResult<T>) -> KafkaResult<T> {
    let began = std::time::Instant::now();
    loop {
        match run() {
            Err(error) if !is_final(&error) && began.elapsed() < PATIENCE => {
                tracing::debug!(%error, "kafka: trying again");
                std::thread::sleep(AGAIN);
            }
            result => return result,
        }
    }
}

/// Whether trying again cannot help.
fn is_final(error: &KafkaError) -> bool {
    if matches!(error, KafkaError::MessageConsumptionFatal(_)) {
        return true;
    }
    matches!(
        error.rdkafka_error_code(),
        Some(
            // A topic that a broker does not know may be one that it does not know yet.
            RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::GroupAuthorizationFailed
        )
    )
}

fn refused(topic: &str, error: &KafkaError) -> BusError {
    BusError::Broker { topic: topic.to_owned(), reason: error.to_string() }
}

async fn on_thread<T: Send + 'static>(
    topic: &str,
    run: impl FnOnce() -> KafkaResult<T> + Send + 'static,
) -> Result<T, BusError> {
    match tokio::task::spawn_blocking(run).await {
        Ok(result) => result.map_err(|error| refused(topic, &error)),
        Err(panic) => Err(BusError::Broker { topic: topic.to_owned(), reason: panic.to_string() }),
    }
}
