//! Notices: each happening once, to whom it concerns.

use std::{collections::BTreeSet, time::Duration};

use event::{IncidentId, Level};

use super::{Fixture, at, commune, detection, host, only, opened, position, ruled};
use crate::{
    Scope,
    db::{
        DbError, Hook, IncidentChange, IncidentStatus, NoticeKind, NoticeOutcome, NoticeState,
        SharedDatabase, Verdict,
    },
};

fn hook(name: &str) -> Hook {
    Hook {
        name: name.to_owned(),
        communes: None,
        severity_min: Level::Medium,
        // Those of clocks are told of in `clocks`.
        kinds: NoticeKind::ALL
            .into_iter()
            .filter(|kind| !matches!(kind, NoticeKind::ClockWarning | NoticeKind::ClockBroken))
            .collect(),
        unacknowledged_after: Duration::from_mins(15),
    }
}

async fn set(db: &SharedDatabase, id: IncidentId, status: IncidentStatus) {
    let change = IncidentChange {
        status: Some(status),
        verdict: (status == IncidentStatus::Closed).then_some(Verdict::TruePositive),
        ..IncidentChange::default()
    };
    db.change_incident(&Scope::all(), id, change, "ana", at(1)).await.unwrap();
}

/// What is due by `minute`, looking first.
async fn due(db: &SharedDatabase, hook: &Hook, minute: i64) -> Vec<(IncidentId, NoticeKind)> {
    while db.make_notices(hook, at(0)).await.unwrap().1 {}
    let due = db.due_notices(&hook.name, at(minute), 100).await.unwrap();
    due.into_iter().map(|notice| (notice.incident, notice.kind)).collect()
}

/// From when a hook is there, over restarts, and never twice.
pub async fn each_happening_is_told_once<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let hook = hook("soc");
    opened(&db, detection("dijon", 1, &[host("old")])).await;
    assert_eq!(due(&db, &hook, 99).await, [], "what was before it is not told");
    let id = opened(&db, detection("dijon", 2, &[host("pc")])).await;
    let first = [(id, NoticeKind::Opened)];
    assert_eq!(due(&db, &hook, 0).await, first);
    assert_eq!(due(&db, &hook, 14).await, first, "looking again makes none");
    let both = [(id, NoticeKind::Opened), (id, NoticeKind::Unacknowledged)];
    assert_eq!(due(&db, &hook, 15).await, both);
    // Joined by the like of it: no news. By something worse: news.
    db.raise(&[detection("dijon", 3, &[host("pc")])], position(3), at(0)).await.unwrap();
    assert_eq!(due(&db, &hook, 15).await, both);
    let worse = ruled(detection("dijon", 4, &[host("pc")]), "worse", Level::Critical, &[]);
    db.raise(&[worse], position(4), at(0)).await.unwrap();
    drop(db);
    let db = fixture.open().await;
    assert_eq!(due(&db, &hook, 0).await, [first[0], (id, NoticeKind::Severity)]);
    set(&db, id, IncidentStatus::Closed).await;
    due(&db, &hook, 0).await;
    set(&db, id, IncidentStatus::InProgress).await;
    let kinds: Vec<_> = due(&db, &hook, 0).await.into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(
        kinds,
        [NoticeKind::Opened, NoticeKind::Severity, NoticeKind::Closed, NoticeKind::Reopened]
    );
    // Notices carry the incident as it is now.
    let notice = db.due_notices("soc", at(0), 1).await.unwrap().remove(0);
    assert_eq!((notice.severity, notice.status), (Level::Critical, IncidentStatus::InProgress));
    assert_eq!((notice.number, notice.attempts), (2, 0));
}

