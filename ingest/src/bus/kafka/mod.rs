//! The distributed bus: Apache Kafka through librdkafka.
//!
//! Enters: batches of payloads by [`Bus::append`]. Leaves: the same payloads, in the order of
//! their partition, to the members of each group, which share the partitions.
//!
//! # On Kafka
//!
//! | topic | key | holds |
//! |---|---|---|
//! | `<prefix>.records`, `<prefix>.detections` | as [`Bus::append`] was given it | one message for each append (`frame.rs`) |
//! | `<prefix>.meta` | `bus` | the bus's id, drawn when the topics were created |
//!
//! One append is one message, so a batch is there wholly or not, whatever happens to the broker,
//! and its payloads stand beside each other whoever else writes to the partition. The place of a
//! payload is the message's offset and its number within the message (`position.rs`).
//!
//! Groups are Kafka's consumer groups, `<prefix>-<group>`, balanced cooperatively. A commit in the
//! middle of a message commits the message's offset, with the number as its metadata.
//!
//! The producer is idempotent and asks for `acks=all`: what is acknowledged is on as many brokers
//! as `min.insync.replicas` says. What ran into `delivery_timeout` may or may not be on the bus,
//! as with any sender that hears no answer.
//!
//! Kafka deletes by age or size, whether read or not: `jacquemart bus check` compares how long it
//! keeps with what is asked for, and a group that finds its place deleted says so in
//! [`BusStatus::quarantined`].

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use event::BusId;
use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    producer::{FutureProducer, FutureRecord, Producer as _},
    util::Timeout,
};
use tokio_util::sync::CancellationToken;

use self::{context::Context, reader::KafkaReader, status::Groups};
use super::{AppendError, Appended, Bus, BusError, BusStatus, Group, Reader, Topic};

mod brokers;
mod config;
mod context;
mod frame;
mod position;
mod reader;
mod setup;
mod status;

pub use config::KafkaConfig;
pub use setup::{Finding, SetupError, TopicPlan, check, init};

/// How long a question to the brokers may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// How long what is under way may take to arrive when the bus is closed.
const FLUSH_MAX: Duration = Duration::from_secs(30);

/// What the bus and its readers share.
struct Shared {
    config: KafkaConfig,
    partitions: [u32; 2],
    closing: CancellationToken,
    /// Ranges that Kafka deleted before a group had read them, each in words.
    lost: Mutex<Vec<String>>,
    /// Threads in which readers leave their groups.
    leaving: Mutex<Vec<JoinHandle<()>>>,
}

impl Shared {
    fn partitions(&self, topic: Topic) -> u32 {
        match topic {
            Topic::Records => self.partitions[0],
            Topic::Detections => self.partitions[1],
        }
    }
}

/// Apache Kafka as the bus.
pub struct Kafka {
    id: BusId,
    shared: Arc<Shared>,
    producer: FutureProducer<Context>,
    /// Bytes that were given to the producer and not yet acknowledged.
    under_way_bytes: AtomicU64,
    groups: Arc<Groups>,
}

impl Kafka {
    /// Connects, and makes sure that the topics are there and carry what this bus writes.
    pub async fn open(config: KafkaConfig) -> Result<Arc<Self>, SetupError> {
        let found = setup::find(&config).await?;
        let producer = config.producer()?;
        let shared = Arc::new(Shared {
            config,
            partitions: found.partitions,
            closing: CancellationToken::new(),
            lost: Mutex::default(),
            leaving: Mutex::default(),
        });
        Ok(Arc::new(Self {
            id: found.id,
            groups: Arc::new(Groups::new(Arc::clone(&shared))),
            shared,
            producer,
            under_way_bytes: AtomicU64::new(0),
        }))
    }

    fn refuse_late(&self) -> Result<(), AppendError> {
        if self.shared.closing.is_cancelled() {
            return Err(AppendError::Stopped("it is shutting down".to_owned()));
        }
        match self.producer.client().fatal_error() {
            // The producer can no longer tell what was written; only a new one can.
            Some((_, reason)) => Err(AppendError::Stopped(reason)),
            None => Ok(()),
        }
    }

