//! The catalog of splits and the cursors.

use event::{BusId, SplitId, Timestamp};

use super::{BUS, Fixture, at, commune, only, position};
use crate::{
    Scope,
    db::{CursorName, DbError, Position, Publication, SharedDatabase, SplitMeta},
};

pub(super) fn split(of: &str, n: u64, from: i64, to: i64) -> SplitMeta {
    SplitMeta {
        id: SplitId::of(BUS, &commune(of), 0, n),
        commune: commune(of),
        min_time: at(from),
        max_time: at(to),
        min_received: at(from + 1),
        max_received: at(to + 1),
        events: n + 1,
        raw_bytes: 1 << 40,
        bytes: 1 << 33,
        crc32c: u32::MAX - 1,
        format_version: 3,
        sealed: at(to + 2),
    }
}

pub(super) fn publication(
    added: &[&SplitMeta],
    removed: &[&SplitMeta],
    next: Option<u64>,
) -> Publication {
    Publication {
        added: added.iter().map(|split| (*split).clone()).collect(),
        removed: removed.iter().map(|split| split.id).collect(),
        position: next.map(position),
        purged: None,
    }
}

async fn all(db: &SharedDatabase) -> Vec<SplitMeta> {
    db.all_splits().await.unwrap()
}

fn sorted(splits: &[&SplitMeta]) -> Vec<SplitMeta> {
    let mut splits: Vec<_> = splits.iter().map(|split| (*split).clone()).collect();
    splits.sort_by_key(|split| split.id);
    splits
}

/// Splits and cursor appear together and stay; publishing again changes nothing.
pub async fn publishes<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let (a, b) = (split("dijon", 0, 0, 9), split("talant", 0, 3, 4));
    let first = publication(&[&a, &b], &[], Some(10));
    db.publish(first.clone()).await.unwrap();
    db.publish(first).await.unwrap();
    drop(db);
    let db = fixture.open().await;
    assert_eq!(all(&db).await, sorted(&[&a, &b]));
    assert_eq!(db.cursor(CursorName::Index, BUS, 0).await.unwrap(), Some(10));
    assert_eq!(db.cursor(CursorName::Raise, BUS, 0).await.unwrap(), None);

    let mut other = a.clone();
    other.events += 1;
    let clash = db.publish(publication(&[&other], &[], Some(11))).await;
    assert!(matches!(clash, Err(DbError::Exists { what: "split", .. })), "{clash:?}");
    assert_eq!(db.cursor(CursorName::Index, BUS, 0).await.unwrap(), Some(10), "as a whole");
    db.publish(publication(&[], &[&b], None)).await.unwrap();
    db.publish(publication(&[], &[&b], None)).await.unwrap();
    assert_eq!(all(&db).await, sorted(&[&a]));
}

/// Each name, bus and partition has a position of its own, which only grows.
pub async fn cursors_never_move_back<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let other = BusId::from_bytes([8; 16]);
    db.publish(publication(&[], &[], Some(10))).await.unwrap();
    for (bus, partition, next) in [(BUS, 0, 5), (BUS, 1, 7), (other, 0, 3), (BUS, 0, 4)] {
        let position = Position { bus, partition, next };
        db.raise(&[], position, at(0)).await.unwrap();
        db.publish(Publication {
            added: vec![],
            removed: vec![],
            position: Some(position),
            purged: None,
        })
        .await
        .unwrap();
    }
    let get = async |name, bus, partition| db.cursor(name, bus, partition).await.unwrap();
    assert_eq!(get(CursorName::Index, BUS, 0).await, Some(10));
    assert_eq!(get(CursorName::Raise, BUS, 0).await, Some(5));
    assert_eq!(get(CursorName::Raise, BUS, 1).await, Some(7));
    assert_eq!(get(CursorName::Index, other, 0).await, Some(3));
    assert_eq!(get(CursorName::Raise, other, 1).await, None);
}

/// What was merged or dropped does not come back when its publication is repeated, nor what a
/// reader that was overtaken publishes late.
pub async fn replays_do_not_resurrect<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let (a, b) = (split("dijon", 0, 0, 1), split("dijon", 10, 2, 3));
    // A merge may take the id of its first source, for that is where it begins.
    let mut merged = split("dijon", 0, 0, 3);
    merged.events = 12;
    let first = publication(&[&a], &[], Some(10));
    let second = publication(&[&b], &[], Some(20));
    let merge = publication(&[&merged], &[&a, &b], None);
    for step in [&first, &second, &merge, &first, &second, &merge] {
        db.publish(step.clone()).await.unwrap();
    }
    assert_eq!(all(&db).await, sorted(&[&merged]));
    let late = split("dijon", 5, 0, 1);
    db.publish(publication(&[&late], &[], Some(15))).await.unwrap();
    db.publish(publication(&[], &[&merged], None)).await.unwrap();
    for step in [first, second, merge] {
        db.publish(step).await.unwrap();
    }
    assert_eq!(all(&db).await, []);
}

/// A merge that lost one of its sources to retention is refused.
pub async fn merges_need_their_sources<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let (a, b) = (split("dijon", 0, 0, 1), split("dijon", 10, 2, 3));
    let merged = split("dijon", 99, 0, 3);
    db.publish(publication(&[&a, &b], &[], Some(20))).await.unwrap();
    db.publish(publication(&[], &[&a], None)).await.unwrap();
    let result = db.publish(publication(&[&merged], &[&a, &b], None)).await;
    assert!(matches!(result, Err(DbError::Refused(_))), "{result:?}");
    assert_eq!(all(&db).await, sorted(&[&b]));
}

/// Only splits in scope whose time range touches the one asked for.
pub async fn splits_are_pruned<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let (a, b) = (split("dijon", 0, 0, 10), split("dijon", 1, 11, 20));
    let c = split("talant", 2, 5, 15);
    db.publish(publication(&[&a, &b, &c], &[], Some(1))).await.unwrap();
    let get = async |scope: Scope, from, to| db.splits(&scope, from, to).await.unwrap();
    let always = (Timestamp::MIN, Timestamp::MAX);
    assert_eq!(get(Scope::all(), always.0, always.1).await, sorted(&[&a, &b, &c]));
    assert_eq!(get(only(&["dijon"]), always.0, always.1).await, sorted(&[&a, &b]));
    assert_eq!(get(only(&["dijon", "talant"]), at(12), at(13)).await, sorted(&[&b, &c]));
    assert_eq!(get(only(&[]), always.0, always.1).await, []);
    assert_eq!(get(only(&["dijon"]), at(10), at(10)).await, sorted(&[&a]));
    assert_eq!(get(only(&["dijon"]), at(10), at(11)).await, sorted(&[&a, &b]));
    assert_eq!(get(only(&["dijon"]), at(21), at(30)).await, []);
}
