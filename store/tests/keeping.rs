//! What is too old goes, what is held stays, what is purged leaves nothing behind.

#![allow(clippy::unwrap_used, reason = "a test ends where something it needs is not there")]

mod support;

use std::{sync::Arc, time::Duration};

use event::{Event, Owner, Timestamp};
use store::{
    Scope,
    db::{NewHold, NewPurge},
    index::{Dropped, Index, Keep},
};
use support::{BUS, Place, START, add, all, commune, cut_short, event_by, hunter, live};

const DAY: Duration = Duration::from_secs(86_400);

fn keep(days: u32) -> Keep {
    Keep { days, own: Vec::new(), holds: Vec::new() }
}

fn day(days: u32) -> Timestamp {
    START.plus(DAY * days)
}

/// One event by each of two feeds of a commune, received on that day.
fn on(offset: u64, of: &str, days: u32) -> Vec<Arc<Event>> {
    let of_feed = |n: u64, feed: &str| {
        let at = day(days).plus(Duration::from_millis(n));
        let time = at.to_string();
        let raw = format!(
            r#"{{"@timestamp":"{time}","user.name":"user-{n}","process.command_line":"tool --secret-{n}-{of} x"}}"#
        );
        event_by(n, of, feed, at, &raw)
    };
    vec![of_feed(offset, &format!("{of}-pc")), of_feed(offset + 1, &format!("{of}-pare-feu"))]
}

/// Seals a split of each commune for each of `days`.
async fn fill(index: &Index, communes: &[&str], days: &[u32]) {
    let mut offset = 0;
    for day in days {
        for of in communes {
            let events = on(offset, of, *day);
            add(index, offset, events).await;
            offset += 2;
        }
        index.checkpoint(BUS).await.unwrap();
    }
}

async fn objects(place: &Place) -> usize {
    place.storage().list(None).await.unwrap().len()
}

async fn expire(index: &Index, keep: &Keep, now: Timestamp) -> Vec<Dropped> {
    let is_due = !index.due(keep, now).is_empty();
    let mut dropped = Vec::new();
    assert_eq!(index.expire(keep, now, &mut dropped).await.unwrap(), 0, "passed over");
    assert!(is_due || dropped.is_empty(), "what was not due went: {dropped:?}");
    dropped
}

