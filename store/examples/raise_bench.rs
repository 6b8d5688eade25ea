//! How fast detections are raised, beside bare inserts of the same bodies into SQLite.
//!
//! `cargo run --release -p store --example raise_bench [DETECTIONS] [BATCH] [COMMUNES]`; the
//! defaults are 5,000 detections of about 5 KiB in batches of 500 for 6 communes. Both sides
//! write to files of their own in the temporary folder, with a durable commit per batch.

use std::{error::Error, path::Path, time::Instant};

use event::{
    BusId, CommuneId, Detection, DetectionId, Entity, EntityKind, EventId, FeedId, FormatName,
    Level, RuleRef, Timestamp,
};
use rusqlite::Connection;
use serde_json::json;
use store::db::{Position, connect};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const BUS: BusId = BusId::from_bytes([1; 16]);

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mut number = |default: u64| args.next().map_or(Ok(default), |text| text.parse());
    let (count, batch, communes) = (number(5_000)?, number(500)?.max(1), number(6)?.max(1));
    let detections = (0..count)
        .map(|n| detection(n, communes))
        .collect::<std::result::Result<Vec<_>, event::InvalidId>>()?;
    let batches: Vec<_> = detections.chunks(usize::try_from(batch)?).collect();
    let bytes: usize = detections
        .iter()
        .map(|detection| serde_json::to_string(detection).map(|body| body.len()))
        .sum::<std::result::Result<usize, _>>()?;
    let dir = tempfile::tempdir()?;
    println!("{count} detections of {} bytes, {batch} a batch", bytes / detections.len().max(1));
    let bare = bare(&dir.path().join("bare.db"), &batches)?;
    report("bare inserts", count, bare);
    let raised = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(raise(&dir.path().join("raise.db"), &batches))?;
    report("raise", count, raised);
    println!("raise takes {:.2} times as long", raised / bare);
    Ok(())
}

fn report(what: &str, count: u64, seconds: f64) {
    println!("{what:>12}: {:>8.0} detections/s ({seconds:.3} s)", count as f64 / seconds);
}

/// One table, one unique id, one body: what any store of detections must do at least.
fn bare(path: &Path, batches: &[&[Detection]]) -> Result<f64> {
    let mut db = Connection::open(path)?;
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE detection (seq INTEGER PRIMARY KEY, id BLOB UNIQUE, body TEXT) STRICT;",
    )?;
    let begun = Instant::now();
    for batch in batches {
        let tx = db.transaction()?;
        for detection in *batch {
            tx.prepare_cached("INSERT INTO detection (id, body) VALUES (?, ?)")?
                .execute((detection.id.as_bytes(), serde_json::to_string(detection)?))?;
        }
        tx.commit()?;
    }
    Ok(begun.elapsed().as_secs_f64())
}

async fn raise(path: &Path, batches: &[&[Detection]]) -> Result<f64> {
    let db = connect(&format!("sqlite://{}", path.display())).await?;
    let begun = Instant::now();
    let mut next = 0;
    for batch in batches {
        next += batch.len() as u64;
        let position = Position { bus: BUS, partition: 0, next };
        db.raise(batch, position, Timestamp::now()).await?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    db.close().await;
    Ok(seconds)
}

/// One of 40 rules on one of 200 computers and 300 users per commune, a second apart.
fn detection(n: u64, communes: u64) -> std::result::Result<Detection, event::InvalidId> {
    let time = Timestamp::from_secs(1_780_000_000 + i64::try_from(n).unwrap_or(0));
    let event_id = EventId::of(BUS, 0, n, time);
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let rule = format!("rule-{}", mixed % 40);
    let entity = |kind, name| Entity { kind, name };
    Ok(Detection {
        id: DetectionId::of(&rule, event_id),
        commune: CommuneId::new(&format!("commune-{}", n % communes))?,
        feed: FeedId::new("feed")?,
        format: FormatName::new("windows")?,
        rule: RuleRef {
            name: format!("Name of {rule}"),
            id: rule,
            level: Level::ALL[1 + usize::try_from(mixed % 4).unwrap_or(0)],
            version: "0123456789ab".to_owned(),
            tags: vec!["attack.execution".to_owned(), format!("attack.t{}", 1000 + mixed % 40)],
        },
        event_id,
        timestamp: time,
        received: time,
        detected: time,
        entities: vec![
            entity(EntityKind::Host, format!("pc-{}", mixed % 200)),
            entity(EntityKind::User, format!("user-{}", mixed % 300)),
        ],
        matched: Vec::new(),
        values: Vec::new(),
        correlation: None,
        indicator: None,
        event: json!({
            "event": {"original": format!("{n} {}", "raw record, escaped as JSON: \"x\" ".repeat(70))},
            "process": {"command_line": format!("cmd.exe /c {n} {}", "argument ".repeat(200))},
        }),
    })
}
