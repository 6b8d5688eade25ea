//! The log of one topic: its segments, groups and waiting appends. Shared by the committer
//! that writes it and the readers.

use std::{
    io,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::{Semaphore, oneshot, watch};

use super::{
    cache::Cache,
    cursors::CursorFile,
    frame::{ALIGN, Frame, Spot, frame_bytes},
    lock,
    quarantine::Quarantine,
    segment::{Home, Segment},
    state::{GroupState, Pending, State},
};
use crate::bus::{AppendError, Appended, GroupLag};

/// Bytes that one group commit takes together, unless its first batch alone is larger.
const GROUP_BYTES_MAX: u64 = 8 << 20;
/// How long appends are refused after the disk was found full, before it is tried again.
const FULL_DISK_PAUSE: Duration = Duration::from_millis(500);

/// The bounds of one topic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// What may wait for the slowest group.
    pub(super) share_bytes_max: u64,
    pub(super) payload_bytes_max: usize,
    pub(super) batch_bytes_max: u64,
    pub(super) pending_bytes_max: u32,
    /// What is kept although every group has passed it.
    pub(super) keep_bytes_min: u64,
}

/// What readers wait on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tail {
    /// The offset after the last durable payload.
    pub(super) end: u64,
    /// Nothing comes any more.
    pub(super) closed: bool,
}

/// Counts since the journal was opened.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) fsyncs: AtomicU64,
    pub(super) batches: AtomicU64,
    pub(super) payloads: AtomicU64,
    pub(super) bytes: AtomicU64,
}

/// The log of one topic.
pub(super) struct Log {
    pub(super) home: Home,
    pub(super) limits: Limits,
    pub(super) state: Mutex<State>,
    pub(super) cache: Mutex<Cache>,
    pub(super) tail: watch::Sender<Tail>,
    pub(super) counters: Counters,
    /// In the order of the topic's groups. Locked for the time of one commit.
    pub(super) cursors: Vec<Mutex<CursorFile>>,
    pub(super) quarantine: Arc<Quarantine>,
    /// One repair at a time, so that two readers never both mend one range.
    pub(super) repair: Mutex<()>,
    pub(super) room: Arc<Semaphore>,
    pub(super) wake: Condvar,
    /// Keeps other processes out for as long as anyone uses the log.
    pub(super) _lock: Arc<std::fs::File>,
}

// Appending.
impl Log {
    /// Hands a batch to the committer and waits until it is durable.
    pub(super) async fn append(&self, payloads: Vec<Bytes>) -> Result<Appended, AppendError> {
        self.check_sizes(&payloads)?;
        let bytes = frame_bytes(&payloads);
        lock(&self.state).admit(bytes, &self.limits)?;
        if payloads.is_empty() {
            return Ok(Appended { partition: 0, first: self.tail.borrow().end, count: 0 });
        }
        let permits = self.limits.pending_bytes_max.min(bytes.try_into().unwrap_or(u32::MAX));
        let gone = |_| AppendError::Stopped("its committer ended".to_owned());
        let room = Arc::clone(&self.room).acquire_many_owned(permits).await;
        let room = room.map_err(|_| AppendError::Stopped("it is shutting down".to_owned()))?;
        let (done, settled) = oneshot::channel();
        {
            let mut state = lock(&self.state);
            state.admit(bytes, &self.limits)?;
            state.queued_bytes += bytes;
            state.queue.push_back(Pending { payloads, bytes, done, _room: room });
        }
        self.wake.notify_one();
        settled.await.map_err(gone)?
    }

    fn check_sizes(&self, payloads: &[Bytes]) -> Result<(), AppendError> {
        let payload_max = self.limits.payload_bytes_max;
        let batch_max = self.limits.batch_bytes_max;
        let mut batch = frame_bytes(&[]);
        for (index, payload) in payloads.iter().enumerate() {
            let bytes = payload.len();
            if bytes > payload_max {
                return Err(AppendError::TooLarge { index, bytes, max_bytes: payload_max });
            }
            batch += frame_bytes(std::slice::from_ref(payload)) - frame_bytes(&[]);
            if batch > batch_max {
                return Err(AppendError::TooLarge {
                    index,
                    bytes: batch as usize,
                    max_bytes: batch_max as usize,
                });
            }
        }
        Ok(())
    }

    /// Whether a batch of about `bytes` would be taken now.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        let bytes = (bytes as u64).saturating_add(frame_bytes(&[]));
        lock(&self.state).admit(bytes, &self.limits).is_ok()
    }
}

