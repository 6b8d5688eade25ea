//! Lists: complete, ordered, filtered, bounded.

use event::{DetectionId, EventId, IncidentId, Level};
use serde_json::json;

use super::{BUS, Fixture, at, commune, detection, host, only, opened, position, ruled, timed};
use crate::{
    Scope,
    db::{
        DbError, Incident, IncidentChange, IncidentQuery, IncidentSort, IncidentStatus,
        SharedDatabase, Verdict,
    },
};

/// Opens `count` incidents in `of`, several with the same time of change.
async fn open_some(db: &SharedDatabase, of: &str, from: u64, count: u64) {
    for n in from..from + count {
        let batch = [detection(of, n, &[host(&format!("pc-{n}"))])];
        let minute = i64::try_from(n / 3).unwrap();
        db.raise(&batch, position(n), at(minute)).await.unwrap();
    }
}

async fn listed(db: &SharedDatabase, scope: &Scope, query: &IncidentQuery) -> Vec<Incident> {
    let page = db.incidents(scope, query).await.unwrap();
    assert_eq!(page.next_cursor, None);
    page.items
}

/// Whoever follows the cursors sees each incident that was there once and in order, whatever
/// is opened meanwhile.
pub async fn lists_are_complete_under_inserts<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    open_some(&db, "dijon", 0, 20).await;
    open_some(&db, "talant", 20, 20).await;
    open_some(&db, "longvic", 40, 5).await;
    for scope in [Scope::all(), only(&["dijon"]), only(&["dijon", "talant"])] {
        let everything = IncidentQuery { limit: 5_000, ..IncidentQuery::default() };
        let before = listed(&db, &scope, &everything).await;
        let key = |incident: &Incident| (std::cmp::Reverse(incident.updated), incident.id);
        assert!(before.is_sorted_by_key(key));
        let mut query = IncidentQuery { limit: 3, ..IncidentQuery::default() };
        let mut seen = Vec::new();
        let mut new = 1_000 + 100 * before.len() as u64;
        loop {
            let page = db.incidents(&scope, &query).await.unwrap();
            assert!(page.items.len() == 3 || page.next_cursor.is_none());
            seen.extend(page.items);
            open_some(&db, "dijon", new, 2).await;
            new += 2;
            match page.next_cursor {
                Some(next) => query.cursor = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, before);
    }
    let default = db.incidents(&Scope::all(), &IncidentQuery::default()).await.unwrap();
    assert_eq!(default.items.len(), 50);
    assert!(default.next_cursor.is_some());
}

/// Everything given in a query must hold.
pub async fn filters_hold<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let mut ids = Vec::new();
    for (n, level) in Level::ALL.into_iter().enumerate().skip(1) {
        let d = detection("dijon", n as u64, &[host(&format!("pc-{n}"))]);
        ids.push(opened(&db, ruled(d, "r", level, &[])).await);
    }
    let closed = IncidentChange {
        status: Some(IncidentStatus::Closed),
        verdict: Some(Verdict::TruePositive),
        ..IncidentChange::default()
    };
    db.change_incident(&Scope::all(), ids[3], closed, "ana", at(7)).await.unwrap();
    let query = IncidentQuery::default;
    let check = async |query: IncidentQuery, expected: &[usize]| {
        let mut found: Vec<_> =
            listed(&db, &Scope::all(), &query).await.iter().map(|i| i.id).collect();
        let mut expected: Vec<_> = expected.iter().map(|n| ids[*n]).collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{query:?}");
    };
    check(query(), &[0, 1, 2, 3]).await;
    check(IncidentQuery { severity_min: Some(Level::High), ..query() }, &[2, 3]).await;
    check(IncidentQuery { status: vec![IncidentStatus::Closed], ..query() }, &[3]).await;
    let both = vec![IncidentStatus::Closed, IncidentStatus::New];
    check(IncidentQuery { status: both.clone(), ..query() }, &[0, 1, 2, 3]).await;
    check(IncidentQuery { status: vec![IncidentStatus::Resolved], ..query() }, &[]).await;
    check(IncidentQuery { updated_since: Some(at(7)), ..query() }, &[3]).await;
    check(IncidentQuery { commune: Some(commune("talant")), ..query() }, &[]).await;
    check(IncidentQuery { verdict: vec![Verdict::TruePositive], ..query() }, &[3]).await;
    check(IncidentQuery { verdict: vec![Verdict::FalsePositive], ..query() }, &[]).await;
    let text =
        |text: &str| IncidentQuery { text: Some(text.to_owned()), ..IncidentQuery::default() };
    check(text("PC-2"), &[1]).await;
    check(text("NAME of R — pc"), &[0, 1, 2, 3]).await;
    check(text("dijon-4"), &[3]).await;
    for nowhere in ["pc-9", "pc-1\npc", "%", "_", "'"] {
        check(text(nowhere), &[]).await;
    }
    let all = IncidentQuery {
        commune: Some(commune("dijon")),
        status: both,
        severity_min: Some(Level::Medium),
        updated_since: Some(at(0)),
        ..query()
    };
    check(all, &[1, 2, 3]).await;
}