async fn count(index: &Arc<Index>, scope: &Scope, query: &str) -> usize {
    all(&hunter(index), scope, query).await.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_splits_are_dropped() {
    let place = Place::new();
    let index = place.index().await;
    fill(&index, &["dijon", "talant"], &[0, 10, 20]).await;
    assert_eq!(objects(&place).await, 6);
    assert_eq!(expire(&index, &keep(30), day(30)).await, []);
    let mut keep = keep(30);
    keep.own = vec![(commune("talant"), Owner::Commune(commune("talant")), 15)];
    let dropped = expire(&index, &keep, day(31)).await;
    let ms = Duration::from_millis;
    let expected = [
        Dropped {
            commune: commune("dijon"),
            events: 2,
            splits: 1,
            time: (day(0), day(0).plus(ms(1))),
            received_max: day(0).plus(ms(1)),
        },
        Dropped {
            commune: commune("talant"),
            events: 4,
            splits: 2,
            time: (day(0).plus(ms(2)), day(10).plus(ms(7))),
            received_max: day(10).plus(ms(7)),
        },
    ];
    assert_eq!(dropped, expected);
    assert_eq!(expire(&index, &keep, day(31)).await, []);
    assert_eq!(count(&index, &place.scope, "jacquemart.feed:dijon-*").await, 4);
    assert_eq!(count(&index, &place.scope, "jacquemart.feed:talant-*").await, 2);
    assert_eq!(objects(&place).await, 3);
    drop(index);
    let again = place.index().await;
    assert_eq!(count(&again, &place.scope, "jacquemart.feed:*").await, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_has_days_of_its_own() {
    let place = Place::new();
    let index = place.index().await;
    fill(&index, &["dijon", "talant"], &[0, 10]).await;
    let mut keep = keep(365);
    keep.own = vec![(commune("dijon"), Owner::Feed("dijon-pare-feu".parse().unwrap()), 5)];
    let dropped = expire(&index, &keep, day(6)).await;
    assert_eq!(dropped.iter().map(|d| (d.events, d.splits)).collect::<Vec<_>>(), [(1, 1)]);
    assert_eq!(expire(&index, &keep, day(6)).await, [], "nothing is left of it");
    assert_eq!(count(&index, &place.scope, "jacquemart.feed:dijon-pare-feu").await, 1);
    assert_eq!(count(&index, &place.scope, "jacquemart.feed:dijon-pc").await, 2);
    assert_eq!(count(&index, &place.scope, "jacquemart.feed:talant-*").await, 4);
    // The days of the commune are longer for one feed than for the rest.
    keep.own = vec![(commune("dijon"), Owner::Feed("dijon-pc".parse().unwrap()), 1_000)];
    expire(&index, &keep, day(500)).await;
    assert_eq!(count(&index, &place.scope, "jacquemart.feed:*").await, 2);
    assert_eq!(count(&index, &place.scope, "jacquemart.feed:dijon-pc").await, 2);
}

/// What is damaged is told, goes whole where all of it may, and keeps nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_keeps_no_other_split() {
    let place = Place::new();
    let index = place.index().await;
    fill(&index, &["dijon", "talant"], &[0]).await;
    drop(index);
    for file in std::fs::read_dir(place.path().join("splits/dijon")).unwrap() {
        std::fs::write(file.unwrap().path(), b"damaged").unwrap();
    }
    let index = place.index().await;
    let own = |of: &str, days| {
        (commune(of), Owner::Feed(format!("{of}-pare-feu").parse().unwrap()), days)
    };
    let some = Keep { own: vec![own("dijon", 5), own("talant", 5)], ..keep(365) };
    let mut dropped = Vec::new();
    assert_eq!(index.expire(&some, day(9), &mut dropped).await.unwrap(), 1);
    assert_eq!(dropped.iter().map(|d| d.commune.as_str()).collect::<Vec<_>>(), ["talant"]);
    assert_eq!(expire(&index, &keep(30), day(40)).await.len(), 2);
    assert_eq!(objects(&place).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_keeps_what_it_covers() {
    let place = Place::new();
    let (index, db) = (place.index().await, place.db().await);
    fill(&index, &["dijon", "talant"], &[0, 10]).await;
    let hold = NewHold {
        commune: commune("dijon"),
        feed: None,
        from: Some(day(10)),
        to: Some(day(10).plus(Duration::from_millis(4))),
        reason: "Procédure".to_owned(),
    };
    let hold = db.place_hold(&place.scope, hold, "eve", day(12)).await.unwrap();
    let mut keep = Keep { holds: vec![hold], ..keep(30) };
    let dropped = expire(&index, &keep, day(99)).await;
    assert_eq!(dropped.iter().map(|d| d.events).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(count(&index, &place.scope, "jacquemart.feed:*").await, 1, "the one that is held");
    assert_eq!(expire(&index, &keep, day(99)).await, []);
    assert_eq!(index.due(&keep, day(99)), [], "it was looked into");
    keep.holds.clear();
    assert_eq!(expire(&index, &keep, day(99)).await.len(), 1);
    assert_eq!(count(&index, &place.scope, "jacquemart.feed:*").await, 0);
    assert_eq!(objects(&place).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_purged_leaves_nothing_behind() {
    let place = Place::new();
    let (index, db) = (place.index().await, place.db().await);
    fill(&index, &["dijon", "talant"], &[0, 1, 2]).await;
    let ask = |of: &str, query: &str| NewPurge {
        commune: commune(of),
        query: query.to_owned(),
        from: None,
        to: None,
        reason: "Effacement".to_owned(),
    };
    // Of dijon are events 0, 1, 4, 5, 8, 9. The last day came after it was asked for.
    let query = "user.name:(user-0 or user-5 or user-9 or user-2)";
    let asked = ask("dijon", query);
    let purge = db.ask_purge(&place.scope, asked, "dpo", day(1).plus(DAY / 2)).await.unwrap();
    let hold = NewHold {
        commune: commune("dijon"),
        feed: Some("dijon-pc".parse().unwrap()),
        from: None,
        to: Some(day(0)),
        reason: "Procédure".to_owned(),
    };
    add_feed(&*db, "dijon", "dijon-pc").await;
    let hold = db.place_hold(&place.scope, hold, "eve", day(1)).await.unwrap();
    assert_eq!(index.purge(&purge, &[hold]).await.unwrap(), 1, "user-0 is held");
    let counted = db.purge(&place.scope, &purge.id).await.unwrap().unwrap();
    assert_eq!((counted.events, counted.splits), (1, 1));
    for (user, left) in [(0, 1), (5, 0), (9, 1), (2, 1), (4, 1)] {
        let found = count(&index, &place.scope, &format!("user.name:user-{user}")).await;
        assert_eq!(found, left, "user-{user}");
    }
    assert_eq!(index.purge(&purge, &[]).await.unwrap(), 0);
    assert_eq!(count(&index, &place.scope, "user.name:user-0").await, 0);
    let counted = db.purge(&place.scope, &purge.id).await.unwrap().unwrap();
    assert_eq!((counted.events, counted.splits), (2, 2));
    assert_eq!(count(&index, &place.scope, "jacquemart.feed:*").await, 10);

    // No term of what is gone is left, and the sums are of what is there.
    let splits = db.all_splits().await.unwrap();
    assert_eq!(splits.iter().map(|split| split.events).sum::<u64>(), 10);
    let whole = splits.iter().find(|split| split.events == 2 && split.commune == commune("dijon"));
    let half = splits.iter().find(|split| split.events == 1).unwrap();
    assert_eq!(half.raw_bytes * 2, whole.unwrap().raw_bytes);
    let mut folder = std::fs::read_dir(place.path().join("splits/dijon")).unwrap();
    assert!(folder.all(|file| {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let has = |text: &[u8]| memchr::memmem::find(&bytes, text).is_some();
        !has(b"secret-0-dijon") && !has(b"secret-5-dijon") && !has(b"user-5")
    }));

    // Everything of a commune, and of no other.
    let everything = db.ask_purge(&place.scope, ask("dijon", "*"), "dpo", day(9)).await.unwrap();
    index.purge(&everything, &[]).await.unwrap();
    assert_eq!(count(&index, &place.scope, "jacquemart.feed:dijon-*").await, 0);
    assert_eq!(count(&index, &place.scope, "jacquemart.feed:talant-*").await, 6);
    assert_eq!(objects(&place).await, 3);
    assert_eq!(db.condemned_splits().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stretch_that_is_over_becomes_one_split() {
    let place = Place::new();
    let index = place.index().await;
    // START is a Thursday, as the beginning of 1970 was, so a stretch begins with it.
    fill(&index, &["dijon"], &[0, 1, 3, 6, 7, 9]).await;
    assert_eq!(index.merge_small(day(13)).await.unwrap(), 0, "too few, and it may go on");
    assert_eq!(index.merge_small(day(14)).await.unwrap(), 1);
    assert_eq!(index.merge_small(day(20)).await.unwrap(), 0);
    assert_eq!(index.merge_small(day(21)).await.unwrap(), 1);
    assert_eq!(index.merge_small(day(99)).await.unwrap(), 0);
    assert_eq!(objects(&place).await, 2);
    assert_eq!(expire(&index, &keep(30), day(36)).await, []);
    let dropped = expire(&index, &keep(30), day(37)).await;
    assert_eq!(dropped.iter().map(|d| d.events).collect::<Vec<_>>(), [8]);
}

/// What may be cut short.
#[derive(Clone, Copy, Debug)]
enum Work {
    Purge,
    Expire,
    Merge,
}

/// Does `work` on three splits of a commune, until it is done or after `polls` polls; whether it was.
async fn work(place: &Place, work: Work, polls: usize) -> bool {
    let (index, db) = (place.index().await, place.db().await);
    let feeds = vec![(commune("dijon"), Owner::Feed("dijon-pare-feu".parse().unwrap()), 5)];
    let keep = Keep { own: feeds, ..keep(365) };
    match work {
        Work::Purge => {
            let purge = db.pending_purges().await.unwrap().remove(0);
            cut_short(index.purge(&purge, &[]), polls).await.map(|held| held.unwrap()).is_some()
        }
        Work::Expire => {
            let mut gone = Vec::new();
            let expired = cut_short(index.expire(&keep, day(9), &mut gone), polls).await;
            expired.map(|done| done.unwrap()).is_some()
        }
        Work::Merge => {
            let merged = cut_short(index.merge_small(day(14)), polls).await;
            merged.map(|merges| merges.unwrap()).is_some()
        }
    }
}

/// Wherever the process dies, what stays is there once, what goes goes once, and no object is left
/// that the catalog does not know.
#[test]
fn each_work_may_die_at_every_step() {
    for what in [Work::Purge, Work::Expire, Work::Merge] {
        for polls in 0.. {
            let place = Place::new();
            live(async {
                let (index, db) = (place.index().await, place.db().await);
                fill(&index, &["dijon"], &[0, 1, 2]).await;
                let asked = NewPurge {
                    commune: commune("dijon"),
                    query: "jacquemart.feed:dijon-pare-feu".to_owned(),
                    from: None,
                    to: None,
                    reason: "Effacement".to_owned(),
                };
                db.ask_purge(&place.scope, asked, "dpo", day(9)).await.unwrap();
            });
            let finished = live(work(&place, what, polls));
            live(async { assert!(work(&place, what, usize::MAX).await) });
            live(async {
                let (index, db) = (place.index().await, place.db().await);
                let cut = format!("{what:?} cut after {polls} polls");
                let left = if matches!(what, Work::Merge) { 6 } else { 3 };
                assert_eq!(count(&index, &place.scope, "").await, left, "{cut}");
                assert_eq!(count(&index, &place.scope, "jacquemart.feed:dijon-pc").await, 3);
                let purge = db.pending_purges().await.unwrap().remove(0);
                let counted = if matches!(what, Work::Purge) { (3, 3) } else { (0, 0) };
                assert_eq!((purge.events, purge.splits), counted, "{cut}");
                let splits = db.all_splits().await.unwrap();
                assert_eq!(objects(&place).await, splits.len(), "{cut}");
                assert_eq!(db.condemned_splits().await.unwrap(), [], "{cut}");
            });
            if finished {
                assert!(polls > 3, "{what:?} was never cut: {polls}");
                break;
            }
        }
    }
}

async fn add_feed(db: &dyn store::db::Database, of: &str, id: &str) {
    let feed = event::Feed {
        id: id.parse().unwrap(),
        commune: commune(of),
        format: "json".parse().unwrap(),
        name: id.to_owned(),
        created: START,
    };
    let key = store::auth::Secret::generate("jqf").unwrap().hash();
    db.add_feed(feed, key).await.unwrap();
}
