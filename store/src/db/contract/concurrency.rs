//! Many at once.

use std::sync::Arc;

use super::{BUS, Fixture, at, detection, host, only, position};
use crate::{
    Scope,
    db::{CursorName, IncidentQuery, RaisedKind},
};

const TASKS: u64 = 16;
const ROUNDS: u64 = 10;

/// Tasks raise and read at once; each reads what it raised, and the totals are right.
pub async fn many_raise_and_read<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..TASKS {
        let db = Arc::clone(&db);
        tasks.spawn(async move {
            let id = format!("commune-{}", task % 4);
            let scope = only(&[&id]);
            for round in 0..ROUNDS {
                let n = task * ROUNDS + round;
                let batch = [
                    detection(&id, 2 * n, &[host(&format!("pc-{task}"))]),
                    detection(&id, 2 * n + 1, &[host("shared")]),
                ];
                let raised = db.raise(&batch, position(n), at(0)).await.unwrap();
                let incident = raised[0].incident.unwrap();
                let seen = db.incident(&scope, incident).await.unwrap().unwrap();
                assert_eq!(seen.detections, round + 1);
                let page = db.incident_detections(&scope, incident, None, 1_000).await.unwrap();
                assert!(page.items.contains(&batch[0]));
                assert!(db.counts(&scope).await.unwrap().detections >= 2 * (round + 1));
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let counts = db.counts(&Scope::all()).await.unwrap();
    assert_eq!((counts.incidents, counts.detections), (TASKS + 4, 2 * TASKS * ROUNDS));
    for commune in 0..4 {
        let scope = only(&[&format!("commune-{commune}")]);
        let page = db.incidents(&scope, &IncidentQuery::default()).await.unwrap();
        let mut numbers: Vec<u64> = page.items.iter().map(|incident| incident.number).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2, 3, 4, 5], "each number once");
    }
    let next = db.cursor(CursorName::Raise, BUS, 0).await.unwrap();
    assert_eq!(next, Some(TASKS * ROUNDS - 1));
}

/// The same detections raised by all tasks at once are opened by exactly one.
pub async fn raising_at_once_raises_once<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..TASKS {
        let db = Arc::clone(&db);
        tasks.spawn(async move {
            let batch: Vec<_> =
                (0..5).map(|n| detection("dijon", n, &[host(&format!("pc-{n}"))])).collect();
            let raised = db.raise(&batch, position(5), at(0)).await.unwrap();
            raised.iter().filter(|raised| raised.kind == RaisedKind::Opened).count()
        });
    }
    assert_eq!(tasks.join_all().await.into_iter().sum::<usize>(), 5);
    let counts = db.counts(&Scope::all()).await.unwrap();
    assert_eq!((counts.incidents, counts.detections), (5, 5));
}
