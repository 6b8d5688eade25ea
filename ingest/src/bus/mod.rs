//! The bus seam: a durable, ordered, replayable log between the stages.
//!
//! Two worlds stand behind [`Bus`]: the embedded [`journal`] and, with the feature `kafka`,
//! Apache Kafka. Both have topics split into partitions, offsets that only grow within a
//! partition, and reader groups that commit how far they got. Callers never ask which world they
//! are in.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use event::BusId;

pub mod journal;
#[cfg(feature = "kafka")]
pub mod kafka;
mod random;

/// What a topic carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// [`event::Record`]s as the collectors took them, untouched.
    Records,
    /// [`event::Signal`]s as JSON: detections, and what correlations need besides.
    Detections,
}

impl Topic {
    /// All topics.
    pub const ALL: [Self; 2] = [Self::Records, Self::Detections];

    /// Its name on disk, in Kafka and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Detections => "detections",
        }
    }

    /// The groups that read it. A record is kept until each of them has passed it.
    pub const fn groups(self) -> &'static [Group] {
        match self {
            Self::Records => &[Group::Detect, Group::Index],
            Self::Detections => &[Group::Correlate, Group::Raise],
        }
    }
}

/// Readers that share a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// Matches rules.
    Detect,
    /// Indexes events.
    Index,
    /// Correlates what was matched.
    Correlate,
    /// Raises incidents.
    Raise,
}

impl Group {
    /// Its name on disk, in Kafka and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Detect => "detect",
            Self::Index => "index",
            Self::Correlate => "correlate",
            Self::Raise => "raise",
        }
    }
}

/// Where appended payloads landed: consecutive offsets from `first` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The partition.
    pub partition: u32,
    /// Offset of the first payload.
    pub first: u64,
    /// How many there are.
    pub count: u64,
}

/// Why nothing of a batch was taken. The texts complete "failed to append: …".
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// `journal_bytes_max` (or a quota of the broker) is reached; readers must catch up first.
    #[error("the bus is full: {used_bytes} of {max_bytes} bytes wait for their readers")]
    Full {
        /// Bytes that wait.
        used_bytes: u64,
        /// The bound.
        max_bytes: u64,
    },
    /// One payload is larger than the bus carries, or the batch up to and with it is.
    #[error("payload {index} has {bytes} bytes, more than the {max_bytes} allowed")]
    TooLarge {
        /// Its place in the batch, from 0.
        index: usize,
        /// Its size, or that of the batch up to it.
        bytes: usize,
        /// The bound.
        max_bytes: usize,
    },
    /// The brokers did not acknowledge in time. The batch may be on the bus or not: whoever sends
    /// it again may double it.
    #[error("the bus does not answer: {0}")]
    Unavailable(String),
    /// The bus is shutting down, or stopped itself because a write or fsync failed: what is not
    /// known to be durable must not be acknowledged.
    #[error("the bus is stopped: {0}")]
    Stopped(String),
}

impl AppendError {
    /// Whether waiting and trying again may help.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Unavailable(_))
    }
}

/// Why reading or committing failed. The texts complete "failed to read the bus: …".
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The disk said no.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The brokers said no, or did not answer for too long.
    #[error("{topic}: {reason}")]
    Broker {
        /// The topic.
        topic: String,
        /// What they said.
        reason: String,
    },
    /// The bus is shutting down.
    #[error("the bus is stopped")]
    Stopped,
    /// What is on disk is not what this version writes.
    #[error("{path}: {reason}")]
    Format {
        /// The file.
        path: String,
        /// What is wrong and how to mend it.
        reason: String,
    },
    /// The caller asked for what the bus does not give: a second reader of a group, a group or
    /// partition that the topic does not have.
    #[error("{0}")]
    Refused(String),
}

/// One payload with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its offset in the partition.
    pub offset: u64,
    /// What was appended.
    pub payload: Bytes,
}

/// Consecutive payloads of one partition; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The partition.
    pub partition: u32,
    /// The payloads, by growing offset (with gaps where the bus lost or skipped some).
    pub entries: Vec<Entry>,
}

