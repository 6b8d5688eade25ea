//! Communes and feeds.

use super::{Fixture, add_communes, at, commune, feed, only};
use crate::{
    Scope,
    auth::Secret,
    db::{
        BATCHES_KEPT_MAX, DbError, DeviceState, FeedActivity, FeedCounts, FeedDevice, FeedFailure,
        FeedKey, SeenDevice,
    },
};
use event::{BatchMark, BatchState, Commune, FeedId, Owner, Quota, Timestamp, slot_of};

/// Communes are listed by id, each once.
pub async fn communes_are_kept<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    add_communes(&db, &["talant", "dijon"]).await;
    let talant = Commune { id: commune("talant"), name: "Other".to_owned(), created: at(9) };
    let twice = db.add_commune(talant).await;
    assert!(matches!(twice, Err(DbError::Exists { what: "commune", .. })), "{twice:?}");
    let listed = db.communes(&Scope::all()).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0].id, commune("dijon"));
    assert_eq!((listed[1].name.as_str(), listed[1].created), ("Commune talant", at(0)));
}

/// Feeds belong to a commune that is there; ids and keys are unique.
pub async fn feeds_are_kept<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    add_communes(&db, &["dijon"]).await;
    let key = Secret::generate("jqf").unwrap().hash();
    let orphan = db.add_feed(feed("x", "nowhere"), key).await;
    assert!(matches!(orphan, Err(DbError::Missing { what: "commune", .. })), "{orphan:?}");
    db.add_feed(feed("dijon-pc", "dijon"), key).await.unwrap();
    let other = Secret::generate("jqf").unwrap().hash();
    let twice = db.add_feed(feed("dijon-pc", "dijon"), other).await;
    assert!(matches!(twice, Err(DbError::Exists { what: "feed", .. })), "{twice:?}");
    let shared = db.add_feed(feed("dijon-mtd", "dijon"), key).await;
    assert!(matches!(shared, Err(DbError::Refused(_))), "{shared:?}");
    db.add_feed(feed("dijon-mtd", "dijon"), other).await.unwrap();

    let all = db.feeds(&Scope::all()).await.unwrap();
    assert_eq!(all, [feed("dijon-mtd", "dijon"), feed("dijon-pc", "dijon")]);
    let one = db.feed(&Scope::all(), &FeedId::new("dijon-pc").unwrap()).await.unwrap();
    assert_eq!(one, Some(feed("dijon-pc", "dijon")));
    let none = db.feed(&Scope::all(), &FeedId::new("absent").unwrap()).await.unwrap();
    assert_eq!(none, None);
}

/// A rotated key replaces the old one, which may go on opening the feed for a while.
pub async fn keys_rotate<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    add_communes(&db, &["dijon"]).await;
    let keys: Vec<_> = (0..4).map(|_| Secret::generate("jqf").unwrap().hash()).collect();
    let of = |id: &str, key: usize, until: Option<Timestamp>| FeedKey {
        hash: keys[key],
        feed: feed(id, "dijon"),
        until,
    };
    let a = FeedId::new("a").unwrap();
    db.add_feed(feed("a", "dijon"), keys[0]).await.unwrap();
    db.add_feed(feed("b", "dijon"), keys[1]).await.unwrap();
    db.rotate_feed_key(&a, keys[2], None).await.unwrap();
    let expected = vec![of("a", 2, None), of("b", 1, None)];
    assert_eq!(db.feed_keys().await.unwrap(), expected);
    let taken = db.rotate_feed_key(&a, keys[1], None).await;
    assert!(matches!(taken, Err(DbError::Refused(_))), "{taken:?}");
    let absent = db.rotate_feed_key(&FeedId::new("c").unwrap(), keys[0], None).await;
    assert!(matches!(absent, Err(DbError::Missing { what: "feed", .. })), "{absent:?}");
    assert_eq!(db.feed_keys().await.unwrap(), expected);

    db.rotate_feed_key(&a, keys[3], Some(at(7))).await.unwrap();
    let both = vec![of("a", 3, None), of("a", 2, Some(at(7))), of("b", 1, None)];
    assert_eq!(db.feed_keys().await.unwrap(), both);
    // Nobody gets a key that another feed still goes by.
    let b = FeedId::new("b").unwrap();
    let taken = db.rotate_feed_key(&b, keys[2], None).await;
    assert!(matches!(taken, Err(DbError::Refused(_))), "{taken:?}");
    let taken = db.add_feed(feed("c", "dijon"), keys[2]).await;
    assert!(matches!(taken, Err(DbError::Refused(_))), "{taken:?}");
    assert_eq!(db.feed_keys().await.unwrap(), both);
    // The one before the last opens nothing any more.
    db.rotate_feed_key(&a, keys[0], Some(at(9))).await.unwrap();
    let both = vec![of("a", 0, None), of("a", 3, Some(at(9))), of("b", 1, None)];
    assert_eq!(db.feed_keys().await.unwrap(), both);
}

