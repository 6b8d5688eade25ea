//! A process that raises is killed at arbitrary moments; whatever it said was raised is there,
//! once, and so is the cursor that goes with it.

#![expect(clippy::unwrap_used, reason = "these are tests; a panic is how they fail")]

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use event::{
    BusId, CommuneId, Detection, DetectionId, Entity, EntityKind, EventId, FeedId, FormatName,
    Level, RuleRef, Timestamp,
};
use store::db::{CursorName, Position, RaisedKind, SharedDatabase, connect};

const KILLS: u64 = 12;
const BATCH: u64 = 20;
const BUS: BusId = BusId::from_bytes([5; 16]);

/// Set for the process that is killed.
const CHILD: &str = "DB_CRASH_CHILD";

fn detection(offset: u64) -> Detection {
    let time = Timestamp::from_secs(1_780_000_000);
    let event_id = EventId::of(BUS, 0, offset, time);
    Detection {
        id: DetectionId::of("rule", event_id),
        commune: CommuneId::new("dijon").unwrap(),
        feed: FeedId::new("dijon-pc").unwrap(),
        format: FormatName::new("windows").unwrap(),
        rule: RuleRef {
            id: "rule".to_owned(),
            name: "Rule".to_owned(),
            level: Level::High,
            version: "0".to_owned(),
            tags: Vec::new(),
        },
        event_id,
        timestamp: time,
        received: time,
        detected: time,
        entities: vec![Entity { kind: EntityKind::Host, name: format!("pc-{}", offset % 7) }],
        matched: Vec::new(),
        values: Vec::new(),
        correlation: None,
        indicator: None,
        event: serde_json::json!({"event": {"original": "x".repeat(2_000)}}),
    }
}

fn batch(from: u64) -> Vec<Detection> {
    (from..from + BATCH).map(detection).collect()
}

async fn open(dir: &Path) -> SharedDatabase {
    connect(&format!("sqlite://{}", dir.join("x.db").display())).await.unwrap()
}

/// Raises from where the cursor stands and prints each position that is durable.
#[tokio::test]
async fn child() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let db = open(Path::new(&dir)).await;
    let mut from = db.cursor(CursorName::Raise, BUS, 0).await.unwrap().unwrap_or(0);
    println!("\nat {from}");
    loop {
        let position = Position { bus: BUS, partition: 0, next: from + BATCH };
        db.raise(&batch(from), position, Timestamp::now()).await.unwrap();
        from += BATCH;
        println!("\nat {from}");
    }
}

#[tokio::test]
async fn what_was_raised_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut next = 0;
    for round in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let reader = std::thread::spawn(move || {
            let said = lines.map_while(Result::ok);
            said.filter_map(|line| line.strip_prefix("at ")?.parse::<u64>().ok()).max()
        });
        std::thread::sleep(Duration::from_millis(60 + 37 * round % 211));
        child.kill().unwrap();
        child.wait().unwrap();
        let said = reader.join().unwrap().unwrap_or(0);

        let db = open(dir.path()).await;
        let cursor = db.cursor(CursorName::Raise, BUS, 0).await.unwrap().unwrap_or(0);
        assert!(cursor >= said && cursor >= next, "{cursor} < {said} or {next}");
        next = cursor;
        // All below the cursor is known and nothing above it was begun.
        for from in (0..next).step_by(BATCH as usize) {
            let position = Position { bus: BUS, partition: 0, next: 0 };
            let raised = db.raise(&batch(from), position, Timestamp::now()).await.unwrap();
            assert!(raised.iter().all(|raised| raised.kind == RaisedKind::Known));
        }
    }
    assert!(next > 0, "the child was killed before it raised anything");
    let raw = rusqlite::Connection::open(dir.path().join("x.db")).unwrap();
    let count = |sql: &str| raw.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM detection"), i64::try_from(next).unwrap());
    assert_eq!(count("SELECT sum(detections) FROM incident"), i64::try_from(next).unwrap());
    assert_eq!(count("SELECT count(*) FROM incident"), 7);
    let check: String = raw.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}