impl Batch {
    /// The offset to commit once the whole batch has had its effect.
    pub fn next(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.offset + 1)
    }
}

/// What polling gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Polled {
    /// Something to do.
    Batch(Batch),
    /// Nothing came within the wait.
    Idle,
    /// These partitions are this reader's from now on, to be read from their committed offset
    /// unless the caller seeks. The journal says it once, first.
    Assigned(Vec<u32>),
    /// These partitions are another reader's from now on: forget what is unfinished of them.
    Revoked(Vec<u32>),
}

/// How much a poll takes at most. The first payload is always taken, however large.
#[derive(Clone, Copy, Debug)]
pub struct PollLimit {
    /// Payloads.
    pub records_max: usize,
    /// Bytes of payload.
    pub bytes_max: usize,
}

/// How far one group is in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupLag {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: u32,
    /// The group.
    pub group: Group,
    /// The next offset that it has not committed.
    pub committed: u64,
    /// The next offset that will be given out.
    pub end: u64,
    /// How much waits: payloads in the journal; on Kafka, whose brokers cannot see into them,
    /// appends.
    pub behind: u64,
}

/// How the bus is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BusStatus {
    /// Per topic, partition and group.
    pub lags: Vec<GroupLag>,
    /// Bytes that wait for the slowest of their readers, where the bus knows.
    pub used_bytes: u64,
    /// The bound on them; 0 where there is none.
    pub max_bytes: u64,
    /// Ranges that were found damaged and moved aside, each with what, where and how many
    /// records are thought lost. Empty on a healthy bus.
    pub quarantined: Vec<String>,
    /// Why the bus refuses to append, where it does.
    pub stopped: Option<String>,
}

/// A durable, ordered log.
///
/// Contract, checked on every backend by `tests/bus_contract.rs`: what [`append`](Self::append)
/// acknowledged is read by every group, in order within its partition, at least once, also
/// after SIGKILL; what it refused is never read; a commit is durable when it returns, and a new
/// reader of the group begins there.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Drawn when the bus was created, and kept with it.
    fn id(&self) -> BusId;

    /// How many partitions `topic` has. The journal has one.
    fn partitions(&self, topic: Topic) -> u32;

    /// Adds `payloads` to the partition that `key` belongs to, all or none, at consecutive
    /// offsets. Returns once they are durable: after the fsync that covers them, or Kafka's
    /// `acks=all`. Waits for the disk but never for readers. Cancel-safe only in that a dropped
    /// call may or may not have appended.
    async fn append(
        &self,
        topic: Topic,
        key: &str,
        payloads: Vec<Bytes>,
    ) -> Result<Appended, AppendError>;

    /// Whether a batch of `bytes` would be taken now, to refuse before reading a body.
    fn has_room(&self, bytes: usize) -> bool;

    /// A member of `group` reading `topic`. The journal allows one live reader a group.
    async fn reader(&self, topic: Topic, group: Group) -> Result<Box<dyn Reader>, BusError>;

    /// Lags, sizes and damage.
    async fn status(&self) -> BusStatus;

    /// Refuses further appends, finishes those under way, and wakes readers with
    /// [`BusError::Stopped`] once they have nothing left to read.
    async fn close(&self);
}

/// One member of a reader group.
#[async_trait]
pub trait Reader: Send {
    /// The next batch, or what changed; waits up to `wait` where there is nothing. Cancel-safe:
    /// a dropped call loses nothing.
    async fn poll(&mut self, limit: PollLimit, wait: Duration) -> Result<Polled, BusError>;

    /// Continues `partition` at `offset` (clamped to what is still there), for groups that keep
    /// their cursor with their effect, in a database.
    async fn seek(&mut self, partition: u32, offset: u64) -> Result<(), BusError>;

    /// Says that everything below `next` in `partition` has had its durable effect. Idempotent;
    /// a smaller `next` than the committed one changes nothing.
    async fn commit(&mut self, partition: u32, next: u64) -> Result<(), BusError>;
}
