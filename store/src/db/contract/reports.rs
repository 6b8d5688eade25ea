//! Figures of periods, and the reports made of them.

use std::{collections::BTreeSet, time::Duration};

use event::{IncidentId, Level};

use super::{
    Fixture, add_communes, at, commune, detection, host,
    incidents::{closed, to},
    only, opened, ruled, timed,
};
use crate::{
    Scope,
    db::{
        BySeverity, ClockFigure, ClockName, Coverage, DbError, DurationName, Hook, IncidentChange,
        IncidentFigures, IncidentStatus, NewReport, NoticeKind, NoticeOutcome, REPORTS_MAX,
        ReportDuration, RuleCause, RuleText, SharedDatabase, Verdict,
    },
};

async fn change(db: &SharedDatabase, id: IncidentId, change: IncidentChange, minute: i64) {
    db.change_incident(&Scope::all(), id, change, "ana", at(minute)).await.unwrap();
}

/// What a period's incidents came to is added up, of the scope alone.
pub async fn periods_add_up<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let hook = Hook {
        name: "astreinte".to_owned(),
        communes: None,
        severity_min: Level::Low,
        kinds: BTreeSet::from([NoticeKind::Opened]),
        unacknowledged_after: Duration::ZERO,
    };
    db.make_notices(&hook, at(0)).await.unwrap();
    let open = async |of: &str, n: u64, rule: &str, level, minute: i64| {
        let one = detection(of, n, &[host(&format!("{of}-{n}"))]);
        let tags = ["attack.t1003.001", "attack.credential-access"];
        let one = timed(ruled(one, rule, level, &tags), minute - 2);
        let raised = db.raise(&[one], super::position(n), at(minute)).await.unwrap();
        raised[0].incident.unwrap()
    };
    let before = open("dijon", 1, "old", Level::High, 10).await;
    let first = open("dijon", 2, "a", Level::Critical, 100).await;
    let second = open("dijon", 3, "a", Level::Critical, 110).await;
    let third = open("dijon", 4, "b", Level::Low, 120).await;
    open("talant", 5, "b", Level::Low, 130).await;
    let after = open("dijon", 6, "a", Level::Low, 200).await;
    while db.make_notices(&hook, at(201)).await.unwrap().1 {}
    for notice in db.due_notices("astreinte", at(300), 100).await.unwrap() {
        // The second was told of three minutes after it was opened.
        if notice.incident == second {
            db.settle_notice(notice.id, NoticeOutcome::Sent, at(113)).await.unwrap();
        }
    }
    change(&db, before, closed(Verdict::TruePositive), 150).await;
    change(&db, first, to(IncidentStatus::Acknowledged), 105).await;
    change(&db, first, closed(Verdict::FalsePositive), 130).await;
    change(&db, second, to(IncidentStatus::Acknowledged), 130).await;
    db.merge_incident(&Scope::all(), third, after, "ana", at(250)).await.unwrap();

    let (from, end) = (at(50), at(190));
    let all = db.incident_figures(&Scope::all(), from, end, at(400)).await.unwrap();
    assert_eq!(all.opened, BySeverity { critical: 2, low: 1, ..BySeverity::default() });
    let dijon = db.incident_figures(&only(&["dijon"]), from, end, at(400)).await.unwrap();
    assert_eq!(dijon.opened, BySeverity { critical: 2, ..BySeverity::default() });
    assert_eq!(dijon.opened_by_verdict, [("false_positive", 1), ("none", 1)].into());
    assert_eq!(dijon.opened_by_month.len(), 1);
    assert_eq!(dijon.closed, BySeverity { critical: 1, high: 1, ..BySeverity::default() });
    assert_eq!(dijon.left_open, BySeverity { critical: 1, ..BySeverity::default() });
    assert_eq!(dijon.detections, 2);
    let minutes = |name, count, [min, mean, median, max]: [u64; 4]| ReportDuration {
        name,
        severity: Level::Critical,
        count,
        min_ms: min * 60_000,
        mean_ms: mean * 60_000,
        median_ms: median * 60_000,
        max_ms: max * 60_000,
    };
    assert_eq!(
        dijon.durations,
        [
            minutes(DurationName::Detect, 2, [2; 4]),
            minutes(DurationName::Tell, 1, [3; 4]),
            ReportDuration {
                mean_ms: 750_000,
                ..minutes(DurationName::Acknowledge, 2, [5, 0, 20, 20])
            },
            minutes(DurationName::Contain, 1, [30; 4]),
            minutes(DurationName::Resolve, 1, [30; 4]),
        ]
    );
    let clock = |name, [kept, broken, running]: [u64; 3]| ClockFigure {
        name,
        severity: Level::Critical,
        kept,
        broken,
        running,
    };
    assert_eq!(
        dijon.clocks,
        [
            clock(ClockName::Acknowledge, [1, 1, 0]),
            // The second one's ran out at minute 350.
            clock(ClockName::Contain, [1, 1, 0]),
            clock(ClockName::Resolve, [1, 0, 1]),
        ]
    );
    let rule = &dijon.rules[0];
    assert_eq!((rule.id.as_str(), rule.incidents, rule.detections), ("a", 2, 2));
    assert_eq!((rule.true_positive, rule.false_positive), (0, 1));
    assert_eq!(dijon.rules.len(), 1);
    assert_eq!(dijon.techniques, [("attack.t1003.001".to_owned(), 2)]);
    let listed: Vec<_> = dijon.listed.iter().map(|incident| incident.id).collect();
    assert_eq!(listed, [first, second]);
    let none = db.incident_figures(&only(&["chenove"]), from, end, at(400)).await.unwrap();
    assert_eq!(none, IncidentFigures::default());
}