    fn failed(&self, error: &KafkaError) -> AppendError {
        if let Some((_, reason)) = self.producer.client().fatal_error() {
            return AppendError::Stopped(reason);
        }
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::QueueFull) => AppendError::Full {
                used_bytes: self.under_way_bytes.load(Ordering::Relaxed),
                max_bytes: self.shared.config.under_way_bytes_max,
            },
            _ => AppendError::Unavailable(format!(
                "{}: {error}",
                self.shared.config.brokers.as_str()
            )),
        }
    }
}

/// Bytes under way, counted for as long as it lives.
struct UnderWay<'a>(&'a AtomicU64, u64);

impl<'a> UnderWay<'a> {
    fn new(counter: &'a AtomicU64, bytes: u64) -> Self {
        counter.fetch_add(bytes, Ordering::Relaxed);
        Self(counter, bytes)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::Relaxed);
    }
}

#[async_trait]
impl Bus for Kafka {
    fn id(&self) -> BusId {
        self.id
    }

    fn partitions(&self, topic: Topic) -> u32 {
        self.shared.partitions(topic)
    }

    async fn append(
        &self,
        topic: Topic,
        key: &str,
        payloads: Vec<Bytes>,
    ) -> Result<Appended, AppendError> {
        self.refuse_late()?;
        let config = &self.shared.config;
        if payloads.is_empty() {
            return Ok(Appended { partition: 0, first: 0, count: 0 });
        }
        let message = frame::encode(&payloads, config.message_bytes_max)?;
        let bytes = message.len() as u64;
        if !self.has_room(message.len()) {
            return Err(AppendError::Full {
                used_bytes: self.under_way_bytes.load(Ordering::Relaxed),
                max_bytes: config.under_way_bytes_max,
            });
        }
        let _under_way = UnderWay::new(&self.under_way_bytes, bytes);
        let name = config.topic(topic);
        let record = FutureRecord::to(&name).key(key).payload(&message);
        match self.producer.send(record, Timeout::After(Duration::ZERO)).await {
            Ok(delivery) => Ok(Appended {
                partition: u32::try_from(delivery.partition).unwrap_or_default(),
                first: position::pack(delivery.offset, 0),
                count: payloads.len() as u64,
            }),
            Err((error, _)) => Err(self.failed(&error)),
        }
    }

    fn has_room(&self, bytes: usize) -> bool {
        let under_way = self.under_way_bytes.load(Ordering::Relaxed);
        // One batch always goes, however large, so that nothing waits for ever.
        let fits =
            under_way == 0 || under_way + bytes as u64 <= self.shared.config.under_way_bytes_max;
        fits && !self.shared.closing.is_cancelled()
    }

    async fn reader(&self, topic: Topic, group: Group) -> Result<Box<dyn Reader>, BusError> {
        if !topic.groups().contains(&group) {
            return Err(BusError::Refused(format!(
                "group {} does not read topic {}",
                group.as_str(),
                topic.as_str()
            )));
        }
        Ok(Box::new(KafkaReader::join(Arc::clone(&self.shared), topic, group)?))
    }

    async fn status(&self) -> BusStatus {
        let groups = Arc::clone(&self.groups);
        let asked = tokio::task::spawn_blocking(move || groups.lags()).await;
        let (lags, failure) = match asked {
            Ok(Ok(lags)) => (lags, None),
            Ok(Err(error)) => (Vec::new(), Some(format!("the brokers do not answer: {error}"))),
            Err(panic) => (Vec::new(), Some(panic.to_string())),
        };
        BusStatus {
            lags,
            used_bytes: self.under_way_bytes.load(Ordering::Relaxed),
            // What waits for its readers is bounded by the topics' retention, not by us.
            max_bytes: 0,
            quarantined: lock(&self.shared.lost).clone(),
            stopped: match self.refuse_late() {
                Err(AppendError::Stopped(reason)) => Some(reason),
                _ => failure,
            },
        }
    }

    async fn close(&self) {
        self.shared.closing.cancel();
        let (producer, shared) = (self.producer.clone(), Arc::clone(&self.shared));
        let leave = move || {
            if let Err(error) = producer.flush(FLUSH_MAX) {
                tracing::warn!(%error, "not everything under way reached Kafka; nothing of it was acknowledged");
            }
            for thread in std::mem::take(&mut *lock(&shared.leaving)) {
                // One that panicked left its group by timing out.
                let _ = thread.join();
            }
        };
        let _ = tokio::task::spawn_blocking(leave).await;
    }
}

/// Locks, also after a panic elsewhere: what is behind these locks is whole at any time.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