/// Each order has every incident once, whatever the size of its pages.
pub async fn orders_hold<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    for n in 0..13_u64 {
        let level = Level::ALL[1 + n as usize % 4];
        let one = detection("dijon", n, &[host(&format!("pc-{n}"))]);
        let one = timed(ruled(one, "r", level, &[]), (n as i64 * 5) % 7);
        db.raise(&[one], position(n), at(n as i64 % 3)).await.unwrap();
    }
    for sort in IncidentSort::ALL {
        for ascending in [false, true] {
            let mut query = IncidentQuery { sort, ascending, limit: 2, ..IncidentQuery::default() };
            let mut seen = Vec::new();
            loop {
                let page = db.incidents(&only(&["dijon"]), &query).await.unwrap();
                seen.extend(page.items);
                let Some(next) = page.next_cursor else { break };
                query.cursor = Some(next);
            }
            assert_eq!(seen.len(), 13, "{query:?}");
            let key = |incident: &Incident| match sort {
                IncidentSort::Updated => incident.updated.as_nanos(),
                IncidentSort::Created => incident.created.as_nanos(),
                IncidentSort::Severity => incident.severity as i64,
                IncidentSort::RiskScore => incident.risk_score.into(),
                IncidentSort::Due => incident.due.unwrap().as_nanos(),
            };
            let key = |i: &Incident| (if ascending { key(i) } else { -key(i) }, i.id);
            assert!(seen.is_sorted_by_key(key), "{query:?}");
            // A cursor of one order is none of another.
            query.ascending = !ascending;
            let other = db.incidents(&only(&["dijon"]), &query).await;
            assert!(matches!(other, Err(DbError::Cursor)), "{other:?}");
        }
    }
}

/// By event time then id, page by page, as they were raised.
pub async fn detections_come_oldest_first<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let mut all: Vec<_> = (0..25)
        .map(|n| timed(detection("dijon", n, &[host("pc")]), [5, -3, 5, 900][n as usize % 4]))
        .collect();
    all[7].event = json!({"numbers": [1, -2.5, u64::MAX, null, true], "text": "\u{0}é\n"});
    let raised = db.raise(&all, position(25), at(0)).await.unwrap();
    let id = raised[0].incident.unwrap();
    all.sort_by_key(|detection| (detection.timestamp, detection.id));
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page =
            db.incident_detections(&only(&["dijon"]), id, cursor.as_deref(), 4).await.unwrap();
        assert!(page.items.len() <= 4);
        seen.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, all);
    let page = db.incident_detections(&Scope::all(), id, None, 0).await.unwrap();
    assert_eq!((page.items.len(), page.next_cursor), (25, None));
}

/// A cursor that was altered, or belongs to another list, is refused.
pub async fn cursors_of_others_are_refused<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    open_some(&db, "dijon", 0, 3).await;
    let mut ids = Vec::new();
    for n in [10, 20] {
        let batch: Vec<_> =
            (n..n + 3).map(|m| detection("dijon", m, &[host(&format!("many-{n}"))])).collect();
        let raised = db.raise(&batch, position(n), at(0)).await.unwrap();
        ids.push(raised[0].incident.unwrap());
    }
    let scope = Scope::all();
    let query = IncidentQuery { limit: 1, ..IncidentQuery::default() };
    let of_list = db.incidents(&scope, &query).await.unwrap().next_cursor.unwrap();
    let page = db.incident_detections(&scope, ids[0], None, 1).await.unwrap();
    let of_first = page.next_cursor.unwrap();
    let flipped = format!("{}{}", &of_list[..10], of_list[10..].replace('0', "1"));
    for bad in ["", "x", &of_list[1..], &of_first, &flipped, "é", &"0".repeat(58)] {
        let query = IncidentQuery { cursor: Some(bad.to_owned()), ..query.clone() };
        let result = db.incidents(&scope, &query).await;
        assert!(matches!(result, Err(DbError::Cursor)), "{bad:?}: {result:?}");
    }
    for (id, bad) in [(ids[1], &of_first), (ids[0], &of_list)] {
        let result = db.incident_detections(&scope, id, Some(bad), 1).await;
        assert!(matches!(result, Err(DbError::Cursor)), "{result:?}");
    }
    let absent = IncidentId::of(DetectionId::of("none", EventId::of(BUS, 0, 99, at(0))));
    let result = db.incident_detections(&scope, absent, Some("x"), 1).await;
    assert!(matches!(result, Err(DbError::Cursor)), "{result:?}");
}

/// A page holds about 16 MiB at most, and at least one detection however big.
pub async fn big_detections_make_short_pages<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let big = |n: u64, mebibytes: usize| {
        let mut d = detection("dijon", n, &[host("pc")]);
        d.event = json!({"event": {"original": "a".repeat(mebibytes << 20)}});
        timed(d, i64::try_from(n).unwrap())
    };
    let all = [big(0, 20), big(1, 7), big(2, 7), big(3, 7)];
    let id = db.raise(&all, position(4), at(0)).await.unwrap()[0].incident.unwrap();
    let (mut sizes, mut cursor) = (Vec::new(), None);
    loop {
        let page = db.incident_detections(&Scope::all(), id, cursor.as_deref(), 0).await.unwrap();
        sizes.push(page.items.len());
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [1, 2, 1]);
}
