//! How soon incidents are to be dealt with.

use std::{collections::BTreeSet, time::Duration};

use event::{IncidentId, Level, Timestamp};

use super::{
    Fixture, add_communes, at, commune, detection, host,
    incidents::{closed, incident, refused, to},
    only, opened, position, ruled,
};
use crate::{
    Scope,
    db::{
        ClockName, DbError, Hook, Incident, IncidentChange, IncidentQuery, IncidentSort,
        IncidentStatus, Nis2Report, NoticeKind, NoticeOutcome, OwnTargets, Regime, SetTargets,
        SharedDatabase, TARGET_MIN_MAX, Targets, TimelineKind, Verdict,
    },
};

const HOUR: i64 = 60;
const DAY: i64 = 24 * HOUR;

fn set(of: Option<&str>, severity: Level, minutes: [Option<u32>; 3]) -> SetTargets {
    let [acknowledge_min, contain_min, resolve_min] = minutes;
    let own = OwnTargets { acknowledge_min, contain_min, resolve_min };
    SetTargets { commune: of.map(commune), severity, own }
}

/// Name, end and whether it stopped, of each clock.
fn clocks(incident: &Incident) -> Vec<(ClockName, Timestamp, Option<Timestamp>)> {
    incident.clocks.iter().map(|clock| (clock.name, clock.due, clock.met)).collect()
}

async fn get(db: &SharedDatabase, id: IncidentId) -> Incident {
    db.incident(&Scope::all(), id).await.unwrap().unwrap()
}

async fn change(
    db: &SharedDatabase,
    id: IncidentId,
    change: IncidentChange,
    minute: i64,
) -> Incident {
    db.change_incident(&Scope::all(), id, change, "ana", at(minute)).await.unwrap()
}

/// Targets are kept, found in scope, and hold for what opens afterwards.
pub async fn targets_hold_for_what_opens_next<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    add_communes(&db, &["chenove", "dijon", "talant"]).await;
    let before = opened(&db, detection("dijon", 1, &[host("a")])).await;
    let wide = set(None, Level::Medium, [Some(90), None, None]);
    let dijon = set(Some("dijon"), Level::Medium, [None, Some(0), Some(600)]);
    let talant = set(Some("talant"), Level::Low, [None, None, Some(7)]);
    for set in [&dijon, &wide, &talant] {
        db.set_targets(set.clone()).await.unwrap();
    }
    drop(db);
    let db = fixture.open().await;
    assert_eq!(
        db.targets(&Scope::all()).await.unwrap(),
        [wide.clone(), dijon.clone(), talant.clone()]
    );
    let of_dijon = db.targets(&only(&["dijon"])).await.unwrap();
    assert_eq!(of_dijon, [wide.clone(), dijon]);
    assert_eq!(
        Targets::of(&of_dijon, Some(&commune("dijon")), Level::Medium),
        Targets { acknowledge_min: Some(90), contain_min: None, resolve_min: Some(600) }
    );
    // What was promised when it opened holds.
    let built_in = Targets::built_in(Level::Medium);
    let due = clocks(&get(&db, before).await)[0].1;
    assert_eq!(due, at(0).plus(Duration::from_secs(60 * 240)));
    assert_eq!(built_in.acknowledge_min, Some(240));
    let after = opened(&db, detection("dijon", 2, &[host("b")])).await;
    let after = get(&db, after).await;
    assert_eq!(
        clocks(&after),
        [(ClockName::Acknowledge, at(90), None), (ClockName::Resolve, at(600), None)]
    );
    // Taken back, the wider ones hold.
    db.set_targets(set(Some("dijon"), Level::Medium, [None; 3])).await.unwrap();
    let third = opened(&db, detection("dijon", 3, &[host("c")])).await;
    let named: Vec<_> = clocks(&get(&db, third).await).into_iter().map(|(name, ..)| name).collect();
    assert_eq!(named, ClockName::SERVICE);
    for wrong in [
        set(None, Level::Informational, [Some(1), None, None]),
        set(None, Level::High, [None, Some(TARGET_MIN_MAX + 1), None]),
    ] {
        assert!(matches!(db.set_targets(wrong).await, Err(DbError::Refused(_))));
    }
    let absent = db.set_targets(set(Some("quetigny"), Level::High, [Some(1), None, None])).await;
    assert!(matches!(absent, Err(DbError::Missing { what: "commune", .. })));
}

