//! How analysts work incidents: who, how severe, when, and who reads what they write.

use event::Level;

use super::{
    Fixture, at, commune, detection, feed, host,
    incidents::{closed, comment, incident, refused, to},
    only, position, ruled,
};
use crate::{
    Scope,
    db::{
        AssigneeFilter, DbError, IncidentChange, IncidentQuery, IncidentStatus, LABELS_MAX,
        SeverityOverride, TimelineKind, Verdict, Visibility,
    },
};

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
            "give one of them",
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

/// The centre says in the open incidents about a feed what became of it, once.
pub async fn the_centre_comments_on_a_feed<F: Fixture>() {
    let (_fixture, db, id) = incident::<F>().await;
    let scope = Scope::all();
    let about = db.incident_detections(&scope, id, None, 1).await.unwrap().items.remove(0);
    let of = |id: &str| feed(id, "dijon");
    let own = of(about.feed.as_str());
    let rule = &about.rule.id;
    for (feed, rule) in [(&of("another"), rule.as_str()), (&own, "another")] {
        assert_eq!(db.comment_on_feed(feed, rule, "it is back", at(3)).await.unwrap(), 0);
    }
    let before = db.incident(&scope, id).await.unwrap().unwrap();
    for written in [1, 0] {
        assert_eq!(db.comment_on_feed(&own, rule, "it is back", at(3)).await.unwrap(), written);
    }
    assert_eq!(db.comment_on_feed(&own, rule, "it is back again", at(4)).await.unwrap(), 1);
    let after = db.incident(&scope, id).await.unwrap().unwrap();
    assert_eq!((after.version, after.status), (before.version + 2, before.status));
    let seen = db.incident_timeline(&only(&["dijon"]), id).await.unwrap();
    let said: Vec<_> = seen
        .iter()
        .filter_map(|entry| match &entry.kind {
            TimelineKind::Comment(comment) => Some((entry.by.as_str(), comment.text.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(said, [("jacquemart", "it is back"), ("jacquemart", "it is back again")]);

    db.change_incident(&scope, id, closed(Verdict::FalsePositive), "ana", at(5)).await.unwrap();
    assert_eq!(db.comment_on_feed(&own, rule, "and again", at(6)).await.unwrap(), 0);
}
