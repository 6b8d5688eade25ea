//! No commune sees through to another.

use event::{DetectionId, EventId, FeedId, IncidentId};

use super::{
    BUS, Fixture, add_communes, at, commune, detection, feed, host, only, opened, position,
};
use crate::{
    Scope,
    auth::Secret,
    db::{Counts, DbError, IncidentChange, IncidentQuery, IncidentStatus},
};

fn comment(text: &str) -> IncidentChange {
    IncidentChange { comment: Some(text.to_owned()), ..IncidentChange::default() }
}

/// Every read and change by id answers the same for another commune's object as for none.
pub async fn foreign_and_absent_are_alike<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    add_communes(&db, &["dijon", "talant"]).await;
    db.add_feed(feed("dijon-pc", "dijon"), Secret::presented("k").hash()).await.unwrap();
    let foreign = opened(&db, detection("dijon", 1, &[host("pc")])).await;
    let absent = IncidentId::of(DetectionId::of("none", EventId::of(BUS, 0, 99, at(0))));
    let before = db.incident(&Scope::all(), foreign).await.unwrap();
    let owner = only(&["dijon", "longvic"]);
    assert!(before.is_some());
    assert_eq!(db.incident(&owner, foreign).await.unwrap(), before);
    assert_eq!(db.incident_detections(&owner, foreign, None, 0).await.unwrap().items.len(), 1);
    assert_eq!(db.incident_timeline(&owner, foreign).await.unwrap().len(), 1);

    let numbered = async |scope: &Scope, of: &str, number| {
        db.incident_numbered(scope, &commune(of), number).await.unwrap()
    };
    assert_eq!(numbered(&owner, "dijon", 1).await, Some(foreign));
    for (of, number) in [("dijon", 2), ("dijon", u64::MAX), ("talant", 1), ("longvic", 1)] {
        assert_eq!(numbered(&Scope::all(), of, number).await, None);
    }

    for scope in [only(&["talant"]), only(&["talant", "chenove"]), only(&[])] {
        assert_eq!(numbered(&scope, "dijon", 1).await, None);
        let mut answers = Vec::new();
        for id in [foreign, absent] {
            // The id that was asked for is all that may differ.
            let text = |result: String| result.replace(&id.to_string(), "ID");
            let mut all = vec![text(format!("{:?}", db.incident(&scope, id).await))];
            all.push(text(format!("{:?}", db.incident_detections(&scope, id, None, 0).await)));
            all.push(text(format!("{:?}", db.incident_timeline(&scope, id).await)));
            all.push(text(format!("{:?}", db.incident_risk(&scope, id).await)));
            all.push(text(format!("{:?}", db.similar_incidents(&scope, id, 9).await)));
            for change in [
                comment("seen"),
                comment(""),
                IncidentChange::default(),
                IncidentChange { if_version: Some(9), ..comment("seen") },
                IncidentChange { status: Some(IncidentStatus::New), ..IncidentChange::default() },
                IncidentChange {
                    status: Some(IncidentStatus::Closed),
                    ..IncidentChange::default()
                },
            ] {
                let result = db.change_incident(&scope, id, change, "eve", at(5)).await;
                assert!(matches!(result, Err(DbError::Missing { what: "incident", .. })));
                all.push(text(format!("{result:?}")));
            }
            answers.push(all);
        }
        assert_eq!(answers[0], answers[1]);
        let id = FeedId::new("dijon-pc").unwrap();
        assert_eq!(db.feed(&scope, &id).await.unwrap(), None);
    }
    assert_eq!(db.incident(&Scope::all(), foreign).await.unwrap(), before);
    assert_eq!(db.incident_timeline(&Scope::all(), foreign).await.unwrap().len(), 1);
}

/// Every list and total holds what the scope allows and no more.
pub async fn lists_hold_the_scope<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let ids = ["chenove", "dijon", "talant"];
    add_communes(&db, &ids).await;
    for (n, id) in ids.iter().enumerate() {
        let key = Secret::presented(id).hash();
        db.add_feed(feed(&format!("{id}-pc"), id), key).await.unwrap();
        for m in 0..=n as u64 {
            opened(&db, detection(id, 10 * n as u64 + m, &[host(&format!("pc-{m}"))])).await;
        }
    }
    for scope in [&[][..], &["dijon"], &["chenove", "talant"], &["nowhere"], &ids] {
        let allowed = |commune: &event::CommuneId| scope.contains(&commune.as_str());
        let expected: u64 =
            (1..=3).zip(ids).filter(|(_, id)| scope.contains(id)).map(|p| p.0).sum();
        let scope = &only(scope);
        let page = db.incidents(scope, &IncidentQuery::default()).await.unwrap();
        assert!(page.items.iter().all(|incident| allowed(&incident.commune)));
        assert_eq!(page.items.len() as u64, expected);
        let counts = Counts { incidents: expected, open_incidents: expected, detections: expected };
        assert_eq!(db.counts(scope).await.unwrap(), counts);
        let known =
            scope.communes().unwrap().iter().filter(|id| ids.contains(&id.as_str())).count();
        let communes = db.communes(scope).await.unwrap();
        assert!(communes.len() == known && communes.iter().all(|commune| allowed(&commune.id)));
        let feeds = db.feeds(scope).await.unwrap();
        assert!(feeds.len() == known && feeds.iter().all(|feed| allowed(&feed.commune)));
        for id in ids {
            let commune = Some(commune(id));
            let query = IncidentQuery { commune, ..IncidentQuery::default() };
            let page = db.incidents(scope, &query).await.unwrap();
            assert_eq!(page.items.is_empty(), !allowed(&super::commune(id)));
            assert!(page.items.iter().all(|incident| incident.commune.as_str() == id));
        }
    }
}

/// The same host name in two communes is two hosts.
pub async fn communes_never_share_incidents<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let same = [host("pc-01")];
    let batch = [detection("dijon", 1, &same), detection("talant", 2, &same)];
    db.raise(&batch, position(2), at(0)).await.unwrap();
    let batch =
        [detection("talant", 3, &same), detection("dijon", 4, &[]), detection("talant", 5, &[])];
    db.raise(&batch, position(5), at(0)).await.unwrap();
    let page = db.incidents(&Scope::all(), &IncidentQuery::default()).await.unwrap();
    let mut seen: Vec<_> = page
        .items
        .iter()
        .map(|incident| (incident.commune.as_str(), incident.number, incident.detections))
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, [("dijon", 1, 1), ("dijon", 2, 1), ("talant", 1, 2), ("talant", 2, 1)]);
}