/// Clocks stop with the work, start anew with a reopening, and follow the severity.
pub async fn clocks_follow_the_work<F: Fixture>() {
    let (fixture, db, id) = incident::<F>().await;
    let [ack, contain, resolve] = ClockName::SERVICE;
    let opened = get(&db, id).await;
    assert_eq!(
        clocks(&opened),
        [(ack, at(4 * HOUR), None), (contain, at(2 * DAY), None), (resolve, at(7 * DAY), None)]
    );
    assert_eq!(opened.due, Some(at(4 * HOUR)));
    // A storm that only joins changes no clock.
    db.raise(&[detection("dijon", 2, &[host("pc")])], position(2), at(5)).await.unwrap();
    assert_eq!(get(&db, id).await.clocks, opened.clocks);
    let seen = change(&db, id, to(IncidentStatus::Acknowledged), 10).await;
    assert_eq!(clocks(&seen)[0], (ack, at(4 * HOUR), Some(at(10))));
    assert_eq!(seen.due, Some(at(2 * DAY)));
    // More severe: a whole target from now, no later than before.
    let worse = ruled(detection("dijon", 3, &[host("pc")]), "worse", Level::Critical, &[]);
    db.raise(&[worse], position(3), at(DAY)).await.unwrap();
    let seen = get(&db, id).await;
    assert_eq!(seen.severity, Level::Critical);
    assert_eq!(
        clocks(&seen)[1..],
        [(contain, at(DAY + 4 * HOUR), None), (resolve, at(2 * DAY), None)]
    );
    // Less severe again: the target of the less severe one, from its beginning.
    let less = IncidentChange {
        severity: Some(Some(Level::Medium)),
        reason: Some("bac à sable".to_owned()),
        ..IncidentChange::default()
    };
    let seen = change(&db, id, less, DAY + 1).await;
    assert_eq!(clocks(&seen)[1..], [(contain, at(2 * DAY), None), (resolve, at(7 * DAY), None)]);
    // Contained, by mistake, then really.
    let contained = |yes| IncidentChange { contained: Some(yes), ..IncidentChange::default() };
    let seen = change(&db, id, contained(true), DAY + 2).await;
    assert_eq!(seen.contained, Some(at(DAY + 2)));
    assert_eq!(clocks(&seen)[1].2, Some(at(DAY + 2)));
    refused(&db, id, contained(true)).await;
    let seen = change(&db, id, contained(false), DAY + 3).await;
    assert_eq!((seen.contained, clocks(&seen)[1]), (None, (contain, at(2 * DAY), None)));
    // Closing stops what runs; reopening starts that anew.
    let seen = change(&db, id, closed(Verdict::TruePositive), 3 * DAY).await;
    assert_eq!(seen.due, None);
    assert_eq!(clocks(&seen)[1], (contain, at(2 * DAY), Some(at(3 * DAY))));
    let seen = change(&db, id, to(IncidentStatus::InProgress), 9 * DAY).await;
    assert_eq!(
        clocks(&seen),
        [
            (ack, at(4 * HOUR), Some(at(10))),
            (contain, at(11 * DAY), None),
            (resolve, at(16 * DAY), None)
        ]
    );
    drop(db);
    let db = fixture.open().await;
    assert_eq!(get(&db, id).await, seen);
    let kinds = db.incident_timeline(&Scope::all(), id).await.unwrap();
    assert!(kinds.iter().any(|entry| entry.kind == TimelineKind::Contained { contained: true }));
}

fn aware(minute: i64) -> IncidentChange {
    IncidentChange { nis2_aware: Some(Some(at(minute))), ..IncidentChange::default() }
}

fn report(report: Nis2Report) -> IncidentChange {
    IncidentChange { nis2_report: Some(report), ..IncidentChange::default() }
}

