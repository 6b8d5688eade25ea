//! SIGKILL at random moments: what was acknowledged is read exactly once afterwards.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod journal_support;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use ingest::bus::{
    Bus, Group, PollLimit, Polled, Topic,
    journal::{Journal, JournalConfig},
};
use journal_support::{Numbers, append, read_all};

const DIR: &str = "JOURNAL_CRASH_DIR";
const ROUND: &str = "JOURNAL_CRASH_ROUND";
const KILLS: u64 = 25;

fn config(dir: &Path) -> JournalConfig {
    let mut config = JournalConfig::new(dir);
    config.segment_bytes = 256 << 10;
    config
}

/// Not a test by itself: what runs in the child process until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else {
        return;
    };
    let round = std::env::var(ROUND).unwrap();
    let journal = Journal::open(config(&dir)).unwrap();
    for producer in 0..8 {
        let (journal, round) = (Arc::clone(&journal), round.clone());
        tokio::spawn(async move {
            for number in 0_u64.. {
                produce(&journal, &format!("{round}.{producer}.{number}"), number).await;
            }
        });
    }
    let mut reader = journal.reader(Topic::Records, Group::Detect).await.unwrap();
    let limit = PollLimit { records_max: 500, bytes_max: 1 << 20 };
    loop {
        if let Polled::Batch(batch) = reader.poll(limit, Duration::from_secs(1)).await.unwrap() {
            reader.commit(0, batch.next()).await.unwrap();
            say(&format!("committed {}\n", batch.next()));
        }
    }
}

async fn produce(journal: &Arc<Journal>, name: &str, number: u64) {
    let count = number % 4 + 1;
    let padding = "x".repeat((number * 37 % 3000) as usize);
    let texts = (0..count).map(|at| format!("{name}.{at} {padding}"));
    let payloads: Vec<Bytes> = texts.map(Bytes::from).collect();
    let appended = append(journal, &payloads).await.unwrap();
    let acks = (appended.first..).zip(0..count);
    say(&acks.map(|(offset, at)| format!("ack {offset} {name}.{at}\n")).collect::<String>());
}

fn say(lines: &str) {
    std::io::stdout().lock().write_all(lines.as_bytes()).unwrap();
}

/// Everything that children said before they were killed.
#[derive(Default)]
struct Said {
    acks: BTreeMap<u64, String>,
    committed: u64,
}

impl Said {
    /// Runs a child and kills it `delay` after its first acknowledgement.
    fn add(&mut self, dir: &Path, round: u64, delay: Duration) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--nocapture"])
            .env(DIR, dir)
            .env(ROUND, round.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut killer = None;
        for line in output.split(b'\n') {
            let line = String::from_utf8(line.unwrap()).unwrap();
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["ack", offset, name] => {
                    let offset = offset.parse().unwrap();
                    let before = self.acks.insert(offset, name.to_owned());
                    assert_eq!(before, None, "offset {offset} was given out twice");
                    killer.get_or_insert_with(|| {
                        let pid = child.id().to_string();
                        std::thread::spawn(move || {
                            std::thread::sleep(delay);
                            Command::new("kill").args(["-KILL", &pid]).status().unwrap()
                        })
                    });
                }
                ["committed", next] => self.committed = self.committed.max(next.parse().unwrap()),
                _ => {}
            }
        }
        let killed = killer.expect("the child acknowledged something").join().unwrap();
        assert!(killed.success());
        assert!(!child.wait().unwrap().success());
    }
}

#[tokio::test]
async fn what_was_acknowledged_outlives_sigkill_exactly_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut numbers = Numbers(u64::from(std::process::id()) | 1);
    let mut said = Said::default();
    for round in 0..KILLS {
        said.add(dir.path(), round, Duration::from_millis(numbers.below(80)));
        let journal = Journal::open(config(dir.path())).unwrap();
        let status = journal.status().await;
        assert_eq!(status.quarantined, Vec::<String>::new(), "round {round}");
        let committed = status.lags.iter().find(|lag| lag.group == Group::Detect).unwrap();
        assert!(committed.committed >= said.committed, "a commit was lost");
        check(&journal, &said).await;
    }
    println!("{} records acknowledged over {KILLS} kills, all read once", said.acks.len());
}

async fn check(journal: &Arc<Journal>, said: &Said) {
    // The index group never commits, so all is still there.
    let found = read_all(journal, Group::Index).await;
    let mut names = std::collections::HashSet::new();
    for payload in found.values() {
        let text = std::str::from_utf8(payload).unwrap();
        let (name, padding) = text.split_once(' ').unwrap();
        assert!(names.insert(name.to_owned()), "{name} came twice");
        assert!(padding.bytes().all(|byte| byte == b'x'));
    }
    for (offset, name) in &said.acks {
        let payload = found.get(offset).unwrap_or_else(|| panic!("{name} at {offset} is lost"));
        assert!(payload.starts_with(format!("{name} ").as_bytes()), "{name} at {offset}");
    }
}
