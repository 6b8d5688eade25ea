//! The log of one topic: its segments, groups and waiting appends. Shared by the committer
//! that writes it and the readers.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use super::{
    cache::Cache,
    cursors::CursorFile,
    frame::{ALIGN, Frame, HEADER_BYTES, Header, Kind, Spot, frame_bytes},
    lock,
    quarantine::{Damage, Quarantine},
    scan::{Item, Scanner, next_whole},
    segment::{Home, Segment},
};
use crate::bus::{AppendError, Appended, Group, GroupLag};

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

/// A batch that waits for the committer.
pub(super) struct Pending {
    pub(super) payloads: Vec<Bytes>,
    /// Bytes of its frame.
    pub(super) bytes: u64,
    done: oneshot::Sender<Result<Appended, AppendError>>,
    /// Gives its room back once the batch is settled.
    _room: OwnedSemaphorePermit,
}

impl Pending {
    /// Tells the caller. One that stopped waiting needs to know nothing.
    pub(super) fn settle(self, result: Result<Appended, AppendError>) {
        let _ = self.done.send(result);
    }

    /// Whether the caller stopped waiting.
    pub(super) fn is_abandoned(&self) -> bool {
        self.done.is_closed()
    }
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

pub(super) struct GroupState {
    pub(super) group: Group,
    pub(super) committed: u64,
    /// Bytes of the log before the committed offset.
    pub(super) passed_bytes: u64,
    pub(super) has_reader: bool,
}

pub(super) struct State {
    pub(super) segments: VecDeque<Arc<Segment>>,
    pub(super) groups: Vec<GroupState>,
    queue: VecDeque<Pending>,
    /// Bytes of frames accepted and not yet settled.
    queued_bytes: u64,
    /// The offset after the last durable payload.
    pub(super) end: u64,
    /// Bytes of the log that are durable.
    pub(super) end_bytes: u64,
    closing: bool,
    stopped: Option<String>,
    full_disk: Option<(Instant, String)>,
}

impl State {
    pub(super) fn new(
        segments: VecDeque<Arc<Segment>>,
        groups: Vec<GroupState>,
        end: u64,
        end_bytes: u64,
    ) -> Self {
        Self {
            segments,
            groups,
            queue: VecDeque::new(),
            queued_bytes: 0,
            end,
            end_bytes,
            closing: false,
            stopped: None,
            full_disk: None,
        }
    }

    /// Bytes that the slowest group has not passed, those accepted included.
    pub(super) fn used_bytes(&self) -> u64 {
        let passed = self.groups.iter().map(|group| group.passed_bytes).min();
        self.end_bytes.saturating_sub(passed.unwrap_or(self.end_bytes)) + self.queued_bytes
    }

    /// The segment that holds `offset`, or the first one.
    pub(super) fn segment_of(&self, offset: u64) -> Option<Arc<Segment>> {
        let after = self.segments.partition_point(|segment| segment.base <= offset);
        self.segments.get(after.saturating_sub(1)).cloned()
    }

    /// Bytes of the log before `offset`, at most a step of the index too few.
    pub(super) fn bytes_before(&self, offset: u64) -> u64 {
        if offset >= self.end {
            return self.end_bytes;
        }
        self.segment_of(offset).map_or(0, |segment| segment.start_bytes + segment.near(offset).1)
    }

    /// Why appends are refused at the moment, whatever their size.
    pub(super) fn refusal(&self) -> Option<String> {
        let full_disk = self.full_disk.as_ref().map(|(_, reason)| reason.clone());
        let closing = self.closing.then(|| "it is shutting down".to_owned());
        self.stopped.clone().or(closing).or(full_disk)
    }

    fn admit(&self, bytes: u64, limits: &Limits) -> Result<(), AppendError> {
        if let Some(reason) = &self.stopped {
            return Err(AppendError::Stopped(reason.clone()));
        }
        if self.closing {
            return Err(AppendError::Stopped("it is shutting down".to_owned()));
        }
        let used_bytes = self.used_bytes();
        if self.full_disk.as_ref().is_some_and(|(until, _)| Instant::now() < *until) {
            return Err(AppendError::Full { used_bytes, max_bytes: used_bytes });
        }
        if used_bytes + bytes > limits.share_bytes_max {
            return Err(AppendError::Full { used_bytes, max_bytes: limits.share_bytes_max });
        }
        Ok(())
    }
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

    /// Moves damage that begins at `from` aside, up to the next whole frame or `limit`, and
    /// gives the place to go on from. `next` is the offset expected there.
    pub(super) fn mend(
        &self,
        segment: &Arc<Segment>,
        from: u64,
        limit: u64,
        next: u64,
        header: Option<Header>,
    ) -> io::Result<u64> {
        let _one = lock(&self.repair);
        // Another reader may have mended it meanwhile.
        let mut again = Scanner::new(Arc::clone(segment), from, limit, next);
        if !matches!(again.next()?, Item::Bad(_)) {
            return Ok(from);
        }
        let after = next_whole(segment, from + ALIGN, limit, limit, next)?;
        let to = after.map_or(limit, |header| header.pos);
        let known = header.filter(|header| header.first >= next).map(|header| header.next_offset());
        let resumes = match (after, self.segment_after(segment.base)) {
            (Some(header), _) => header.first,
            (None, Some(following)) => following.base,
            (None, None) => known.unwrap_or(next).max(self.tail.borrow().end),
        };
        set_aside(&self.home, &self.quarantine, segment, from..to, next..resumes, "")?;
        Ok(to)
    }
}

/// Copies a damaged range to the quarantine and puts a gap frame in its place, so that the
/// damage is found once and its offsets are never given out again.
pub(super) fn set_aside(
    home: &Home,
    quarantine: &Quarantine,
    segment: &Segment,
    range: std::ops::Range<u64>,
    lost: std::ops::Range<u64>,
    remark: &str,
) -> io::Result<()> {
    let count = lost.end.saturating_sub(lost.start);
    quarantine.put(&Damage {
        label: &format!("{}-{:020}", home.topic.as_str(), segment.base),
        file: &segment.file,
        path: &segment.path,
        from: range.start,
        to: range.end,
        what: format!(
            "no whole frame here; {count} records lost, offsets {}..{}{remark}",
            lost.start, lost.end
        ),
    })?;
    let Some(body_bytes) = (range.end - range.start).checked_sub(HEADER_BYTES as u64) else {
        // Too short for a frame, so it is the rest of a segment that lost its end.
        return Ok(());
    };
    let header = Header {
        kind: Kind::Gap,
        body_bytes: body_bytes.try_into().unwrap_or(u32::MAX),
        count: count.try_into().unwrap_or(u32::MAX),
        first: lost.start,
        pos: range.start,
        durable: range.start,
        body_crc: 0,
    };
    if segment.file.metadata()?.len() < range.end {
        segment.file.set_len(range.end)?;
    }
    home.disk.write_all_at(&segment.file, &header.encode(segment.salt), range.start)?;
    home.disk.sync_data(&segment.file)
}

/// Where the next frame of a segment goes.
pub(super) fn spot(segment: &Segment, first: u64, pos: u64, durable: u64) -> Spot {
    Spot { salt: segment.salt, first, pos, durable }
}
