//! The embedded bus: one segmented, checksummed, fsynced log for each topic.
//!
//! Enters: batches of payloads by [`Bus::append`]. Leaves: the same payloads, in order, to one
//! reader a group. It does not look into payloads, and one process has it at a time.
//!
//! # On disk
//!
//! All numbers are little-endian; CRC is CRC-32C (Castagnoli).
//!
//! ```text
//! lock                                   flock of the process that has the journal; its pid
//! meta                                   two copies, 512 bytes apart, of
//!      0  "JQMTJRN\n"   8  version u32   16  bus id, 16 bytes   32  salt, 16 bytes
//!     48  CRC of 0..48
//! records/  detections/                  one folder a topic
//!   00000000000000000000.seg             a segment, named after its base offset
//!   detect.cursor  index.cursor          in records/; raise.cursor in detections/
//! quarantine/                            damaged ranges (.bin), each with a .report
//! ```
//!
//! A segment is allocated whole (`segment_bytes`), zero where nothing was written, and cut to
//! its last data frame when the next begins:
//!
//! ```text
//!  0  "JQMTSEG\n"   8  version u32   16  bus id, 16 bytes   32  base offset u64
//! 40  base of the segment before u64 (the own one: none)   48  where that one ends u64
//! 60  CRC of 0..60
//! 64  frames, each at a multiple of 8
//!
//! frame:  0  "JqFr"   4  kind u8 (1 data, 2 mark, 3 gap)   8  body bytes u32
//!        12  payloads u32   16  first offset u64   24  pos u64: its own place in the segment
//!        32  durable u64: below it all was fsynced before this frame was written
//!        40  CRC of the body   44  CRC of 0..44, begun with the CRC of salt, topic and base
//!        48  body: a length u32 for each payload, the payloads; zeros up to a multiple of 8
//! ```
//!
//! One data frame is one append, so a batch is there wholly or not. A mark follows each fsync,
//! itself not synced: whatever a process acknowledged before it was killed has a whole frame
//! after it. A gap stands where damage was; its body means nothing. A cursor file has two slots
//! of `0 "JQMTCUR\n"  8 version u32  16 sequence u64  24 next offset u64  32 CRC of 0..32`, at 0
//! and at 4096; the whole one with the larger sequence counts.
//!
//! A later version keeps magic, version and checksum of `meta`, segments and cursors where they
//! are, so that this one can tell and refuse it.
//!
//! # Appending
//!
//! One thread a topic takes all batches that wait, writes them at once, syncs once
//! (`fdatasync`), writes the mark, and only then answers. After a failed write or fsync the
//! topic takes nothing any more until it is opened again. A full disk is different where it
//! shows before anything is written, which allocation makes the rule: batches are refused as
//! [`AppendError::Full`] and it is tried again every half second.
//!
//! `journal_bytes_max` bounds what waits for the slowest group: seven eighths are for `records`
//! and one for `detections`, so that full records never keep detections from the bus, on which
//! reading the records depends. On disk each topic may have up to two segments more.
//!
//! # Opening
//!
//! Only the last segment is scanned. What follows its last whole frame is cut off, with a
//! warning, if it can be nothing but a write that was cut short: no whole frame comes after it,
//! and its own frame does not reach its end. All else that does not add up, there or later
//! while reading, is damage: copied to `quarantine/` with a report, named by
//! [`BusStatus::quarantined`] until the report is removed, replaced by a gap, and read past.
//! Its offsets are never given out again.

use std::{
    fs::File,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    thread::JoinHandle,
};

use async_trait::async_trait;
use bytes::Bytes;
use event::BusId;
use tokio::sync::{Semaphore, watch};

use self::{
    cache::Cache,
    committer::Committer,
    log::{Counters, Log, Tail},
    meta::Meta,
    quarantine::Quarantine,
    reader::JournalReader,
    recovery::{Recovered, recover},
    segment::Home,
};
use super::{AppendError, Appended, Bus, BusError, BusStatus, Group, Reader, Topic};

