//! What the journal's tests share.
#![allow(dead_code, reason = "not every test file uses every helper")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use ingest::bus::{
    AppendError, Appended, Bus, Group, PollLimit, Polled, Topic,
    journal::{Journal, JournalConfig},
};
use tempfile::TempDir;

/// A folder in memory where there is one: these tests are about bytes, not about the disk.
pub(crate) fn quick_dir() -> TempDir {
    let shared = Path::new("/dev/shm");
    tempfile::tempdir_in(shared).or_else(|_| tempfile::tempdir()).unwrap()
}

/// A journal of 1 MiB in segments of 64 KiB.
pub(crate) fn small(dir: &Path) -> JournalConfig {
    let mut config = JournalConfig::new(dir);
    config.journal_bytes_max = 1 << 20;
    config.segment_bytes = 64 << 10;
    config
}

/// Appends to `records`.
pub(crate) async fn append(
    journal: &Arc<Journal>,
    payloads: &[Bytes],
) -> Result<Appended, AppendError> {
    journal.append(Topic::Records, "key", payloads.to_vec()).await
}

/// All records from the oldest on, by offset, as one group finds them.
pub(crate) async fn read_all(journal: &Arc<Journal>, group: Group) -> BTreeMap<u64, Bytes> {
    let mut reader = journal.reader(Topic::Records, group).await.unwrap();
    reader.seek(0, 0).await.unwrap();
    let limit = PollLimit { records_max: 100, bytes_max: 1 << 20 };
    let mut all = BTreeMap::new();
    loop {
        match reader.poll(limit, Duration::ZERO).await.unwrap() {
            Polled::Batch(batch) => {
                for entry in batch.entries {
                    let before = all.insert(entry.offset, entry.payload);
                    assert!(before.is_none(), "offset {} came twice", entry.offset);
                }
            }
            Polled::Idle => return all,
            Polled::Assigned(_) | Polled::Revoked(_) => {}
        }
    }
}

/// Copies a journal that nobody has open.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// The segments of `records`, the oldest first.
pub(crate) fn segments(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir.join("records")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|ext| ext == "seg")).collect();
    paths.sort();
    paths
}

/// Numbers that look random and are the same in every run (xorshift64*).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % bound
    }

    pub(crate) fn payload(&mut self, bytes_max: u64) -> Bytes {
        let length = self.below(bytes_max);
        (0..length).map(|_| self.below(256) as u8).collect()
    }
}
