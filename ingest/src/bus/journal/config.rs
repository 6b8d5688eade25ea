//! What a journal is opened with.

use std::path::PathBuf;

use super::log::Limits;
use crate::bus::Topic;

/// Less is not worth a file.
const SEGMENT_BYTES_MIN: u64 = 64 << 10;
/// A gap frame must be able to span a segment.
const SEGMENT_BYTES_MAX: u64 = 2 << 30;
/// A frame must fit the lengths in its header with room to spare.
const BATCH_BYTES_MAX: u64 = 1 << 30;

/// Where a journal lies and how large it may grow.
#[derive(Clone, Debug)]
pub struct JournalConfig {
    /// Its folder; created where missing.
    pub dir: PathBuf,
    /// What may wait for the slowest group, both topics together. Default 8 GiB.
    pub journal_bytes_max: u64,
    /// Bytes of a segment file; smaller where the journal is. Default 128 MiB.
    pub segment_bytes: u64,
    /// Default 8 MiB.
    pub payload_bytes_max: usize,
    /// Bytes of one append with 4 for each payload; at most half a topic's share. Default
    /// 256 MiB.
    pub batch_bytes_max: u64,
    /// Bytes of batches that wait for the committer, for each topic; a caller beyond waits.
    /// Default 64 MiB.
    pub pending_bytes_max: u32,
    /// Bytes of the newest batches kept in memory for each topic. Default 32 MiB.
    pub tail_cache_bytes_max: usize,
    /// Bytes kept on disk for each topic although every group has passed them. Default 0.
    pub keep_bytes_min: u64,
}

impl JournalConfig {
    /// The defaults, in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            journal_bytes_max: 8 << 30,
            segment_bytes: 128 << 20,
            payload_bytes_max: 8 << 20,
            batch_bytes_max: 256 << 20,
            pending_bytes_max: 64 << 20,
            tail_cache_bytes_max: 32 << 20,
            keep_bytes_min: 0,
        }
    }

    fn share_bytes_max(&self, topic: Topic) -> u64 {
        let detections = self.journal_bytes_max / 8;
        match topic {
            Topic::Records => self.journal_bytes_max - detections,
            Topic::Detections => detections,
        }
    }

    pub(super) fn limits(&self, topic: Topic) -> Limits {
        let share_bytes_max = self.share_bytes_max(topic);
        let batch_bytes_max = self.batch_bytes_max.min(BATCH_BYTES_MAX).min(share_bytes_max / 2);
        let payload_bytes_max =
            self.payload_bytes_max.min(usize::try_from(batch_bytes_max).unwrap_or(usize::MAX));
        Limits {
            share_bytes_max,
            payload_bytes_max,
            batch_bytes_max,
            pending_bytes_max: self.pending_bytes_max.max(1),
            keep_bytes_min: self.keep_bytes_min,
        }
    }

    /// A quarter of the share at most, so that retention can follow the readers closely.
    pub(super) fn segment_bytes(&self, topic: Topic) -> u64 {
        let bytes = self.segment_bytes.min(self.share_bytes_max(topic) / 4);
        bytes.clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX)
    }
}
