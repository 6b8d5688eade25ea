//! What incidents have to do with each other: risk that adds up, likeness, changes, merging.

use event::Level;

use super::{
    Fixture, at, detection, host,
    incidents::{closed, comment, refused, to},
    only, opened, position, ruled, user,
};
use crate::{
    Scope,
    db::{DbError, IncidentStatus, RaisedKind, TimelineKind, Verdict},
};

/// Weak signals about one host add up, whatever their order and number.
pub async fn weak_signals_add_up<F: Fixture>() {
    let signals = [
        ruled(detection("dijon", 1, &[host("pc")]), "rule-a", Level::Low, &["attack.execution"]),
        ruled(detection("dijon", 2, &[host("pc")]), "rule-b", Level::Low, &["attack.discovery"]),
        ruled(detection("dijon", 3, &[host("pc")]), "rule-a", Level::Low, &["attack.execution"]),
    ];
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let fixture = F::fresh().await;
        let db = fixture.open().await;
        let mut id = None;
        for (n, signal) in (1..).zip(order.map(|n| signals[n].clone())) {
            let raised = db.raise(&[signal], position(n), at(0)).await.unwrap();
            id = raised[0].incident;
        }
        let id = id.unwrap();
        let seen = db.incident(&Scope::all(), id).await.unwrap().unwrap();
        assert_eq!(seen.risk_score, 5 + 5 + 10);
        assert_eq!((seen.severity_detected, seen.severity), (Level::Low, Level::Medium));
        let risk = db.incident_risk(&Scope::all(), id).await.unwrap();
        assert_eq!((risk.score, risk.severity), (20, Level::Medium));
        let fired: Vec<_> =
            risk.rules.iter().map(|of| (of.rule.id.as_str(), of.rule.detections)).collect();
        assert_eq!(fired, [("rule-a", 2), ("rule-b", 1)]);
        assert_eq!(risk.tactics, ["execution", "discovery"]);
        let foreign = db.incident_risk(&only(&["talant"]), id).await;
        assert!(matches!(foreign, Err(DbError::Missing { .. })), "{foreign:?}");
    }
}

/// Incidents with rules or entities in common are found, the most alike first, in scope only.
pub async fn similar_incidents_are_found<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let mut n = 0;
    let mut raise = async |of: &str, rule: &str, entities: &[_]| {
        n += 1;
        let detection = ruled(detection(of, n, entities), rule, Level::High, &[]);
        db.raise(&[detection], position(n), at(0)).await.unwrap()[0].incident.unwrap()
    };
    let this = raise("dijon", "rule-a", &[host("pc-1")]).await;
    let change = closed(Verdict::FalsePositive);
    db.change_incident(&Scope::all(), this, change, "ana", at(1)).await.unwrap();
    let same_both = raise("dijon", "rule-a", &[host("pc-1")]).await;
    let same_rule = raise("dijon", "rule-a", &[host("pc-2"), user("ana")]).await;
    let foreign = raise("talant", "rule-a", &[host("pc-1")]).await;
    raise("dijon", "rule-b", &[host("pc-3")]).await;
    let found = db.similar_incidents(&Scope::all(), this, 10).await.unwrap();
    let ids: Vec<_> = found.iter().map(|similar| similar.incident.id).collect();
    assert_eq!(ids[0], same_both);
    assert_eq!(ids.len(), 3);
    assert!(ids.contains(&foreign) && ids.contains(&same_rule));
    assert_eq!(found[0].common.rules, ["rule-a"]);
    assert_eq!(found[0].common.entities, [host("pc-1")]);
    assert!((found[0].common.likeness - 1.0).abs() < 1e-9);
    let theirs = found.iter().find(|similar| similar.incident.id == foreign).unwrap();
    assert_eq!(theirs.common.entities, [], "another commune's host of that name is another");
    let own = db.similar_incidents(&only(&["dijon"]), this, 10).await.unwrap();
    let own: Vec<_> = own.into_iter().map(|similar| similar.incident.id).collect();
    assert_eq!(own, [same_both, same_rule]);
    assert_eq!(db.similar_incidents(&Scope::all(), this, 1).await.unwrap().len(), 1);
    // How the like of it was closed is in the answer.
    let back = db.similar_incidents(&only(&["dijon"]), same_both, 10).await.unwrap();
    assert_eq!(back[0].incident.verdict, Some(Verdict::FalsePositive));
    for scope in [only(&["talant"]), only(&[])] {
        let hidden = db.similar_incidents(&scope, this, 10).await;
        assert!(matches!(hidden, Err(DbError::Missing { .. })), "{hidden:?}");
    }
}

