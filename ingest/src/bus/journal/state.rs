//! What changes about a log: segments, groups, the batches that wait.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{log::Limits, segment::Segment};
use crate::bus::{AppendError, Appended, Group};

/// A batch that waits for the committer.
pub(super) struct Pending {
    pub(super) payloads: Vec<Bytes>,
    /// Bytes of its frame.
    pub(super) bytes: u64,
    pub(super) done: oneshot::Sender<Result<Appended, AppendError>>,
    /// Gives its room back once the batch is settled.
    pub(super) _room: OwnedSemaphorePermit,
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

/// One group's progress.
pub(super) struct GroupState {
    pub(super) group: Group,
    pub(super) committed: u64,
    /// Bytes of the log before the committed offset.
    pub(super) passed_bytes: u64,
    pub(super) has_reader: bool,
}

/// The state behind a log's lock.
pub(super) struct State {
    pub(super) segments: VecDeque<Arc<Segment>>,
    pub(super) groups: Vec<GroupState>,
    pub(super) queue: VecDeque<Pending>,
    /// Bytes of frames accepted and not yet settled.
    pub(super) queued_bytes: u64,
    /// The offset after the last durable payload.
    pub(super) end: u64,
    /// Bytes of the log that are durable.
    pub(super) end_bytes: u64,
    pub(super) closing: bool,
    pub(super) stopped: Option<String>,
    pub(super) full_disk: Option<(Instant, String)>,
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

    /// Whether a frame of `bytes` may be taken now.
    pub(super) fn admit(&self, bytes: u64, limits: &Limits) -> Result<(), AppendError> {
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