/// Names are for people: not empty, not endless, no control characters.
pub async fn names_are_checked<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    add_communes(&db, &["dijon"]).await;
    let long = "é".repeat(201);
    for name in ["", "  ", "a\u{1b}[31m", long.as_str()] {
        let bad = Commune { id: commune("talant"), name: name.to_owned(), created: at(0) };
        let result = db.add_commune(bad).await;
        assert!(matches!(result, Err(DbError::Refused(_))), "{result:?}");
        let mut bad = feed("a", "dijon");
        bad.name = name.to_owned();
        let result = db.add_feed(bad, Secret::presented("k").hash()).await;
        assert!(matches!(result, Err(DbError::Refused(_))), "{result:?}");
    }
    assert!(db.feed_keys().await.unwrap().is_empty());
}

/// After `close` everything is refused with an error, and closing again does nothing.
pub async fn closes_for_good<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    db.ping().await.unwrap();
    add_communes(&db, &["dijon"]).await;
    db.close().await;
    db.close().await;
    assert!(matches!(db.ping().await, Err(DbError::Backend(_))));
    assert!(matches!(db.revoke_token("a").await, Err(DbError::Backend(_))));
    let again = fixture.open().await;
    assert_eq!(again.communes(&Scope::all()).await.unwrap().len(), 1);
}

/// Quotas are set and taken away, each commune's and feed's by itself.
pub async fn quotas_are_kept<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    add_communes(&db, &["dijon", "talant"]).await;
    let key = Secret::generate("jqf").unwrap().hash();
    db.add_feed(feed("dijon", "dijon"), key).await.unwrap();
    let (dijon, talant) = (commune("dijon"), commune("talant"));
    let commune = Owner::Commune(dijon.clone());
    let same_name = Owner::Feed(FeedId::new("dijon").unwrap());
    let some = Quota { records_per_s: Some(5), bytes_per_s: None };
    let more = Quota { records_per_s: Some(u64::MAX), bytes_per_s: Some(1) };
    assert_eq!(db.all_quotas().await.unwrap(), []);
    db.set_quota(&commune, some).await.unwrap();
    db.set_quota(&same_name, some).await.unwrap();
    db.set_quota(&same_name, more).await.unwrap();
    let kept = db.all_quotas().await.unwrap();
    let largest = Quota { records_per_s: Some(i64::MAX as u64), ..more };
    assert_eq!(kept, [(commune.clone(), some), (same_name.clone(), largest)]);

    db.set_quota(&Owner::Commune(talant.clone()), more).await.unwrap();
    assert_eq!(db.quotas(&Scope::only([dijon])).await.unwrap(), kept);
    let other = [(Owner::Commune(talant.clone()), largest)];
    assert_eq!(db.quotas(&Scope::only([talant.clone()])).await.unwrap(), other);
    assert_eq!(db.quotas(&Scope::all()).await.unwrap(), db.all_quotas().await.unwrap());
    db.set_quota(&Owner::Commune(talant), Quota::default()).await.unwrap();

    for zero in [
        Quota { records_per_s: Some(0), bytes_per_s: Some(1) },
        Quota { records_per_s: None, bytes_per_s: Some(0) },
    ] {
        let refused = db.set_quota(&commune, zero).await;
        assert!(matches!(refused, Err(DbError::Refused(_))), "{refused:?}");
    }
    let absent = Owner::Feed(FeedId::new("absent").unwrap());
    let missing = db.set_quota(&absent, some).await;
    assert!(matches!(missing, Err(DbError::Missing { what: "feed", .. })), "{missing:?}");

    db.set_quota(&same_name, Quota::default()).await.unwrap();
    db.set_quota(&same_name, Quota::default()).await.unwrap();
    assert_eq!(db.all_quotas().await.unwrap(), [(commune, some)]);
}