// What the committer does to it.
impl Log {
    /// The batches to make durable together; `None` once the log closes and none is left.
    pub(super) fn take_group(&self) -> Option<Vec<Pending>> {
        let mut state = lock(&self.state);
        loop {
            if !state.queue.is_empty() {
                let mut group = Vec::new();
                let mut bytes = 0;
                while let Some(pending) = state.queue.front()
                    && (group.is_empty() || bytes + pending.bytes <= GROUP_BYTES_MAX)
                {
                    bytes += pending.bytes;
                    group.extend(state.queue.pop_front());
                }
                return Some(group);
            }
            if state.closing {
                return None;
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets readers see frames that are durable now, up to `end` of `segment`.
    pub(super) fn publish(&self, segment: &Segment, end: u64, next: u64, frames: Vec<Frame>) {
        let bytes = |frame: &Frame| (frame.bytes() as u64).next_multiple_of(ALIGN);
        let settled: u64 = frames.iter().map(bytes).sum();
        {
            let mut cache = lock(&self.cache);
            for frame in frames {
                cache.push(frame);
            }
        }
        segment.set_end(end);
        {
            let mut state = lock(&self.state);
            state.end = next;
            state.end_bytes = segment.start_bytes + end;
            state.queued_bytes = state.queued_bytes.saturating_sub(settled);
            state.full_disk = None;
        }
        self.tail.send_modify(|tail| tail.end = next);
    }

    /// Refuses one batch of which nothing was written, or is left.
    pub(super) fn refuse(&self, pending: Pending, error: AppendError) {
        let bytes = pending.bytes;
        let mut state = lock(&self.state);
        state.queued_bytes = state.queued_bytes.saturating_sub(bytes);
        drop(state);
        pending.settle(Err(error));
    }

    /// The disk has no room: refuses batches for a while, then tries again.
    pub(super) fn pause_for_space(&self, what: &str, error: &io::Error) -> AppendError {
        let reason = format!("{what}: {error}; free some space, it is tried again by itself");
        let mut state = lock(&self.state);
        if state.full_disk.is_none() {
            tracing::error!(topic = self.home.topic.as_str(), "the disk is full: {reason}");
        }
        state.full_disk = Some((Instant::now() + FULL_DISK_PAUSE, reason));
        let used_bytes = state.used_bytes();
        AppendError::Full { used_bytes, max_bytes: used_bytes }
    }

    /// Never acknowledges again: what is not known to be durable must not be.
    pub(super) fn stop(&self, reason: &str) {
        let queue = {
            let mut state = lock(&self.state);
            if state.stopped.is_none() {
                tracing::error!(topic = self.home.topic.as_str(), "the journal stops: {reason}");
                state.stopped = Some(reason.to_owned());
            }
            state.queued_bytes = 0;
            std::mem::take(&mut state.queue)
        };
        for pending in queue {
            pending.settle(Err(AppendError::Stopped(reason.to_owned())));
        }
    }

    /// Takes no further batch; the committer ends once it has settled those it has.
    pub(super) fn begin_close(&self) {
        lock(&self.state).closing = true;
        self.wake.notify_all();
    }

    /// Says that the committer has ended.
    pub(super) fn end_close(&self) {
        self.tail.send_modify(|tail| tail.closed = true);
    }

    pub(super) fn count_fsync(&self) {
        self.counters.fsyncs.fetch_add(1, Ordering::Relaxed);
    }
}

// Groups, and what they let go of.
impl Log {
    /// Makes a group's progress durable, then drops segments that every group has passed.
    /// Blocks for one fsync, unless `next` says nothing new.
    pub(super) fn commit(&self, place: usize, next: u64) -> io::Result<()> {
        let next = next.min(self.tail.borrow().end);
        {
            let mut cursor = lock(&self.cursors[place]);
            if next <= cursor.next() {
                return Ok(());
            }
            cursor.commit(next)?;
            self.count_fsync();
        }
        let mut state = lock(&self.state);
        let passed_bytes = state.bytes_before(next);
        let group = &mut state.groups[place];
        group.committed = group.committed.max(next);
        group.passed_bytes = group.passed_bytes.max(passed_bytes);
        let passed = self.take_passed(&mut state);
        drop(state);
        self.remove(&passed);
        Ok(())
    }

    /// Takes the segments from the front that no group needs. The last one stays.
    pub(super) fn take_passed(&self, state: &mut State) -> Vec<Arc<Segment>> {
        let committed = state.groups.iter().map(|group| group.committed).min().unwrap_or(0);
        let mut passed = Vec::new();
        while let [_, next, ..] = state.segments.make_contiguous()
            && next.base <= committed
            && state.end_bytes.saturating_sub(next.start_bytes) >= self.limits.keep_bytes_min
        {
            passed.extend(state.segments.pop_front());
        }
        passed
    }

    /// Removes the files. One that stays is tried again when the journal is opened.
    pub(super) fn remove(&self, passed: &[Arc<Segment>]) {
        for segment in passed {
            if let Err(error) = std::fs::remove_file(&segment.path) {
                tracing::warn!(path = %segment.path.display(), %error, "a segment that was read could not be removed");
            }
        }
    }

    pub(super) fn lags(&self) -> Vec<GroupLag> {
        let end = self.tail.borrow().end;
        let state = lock(&self.state);
        let lag = |group: &GroupState| GroupLag {
            topic: self.home.topic,
            partition: 0,
            group: group.group,
            committed: group.committed.min(end),
            end,
            behind: end.saturating_sub(group.committed),
        };
        state.groups.iter().map(lag).collect()
    }
}

// What readers find.
impl Log {
    /// The segment that holds `offset`, or the first one.
    pub(super) fn segment_at(&self, offset: u64) -> Option<Arc<Segment>> {
        lock(&self.state).segment_of(offset)
    }

    /// The segment after the one of this base.
    pub(super) fn segment_after(&self, base: u64) -> Option<Arc<Segment>> {
        let state = lock(&self.state);
        let at = state.segments.partition_point(|segment| segment.base <= base);
        state.segments.get(at).cloned()
    }
}

/// Where the next frame of a segment goes.
pub(super) fn spot(segment: &Segment, first: u64, pos: u64, durable: u64) -> Spot {
    Spot { salt: segment.salt, first, pos, durable }
}
