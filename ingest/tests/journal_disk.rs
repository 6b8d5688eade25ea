//! Failing and full disks, group commit, and what is kept for how long.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod journal_support;

use std::{
    fs::File,
    io,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use ingest::bus::{
    AppendError, Bus, BusError, Group, Topic,
    journal::{Disk, Journal, JournalConfig, SystemDisk},
};
use journal_support::{append, read_all, segments, small};

/// A disk that fails on command.
#[derive(Default)]
struct Faulty {
    sync_fails: AtomicBool,
    /// A write puts half of its bytes down and fails.
    is_full: AtomicBool,
    sync_ms: AtomicU64,
}

impl Disk for Faulty {
    fn write_all_at(&self, file: &File, bytes: &[u8], pos: u64) -> io::Result<()> {
        if self.is_full.load(Ordering::SeqCst) {
            SystemDisk.write_all_at(file, &bytes[..bytes.len() / 2], pos)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        SystemDisk.write_all_at(file, bytes, pos)
    }

    fn sync_data(&self, file: &File) -> io::Result<()> {
        std::thread::sleep(Duration::from_millis(self.sync_ms.load(Ordering::SeqCst)));
        if self.sync_fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("broken disk"));
        }
        SystemDisk.sync_data(file)
    }

    fn allocate(&self, file: &File, len: u64) -> io::Result<()> {
        if self.is_full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        SystemDisk.allocate(file, len)
    }
}

fn open(dir: &Path) -> (Arc<Journal>, Arc<Faulty>) {
    let disk = Arc::new(Faulty::default());
    let faulty = Arc::clone(&disk) as Arc<dyn Disk>;
    (Journal::open_on(small(dir), faulty).unwrap(), disk)
}

fn text(text: &str) -> [Bytes; 1] {
    [Bytes::copy_from_slice(text.as_bytes())]
}

async fn texts(journal: &Arc<Journal>) -> Vec<Bytes> {
    read_all(journal, Group::Detect).await.into_values().collect()
}

#[tokio::test]
async fn after_a_failed_fsync_nothing_is_acknowledged_and_what_was_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, disk) = open(dir.path());
    append(&journal, &text("kept")).await.unwrap();
    disk.sync_fails.store(true, Ordering::SeqCst);
    let error = append(&journal, &text("refused")).await.unwrap_err();
    assert!(matches!(&error, AppendError::Stopped(why) if why.contains("broken disk")), "{error}");
    // Also once the disk seems well again: what it holds is not known.
    disk.sync_fails.store(false, Ordering::SeqCst);
    let error = append(&journal, &text("refused too")).await.unwrap_err();
    assert!(matches!(&error, AppendError::Stopped(why) if why.contains("broken disk")), "{error}");
    assert!(!journal.has_room(1));
    let stopped = journal.status().await.stopped.unwrap();
    assert!(stopped.contains("records") && stopped.contains("broken disk"), "{stopped}");
    assert_eq!(texts(&journal).await, ["kept"]);
    drop(journal);

    let (journal, _) = open(dir.path());
    assert_eq!(texts(&journal).await, ["kept"]);
    append(&journal, &text("new")).await.unwrap();
    assert_eq!(texts(&journal).await, ["kept", "new"]);
    let status = journal.status().await;
    assert_eq!((status.stopped, status.quarantined), (None, Vec::new()));
}

#[tokio::test]
async fn a_full_disk_refuses_for_a_while_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, disk) = open(dir.path());
    append(&journal, &text("before")).await.unwrap();
    disk.is_full.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        let error = append(&journal, &text("refused")).await.unwrap_err();
        assert!(matches!(error, AppendError::Full { .. }), "{error}");
    }
    assert!(!journal.has_room(1));
    assert!(journal.status().await.stopped.unwrap().contains("free some space"));
    disk.is_full.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(journal.has_room(1));
    append(&journal, &text("after")).await.unwrap();
    assert_eq!(journal.status().await.stopped, None);
    assert_eq!(texts(&journal).await, ["before", "after"]);
    drop(journal);
    let (journal, _) = open(dir.path());
    assert_eq!(texts(&journal).await, ["before", "after"]);
    assert!(journal.status().await.quarantined.is_empty());
}

/// The same with a real file system that is full.
#[tokio::test]
async fn a_full_file_system_is_survived() {
    let dir = tempfile::tempdir().unwrap();
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1500k", "none"])
        .arg(dir.path())
        .output();
    if !mount.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: a small file system cannot be mounted here");
        return;
    }
    let outcome = tokio::spawn(fill_file_system(dir.path().to_owned())).await;
    Command::new("umount").arg("-l").arg(dir.path()).status().unwrap();
    outcome.unwrap();
}