/// By commune, severity and happening, each hook for itself.
pub async fn hooks_choose<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let of_dijon = Hook { communes: Some([commune("dijon")].into()), ..hook("dijon") };
    let severe = Hook {
        severity_min: Level::High,
        kinds: BTreeSet::from([NoticeKind::Opened]),
        ..hook("severe")
    };
    for hook in [&of_dijon, &severe] {
        assert_eq!(due(&db, hook, 0).await, []);
    }
    let talant = opened(&db, detection("talant", 1, &[host("pc")])).await;
    let high = ruled(detection("dijon", 2, &[host("pc")]), "r", Level::High, &[]);
    let dijon = opened(&db, high).await;
    let low = ruled(detection("dijon", 3, &[host("other")]), "r", Level::Low, &[]);
    opened(&db, low).await;
    assert_eq!(due(&db, &of_dijon, 0).await, [(dijon, NoticeKind::Opened)]);
    assert_eq!(due(&db, &severe, 99).await, [(dijon, NoticeKind::Opened)]);
    // An incident that becomes severe enough is opened to this hook, once.
    let worse = ruled(detection("talant", 4, &[host("pc")]), "r", Level::High, &[]);
    db.raise(&[worse], position(4), at(0)).await.unwrap();
    set(&db, talant, IncidentStatus::Acknowledged).await;
    let opened = [(dijon, NoticeKind::Opened), (talant, NoticeKind::Opened)];
    assert_eq!(due(&db, &severe, 99).await, opened);
    // One that was done with before anybody was told is no news.
    set(&db, dijon, IncidentStatus::Closed).await;
    let late = hook("late");
    assert_eq!(due(&db, &late, 99).await, []);
    let gone = super::opened(&db, detection("talant", 5, &[host("gone")])).await;
    set(&db, gone, IncidentStatus::Closed).await;
    assert_eq!(due(&db, &late, 99).await, []);
}

/// Sent, put off, given up, and sent again where somebody asks for it.
pub async fn what_is_sent_is_settled<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let hook = hook("soc");
    due(&db, &hook, 0).await;
    for n in 1..=3 {
        opened(&db, detection("dijon", n, &[host(&format!("pc-{n}"))])).await;
    }
    due(&db, &hook, 0).await;
    let all = db.due_notices("soc", at(0), 100).await.unwrap();
    let [first, second, third] = [all[0].id, all[1].id, all[2].id];
    let settle = async |id, outcome| db.settle_notice(id, outcome, at(1)).await;
    settle(first, NoticeOutcome::Sent).await.unwrap();
    let again = NoticeOutcome::Again { due: at(5), error: "no answer".to_owned() };
    settle(second, again).await.unwrap();
    settle(third, NoticeOutcome::Dead { error: "gone".to_owned() }).await.unwrap();
    assert!(matches!(settle(third, NoticeOutcome::Sent).await, Err(DbError::Missing { .. })));
    assert_eq!(db.due_notices("soc", at(4), 100).await.unwrap(), []);
    let due = db.due_notices("soc", at(5), 100).await.unwrap();
    assert_eq!((due[0].id, due[0].attempts), (second, 1));
    assert_eq!(due[0].error.as_deref(), Some("no answer"));
    let list = async |scope: Scope, states: &[NoticeState], before| {
        let listed = db.notices(&scope, states, before, 100).await.unwrap();
        listed.into_iter().map(|notice| notice.id).collect::<Vec<_>>()
    };
    assert_eq!(list(Scope::all(), &[NoticeState::Dead], None).await, [third]);
    assert_eq!(list(only(&["dijon"]), &[NoticeState::Sent], None).await, [first]);
    assert_eq!(list(only(&["talant"]), &[], None).await, [0; 0]);
    let everything = list(Scope::all(), &[], None).await;
    assert!(everything.is_sorted_by(|a, b| a > b) && everything.len() == 6, "{everything:?}");
    assert!(list(Scope::all(), &[], Some(third)).await.iter().all(|id| *id < third));
    let retry = async |scope: Scope, id| db.retry_notice(&scope, id, at(9)).await;
    assert!(matches!(retry(only(&["talant"]), third).await, Err(DbError::Missing { .. })));
    assert!(matches!(retry(Scope::all(), 999).await, Err(DbError::Missing { .. })));
    assert!(matches!(retry(Scope::all(), first).await, Err(DbError::Refused(_))));
    let pending = retry(only(&["dijon"]), third).await.unwrap();
    assert_eq!((pending.state, pending.due, pending.attempts), (NoticeState::Pending, at(9), 0));
}