mod cache;
mod committer;
mod config;
mod copy;
mod cursors;
mod disk;
mod error;
mod frame;
mod log;
mod mend;
mod meta;
mod quarantine;
mod reader;
mod recovery;
mod scan;
mod segment;
mod state;

pub use config::JournalConfig;
pub use copy::JournalCopy;
pub use disk::{Disk, SystemDisk};
pub use error::OpenError;

/// Version of everything the journal writes.
const VERSION: u32 = 1;

/// What a journal has done since it was opened, both topics together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalMetrics {
    /// Times that the disk was asked to sync.
    pub fsyncs: u64,
    /// Appends acknowledged.
    pub batches: u64,
    /// Payloads in them.
    pub payloads: u64,
    /// Bytes that they take in segments.
    pub bytes: u64,
    /// Bytes that the segments take on disk now, allocated ones included.
    pub disk_bytes: u64,
}

/// The embedded bus. Dropping it closes it, waiting for appends under way.
pub struct Journal {
    id: BusId,
    max_bytes: u64,
    logs: [Arc<Log>; 2],
    quarantine: Arc<Quarantine>,
    committers: Mutex<Vec<JoinHandle<()>>>,
}

impl Journal {
    /// Opens the journal in `config.dir`, or creates it there. Blocks, usually for less than a
    /// second: one segment a topic is read.
    pub fn open(config: JournalConfig) -> Result<Arc<Self>, OpenError> {
        Self::open_on(config, Arc::new(SystemDisk))
    }

    /// As [`open`](Self::open), on another disk.
    #[expect(clippy::needless_pass_by_value, reason = "a journal is opened once with its config")]
    pub fn open_on(config: JournalConfig, disk: Arc<dyn Disk>) -> Result<Arc<Self>, OpenError> {
        let fail = |source| OpenError::Io { path: config.dir.display().to_string(), source };
        std::fs::create_dir_all(&config.dir).map_err(fail)?;
        let held = Arc::new(meta::lock(&config.dir)?);
        let meta = Meta::open_or_create(&config.dir)?;
        let quarantine = Quarantine::open(config.dir.join("quarantine")).map_err(fail)?;
        let quarantine = Arc::new(quarantine);

        let open = |topic| open_log(&config, topic, meta, &disk, &quarantine, &held);
        let (records, records_end) = open(Topic::Records)?;
        let (detections, detections_end) = open(Topic::Detections)?;
        let mut journal = Self {
            id: meta.bus,
            max_bytes: config.journal_bytes_max,
            logs: [records, detections],
            quarantine,
            committers: Mutex::default(),
        };
        for (log, end) in journal.logs.clone().into_iter().zip([records_end, detections_end]) {
            let name = format!("journal-{}", log.home.topic.as_str());
            let committer = Committer::new(log, end);
            let thread = std::thread::Builder::new().name(name).spawn(move || committer.run());
            journal.committers_mut().push(thread.map_err(fail)?);
        }
        Ok(Arc::new(journal))
    }

    /// What it has done so far.
    pub fn metrics(&self) -> JournalMetrics {
        let mut metrics = JournalMetrics::default();
        for log in &self.logs {
            let Counters { fsyncs, batches, payloads, bytes } = &log.counters;
            metrics.fsyncs += fsyncs.load(Ordering::Relaxed);
            metrics.batches += batches.load(Ordering::Relaxed);
            metrics.payloads += payloads.load(Ordering::Relaxed);
            metrics.bytes += bytes.load(Ordering::Relaxed);
            let segments = lock(&log.state).segments.clone();
            let len = |file: &File| file.metadata().map_or(0, |meta| meta.len());
            metrics.disk_bytes += segments.iter().map(|segment| len(&segment.file)).sum::<u64>();
        }
        metrics
    }

    fn log(&self, topic: Topic) -> &Arc<Log> {
        match topic {
            Topic::Records => &self.logs[0],
            Topic::Detections => &self.logs[1],
        }
    }

