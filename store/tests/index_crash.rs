//! Each acknowledged event is in exactly one searchable place, wherever the index dies.

#![allow(clippy::unwrap_used, reason = "a test ends where something it needs is not there")]

mod support;

use std::sync::Arc;

use event::Event;
use store::index::{Index, IndexConfig};
use support::{BUS, Place, add, all, cursor, cut_short, event, hunter, live};

const EVENTS: u64 = 60;

/// The bus: what can be read again at any time.
fn bus() -> Vec<Arc<Event>> {
    (0..EVENTS)
        .map(|offset| {
            let of = ["dijon", "talant", "longvic"][offset as usize % 3];
            event(
                offset,
                of,
                &format!(r#"{{"event.code":"{}","message":"number {offset}"}}"#, offset % 5),
            )
        })
        .collect()
}

/// Memory for next to nothing, so that parts are written all the time.
fn tight(place: &Place) -> IndexConfig {
    IndexConfig { hot_bytes_max: 24 << 10, ..place.config() }
}

async fn opened(place: &Place) -> (Arc<Index>, u64) {
    let db = place.db().await;
    let index = place.index_over(tight(place), place.storage(), Arc::clone(&db)).await;
    (index, cursor(&*db).await)
}

/// Reads from `from` to `to` as the index reader does.
async fn read(index: &Index, from: u64, to: u64) {
    let bus = bus();
    for first in (from..to).step_by(7) {
        let next = (first + 7).min(to);
        add(index, first, bus[first as usize..next as usize].to_vec()).await;
    }
}

async fn assert_exactly_once(place: &Place, index: &Arc<Index>, upto: u64, when: &str) {
    let mut found = all(&hunter(index), &place.scope, "").await;
    found.sort_unstable();
    let mut wanted: Vec<_> = bus()[..upto as usize].iter().map(|event| event.id()).collect();
    wanted.sort_unstable();
    assert_eq!(found, wanted, "{when}");
}

fn assert_no_orphans(place: &Place, splits: usize) {
    let mut files = Vec::new();
    for folder in std::fs::read_dir(place.path().join("splits")).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            files.push(file.unwrap().path());
        }
    }
    assert_eq!(files.len(), splits, "{files:?}");
}

/// Dies after `polls` polls of a checkpoint; says whether it had finished.
async fn first_life(place: &Place, polls: usize) -> bool {
    let (index, from) = opened(place).await;
    read(&index, from, 40).await;
    let finished = cut_short(index.checkpoint(BUS), polls).await.is_some();
    assert_exactly_once(place, &index, 40, &format!("cut after {polls} polls")).await;
    if polls.is_multiple_of(2) {
        // It goes on in the same process: the next checkpoint finishes what was begun.
        read(&index, 40, EVENTS).await;
        index.checkpoint(BUS).await.unwrap();
        assert_exactly_once(place, &index, EVENTS, "continued").await;
    }
    finished
}

async fn second_life(place: &Place, polls: usize) {
    let (index, from) = opened(place).await;
    read(&index, from, EVENTS).await;
    assert_exactly_once(place, &index, EVENTS, &format!("restarted after {polls} polls")).await;
    index.checkpoint(BUS).await.unwrap();
    assert_exactly_once(place, &index, EVENTS, "sealed").await;
}

#[test]
fn a_checkpoint_may_die_at_every_step() {
    for polls in 0.. {
        let place = Place::new();
        let finished = live(first_life(&place, polls));
        live(second_life(&place, polls));
        let splits = live(async {
            drop(opened(&place).await);
            place.db().await.all_splits().await.unwrap()
        });
        assert_no_orphans(&place, splits.len());
        if finished {
            assert!(polls > 3, "the checkpoint was never cut: {polls}");
            break;
        }
    }
}

#[tokio::test]
async fn a_failed_store_or_publication_is_tried_again() {
    let place = Place::new();
    let (index, _) = opened(&place).await;
    read(&index, 0, 30).await;
    // The commune's folder cannot be made where a file is.
    let blocker = place.path().join("splits/longvic");
    std::fs::write(&blocker, b"").unwrap();
    assert!(index.checkpoint(BUS).await.is_err());
    assert_exactly_once(&place, &index, 30, "not stored").await;
    assert!(index.checkpoint_due());
    std::fs::remove_file(&blocker).unwrap();

    let sql = rusqlite::Connection::open(place.path().join("db.sqlite")).unwrap();
    sql.execute_batch(
        "CREATE TRIGGER refuse BEFORE INSERT ON split BEGIN SELECT RAISE(ABORT, 'no'); END",
    )
    .unwrap();
    read(&index, 30, 40).await;
    assert!(index.checkpoint(BUS).await.is_err());
    assert_exactly_once(&place, &index, 40, "not published").await;
    assert_eq!(cursor(&*place.db().await).await, 0);
    sql.execute_batch("DROP TRIGGER refuse").unwrap();

    let positions = index.checkpoint(BUS).await.unwrap();
    assert_eq!(positions.iter().map(|position| position.next).collect::<Vec<_>>(), [40]);
    assert_exactly_once(&place, &index, 40, "published").await;
    assert_eq!(cursor(&*place.db().await).await, 40);
}

#[tokio::test]
async fn offsets_are_taken_once() {
    let place = Place::new();
    let (index, _) = opened(&place).await;
    read(&index, 0, 14).await;
    read(&index, 0, 14).await;
    assert_exactly_once(&place, &index, 14, "read twice").await;
    assert!(index.add(0, 10, bus()[10..20].to_vec(), 20).await.is_err());
    index.forget(0).await;
    assert_exactly_once(&place, &index, 0, "forgotten").await;
    read(&index, 0, 20).await;
    assert_exactly_once(&place, &index, 20, "read again").await;
    // Offsets without events move the position all the same.
    index.add(0, 20, Vec::new(), 25).await.unwrap();
    assert_eq!(index.checkpoint(BUS).await.unwrap()[0].next, 25);
    assert!(index.checkpoint(BUS).await.unwrap().is_empty());
}
