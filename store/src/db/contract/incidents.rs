//! What analysts do to incidents.

use event::IncidentId;

use super::{Fixture, at, detection, host, opened, position};
use crate::{
    Scope,
    db::{
        Comment, DbError, IncidentChange, IncidentStatus, RaisedKind, SharedDatabase, TimelineKind,
        Verdict, Visibility,
    },
};

pub(super) fn to(status: IncidentStatus) -> IncidentChange {
    IncidentChange { status: Some(status), ..IncidentChange::default() }
}

pub(super) fn comment(text: &str) -> IncidentChange {
    IncidentChange { comment: Some(text.to_owned()), ..IncidentChange::default() }
}

pub(super) fn closed(verdict: Verdict) -> IncidentChange {
    IncidentChange { verdict: Some(verdict), ..to(IncidentStatus::Closed) }
}

pub(super) async fn incident<F: Fixture>() -> (F, SharedDatabase, IncidentId) {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let id = opened(&db, detection("dijon", 1, &[host("pc")])).await;
    (fixture, db, id)
}

pub(super) async fn refused(db: &SharedDatabase, id: IncidentId, change: IncidentChange) -> String {
    let before = db.incident(&Scope::all(), id).await.unwrap();
    match db.change_incident(&Scope::all(), id, change, "ana", at(9)).await {
        Err(DbError::Refused(reason)) => {
            assert_eq!(db.incident(&Scope::all(), id).await.unwrap(), before);
            reason
        }
        other => panic!("{other:?}"),
    }
}

/// A change is in the incident and in its timeline, with who and when.
pub async fn changes_are_kept_and_told<F: Fixture>() {
    let (fixture, db, id) = incident::<F>().await;
    let scope = Scope::all();
    let seen = db
        .change_incident(&scope, id, to(IncidentStatus::Acknowledged), "ana", at(1))
        .await
        .unwrap();
    assert_eq!((seen.status, seen.version), (IncidentStatus::Acknowledged, 2));
    assert_eq!((seen.updated, seen.created), (at(1), at(0)));
    let text = "vu avec l'usager\n\u{0}«🔔»";
    let change =
        IncidentChange { comment: Some(text.to_owned()), ..closed(Verdict::FalsePositive) };
    let seen = db.change_incident(&scope, id, change, "bob", at(2)).await.unwrap();
    assert_eq!(seen.verdict, Some(Verdict::FalsePositive));
    drop(db);
    let db = fixture.open().await;
    assert_eq!(db.incident(&scope, id).await.unwrap(), Some(seen));
    let timeline = db.incident_timeline(&scope, id).await.unwrap();
    let who: Vec<_> = timeline.iter().map(|entry| (entry.by.as_str(), entry.at)).collect();
    let bob = ("bob", at(2));
    assert_eq!(who, [("jacquemart", at(0)), ("ana", at(1)), bob, bob, bob]);
    let kinds: Vec<_> = timeline.into_iter().skip(1).map(|entry| entry.kind).collect();
    let status = |from, to| TimelineKind::Status { from, to };
    assert_eq!(
        kinds,
        [
            status(IncidentStatus::New, IncidentStatus::Acknowledged),
            TimelineKind::Verdict { to: Verdict::FalsePositive },
            status(IncidentStatus::Acknowledged, IncidentStatus::Closed),
            TimelineKind::Comment(Comment { text: text.to_owned(), visibility: Visibility::Soc }),
        ]
    );
    let counts = db.counts(&scope).await.unwrap();
    assert_eq!((counts.incidents, counts.open_incidents), (1, 0));
}

/// Closing takes a verdict, given then or before; reopening takes it away.
pub async fn closing_demands_a_verdict<F: Fixture>() {
    let (_fixture, db, id) = incident::<F>().await;
    let change = async |change| db.change_incident(&Scope::all(), id, change, "ana", at(1)).await;
    let reason = refused(&db, id, to(IncidentStatus::Closed)).await;
    assert!(reason.contains("benign_true_positive"), "it teaches: {reason}");
    let verdict = IncidentChange { verdict: Some(Verdict::Undetermined), ..Default::default() };
    change(verdict).await.unwrap();
    let seen = change(to(IncidentStatus::Closed)).await.unwrap();
    assert_eq!(seen.verdict, Some(Verdict::Undetermined));
    change(comment("closed incidents can be commented")).await.unwrap();
    let seen = change(to(IncidentStatus::InProgress)).await.unwrap();
    assert_eq!(seen.verdict, None);
    refused(&db, id, to(IncidentStatus::Closed)).await;
    change(closed(Verdict::TruePositive)).await.unwrap();
}

