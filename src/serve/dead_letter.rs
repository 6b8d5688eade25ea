//! Payloads that this version can't read.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::PathBuf,
    sync::Arc,
};

use ingest::bus::Entry;

use crate::metrics::Metrics;

/// A folder with one file a payload and one with the reason, named by topic, partition and
/// offset, so that keeping the same one again changes nothing.
pub(crate) struct DeadLetters {
    dir: PathBuf,
    metrics: Arc<Metrics>,
}

impl DeadLetters {
    pub(crate) fn new(dir: PathBuf, metrics: Arc<Metrics>) -> Self {
        Self { dir, metrics }
    }

    /// Keeps `entry` durably; after that its reader may pass it.
    pub(crate) fn keep(
        &self,
        topic: &str,
        partition: u32,
        entry: &Entry,
        reason: &str,
    ) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let name = format!("{topic}-{partition}-{:020}", entry.offset);
        for (extension, bytes) in [("payload", &entry.payload[..]), ("reason", reason.as_bytes())] {
            let mut file = File::create(self.dir.join(format!("{name}.{extension}")))?;
            file.write_all(bytes)?;
            file.sync_all()?;
        }
        File::open(&self.dir)?.sync_all()?;
        self.metrics.dead_letters.with_label_values(&[topic]).inc();
        tracing::error!(
            topic, partition, offset = entry.offset, reason, kept = %self.dir.join(name).display(),
            "kept a payload that this version can't read"
        );
        Ok(())
    }
}