/// What several processes saw of a feed is known as if one had seen it all.
pub async fn activity_is_merged<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let feed = |id: &str| Some(FeedId::new(id).unwrap());
    let seen = |id: Option<FeedId>, seconds: &[i64]| {
        let mut activity = FeedActivity::of(id);
        seconds.iter().for_each(|s| activity.slots.set(slot_of(at(*s))));
        activity.first = seconds.first().map(|s| at(*s));
        activity.last = seconds.last().map(|s| at(*s));
        activity
    };
    assert_eq!(db.feed_activity().await.unwrap(), []);
    db.note_feed_activity(vec![seen(feed("b"), &[0, 1_000]), seen(None, &[0])]).await.unwrap();
    db.note_feed_activity(vec![seen(feed("b"), &[500, 900]), seen(feed("a"), &[5])]).await.unwrap();
    let failure = |s| FeedFailure { received: at(s), reason: "r".to_owned(), raw: "é".to_owned() };
    let counts = |n, s| FeedCounts {
        since: Some(at(s)),
        records: n,
        bytes: 10 * n,
        decoded: n - 1,
        partly_decoded: n / 2,
        failed: 1,
        failures: vec![failure(s)],
        refused: [("key-wrong".to_owned(), n)].into(),
        last_event: Some(at(s)),
        first_usable: (n > 2).then(|| at(s)),
    };
    for told in [
        FeedActivity { silence_told: Some(at(1_000)), ..FeedActivity::of(feed("b")) },
        FeedActivity { counts: counts(2, 900), ..FeedActivity::of(feed("b")) },
        FeedActivity { counts: counts(5, 800), ..FeedActivity::of(feed("b")) },
    ] {
        db.note_feed_activity(vec![told]).await.unwrap();
    }
    db.note_feed_activity(Vec::new()).await.unwrap();
    let mut b = seen(feed("b"), &[0, 500, 900, 1_000]);
    b.silence_told = Some(at(1_000));
    b.counts = FeedCounts {
        since: Some(at(800)),
        records: 7,
        bytes: 70,
        decoded: 5,
        partly_decoded: 3,
        failed: 2,
        failures: vec![failure(900), failure(800)],
        refused: [("key-wrong".to_owned(), 7)].into(),
        last_event: Some(at(900)),
        first_usable: Some(at(800)),
    };
    let db = fixture.open().await;
    assert_eq!(db.feed_activity().await.unwrap(), [seen(None, &[0]), seen(feed("a"), &[5]), b]);
}

/// A feed's devices are what its events named and what its inventory does.
pub async fn devices_are_kept<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    add_communes(&db, &["dijon", "talant"]).await;
    let id = FeedId::new("pc").unwrap();
    db.add_feed(feed("pc", "dijon"), Secret::generate("jqf").unwrap().hash()).await.unwrap();
    let seen = |name: &str, first, last| SeenDevice {
        name: name.to_owned(),
        first: at(first),
        last: at(last),
    };
    db.note_feed_devices(&id, vec![seen("PC-1", 5, 9), seen("pc-2", 6, 6)]).await.unwrap();
    db.note_feed_devices(&id, vec![seen("pc-1", 3, 7)]).await.unwrap();
    let all = Scope::all();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    db.declare_feed_devices(&all, &id, names(&["old", "PC-2"]), at(20)).await.unwrap();
    db.declare_feed_devices(&all, &id, names(&["pc-2", "Pc-3"]), at(30)).await.unwrap();

    let own = only(&["dijon"]);
    let expected = [
        FeedDevice {
            name: "pc-1".to_owned(),
            state: DeviceState::Unknown,
            first_seen: Some(at(3)),
            last_seen: Some(at(9)),
            declared: None,
        },
        FeedDevice {
            name: "pc-2".to_owned(),
            state: DeviceState::Seen,
            first_seen: Some(at(6)),
            last_seen: Some(at(6)),
            declared: Some(at(20)),
        },
        FeedDevice {
            name: "Pc-3".to_owned(),
            state: DeviceState::Missing,
            first_seen: None,
            last_seen: None,
            declared: Some(at(30)),
        },
    ];
    let db = fixture.open().await;
    assert_eq!(db.feed_devices(&own, &id).await.unwrap(), expected);

    let foreign = only(&["talant"]);
    let absent = FeedId::new("absent").unwrap();
    for (scope, id) in [(&foreign, &id), (&all, &absent)] {
        let missing = db.feed_devices(scope, id).await;
        assert!(matches!(missing, Err(DbError::Missing { what: "feed", .. })), "{missing:?}");
        let missing = db.declare_feed_devices(scope, id, names(&["x"]), at(1)).await;
        assert!(matches!(missing, Err(DbError::Missing { what: "feed", .. })), "{missing:?}");
    }
    let refused = db.declare_feed_devices(&all, &id, names(&[""]), at(1)).await;
    assert!(matches!(refused, Err(DbError::Refused(_))), "{refused:?}");
    assert_eq!(db.feed_devices(&own, &id).await.unwrap().len(), 3);
}

