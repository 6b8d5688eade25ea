//! Retention, holds and purges.

use event::Owner;

use super::{
    Fixture, add_communes, at,
    catalog::{publication, split},
    commune, only,
};
use crate::{
    Scope,
    auth::Secret,
    db::{
        CondemnedSplit, DbError, Hold, Mark, NewHold, NewPurge, Publication, Purge, PurgedEvents,
        RETENTION_DAYS_MAX, SharedDatabase,
    },
};

fn hold(of: &str) -> NewHold {
    NewHold {
        commune: commune(of),
        feed: None,
        from: Some(at(1)),
        to: Some(at(9)),
        reason: "Procédure 12/2026".to_owned(),
    }
}

fn purge(of: &str, query: &str) -> NewPurge {
    NewPurge {
        commune: commune(of),
        query: query.to_owned(),
        from: None,
        to: Some(at(9)),
        reason: "Demande d'effacement".to_owned(),
    }
}

async fn feed_of(db: &SharedDatabase, of: &str) -> event::FeedId {
    let feed = super::feed(&format!("{of}-pc"), of);
    let id = feed.id.clone();
    db.add_feed(feed, Secret::generate("jqf").unwrap().hash()).await.unwrap();
    id
}

/// Days are set, replaced and taken away, and each scope sees its own.
pub async fn retention_is_set_and_scoped<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    add_communes(&db, &["dijon", "talant"]).await;
    let (dijon, talant) = (Owner::Commune(commune("dijon")), Owner::Commune(commune("talant")));
    let feed = Owner::Feed(feed_of(&db, "dijon").await);
    for (of, days) in [(&dijon, 90), (&dijon, 180), (&feed, 30), (&talant, RETENTION_DAYS_MAX)] {
        db.set_retention(of, Some(days)).await.unwrap();
    }
    let db = fixture.open().await;
    let all = db.retentions(&Scope::all()).await.unwrap();
    assert_eq!(
        all,
        [(dijon.clone(), 180), (talant.clone(), RETENTION_DAYS_MAX), (feed.clone(), 30)]
    );
    assert_eq!(db.retentions(&only(&["talant"])).await.unwrap(), all[1..2]);
    assert_eq!(db.all_retentions().await.unwrap()[2], (commune("dijon"), feed.clone(), 30));
    db.set_retention(&dijon, None).await.unwrap();
    db.set_retention(&dijon, None).await.unwrap();
    assert_eq!(db.retentions(&only(&["dijon"])).await.unwrap(), [(feed, 30)]);
    for days in [0, RETENTION_DAYS_MAX + 1] {
        let refused = db.set_retention(&talant, Some(days)).await;
        assert!(matches!(refused, Err(DbError::Refused(_))), "{refused:?}");
    }
    for nobody in [Owner::Commune(commune("nuits")), Owner::Feed("nuits-pc".parse().unwrap())] {
        let missing = db.set_retention(&nobody, Some(30)).await;
        assert!(matches!(missing, Err(DbError::Missing { .. })), "{missing:?}");
    }
}

/// Holds stand until they are released, and are remembered.
pub async fn holds_stand_until_released<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    add_communes(&db, &["dijon", "talant"]).await;
    let feed = feed_of(&db, "dijon").await;
    let (all, talant) = (Scope::all(), only(&["talant"]));
    let of_feed = NewHold { feed: Some(feed), from: None, to: None, ..hold("dijon") };
    let first = db.place_hold(&all, of_feed.clone(), "eve", at(20)).await.unwrap();
    let second = db.place_hold(&talant, hold("talant"), "bob", at(21)).await.unwrap();
    assert!(first.touches(&commune("dijon"), at(0), at(99)));
    assert!(second.touches(&commune("talant"), at(9), at(99)));
    assert!(!second.touches(&commune("talant"), at(10), at(99)));
    assert!(!second.touches(&commune("talant"), at(0), at(0)));
    assert!(!second.touches(&commune("dijon"), at(5), at(5)));

    let db = fixture.open().await;
    assert_eq!(db.holds(&all).await.unwrap(), [second.clone(), first.clone()]);
    assert_eq!(db.holds(&only(&["dijon"])).await.unwrap(), std::slice::from_ref(&first));
    for id in [&first.id, "none"] {
        let missing = db.release_hold(&talant, id, "bob", at(22)).await;
        assert!(matches!(missing, Err(DbError::Missing { what: "hold", .. })), "{missing:?}");
    }
    let released = db.release_hold(&all, &first.id, "eve", at(23)).await.unwrap();
    let ended = Some(Mark { at: at(23), by: "eve".to_owned() });
    assert_eq!(released, Hold { ended, ..first.clone() });
    let again = db.release_hold(&all, &first.id, "eve", at(24)).await;
    assert!(matches!(again, Err(DbError::Missing { .. })), "{again:?}");
    assert_eq!(db.holds_in_force().await.unwrap(), [second]);
    assert_eq!(db.holds(&only(&["dijon"])).await.unwrap(), [released]);

    let foreign_feed = NewHold { commune: commune("talant"), ..of_feed };
    for (wrong, is_missing) in [
        (hold("nuits"), true),
        (foreign_feed, true),
        (NewHold { from: Some(at(10)), ..hold("dijon") }, false),
        (NewHold { reason: " ".to_owned(), ..hold("dijon") }, false),
    ] {
        match db.place_hold(&all, wrong.clone(), "eve", at(30)).await {
            Err(DbError::Missing { .. }) if is_missing => {}
            Err(DbError::Refused(_)) if !is_missing => {}
            other => panic!("{wrong:?}: {other:?}"),
        }
    }
    let foreign = db.place_hold(&talant, hold("dijon"), "bob", at(30)).await;
    assert!(matches!(foreign, Err(DbError::Missing { what: "commune", .. })), "{foreign:?}");
}

