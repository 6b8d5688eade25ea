//! What analysts do to incidents.

use event::{IncidentId, Level};

use super::{Fixture, at, commune, detection, host, only, opened, position, ruled, user};
use crate::{
    Scope,
    db::{
        AssigneeFilter, Comment, DbError, IncidentChange, IncidentQuery, IncidentStatus,
        LABELS_MAX, RaisedKind, SeverityOverride, SharedDatabase, TimelineKind, Verdict,
        Visibility,
    },
};

fn to(status: IncidentStatus) -> IncidentChange {
    IncidentChange { status: Some(status), ..IncidentChange::default() }
}

fn comment(text: &str) -> IncidentChange {
    IncidentChange { comment: Some(text.to_owned()), ..IncidentChange::default() }
}

fn closed(verdict: Verdict) -> IncidentChange {
    IncidentChange { verdict: Some(verdict), ..to(IncidentStatus::Closed) }
}

async fn incident<F: Fixture>() -> (F, SharedDatabase, IncidentId) {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let id = opened(&db, detection("dijon", 1, &[host("pc")])).await;
    (fixture, db, id)
}

async fn refused(db: &SharedDatabase, id: IncidentId, change: IncidentChange) -> String {
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

/// Who works it and what it is filed under are kept, told, and found by.
pub async fn assignees_and_labels_are_kept<F: Fixture>() {
    let (fixture, db, id) = incident::<F>().await;
    let scope = Scope::all();
    let change = IncidentChange {
        assignee: Some(Some("Ana Martin".to_owned())),
        labels: Some(vec!["vip".to_owned(), "école".to_owned(), "vip".to_owned()]),
        ..IncidentChange::default()
    };
    let seen = db.change_incident(&scope, id, change.clone(), "ana", at(1)).await.unwrap();
    assert_eq!(seen.assignee.as_deref(), Some("Ana Martin"));
    assert_eq!(seen.labels, ["vip", "école"]);
    assert_eq!(seen.acknowledged, None, "it is still new");
    // The same again changes nothing, and says so.
    refused(&db, id, change).await;
    let relabel = IncidentChange { labels: Some(vec!["vip".to_owned()]), ..Default::default() };
    db.change_incident(&scope, id, relabel, "bob", at(2)).await.unwrap();
    drop(db);
    let db = fixture.open().await;
    let find = async |query: IncidentQuery| db.incidents(&scope, &query).await.unwrap().items.len();
    let assigned = |to| IncidentQuery { assignee: Some(to), ..IncidentQuery::default() };
    assert_eq!(find(assigned(AssigneeFilter::Named("Ana Martin".to_owned()))).await, 1);
    assert_eq!(find(assigned(AssigneeFilter::Named("Ana".to_owned()))).await, 0);
    assert_eq!(find(assigned(AssigneeFilter::Nobody)).await, 0);
    let labelled = |label: &str| IncidentQuery { label: Some(label.into()), ..Default::default() };
    assert_eq!(find(labelled("vip")).await, 1);
    assert_eq!(find(labelled("école")).await, 0);
    let free = IncidentChange { assignee: Some(None), ..IncidentChange::default() };
    let seen = db.change_incident(&scope, id, free.clone(), "bob", at(3)).await.unwrap();
    assert_eq!(seen.assignee, None);
    refused(&db, id, free).await;
    let kinds: Vec<_> = db.incident_timeline(&scope, id).await.unwrap();
    let kinds: Vec<_> = kinds.into_iter().skip(1).map(|entry| entry.kind).collect();
    let labels = |added: &[&str], removed: &[&str]| TimelineKind::Labels {
        added: added.iter().map(|label| (*label).to_owned()).collect(),
        removed: removed.iter().map(|label| (*label).to_owned()).collect(),
    };
    let ana = Some("Ana Martin".to_owned());
    assert_eq!(
        kinds,
        [
            TimelineKind::Assignee { from: None, to: ana.clone() },
            labels(&["vip", "école"], &[]),
            labels(&[], &["école"]),
            TimelineKind::Assignee { from: ana, to: None },
        ]
    );
    for (change, word) in [
        (IncidentChange { assignee: Some(Some(" ".to_owned())), ..Default::default() }, "assignee"),
        (IncidentChange { labels: Some(vec!["a\nb".to_owned()]), ..Default::default() }, "label"),
        (
            IncidentChange {
                labels: Some((0..=LABELS_MAX).map(|n| format!("label-{n}")).collect()),
                ..Default::default()
            },
            "at most 32",
        ),
    ] {
        let reason = refused(&db, id, change).await;
        assert!(reason.contains(word), "{reason}");
    }
}

/// An analyst's severity holds whatever joins, until it is taken back.
pub async fn severities_are_overridden_with_a_reason<F: Fixture>() {
    let (_fixture, db, id) = incident::<F>().await;
    let scope = Scope::all();
    let rate = |level, reason: Option<&str>| IncidentChange {
        severity: Some(level),
        reason: reason.map(str::to_owned),
        ..IncidentChange::default()
    };
    for (change, word) in [
        (rate(Some(Level::High), None), "reason"),
        (rate(Some(Level::High), Some(" ")), "reason"),
        (rate(Some(Level::Informational), Some("x")), "close it"),
        (rate(None, Some("x")), "nobody set"),
        (IncidentChange { reason: Some("x".to_owned()), ..to(IncidentStatus::Closed) }, "verdict"),
        (
            IncidentChange { reason: Some("x".to_owned()), ..to(IncidentStatus::Acknowledged) },
            "give the severity",
        ),
    ] {
        let reason = refused(&db, id, change).await;
        assert!(reason.contains(word), "{reason}");
    }
    let change = rate(Some(Level::Low), Some("poste de test"));
    let seen = db.change_incident(&scope, id, change, "ana", at(1)).await.unwrap();
    assert_eq!((seen.severity, seen.severity_detected), (Level::Low, Level::Medium));
    let said = SeverityOverride { reason: "poste de test".into(), by: "ana".into(), at: at(1) };
    assert_eq!(seen.severity_override, Some(said));
    let worse = ruled(detection("dijon", 2, &[host("pc")]), "rule-2", Level::High, &[]);
    db.raise(&[worse], position(2), at(2)).await.unwrap();
    let seen = db.incident(&scope, id).await.unwrap().unwrap();
    assert_eq!((seen.severity, seen.severity_detected), (Level::Low, Level::High));
    let listed = IncidentQuery { severity_min: Some(Level::Medium), ..IncidentQuery::default() };
    assert_eq!(db.incidents(&scope, &listed).await.unwrap().items, []);
    let back = rate(None, Some("vrai poste"));
    let seen = db.change_incident(&scope, id, back, "ana", at(3)).await.unwrap();
    assert_eq!((seen.severity, seen.severity_override), (Level::High, None));
}

/// When it was seen, resolved and closed is kept; reopening it takes the last two away.
pub async fn times_of_work_are_kept<F: Fixture>() {
    let (_fixture, db, id) = incident::<F>().await;
    let set = async |change, minute| {
        let seen = db.change_incident(&Scope::all(), id, change, "ana", at(minute)).await.unwrap();
        (seen.acknowledged, seen.resolved, seen.closed)
    };
    assert_eq!(set(comment("hm"), 1).await, (None, None, None));
    assert_eq!(set(to(IncidentStatus::InProgress), 2).await, (Some(at(2)), None, None));
    assert_eq!(set(to(IncidentStatus::Resolved), 3).await, (Some(at(2)), Some(at(3)), None));
    let all = (Some(at(2)), Some(at(3)), Some(at(4)));
    assert_eq!(set(closed(Verdict::TruePositive), 4).await, all);
    assert_eq!(set(to(IncidentStatus::New), 5).await, (Some(at(2)), None, None));
    let all = (Some(at(2)), Some(at(6)), Some(at(6)));
    assert_eq!(set(closed(Verdict::TruePositive), 6).await, all);
}

/// What the SOC keeps to itself no commune reads; what a commune writes all of both read.
pub async fn comments_are_for_whom_they_are<F: Fixture>() {
    let (_fixture, db, id) = incident::<F>().await;
    let (soc, own) = (Scope::all(), only(&["dijon"]));
    let write = async |scope: &Scope, text: &str, visibility| {
        let change = IncidentChange { visibility, ..comment(text) };
        db.change_incident(scope, id, change, "ana", at(1)).await
    };
    write(&soc, "entre nous", None).await.unwrap();
    write(&soc, "pour vous", Some(Visibility::Shared)).await.unwrap();
    write(&own, "merci", None).await.unwrap();
    let hidden = write(&own, "secret", Some(Visibility::Soc)).await;
    assert!(matches!(hidden, Err(DbError::Refused(_))), "{hidden:?}");
    let alone = IncidentChange { visibility: Some(Visibility::Soc), ..IncidentChange::default() };
    refused(&db, id, alone).await;
    let texts = async |scope: &Scope| {
        let timeline = db.incident_timeline(scope, id).await.unwrap();
        let text = |kind| match kind {
            TimelineKind::Comment(comment) => Some(comment.text),
            _ => None,
        };
        timeline.into_iter().filter_map(|entry| text(entry.kind)).collect::<Vec<_>>()
    };
    assert_eq!(texts(&soc).await, ["entre nous", "pour vous", "merci"]);
    assert_eq!(texts(&own).await, ["pour vous", "merci"]);
    // Narrowed to the commune, the SOC reads what the commune does.
    assert_eq!(texts(&soc.narrowed(&commune("dijon"))).await, ["pour vous", "merci"]);
}

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