/// A batch is pending from when it is begun until it is settled or forgotten.
pub async fn batches_are_known<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let (a, b) = (FeedId::new("a").unwrap(), FeedId::new("b").unwrap());
    let begin = async |feed: &FeedId, key: &str, minute| {
        db.begin_batch(feed, key, "d1", at(minute)).await.unwrap()
    };
    let mark = |key: &str| BatchMark {
        key: key.to_owned(),
        digest: "d1".to_owned(),
        receipt: format!("receipt of {key}"),
    };
    let pending = BatchState::Pending { digest: "d1".to_owned() };
    let taken = |key: &str| BatchState::Taken {
        digest: "d1".to_owned(),
        receipt: format!("receipt of {key}"),
    };
    assert_eq!(db.oldest_pending_batch().await.unwrap(), None);
    assert_eq!(begin(&a, "k", 1).await, BatchState::New);
    assert_eq!(begin(&a, "k", 2).await, pending);
    assert_eq!(begin(&b, "k", 3).await, BatchState::New, "a key is its feed's");
    assert_eq!(db.oldest_pending_batch().await.unwrap(), Some(at(1)));
    // One that was begun and one that nobody knows of.
    let marks = vec![(a.clone(), mark("k")), (b.clone(), mark("k2"))];
    db.settle_batches(marks.clone(), at(4)).await.unwrap();
    db.settle_batches(marks, at(5)).await.unwrap();
    for (feed, key) in [(&a, "k"), (&b, "k2")] {
        db.forget_batch(feed, key).await.unwrap();
        assert_eq!(begin(feed, key, 6).await, taken(key), "what was taken is not forgotten");
    }
    assert_eq!(db.oldest_pending_batch().await.unwrap(), Some(at(3)));
    db.forget_batch(&b, "k").await.unwrap();
    assert_eq!(begin(&b, "k", 7).await, BatchState::New);
    assert_eq!(begin(&b, "k3", 8).await, BatchState::New);
    assert_eq!(db.forget_pending_batches(at(8)).await.unwrap(), 1);
    assert_eq!(begin(&b, "k3", 8).await, pending);
    assert_eq!(begin(&b, "k", 9).await, BatchState::New);

    let other = fixture.open().await;
    other.expire_batches(at(4)).await.unwrap();
    assert_eq!(begin(&a, "k", 9).await, BatchState::New, "it was taken long ago");
    assert_eq!(begin(&b, "k2", 9).await, taken("k2"));
    let many = (0..=BATCHES_KEPT_MAX).map(|n| (a.clone(), mark(&format!("m{n:05}"))));
    db.settle_batches(many.collect(), at(10)).await.unwrap();
    db.settle_batches(vec![(a.clone(), mark("last"))], at(11)).await.unwrap();
    db.expire_batches(at(4)).await.unwrap();
    let mut known = 0;
    for n in 0..=20 {
        let key = format!("m{n:05}");
        known += u32::from(begin(&a, &key, 12).await != BatchState::New);
    }
    assert!(known >= 19, "the last {BATCHES_KEPT_MAX} are known: {known} of 21");
    assert_eq!(begin(&a, "last", 12).await, taken("last"));
}