/// A purge counts what each publication removed once, however often it is published.
pub async fn purges_count_what_is_gone<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    add_communes(&db, &["dijon", "talant"]).await;
    let (all, dijon) = (Scope::all(), only(&["dijon"]));
    let asked = db.ask_purge(&dijon, purge("dijon", "user.name:eve"), "dpo", at(20)).await.unwrap();
    let later = db.ask_purge(&all, purge("talant", "*"), "dpo", at(21)).await.unwrap();
    assert_eq!(db.pending_purges().await.unwrap(), [asked.clone(), later.clone()]);

    let (a, b) = (split("dijon", 0, 0, 10), split("dijon", 1, 11, 20));
    let rest = split("dijon", 99, 0, 10);
    db.publish(publication(&[&a, &b], &[], Some(1))).await.unwrap();
    let purged = |events| Some(PurgedEvents { purge: asked.id.clone(), events });
    let rewrite = Publication { purged: purged(3), ..publication(&[&rest], &[&a], None) };
    let drop = Publication { purged: purged(4), ..publication(&[], &[&b], None) };
    for step in [&rewrite, &drop, &rewrite, &drop] {
        db.publish(step.clone()).await.unwrap();
    }
    assert_eq!(db.all_splits().await.unwrap(), [rest]);
    db.trouble_purge(&asked.id, "the disk is full").await.unwrap();
    let db = fixture.open().await;
    let seen = db.purge(&dijon, &asked.id).await.unwrap();
    let trouble = Some("the disk is full".to_owned());
    assert_eq!(seen, Some(Purge { events: 7, splits: 2, trouble, ..asked.clone() }));
    db.finish_purge(&asked.id, 2, at(30)).await.unwrap();
    let again = db.finish_purge(&asked.id, 2, at(31)).await;
    assert!(matches!(again, Err(DbError::Missing { what: "purge", .. })), "{again:?}");
    let done = Purge { events: 7, splits: 2, held: 2, done: Some(at(30)), ..asked.clone() };
    assert_eq!(db.purges(&all).await.unwrap(), [later.clone(), done]);
    assert_eq!(db.purges(&only(&["talant"])).await.unwrap(), std::slice::from_ref(&later));
    assert_eq!(db.purge(&dijon, &later.id).await.unwrap(), None);
    assert_eq!(db.pending_purges().await.unwrap(), [later]);

    for (wrong, is_missing) in [
        (purge("nuits", "*"), true),
        (purge("dijon", " "), false),
        (NewPurge { from: Some(at(10)), ..purge("dijon", "*") }, false),
        (NewPurge { reason: String::new(), ..purge("dijon", "*") }, false),
    ] {
        match db.ask_purge(&all, wrong.clone(), "dpo", at(40)).await {
            Err(DbError::Missing { .. }) if is_missing => {}
            Err(DbError::Refused(_)) if !is_missing => {}
            other => panic!("{wrong:?}: {other:?}"),
        }
    }
    let foreign = db.ask_purge(&dijon, purge("talant", "*"), "dpo", at(40)).await;
    assert!(matches!(foreign, Err(DbError::Missing { what: "commune", .. })), "{foreign:?}");
}

/// What a publication removed is named until its object is told to be gone.
pub async fn removed_splits_are_remembered<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let (a, b) = (split("dijon", 0, 0, 10), split("dijon", 1, 11, 20));
    let merged = split("dijon", 99, 0, 20);
    db.publish(publication(&[&a, &b], &[], Some(1))).await.unwrap();
    assert_eq!(db.condemned_splits().await.unwrap(), []);
    db.publish(publication(&[&merged], &[&a, &b], None)).await.unwrap();
    let db = fixture.open().await;
    let condemned = db.condemned_splits().await.unwrap();
    let named = |split: &crate::db::SplitMeta| CondemnedSplit {
        id: split.id,
        commune: split.commune.clone(),
        crc32c: split.crc32c,
    };
    assert_eq!(condemned.len(), 2);
    assert!(condemned.contains(&named(&a)) && condemned.contains(&named(&b)));
    db.forget_splits(vec![named(&a)]).await.unwrap();
    assert_eq!(db.condemned_splits().await.unwrap(), [named(&b)]);
    // One that is registered again stays.
    db.publish(publication(&[&b], &[], Some(2))).await.unwrap();
    assert_eq!(db.condemned_splits().await.unwrap(), []);
}
