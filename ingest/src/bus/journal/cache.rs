//! The newest frames in memory, so that readers at the tail need no disk.

use std::collections::VecDeque;

use super::frame::Frame;

/// Frames without a hole between them, bounded in bytes.
pub(super) struct Cache {
    frames: VecDeque<Frame>,
    used_bytes: usize,
    bytes_max: usize,
}

impl Cache {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { frames: VecDeque::new(), used_bytes: 0, bytes_max }
    }

    /// Adds the newest frame, and drops the oldest ones beyond the bound.
    pub(super) fn push(&mut self, frame: Frame) {
        self.used_bytes += frame.bytes();
        self.frames.push_back(frame);
        while self.used_bytes > self.bytes_max
            && let Some(oldest) = self.frames.pop_front()
        {
            self.used_bytes -= oldest.bytes();
        }
    }

    /// The frame with `offset`, or the next after it; `None` where only the disk knows.
    pub(super) fn get(&self, offset: u64) -> Option<Frame> {
        self.frames.front().filter(|oldest| oldest.first <= offset)?;
        let at = self.frames.partition_point(|frame| frame.next_offset() <= offset);
        self.frames.get(at).cloned()
    }
}