/// Whoever follows the changes by number sees every one of its scope, in order.
pub async fn changes_can_be_followed<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    assert_eq!(db.last_change().await.unwrap(), 0);
    let mut told = db.incident_changes();
    let first = opened(&db, detection("dijon", 1, &[host("pc-1")])).await;
    let other = opened(&db, detection("talant", 2, &[host("pc-1")])).await;
    let second = opened(&db, detection("dijon", 3, &[host("pc-2")])).await;
    told.changed().await.unwrap();
    let follow = async |scope: &Scope, after| {
        let changes = db.incidents_changed(scope, after, 10).await.unwrap();
        assert_eq!(changes.next, db.last_change().await.unwrap());
        assert!(changes.incidents.is_sorted_by_key(|(number, _)| *number));
        changes.incidents.into_iter().map(|(_, incident)| incident.id).collect::<Vec<_>>()
    };
    assert_eq!(follow(&Scope::all(), 0).await, [first, other, second]);
    assert_eq!(follow(&only(&["dijon"]), 0).await, [first, second]);
    assert_eq!(follow(&only(&[]), 0).await, []);
    let before = db.last_change().await.unwrap();
    told.mark_unchanged();
    // A clock that went back hides no change.
    db.change_incident(&Scope::all(), first, comment("x"), "ana", at(-9)).await.unwrap();
    told.changed().await.unwrap();
    // Only its last change counts.
    assert_eq!(follow(&only(&["dijon"]), 0).await, [second, first]);
    assert_eq!(follow(&only(&["dijon"]), before).await, [first]);
    let last = db.last_change().await.unwrap();
    assert_eq!(follow(&only(&["dijon"]), last).await, []);
    // Page by page, none is left out.
    let (mut seen, mut after) = (Vec::new(), 0);
    for _ in 0..3 {
        let changes = db.incidents_changed(&Scope::all(), after, 1).await.unwrap();
        seen.extend(changes.incidents.into_iter().map(|(_, incident)| incident.id));
        after = changes.next;
    }
    assert_eq!((seen, after), (vec![other, second, first], last));
    // Raising what is known changes nothing.
    let known = detection("dijon", 3, &[host("pc-2")]);
    db.raise(&[known], position(9), at(2)).await.unwrap();
    assert_eq!(db.last_change().await.unwrap(), last);
    drop(db);
    assert_eq!(fixture.open().await.last_change().await.unwrap(), last);
}

/// Detections, rules, entities and links go over; what comes later joins the one that is left.
pub async fn merging_moves_all_of_it<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let mut n = 0;
    let mut raise = async |of: &str, rule: &str, entities: &[_]| {
        n += 1;
        let one = ruled(detection(of, n, entities), rule, Level::Medium, &[]);
        db.raise(&[one], position(n), at(0)).await.unwrap()[0].incident.unwrap()
    };
    let from = raise("dijon", "rule-a", &[host("pc-1")]).await;
    raise("dijon", "rule-b", &[host("pc-1"), user("ana")]).await;
    let into = raise("dijon", "rule-b", &[host("pc-2")]).await;
    let foreign = raise("talant", "rule-b", &[host("pc-2")]).await;
    let scope = Scope::all();
    let merge =
        async |scope: &Scope, from, into| db.merge_incident(scope, from, into, "bob", at(3)).await;
    for (scope, from, into) in [
        (&only(&["talant"]), from, into),
        (&only(&["dijon"]), from, foreign),
        (&only(&["dijon"]), foreign, into),
    ] {
        let hidden = merge(scope, from, into).await;
        assert!(matches!(hidden, Err(DbError::Missing { .. })), "{hidden:?}");
    }
    for (a, b) in [(from, from), (from, foreign)] {
        assert!(matches!(merge(&scope, a, b).await, Err(DbError::Refused(_))));
    }
    let merged = merge(&only(&["dijon"]), from, into).await.unwrap();
    assert_eq!((merged.id, merged.detections), (into, 3));
    assert_eq!(merged.entities, [host("pc-2"), host("pc-1"), user("ana")]);
    assert_eq!(merged.risk_score, 40);
    assert_eq!(db.incident(&scope, into).await.unwrap(), Some(merged));
    let risk = db.incident_risk(&scope, into).await.unwrap();
    let fired: Vec<_> =
        risk.rules.iter().map(|r| (r.rule.id.as_str(), r.rule.detections)).collect();
    assert_eq!(fired, [("rule-a", 1), ("rule-b", 2)]);
    let page = db.incident_detections(&scope, into, None, 10).await.unwrap();
    assert_eq!(page.items.len(), 3);
    assert_eq!(db.incident_detections(&scope, from, None, 10).await.unwrap().items, []);
    let old = db.incident(&scope, from).await.unwrap().unwrap();
    assert_eq!((old.merged_into, old.detections), (Some(into), 0));
    assert_eq!((old.status, old.verdict), (IncidentStatus::Closed, Some(Verdict::Undetermined)));
    let told = async |id| db.incident_timeline(&scope, id).await.unwrap().pop().unwrap().kind;
    assert_eq!(told(into).await, TimelineKind::Absorbed { incident: from, detections: 2 });
    // It is the other's story now: only comments, labels and assignees are taken.
    let reason = refused(&db, from, to(IncidentStatus::New)).await;
    assert!(reason.contains(&into.to_string()), "{reason}");
    db.change_incident(&scope, from, comment("seen"), "ana", at(4)).await.unwrap();
    for (a, b) in [(from, into), (into, from)] {
        assert!(matches!(merge(&scope, a, b).await, Err(DbError::Refused(_))));
    }
    let counts = db.counts(&only(&["dijon"])).await.unwrap();
    assert_eq!((counts.incidents, counts.open_incidents, counts.detections), (2, 1, 3));
    // What would have joined it joins the one that is left; known ones are known there.
    assert_eq!(raise("dijon", "rule-c", &[host("pc-1")]).await, into);
    let known = ruled(detection("dijon", 1, &[host("pc-1")]), "rule-a", Level::Medium, &[]);
    let known = db.raise(&[known], position(9), at(0)).await.unwrap().remove(0);
    assert_eq!((known.kind, known.incident), (RaisedKind::Known, Some(into)));
    // A closed one takes nothing in.
    let other = raise("dijon", "rule-d", &[host("pc-9")]).await;
    db.change_incident(&scope, into, closed(Verdict::TruePositive), "ana", at(5)).await.unwrap();
    assert!(matches!(merge(&scope, other, into).await, Err(DbError::Refused(_))));
}
