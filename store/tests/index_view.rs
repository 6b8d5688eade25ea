//! Hunts while events come, are sealed and merged; damage; other communes.

#![allow(clippy::unwrap_used, reason = "a test ends where something it needs is not there")]

mod support;

use std::{collections::HashSet, sync::Arc};

use event::EventId;
use store::{
    hunt::{Hunt as _, HuntRequest},
    index::{Index, IndexConfig},
    split::SplitStorage,
};
use support::{BUS, Place, START, add, all, commune, event, hunter, request};

async fn with(place: &Place, config: IndexConfig) -> Arc<Index> {
    place.index_over(config, place.storage(), place.db().await).await
}

fn some(first: u64, count: u64, of: &str) -> Vec<Arc<event::Event>> {
    (first..first + count)
        .map(|offset| {
            event(
                offset,
                of,
                &format!(r#"{{"event.code":"{}","host.name":"pc-{offset}"}}"#, offset % 3),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_hunts_neither_lose_nor_double() {
    let place = Place::new();
    let config = IndexConfig { hot_bytes_max: 64 << 10, merge_splits_min: 3, ..place.config() };
    let index = with(&place, config).await;
    let shown = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (load, seal) = (std::sync::atomic::Ordering::SeqCst, Arc::clone(&index));
    let sealing = {
        let done = Arc::clone(&done);
        tokio::spawn(async move {
            let mut merges = 0;
            while !done.load(load) {
                seal.checkpoint(BUS).await.unwrap();
                merges += seal.merge_small(START).await.unwrap();
            }
            merges
        })
    };
    let hunting = {
        let (index, shown, done) = (Arc::clone(&index), Arc::clone(&shown), Arc::clone(&done));
        let scope = place.scope.clone();
        tokio::spawn(async move {
            let hunter = hunter(&index);
            let mut hunts = 0;
            while !done.load(load) {
                let least = shown.load(load);
                let found = all(&hunter, &scope, "host.name:pc-*").await;
                let unique: HashSet<EventId> = found.iter().copied().collect();
                assert_eq!(unique.len(), found.len(), "doubled");
                assert!(found.len() as u64 >= least, "lost: {} of {least}", found.len());
                hunts += 1;
            }
            hunts
        })
    };
    for first in (0..2000).step_by(50) {
        add(&index, first, some(first, 50, ["dijon", "talant"][first as usize / 50 % 2])).await;
        shown.store(first + 50, load);
    }
    while place.db().await.all_splits().await.unwrap().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    done.store(true, load);
    let (merges, hunts) = (sealing.await.unwrap(), hunting.await.unwrap());
    eprintln!("{hunts} hunts beside {merges} merges");
    index.checkpoint(BUS).await.unwrap();
    assert_eq!(all(&hunter(&index), &place.scope, "").await.len(), 2000);
}

/// Several parts written at once, before a checkpoint and in it, hold what one would hold.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_written_at_once_hold_each_event_once_and_in_order() {
    let place = Place::new();
    let config = IndexConfig { hot_bytes_max: 1 << 20, writers: 3, ..place.config() };
    let index = with(&place, config).await;
    let count = 7_000;
    for first in (0..count).step_by(1_000) {
        add(&index, first, some(first, 1_000, "dijon")).await;
    }
    let wanted: Vec<EventId> = some(0, count, "dijon").iter().rev().map(|e| e.id()).collect();
    assert!(all(&hunter(&index), &place.scope, "").await == wanted, "before the checkpoint");
    index.checkpoint(BUS).await.unwrap();
    assert!(all(&hunter(&index), &place.scope, "").await == wanted, "after the checkpoint");
    assert_eq!(all(&hunter(&index), &place.scope, "host.name:pc-4321").await.len(), 1);
    assert_eq!(place.db().await.all_splits().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_walk_by_cursor_sees_each_event_once_while_new_ones_come() {
    let place = Place::new();
    let index = with(&place, place.config()).await;
    let hunter = hunter(&index);
    add(&index, 0, some(0, 100, "dijon")).await;
    let mut seen = Vec::new();
    let mut cursor = None;
    let mut next = 100;
    loop {
        let page = HuntRequest { cursor, limit: 7, ..request("") };
        let answer = hunter.hunt(&place.scope, page).await.unwrap();
        assert_eq!(answer.total, next);
        seen.extend(answer.events.iter().map(event::Event::id));
        cursor = answer.next_cursor;
        if cursor.is_none() {
            break;
        }
        add(&index, next, some(next, 3, "dijon")).await;
        next += 3;
        if next == 118 {
            index.checkpoint(BUS).await.unwrap();
        }
    }
    let wanted: Vec<_> = some(0, 100, "dijon").iter().rev().map(|event| event.id()).collect();
    assert_eq!(seen, wanted);
}

#[tokio::test]
async fn small_splits_become_one_and_their_objects_go() {
    let place = Place::new();
    let config = IndexConfig { merge_splits_min: 4, ..place.config() };
    let index = with(&place, config.clone()).await;
    for round in 0..4 {
        add(&index, round * 10, some(round * 10, 10, "dijon")).await;
        index.checkpoint(BUS).await.unwrap();
    }
    let before = all(&hunter(&index), &place.scope, "event.code:1").await;
    assert_eq!(index.merge_small(START).await.unwrap(), 1);
    assert_eq!(all(&hunter(&index), &place.scope, "event.code:1").await, before);
    assert_eq!(index.merge_small(START).await.unwrap(), 0);
    let objects = place.storage().list(None).await.unwrap();
    let splits = place.db().await.all_splits().await.unwrap();
    assert_eq!((objects.len(), splits.len()), (1, 1));
    assert_eq!((splits[0].events, objects[0].id), (40, splits[0].id));
    drop(index);
    let index = with(&place, config).await;
    assert_eq!(all(&hunter(&index), &place.scope, "event.code:1").await, before);
}

#[tokio::test]
async fn a_damaged_split_is_named_and_the_others_answer() {
    let place = Place::new();
    let index = with(&place, place.config()).await;
    add(&index, 0, [some(0, 5, "dijon"), some(5, 5, "talant")].concat()).await;
    index.checkpoint(BUS).await.unwrap();
    drop(index);
    let of_dijon = place.storage().list(Some(&commune("dijon"))).await.unwrap()[0].clone();
    let object = place.path().join(format!("splits/dijon/{}.split", of_dijon.id));
    let mut bytes = std::fs::read(&object).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&object, bytes).unwrap();
    let index = with(&place, place.config()).await;
    let answer = hunter(&index).hunt(&place.scope, request("")).await.unwrap();
    assert_eq!(answer.total, 5);
    assert!(answer.warnings[0].contains(&of_dijon.id.to_string()), "{:?}", answer.warnings);
    // Who may not read the commune does not hear of its splits.
    let talant = place.scope.narrowed(&commune("talant"));
    let answer = hunter(&index).hunt(&talant, request("")).await.unwrap();
    assert_eq!((answer.total, answer.warnings.len()), (5, 0));
    // An event of the damaged split is not said to be absent.
    let lost = some(0, 1, "dijon")[0].id();
    assert!(hunter(&index).event(&place.scope, lost).await.is_err());
    assert_eq!(hunter(&index).event(&talant, lost).await.unwrap().map(|e| e.id()), None);
    // Nor do merges touch it.
    assert_eq!(index.merge_small(START).await.unwrap(), 0);
}

#[tokio::test]
async fn a_damaged_copy_of_a_split_is_fetched_anew() {
    let place = Place::new();
    let cache = place.path().join("cache");
    let bucket: Arc<dyn object_store::ObjectStore> =
        Arc::new(object_store::memory::InMemory::new());
    let open = async || {
        let storage = Arc::new(SplitStorage::over(Arc::clone(&bucket), &cache, 1 << 30));
        place.index_over(place.config(), storage, place.db().await).await
    };
    let index = open().await;
    let raws = [r#"{"host.name":"pc-1"}"#, r#"{"host.name":"pc-2"}"#];
    add(&index, 0, vec![event(0, "dijon", raws[0]), event(1, "dijon", raws[1])]).await;
    index.checkpoint(BUS).await.unwrap();
    drop(index);

    // A bit turns in the middle, where neither length nor footer tell.
    let copy = std::fs::read_dir(cache.join("dijon")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&copy).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 1;
    std::fs::write(&copy, &bytes).unwrap();
    let index = open().await;
    assert_eq!(all(&hunter(&index), &place.scope, "").await.len(), 2);
    bytes[middle] ^= 1;
    assert_eq!(std::fs::read(&copy).unwrap(), bytes, "the cache holds a good copy again");
}