/// What the rules of a moment cover.
pub async fn coverage_is_of_a_moment<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let rule = |id: &str, tags: &str| RuleText {
        id: id.to_owned(),
        version: format!("{id}{tags}").chars().filter(|c| c.is_alphanumeric()).collect(),
        title: id.to_owned(),
        level: Level::Low,
        path: format!("{id}.yml"),
        text: format!("title: {id}\ntags:\n    - attack.execution\n    - {tags}\n"),
    };
    let rules = vec![rule("a", "attack.t1059.001"), rule("b", "attack.t1059.001")];
    db.activate_rules(rules, RuleCause::Start, "x", at(1)).await.unwrap();
    let rules = vec![rule("a", "attack.t1059.001"), rule("b", "attack.t1059")];
    db.activate_rules(rules, RuleCause::Start, "x", at(5)).await.unwrap();
    let covered = async |minute| db.coverage(&Scope::all(), at(minute)).await.unwrap();
    assert_eq!(covered(0).await, Coverage::default());
    assert_eq!(covered(1).await, Coverage { rules: 2, techniques: 1 });
    assert_eq!(covered(5).await, Coverage { rules: 2, techniques: 2 });
}

/// A report stays as it was made, and is seen by those it is for.
pub async fn reports_are_kept<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    add_communes(&db, &["dijon", "talant"]).await;
    opened(&db, detection("dijon", 1, &[host("pc")])).await;
    let new = |of: Option<&str>| NewReport {
        commune: of.map(commune),
        from: at(0),
        to: at(60),
        figures: "{\"é\":1}".to_owned(),
    };
    let all = db.keep_report(&Scope::all(), new(None), "ana", at(60)).await.unwrap();
    let dijon = db.keep_report(&only(&["dijon"]), new(Some("dijon")), "bob", at(61)).await.unwrap();
    // `printf '{"é":1}' | sha256sum`
    let digest = "ddcfcf4765da163969972bb20660092ca2787782d9352d1d8a38e93f70acf3bf";
    assert_eq!((all.info.digest.as_str(), dijon.info.digest.as_str()), (digest, digest));
    assert_ne!(all.info.id, dijon.info.id);
    drop(db);
    let db = fixture.open().await;
    let listed = db.reports(&Scope::all()).await.unwrap();
    assert_eq!(listed, [dijon.info.clone(), all.info.clone()]);
    let of_both = db.reports(&only(&["dijon", "talant"])).await.unwrap();
    assert_eq!(of_both, std::slice::from_ref(&dijon.info));
    assert_eq!(db.reports(&only(&["talant"])).await.unwrap(), []);
    let find = async |scope: &Scope, id: &str| db.report(scope, id).await.unwrap();
    assert_eq!(find(&Scope::all(), &all.info.id).await, Some(all.clone()));
    assert_eq!(find(&only(&["dijon"]), &dijon.info.id).await, Some(dijon.clone()));
    assert_eq!(find(&only(&["dijon"]), &all.info.id).await, None);
    assert_eq!(find(&only(&["talant"]), &dijon.info.id).await, None);
    for (scope, of) in [
        (only(&["dijon"]), None),
        (only(&["dijon"]), Some("talant")),
        (Scope::all(), Some("quetigny")),
    ] {
        let kept = db.keep_report(&scope, new(of), "bob", at(61)).await;
        assert!(matches!(kept, Err(DbError::Missing { what: "commune", .. })), "{kept:?}");
    }
    for n in 1..REPORTS_MAX {
        let of_talant = NewReport { figures: n.to_string(), ..new(Some("talant")) };
        db.keep_report(&Scope::all(), of_talant, "ana", at(61)).await.unwrap();
    }
    let last = NewReport { figures: "0".to_owned(), ..new(Some("talant")) };
    db.keep_report(&Scope::all(), last, "ana", at(61)).await.unwrap();
    let more = db.keep_report(&Scope::all(), new(Some("talant")), "ana", at(62)).await;
    assert!(matches!(more, Err(DbError::Refused(_))), "{more:?}");
    db.keep_report(&Scope::all(), new(Some("dijon")), "ana", at(62)).await.unwrap();
    for wrong in [NewReport { to: at(0), ..new(None) }, NewReport { to: at(62), ..new(None) }] {
        let kept = db.keep_report(&Scope::all(), wrong, "bob", at(61)).await;
        assert!(matches!(kept, Err(DbError::Refused(_))), "{kept:?}");
    }
}