    fn committers_mut(&mut self) -> &mut Vec<JoinHandle<()>> {
        self.committers.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin_close(&self) -> Vec<JoinHandle<()>> {
        for log in &self.logs {
            log.begin_close();
        }
        std::mem::take(&mut lock(&self.committers))
    }
}

fn open_log(
    config: &JournalConfig,
    topic: Topic,
    meta: Meta,
    disk: &Arc<dyn Disk>,
    quarantine: &Arc<Quarantine>,
    held: &Arc<File>,
) -> Result<(Arc<Log>, committer::End), OpenError> {
    let home = Home {
        topic,
        dir: config.dir.join(topic.as_str()),
        meta,
        disk: Arc::clone(disk),
        segment_bytes: config.segment_bytes(topic),
        index_interval_bytes: (config.journal_bytes_max / 4096).min(64 << 10),
    };
    let Recovered { state, cursors, end } = recover(&home, quarantine)?;
    let limits = config.limits(topic);
    let log = Log {
        home,
        limits,
        cache: Mutex::new(Cache::new(config.tail_cache_bytes_max)),
        tail: watch::Sender::new(Tail { end: state.end, closed: false }),
        state: Mutex::new(state),
        counters: Counters::default(),
        cursors: cursors.into_iter().map(Mutex::new).collect(),
        quarantine: Arc::clone(quarantine),
        repair: Mutex::default(),
        room: Arc::new(Semaphore::new(limits.pending_bytes_max as usize)),
        wake: Condvar::new(),
        _lock: Arc::clone(held),
    };
    let passed = log.take_passed(&mut lock(&log.state));
    log.remove(&passed);
    Ok((Arc::new(log), end))
}

impl Drop for Journal {
    fn drop(&mut self) {
        for committer in self.begin_close() {
            // A committer that panicked has stopped its log, and said so.
            let _ = committer.join();
        }
    }
}

#[async_trait]
impl Bus for Journal {
    fn id(&self) -> BusId {
        self.id
    }

    fn partitions(&self, _topic: Topic) -> u32 {
        1
    }

    async fn append(
        &self,
        topic: Topic,
        _key: &str,
        payloads: Vec<Bytes>,
    ) -> Result<Appended, AppendError> {
        self.log(topic).append(payloads).await
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.log(Topic::Records).has_room(bytes)
    }

    async fn reader(&self, topic: Topic, group: Group) -> Result<Box<dyn Reader>, BusError> {
        let log = self.log(topic);
        let (topic, name) = (topic.as_str(), group.as_str());
        {
            let mut state = lock(&log.state);
            let Some(group) = state.groups.iter_mut().find(|state| state.group == group) else {
                return Err(BusError::Refused(format!("group {name} does not read topic {topic}")));
            };
            if group.has_reader {
                return Err(BusError::Refused(format!(
                    "group {name} already has a reader of topic {topic}; the journal allows one \
                     at a time"
                )));
            }
            group.has_reader = true;
        }
        let place = log.home.topic.groups().iter().position(|known| *known == group);
        let place = place.unwrap_or_default();
        Ok(Box::new(JournalReader::new(Arc::clone(log), place)))
    }

    async fn status(&self) -> BusStatus {
        let used = |log: &Arc<Log>| lock(&log.state).used_bytes();
        let refusal = |log: &Arc<Log>| {
            let refusal = lock(&log.state).refusal();
            refusal.map(|reason| format!("{}: {reason}", log.home.topic.as_str()))
        };
        BusStatus {
            lags: self.logs.iter().flat_map(|log| log.lags()).collect(),
            used_bytes: self.logs.iter().map(used).sum(),
            max_bytes: self.max_bytes,
            quarantined: self.quarantine.summaries(),
            stopped: self.logs.iter().find_map(refusal),
        }
    }

    async fn close(&self) {
        let committers = self.begin_close();
        let join = || committers.into_iter().for_each(|thread| drop(thread.join()));
        // Where the runtime is going down, dropping the journal waits for the threads instead.
        let _ = tokio::task::spawn_blocking(join).await;
    }
}

/// Locks, also after a panic elsewhere: every holder leaves the state whole between statements
/// that can panic.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