/// A change that changes nothing is refused.
pub async fn useless_changes_are_refused<F: Fixture>() {
    let (_fixture, db, id) = incident::<F>().await;
    refused(&db, id, IncidentChange::default()).await;
    refused(&db, id, to(IncidentStatus::New)).await;
    refused(&db, id, IncidentChange { comment: Some("x".into()), ..to(IncidentStatus::New) }).await;
    refused(&db, id, comment(" \n")).await;
    let verdict =
        IncidentChange { verdict: Some(Verdict::Undetermined), ..IncidentChange::default() };
    db.change_incident(&Scope::all(), id, verdict.clone(), "ana", at(1)).await.unwrap();
    refused(&db, id, verdict).await;
    assert_eq!(db.incident_timeline(&Scope::all(), id).await.unwrap().len(), 2);
}

/// A change meant for another version says which one there is.
pub async fn versions_guard_changes<F: Fixture>() {
    let (_fixture, db, id) = incident::<F>().await;
    let change = IncidentChange { if_version: Some(1), ..comment("first") };
    let seen = db.change_incident(&Scope::all(), id, change.clone(), "ana", at(1)).await.unwrap();
    assert_eq!(seen.version, 2);
    let late = db.change_incident(&Scope::all(), id, change, "bob", at(1)).await;
    assert!(matches!(late, Err(DbError::Conflict { current: 2 })), "{late:?}");
    let joined = detection("dijon", 2, &[host("pc")]);
    db.raise(&[joined], position(2), at(2)).await.unwrap();
    let change = IncidentChange { if_version: Some(2), ..comment("second") };
    let late = db.change_incident(&Scope::all(), id, change, "bob", at(1)).await;
    assert!(matches!(late, Err(DbError::Conflict { current: 3 })), "{late:?}");
}

/// Detections join until an incident is resolved or closed, and again once it is reopened.
pub async fn closed_incidents_are_not_joined<F: Fixture>() {
    let (_fixture, db, first) = incident::<F>().await;
    let mut n = 1;
    let mut raise = async |kind| {
        n += 1;
        let batch = [detection("dijon", n, &[host("pc")])];
        let raised = db.raise(&batch, position(n), at(1)).await.unwrap().remove(0);
        assert_eq!(raised.kind, kind);
        raised.incident.unwrap()
    };
    let set = async |id, change| {
        db.change_incident(&Scope::all(), id, change, "ana", at(1)).await.unwrap();
    };
    for status in [IncidentStatus::Acknowledged, IncidentStatus::InProgress] {
        set(first, to(status)).await;
        assert_eq!(raise(RaisedKind::Joined).await, first);
    }
    set(first, to(IncidentStatus::Resolved)).await;
    let second = raise(RaisedKind::Opened).await;
    assert_ne!(second, first);
    set(second, closed(Verdict::FalsePositive)).await;
    let third = raise(RaisedKind::Opened).await;
    set(first, to(IncidentStatus::InProgress)).await;
    assert_eq!(raise(RaisedKind::Joined).await, first, "the first opened of the open ones");
    set(first, closed(Verdict::TruePositive)).await;
    assert_eq!(raise(RaisedKind::Joined).await, third);
    let incident = db.incident(&Scope::all(), third).await.unwrap().unwrap();
    assert_eq!(incident.number, 3);
}

/// A comment has at most 64 KiB, all of an incident's together 16 MiB.
pub async fn comments_are_bounded<F: Fixture>() {
    let (_fixture, db, id) = incident::<F>().await;
    let most = "é".repeat(32 << 10);
    let reason = refused(&db, id, comment(&format!("{most}x"))).await;
    assert!(reason.contains("65536"), "{reason}");
    for _ in 0..256 {
        let kept = db.change_incident(&Scope::all(), id, comment(&most), "ana", at(1)).await;
        kept.unwrap();
    }
    refused(&db, id, comment("x")).await;
    assert_eq!(db.incident_timeline(&Scope::all(), id).await.unwrap().len(), 257);
    // Work on it can go on.
    let change = closed(Verdict::TruePositive);
    db.change_incident(&Scope::all(), id, change, "ana", at(1)).await.unwrap();
}
