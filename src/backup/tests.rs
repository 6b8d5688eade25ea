//! What goes on in a centre while it is backed up.

#![allow(clippy::unwrap_used, reason = "a test ends where something it needs is not there")]

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use ingest::bus::{
    Bus as _, Group, PollLimit, Polled, Reader, Topic,
    journal::{Journal, JournalConfig},
};
use store::{
    db::{self, CursorName, Database, Position, Publication},
    split::SplitStorage,
};

use super::{Step, find, make, restore};
use crate::config::Config;

const LIMIT: PollLimit = PollLimit { records_max: 100, bytes_max: 1 << 20 };

/// A journal of small segments with its two readers, and the database that one of them moves.
struct Centre {
    journal: Arc<Journal>,
    db: Arc<dyn Database>,
    readers: Vec<Box<dyn Reader>>,
    appended: u64,
    read: u64,
}

impl Centre {
    async fn open(config: &Config) -> Self {
        let journal = open_journal(&config.data_dir.join("journal"));
        let mut readers = Vec::new();
        for group in [Group::Detect, Group::Index] {
            readers.push(journal.reader(Topic::Records, group).await.unwrap());
        }
        let db = db::connect(&config.database_url()).await.unwrap();
        Self { journal, db, readers, appended: 0, read: 0 }
    }

    async fn append(&mut self, records: u64) {
        for n in self.appended..self.appended + records {
            let payload = format!("{n:010} {}", "x".repeat(2_000));
            self.journal.append(Topic::Records, "dijon", vec![payload.into()]).await.unwrap();
        }
        self.appended += records;
    }

    /// Reads on to `to`, which then has had its effect; what all have read is forgotten.
    async fn read_to(&mut self, to: u64) {
        let position = Position { bus: self.journal.id(), partition: 0, next: to };
        self.db
            .publish(Publication {
                added: Vec::new(),
                removed: Vec::new(),
                position: Some(position),
                purged: None,
            })
            .await
            .unwrap();
        for reader in &mut self.readers {
            let mut at = self.read;
            while at < to {
                if let Polled::Batch(batch) =
                    reader.poll(LIMIT, Duration::from_secs(5)).await.unwrap()
                {
                    at = batch.next();
                }
            }
            reader.commit(0, to).await.unwrap();
        }
        self.read = to;
    }
}

fn open_journal(dir: &Path) -> Arc<Journal> {
    Journal::open(JournalConfig {
        segment_bytes: 64 << 10,
        keep_bytes_min: 0,
        ..JournalConfig::new(dir)
    })
    .unwrap()
}

/// Records that were written and forgotten while the database was copied are no hole: it is begun
/// anew until all that the database's cursor has not passed is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_missing_after_the_cursor() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { data_dir: dir.path().join("data"), ..Config::default() };
    std::fs::create_dir_all(&config.data_dir).unwrap();
    let folder = dir.path().join("backups");
    let storage =
        SplitStorage::connect(&config.splits_url(), &dir.path().join("no-cache")).unwrap();
    let mut centre = Centre::open(&config).await;
    centre.append(300).await;
    centre.read_to(100).await;
    let mut rounds = 0;
    let step = async |step| match step {
        Step::Database => {
            rounds += 1;
            centre.append(200).await;
            if rounds < 3 {
                let most = centre.appended - 100;
                centre.read_to(most).await;
            }
        }
        Step::Journal if rounds < 3 => {
            centre.append(200).await;
            let all = centre.appended;
            centre.read_to(all).await;
            centre.append(10).await;
        }
        Step::Journal => centre.append(10).await,
        Step::Splits(_) => centre.append(10).await,
    };
    let made = make(&config, &storage, &folder, None, step).await.unwrap();
    assert_eq!(rounds, 3, "what was forgotten was not noticed, or what was not was");
    let before = centre.appended - 10;

    let again = Config { data_dir: dir.path().join("again"), ..Config::default() };
    let storage = SplitStorage::connect(&again.splits_url(), &dir.path().join("no-cache")).unwrap();
    let manifest = find(&folder, Some(&made.manifest.id)).unwrap();
    restore(&again, &storage, &folder, &manifest).await.unwrap();
    let journal = open_journal(&again.data_dir.join("journal"));
    assert_eq!(journal.id(), centre.journal.id());
    let db = db::connect(&again.database_url()).await.unwrap();
    let next = db.cursor(CursorName::Index, journal.id(), 0).await.unwrap().unwrap();
    let mut reader = journal.reader(Topic::Records, Group::Index).await.unwrap();
    let mut read: Vec<(u64, Bytes)> = Vec::new();
    loop {
        match reader.poll(LIMIT, Duration::from_millis(300)).await.unwrap() {
            Polled::Assigned(_) => reader.seek(0, next).await.unwrap(),
            Polled::Batch(batch) => {
                read.extend(
                    batch.entries.iter().map(|entry| (entry.offset, entry.payload.clone())),
                );
            }
            Polled::Idle | Polled::Revoked(_) if read.last().is_some_and(|l| l.0 + 1 >= before) => {
                break;
            }
            Polled::Idle | Polled::Revoked(_) => panic!("{} of {before}", read.len()),
        }
    }
    assert_eq!(
        read.iter().map(|(at, _)| *at).collect::<Vec<_>>(),
        (next..before).collect::<Vec<_>>()
    );
    assert!(read.iter().all(|(at, payload)| payload.starts_with(format!("{at:010}").as_bytes())));
    // What comes next follows.
    journal.append(Topic::Records, "dijon", vec![Bytes::from("more")]).await.unwrap();
    let more = loop {
        if let Polled::Batch(batch) = reader.poll(LIMIT, Duration::from_secs(5)).await.unwrap() {
            break batch;
        }
    };
    assert_eq!(more.entries[0].offset, before);
}
