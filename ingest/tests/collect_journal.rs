//! The doors in front of the real journal.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod collect_support;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use collect_support::*;
use event::{FeedId, Record};
use ingest::{
    bus::{
        Bus, Group, PollLimit, Polled, Topic,
        journal::{Journal, JournalConfig},
    },
    collect::{
        Admission, Unmetered,
        http::{HttpDoor, HttpLimits, router, serve as serve_http},
        syslog::{SyslogDoor, SyslogLimits, serve as serve_syslog},
    },
};
use tokio::{io::AsyncWriteExt, net::TcpListener, net::TcpStream};
use tokio_util::sync::CancellationToken;

struct Doors {
    journal: Arc<Journal>,
    http: SocketAddr,
    syslog: SocketAddr,
    cancel: CancellationToken,
}

async fn open(config: JournalConfig) -> Doors {
    let journal = Journal::open(config).unwrap();
    let (cancel, admission) = (CancellationToken::new(), Admission::new(64 << 20));
    let door = HttpDoor {
        bus: journal.clone(),
        batches: Arc::new(MemoryBatches::default()),
        feeds: Arc::new(MemoryFeeds::default()),
        admission: admission.clone(),
        limits: HttpLimits::default(),
        metrics: Arc::new(Unmetered),
        elastic_version: Default::default(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let http = listener.local_addr().unwrap();
    tokio::spawn(serve_http(listener, router(door), None, HttpLimits::default(), cancel.clone()));
    let door = SyslogDoor {
        bus: journal.clone(),
        feeds: Arc::new(MemoryFeeds::default()),
        admission,
        limits: SyslogLimits::default(),
        metrics: Arc::new(Unmetered),
        feed: Some(FeedId::new("talant-phones").unwrap()),
        allow_from: Vec::new(),
        tls: None,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let syslog = listener.local_addr().unwrap();
    tokio::spawn(serve_syslog(listener, door, cancel.clone()));
    Doors { journal, http, syslog, cancel }
}

impl Doors {
    /// Reads until `records` came or none comes any more, committing for both groups.
    async fn read(&self, records: usize) -> Vec<Record> {
        let limit = PollLimit { records_max: 1000, bytes_max: 1 << 20 };
        let mut all = Vec::new();
        for group in [Group::Index, Group::Detect] {
            all.clear();
            let mut reader = self.journal.reader(Topic::Records, group).await.unwrap();
            while all.len() < records {
                match reader.poll(limit, Duration::from_secs(5)).await.unwrap() {
                    Polled::Batch(batch) => {
                        let payloads = batch.entries.iter().map(|entry| entry.payload.clone());
                        all.extend(payloads.map(|bytes| Record::decode(bytes).unwrap()));
                        reader.commit(batch.partition, batch.next()).await.unwrap();
                    }
                    Polled::Idle => break,
                    Polled::Assigned(_) | Polled::Revoked(_) => {}
                }
            }
        }
        all
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_is_on_disk_once() {
    let dir = tempfile::tempdir().unwrap();
    let doors = open(JournalConfig::new(dir.path())).await;
    let body: String = (0..2000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    for _ in 0..3 {
        let request =
            post(&format!("{}Content-Encoding: zstd\r\n", dijon()), &zstd(body.as_bytes()));
        assert_eq!(exchange(doors.http, &request).await.json()["accepted"], 2000);
    }
    let mut stream = TcpStream::connect(doors.syslog).await.unwrap();
    for n in 0..500 {
        stream.write_all(format!("<13>{n}\n").as_bytes()).await.unwrap();
    }
    drop(stream);
    let records = doors.read(6500).await;
    let of = |feed: &str| records.iter().filter(|r| r.feed.as_str() == feed).count();
    assert_eq!((of("dijon-endpoints"), of("talant-phones")), (6000, 500));
    doors.cancel.cancel();
    doors.journal.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_journal_slows_both_doors_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = JournalConfig::new(dir.path());
    config.journal_bytes_max = 4 << 20;
    config.segment_bytes = 1 << 20;
    let doors = open(config).await;

    let line = |n: usize| format!("{{\"n\":{n},\"x\":\"{}\"}}", "y".repeat(1000));
    let (mut taken, mut refused) = (0, 0);
    while refused == 0 && taken < 10_000 {
        let body: Vec<String> = (taken..taken + 100).map(line).collect();
        let answer = exchange(doors.http, &post(&dijon(), body.join("\n").as_bytes())).await;
        match answer.status {
            200 => taken += 100,
            503 => {
                assert!(!answer.header("retry-after").is_empty());
                assert_eq!(answer.json()["type"], "urn:jacquemart:problem:bus-full");
                refused += 1;
            }
            status => panic!("{status}: {answer:?}"),
        }
    }
    assert!(refused > 0 && taken > 0, "{taken} records were taken and none refused");

    let mut stream = TcpStream::connect(doors.syslog).await.unwrap();
    let sender = tokio::spawn(async move {
        for n in 0..3000 {
            let line = format!("<13>{n} {}\n", "z".repeat(300));
            stream.write_all(line.as_bytes()).await.unwrap();
        }
    });
    let records = doors.read(taken + 3000).await;
    sender.await.unwrap();
    let of = |feed: &str| -> Vec<&Record> {
        records.iter().filter(|record| record.feed.as_str() == feed).collect()
    };
    assert_eq!(of("dijon-endpoints").len(), taken);
    for (n, record) in of("talant-phones").iter().enumerate() {
        assert!(record.raw.starts_with(format!("<13>{n} ").as_bytes()));
    }
    assert_eq!(of("talant-phones").len(), 3000);
    doors.cancel.cancel();
    doors.journal.close().await;
}