async fn fill_file_system(dir: std::path::PathBuf) {
    let mut config = small(&dir);
    config.journal_bytes_max = 64 << 20;
    config.segment_bytes = 256 << 10;
    let journal = Journal::open(config.clone()).unwrap();
    let payload = Bytes::from(vec![3; 10_000]);
    let mut taken = 0;
    let error = loop {
        match append(&journal, std::slice::from_ref(&payload)).await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, AppendError::Full { .. }), "{error}");
    assert!(taken > 50);
    assert_eq!(texts(&journal).await.len(), taken);
    // Reading on and committing needs no space, and gives some back.
    for group in [Group::Detect, Group::Index] {
        let mut reader = journal.reader(Topic::Records, group).await.unwrap();
        reader.commit(0, taken as u64).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(600)).await;
    append(&journal, std::slice::from_ref(&payload)).await.unwrap();
    drop(journal);
    let journal = Journal::open(config).unwrap();
    let found = read_all(&journal, Group::Detect).await;
    assert_eq!(found.last_key_value(), Some((&(taken as u64), &payload)));
    assert!(journal.status().await.quarantined.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_fsync_serves_all_that_wait() {
    const APPENDS: u64 = 64;
    let dir = tempfile::tempdir().unwrap();
    let (journal, disk) = open(dir.path());
    disk.sync_ms.store(50, Ordering::SeqCst);
    let before = journal.metrics().fsyncs;
    let mut appends = tokio::task::JoinSet::new();
    for number in 0..APPENDS {
        let journal = Arc::clone(&journal);
        appends.spawn(async move { append(&journal, &text(&number.to_string())).await });
    }
    while let Some(done) = appends.join_next().await {
        done.unwrap().unwrap();
    }
    let metrics = journal.metrics();
    assert_eq!(metrics.batches, APPENDS);
    assert!(metrics.fsyncs - before <= APPENDS / 8, "{metrics:?}");
}

/// Appends until `count` segments are there; gives the next offset.
async fn fill_segments(journal: &Arc<Journal>, dir: &Path, count: usize) -> u64 {
    let mut next = 0;
    while segments(dir).len() < count {
        let appended = append(journal, &[Bytes::from(vec![1; 5000])]).await.unwrap();
        next = appended.first + appended.count;
    }
    next
}

fn base(segment: &Path) -> u64 {
    segment.file_stem().unwrap().to_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_segment_goes_once_every_group_has_passed_it_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(small(dir.path())).unwrap();
    let next = fill_segments(&journal, dir.path(), 5).await;
    let all = segments(dir.path());
    let mut detect = journal.reader(Topic::Records, Group::Detect).await.unwrap();
    let mut index = journal.reader(Topic::Records, Group::Index).await.unwrap();
    detect.commit(0, next).await.unwrap();
    assert_eq!(segments(dir.path()), all, "the index group has read nothing");
    index.commit(0, base(&all[2]) - 1).await.unwrap();
    assert_eq!(segments(dir.path()), all[1..]);
    index.commit(0, base(&all[2])).await.unwrap();
    assert_eq!(segments(dir.path()), all[2..]);
    // Seeking before what is left begins at what is left.
    assert_eq!(*read_first(&journal, &mut index).await.keys().next().unwrap(), base(&all[2]));
    index.commit(0, next + 1000).await.unwrap();
    assert_eq!(segments(dir.path()), all[4..]);
    let status = journal.status().await;
    assert!(status.lags.iter().all(|lag| lag.committed == lag.end), "clamped to the end");
    drop((detect, index, journal));
    let journal = Journal::open(small(dir.path())).unwrap();
    assert_eq!(append(&journal, &text("on")).await.unwrap().first, next);
}

async fn read_first(
    journal: &Arc<Journal>,
    index: &mut Box<dyn ingest::bus::Reader>,
) -> std::collections::BTreeMap<u64, Bytes> {
    use ingest::bus::{PollLimit, Polled};
    assert_eq!(journal.partitions(Topic::Records), 1);
    index.seek(0, 0).await.unwrap();
    let limit = PollLimit { records_max: 1, bytes_max: 1 };
    loop {
        if let Polled::Batch(batch) = index.poll(limit, Duration::from_secs(5)).await.unwrap() {
            return batch.entries.into_iter().map(|entry| (entry.offset, entry.payload)).collect();
        }
    }
}

#[tokio::test]
async fn what_is_kept_by_configuration_stays() {
    let dir = tempfile::tempdir().unwrap();
    let config = JournalConfig { keep_bytes_min: 150 << 10, ..small(dir.path()) };
    let journal = Journal::open(config).unwrap();
    let next = fill_segments(&journal, dir.path(), 6).await;
    for group in [Group::Detect, Group::Index] {
        let mut reader = journal.reader(Topic::Records, group).await.unwrap();
        reader.commit(0, next).await.unwrap();
    }
    let kept = segments(dir.path()).len();
    assert!((3..6).contains(&kept), "{kept} segments of 64 KiB for 150 KiB");
}

#[tokio::test]
async fn a_group_has_one_reader_and_reads_its_own_topic() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(small(dir.path())).unwrap();
    let mut reader = journal.reader(Topic::Records, Group::Detect).await.unwrap();
    let second = journal.reader(Topic::Records, Group::Detect).await.err().unwrap();
    assert!(matches!(&second, BusError::Refused(why) if why.contains("detect")), "{second}");
    let alien = journal.reader(Topic::Records, Group::Raise).await.err().unwrap();
    assert!(matches!(alien, BusError::Refused(_)), "{alien}");
    assert!(matches!(reader.seek(1, 0).await, Err(BusError::Refused(_))));
    assert!(matches!(reader.commit(1, 0).await, Err(BusError::Refused(_))));
    drop(reader);
    journal.reader(Topic::Records, Group::Detect).await.unwrap();
}

#[tokio::test]
async fn full_records_leave_room_for_detections() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(small(dir.path())).unwrap();
    let payload = Bytes::from(vec![1; 20_000]);
    while append(&journal, std::slice::from_ref(&payload)).await.is_ok() {}
    assert!(!journal.has_room(payload.len()));
    journal.append(Topic::Detections, "key", vec![payload]).await.unwrap();
}