/// The clocks of NIS 2 run from when a commune under it knew, also once the incident is closed.
pub async fn nis2_runs_from_awareness<F: Fixture>() {
    let (_fixture, db, id) = incident::<F>().await;
    add_communes(&db, &["dijon", "talant"]).await;
    let said = refused(&db, id, aware(1)).await;
    assert!(said.contains("commune dijon is not set to be under NIS 2"), "{said}");
    db.set_regime(&commune("dijon"), Some(Regime::Important)).await.unwrap();
    db.set_regime(&commune("talant"), Some(Regime::Essential)).await.unwrap();
    db.set_regime(&commune("talant"), None).await.unwrap();
    let known = [(commune("dijon"), Regime::Important)];
    assert_eq!(db.regimes(&Scope::all()).await.unwrap(), known);
    assert_eq!(db.regimes(&only(&["talant"])).await.unwrap(), []);
    let absent = db.set_regime(&commune("quetigny"), Some(Regime::Essential)).await;
    assert!(matches!(absent, Err(DbError::Missing { what: "commune", .. })));

    refused(&db, id, aware(10)).await; // it is minute 9
    refused(&db, id, report(Nis2Report::EarlyWarning)).await;
    let seen = change(&db, id, aware(-30), 0).await;
    let [early, notification, last] =
        [ClockName::Nis2EarlyWarning, ClockName::Nis2Notification, ClockName::Nis2FinalReport];
    let month = at(-30).next_month();
    assert_eq!(
        clocks(&seen)[3..],
        [(early, at(DAY - 30), None), (notification, at(3 * DAY - 30), None), (last, month, None)]
    );
    change(&db, id, report(Nis2Report::EarlyWarning), 60).await;
    refused(&db, id, report(Nis2Report::EarlyWarning)).await;
    // A month counts from the notification, once that was sent.
    let seen = change(&db, id, report(Nis2Report::Notification), 2 * DAY).await;
    assert_eq!(clocks(&seen)[5], (last, at(2 * DAY).next_month(), None));
    let seen = change(&db, id, closed(Verdict::TruePositive), 2 * DAY + 1).await;
    assert_eq!(seen.due, Some(at(2 * DAY).next_month()));
    let withdrawn = IncidentChange { nis2_aware: Some(None), ..IncidentChange::default() };
    refused(&db, id, withdrawn.clone()).await;
    let withdrawn = IncidentChange { reason: Some("sans effet".to_owned()), ..withdrawn };
    let seen = change(&db, id, withdrawn.clone(), 2 * DAY + 2).await;
    assert_eq!((seen.due, seen.nis2_aware), (None, None));
    assert_eq!(clocks(&seen).len(), 5, "what was sent stays");
    refused(&db, id, withdrawn).await;
    let kinds = db.incident_timeline(&Scope::all(), id).await.unwrap();
    let of_nis2: Vec<_> = kinds
        .into_iter()
        .map(|entry| entry.kind)
        .filter(|kind| {
            matches!(
                kind,
                TimelineKind::Nis2Aware { .. }
                    | TimelineKind::Nis2Reported { .. }
                    | TimelineKind::Nis2Withdrawn { .. }
            )
        })
        .collect();
    assert_eq!(
        of_nis2,
        [
            TimelineKind::Nis2Aware { aware: at(-30) },
            TimelineKind::Nis2Reported { report: Nis2Report::EarlyWarning },
            TimelineKind::Nis2Reported { report: Nis2Report::Notification },
            TimelineKind::Nis2Withdrawn { reason: "sans effet".to_owned() },
        ]
    );
}

/// What is to be reported is told of however severe it is, and goes along with a merge.
pub async fn reports_outlive_severity_and_merging<F: Fixture>() {
    let (_fixture, db, id) = incident::<F>().await;
    add_communes(&db, &["dijon"]).await;
    db.set_regime(&commune("dijon"), Some(Regime::Essential)).await.unwrap();
    let hook = Hook {
        name: "cadre".to_owned(),
        communes: None,
        severity_min: Level::Critical,
        kinds: BTreeSet::from([NoticeKind::Opened, NoticeKind::ClockBroken]),
        unacknowledged_after: Duration::ZERO,
    };
    let told = async |minute| {
        while db.make_notices(&hook, at(minute)).await.unwrap().1 {}
        let due = db.due_notices(&hook.name, at(minute), 100).await.unwrap();
        due.into_iter().map(|notice| (notice.incident, notice.clock)).collect::<Vec<_>>()
    };
    assert_eq!(told(0).await, []);
    change(&db, id, to(IncidentStatus::Acknowledged), 1).await;
    assert_eq!(told(1).await, [], "it is of medium severity");
    change(&db, id, aware(0), 2).await;
    change(&db, id, report(Nis2Report::EarlyWarning), 3).await;
    assert_eq!(told(3).await, [(id, None)]);
    // One that was closed before anybody knew is told of when its report is late.
    let closed_one = opened(&db, detection("dijon", 7, &[host("other")])).await;
    change(&db, closed_one, closed(Verdict::TruePositive), 4).await;
    change(&db, closed_one, aware(0), 5).await;
    let late = told(DAY).await;
    assert!(late.contains(&(closed_one, Some(ClockName::Nis2EarlyWarning))), "{late:?}");

    let into = opened(&db, detection("dijon", 8, &[host("third")])).await;
    let left = db.merge_incident(&Scope::all(), id, into, "ana", at(6)).await.unwrap();
    assert_eq!(left.nis2_aware, Some(at(0)));
    let [early, notification] =
        [ClockName::Nis2EarlyWarning, ClockName::Nis2Notification].map(|name| left.clock(name));
    assert_eq!(early.unwrap().met, Some(at(3)));
    assert_eq!((notification.unwrap().due, notification.unwrap().met), (at(3 * DAY), None));
    let gone = get(&db, id).await;
    assert_eq!((gone.nis2_aware, gone.due), (None, None));
}

/// What breaks first is listed first, and what has no clock is not.
pub async fn lists_go_by_what_is_due<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let mut ids = Vec::new();
    for (n, level) in [(1, Level::Medium), (2, Level::Critical), (3, Level::High), (4, Level::Low)]
    {
        let name = format!("pc{n}");
        let of = ruled(detection("dijon", n, &[host(&name)]), "r", level, &[]);
        ids.push(opened(&db, of).await);
    }
    change(&db, ids[2], closed(Verdict::FalsePositive), 1).await;
    let mut query = IncidentQuery {
        sort: IncidentSort::Due,
        ascending: true,
        limit: 2,
        ..IncidentQuery::default()
    };
    let mut found = Vec::new();
    loop {
        let page = db.incidents(&Scope::all(), &query).await.unwrap();
        found.extend(page.items.into_iter().map(|incident| incident.id));
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, [ids[1], ids[0], ids[3]]);
    let broken = IncidentQuery { due_before: Some(at(16)), ..IncidentQuery::default() };
    let broken = db.incidents(&Scope::all(), &broken).await.unwrap().items;
    assert_eq!(broken.iter().map(|incident| incident.id).collect::<Vec<_>>(), [ids[1]]);
}

/// A clock that will break is told of, once, and once more where it breaks.
pub async fn clocks_are_told<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let hook = Hook {
        name: "cadre".to_owned(),
        communes: None,
        severity_min: Level::Low,
        kinds: BTreeSet::from([NoticeKind::ClockWarning, NoticeKind::ClockBroken]),
        unacknowledged_after: Duration::ZERO,
    };
    let told = async |minute| {
        while db.make_notices(&hook, at(minute)).await.unwrap().1 {}
        let due = db.due_notices(&hook.name, at(minute), 100).await.unwrap();
        let mut told = Vec::new();
        for notice in due {
            // As the sender does.
            let stale = notice.clock_due.is_none();
            let outcome = if stale { NoticeOutcome::Dropped } else { NoticeOutcome::Sent };
            db.settle_notice(notice.id, outcome, at(minute)).await.unwrap();
            if !stale {
                told.push((notice.kind, notice.clock.unwrap()));
            }
        }
        told
    };
    assert_eq!(told(0).await, []);
    // Critical: to be seen after 15 minutes, contained after 4 hours, resolved after a day.
    let id =
        opened(&db, ruled(detection("dijon", 1, &[host("pc")]), "r", Level::Critical, &[])).await;
    let [ack, contain, resolve] = ClockName::SERVICE;
    assert_eq!(told(11).await, []);
    assert_eq!(told(12).await, [(NoticeKind::ClockWarning, ack)]);
    assert_eq!(told(14).await, []);
    assert_eq!(told(15).await, [(NoticeKind::ClockBroken, ack)]);
    change(&db, id, to(IncidentStatus::Acknowledged), 16).await;
    assert_eq!(told(179).await, []);
    assert_eq!(told(180).await, [(NoticeKind::ClockWarning, contain)]);
    // Put off by a lower severity, it is warned of again.
    let rate = |level| IncidentChange {
        severity: Some(Some(level)),
        reason: Some("relu".to_owned()),
        ..IncidentChange::default()
    };
    change(&db, id, rate(Level::High), 181).await;
    assert_eq!(told(240).await, []);
    assert_eq!(told(6 * HOUR).await, [(NoticeKind::ClockWarning, contain)]);
    let contained = IncidentChange { contained: Some(true), ..IncidentChange::default() };
    change(&db, id, contained, 7 * HOUR).await;
    assert_eq!(told(2 * DAY).await, []);
    change(&db, id, closed(Verdict::FalsePositive), 2 * DAY + 1).await;
    assert_eq!(told(8 * DAY).await, [], "it is closed");
    change(&db, id, to(IncidentStatus::InProgress), 9 * DAY).await;
    let warned = [(NoticeKind::ClockWarning, resolve)];
    assert_eq!(told(9 * DAY + 54 * HOUR).await, warned);
    assert_eq!(told(12 * DAY).await, [(NoticeKind::ClockBroken, resolve)]);
    assert_eq!(told(40 * DAY).await, []);
}
