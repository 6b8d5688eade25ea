//! Detections become incidents.

use event::{Detection, DetectionId, Entity, EntityKind, Level};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use super::{BUS, Fixture, at, detection, host, only, opened, position, ruled, timed, user};
use crate::{
    Scope,
    db::{
        CursorName, ENTITIES_MAX, Incident, IncidentQuery, IncidentStatus, Raised, RaisedKind,
        SharedDatabase, TIMELINE_JOINED_MAX, TimelineEntry, TimelineKind,
    },
};

async fn raise(db: &SharedDatabase, batch: &[Detection]) -> Vec<Raised> {
    let raised = db.raise(batch, position(1), at(0)).await.unwrap();
    assert!(raised.iter().map(|raised| raised.detection).eq(batch.iter().map(|d| d.id)));
    raised
}

fn kinds(raised: &[Raised]) -> Vec<RaisedKind> {
    raised.iter().map(|raised| raised.kind).collect()
}

/// Every incident with its timeline and detections, by commune and number.
async fn everything(
    db: &SharedDatabase,
    scope: &Scope,
) -> Vec<(Incident, Vec<TimelineEntry>, Vec<Detection>)> {
    let query = IncidentQuery { limit: 1_000, ..IncidentQuery::default() };
    let mut all = Vec::new();
    for incident in db.incidents(scope, &query).await.unwrap().items {
        let timeline = db.incident_timeline(scope, incident.id).await.unwrap();
        let page = db.incident_detections(scope, incident.id, None, 1_000).await.unwrap();
        all.push((incident, timeline, page.items));
    }
    all.sort_by_key(|(incident, ..)| (incident.commune.clone(), incident.number));
    all
}

/// The first detection opens, one that shares an entity joins, and the incident says it all.
pub async fn opens_and_joins<F: Fixture>() {
    use RaisedKind::{Joined, Opened};
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let tags = ["attack.t1003.001", "attack.credential_access", "cve.2025.1"];
    let batch = [
        timed(detection("dijon", 1, &[host("pc-1"), user("ana")]), 5),
        timed(detection("dijon", 2, &[host("pc-2")]), 6),
        timed(
            ruled(detection("dijon", 3, &[user("ana"), host("pc-3")]), "b", Level::Low, &tags),
            2,
        ),
        detection("dijon", 4, &[host("pc-3")]),
    ];
    let raised = db.raise(&batch, position(4), at(9)).await.unwrap();
    assert_eq!(kinds(&raised), [Opened, Opened, Joined, Joined]);
    assert_eq!(raised[0].incident, raised[2].incident);
    assert_eq!(raised[0].incident, raised[3].incident, "by what the third brought");
    let seen = db.incident(&Scope::all(), raised[0].incident.unwrap()).await.unwrap().unwrap();
    assert_eq!(seen.id, event::IncidentId::of(batch[0].id));
    assert_eq!((seen.number, seen.detections, seen.version), (1, 3, 3));
    assert_eq!(seen.title, "Rule one — pc-1");
    assert_eq!((seen.severity, seen.status), (Level::Medium, IncidentStatus::New));
    assert_eq!(seen.entities, [host("pc-1"), user("ana"), host("pc-3")]);
    assert_eq!(seen.tags, ["attack.credential_access", "attack.execution", "attack.t1003.001"]);
    assert_eq!((seen.first_event, seen.last_event), (at(0), at(5)));
    assert_eq!((seen.created, seen.updated), (at(9), at(9)));
    let timeline = db.incident_timeline(&Scope::all(), seen.id).await.unwrap();
    let entry = |n: usize| (batch[n].id, batch[n].rule.name.clone());
    let expected = [0, 2, 3].map(|n| match entry(n) {
        (detection, rule) if n == 0 => TimelineKind::Opened { detection, rule },
        (detection, rule) => TimelineKind::Joined { detection, rule },
    });
    assert!(timeline.iter().all(|entry| entry.by == "jacquemart" && entry.at == at(9)));
    assert_eq!(timeline.into_iter().map(|entry| entry.kind).collect::<Vec<_>>(), expected);
    assert_eq!(db.cursor(CursorName::Raise, BUS, 0).await.unwrap(), Some(4));
}

/// What was raised before is told apart and changes nothing, in the same batch too.
pub async fn known_detections_change_nothing<F: Fixture>() {
    use RaisedKind::{Joined, Kept, Known, Opened};
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let silent = ruled(detection("dijon", 3, &[host("pc")]), "i", Level::Informational, &[]);
    let batch = [
        detection("dijon", 1, &[host("pc")]),
        detection("dijon", 1, &[host("pc")]),
        detection("dijon", 2, &[host("pc")]),
        silent,
    ];
    let first = raise(&db, &batch).await;
    assert_eq!(kinds(&first), [Opened, Known, Joined, Kept]);
    let before = everything(&db, &Scope::all()).await;
    let counts = db.counts(&Scope::all()).await.unwrap();
    let again = db.raise(&batch, position(9), at(99)).await.unwrap();
    assert_eq!(kinds(&again), [Known; 4]);
    assert!(again.iter().map(|r| r.incident).eq(first.iter().map(|r| r.incident)));
    assert_eq!(everything(&db, &Scope::all()).await, before);
    assert_eq!(db.counts(&Scope::all()).await.unwrap(), counts);
    assert_eq!(db.cursor(CursorName::Raise, BUS, 0).await.unwrap(), Some(9));
}

/// Rules of level informational are kept without incident, and open nothing for others.
pub async fn informational_is_kept_silently<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let silent = |n| ruled(detection("dijon", n, &[host("pc")]), "i", Level::Informational, &[]);
    let raised = raise(&db, &[silent(1), detection("dijon", 2, &[host("pc")]), silent(3)]).await;
    assert_eq!(kinds(&raised), [RaisedKind::Kept, RaisedKind::Opened, RaisedKind::Kept]);
    assert_eq!(raised[0].incident, None);
    let counts = db.counts(&Scope::all()).await.unwrap();
    assert_eq!((counts.incidents, counts.detections), (1, 3));
}

/// An incident is joined up to a day before its first and after its last event.
pub async fn windows_bound_incidents<F: Fixture>() {
    use RaisedKind::{Joined, Opened};
    const DAY: i64 = 24 * 60;
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let times = [0, DAY, 2 * DAY, -DAY, 3 * DAY + 1, -2 * DAY - 1, 100 * DAY];
    let batch: Vec<_> = times
        .iter()
        .zip(1..)
        .map(|(minute, n)| timed(detection("dijon", n, &[host("pc")]), *minute))
        .collect();
    let raised = raise(&db, &batch).await;
    assert_eq!(kinds(&raised), [Opened, Joined, Joined, Joined, Opened, Opened, Opened]);
    let mut extreme =
        [detection("dijon", 20, &[host("pc")]), detection("dijon", 21, &[host("pc")])];
    extreme[0].timestamp = event::Timestamp::MIN;
    extreme[1].timestamp = event::Timestamp::MAX;
    assert_eq!(kinds(&raise(&db, &extreme).await), [Opened, Opened]);
}

/// Accounts that every machine has are listed but do not tie machines together.
pub async fn shared_accounts_join_nothing<F: Fixture>() {
    use RaisedKind::{Joined, Opened};
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let system = || user("système");
    let batch = [
        detection("dijon", 1, &[host("pc-1"), system()]),
        detection("dijon", 2, &[host("pc-2"), system()]),
        detection("dijon", 3, &[user("autorite nt\\système")]),
        detection("dijon", 4, &[user("nt authority\\system")]),
        detection("dijon", 5, &[host("pc-1")]),
        detection("dijon", 6, &[host("root")]),
        detection("dijon", 7, &[host("root")]),
    ];
    let raised = raise(&db, &batch).await;
    // The third and fourth name nobody of their own and go by their rule.
    assert_eq!(kinds(&raised), [Opened, Opened, Opened, Joined, Joined, Opened, Joined]);
    assert_eq!(raised[3].incident, raised[2].incident);
    assert_eq!(raised[4].incident, raised[0].incident);
    let first = db.incident(&Scope::all(), raised[0].incident.unwrap()).await.unwrap().unwrap();
    assert_eq!(first.entities, [host("pc-1"), system()]);
}

/// Detections that name nobody go together by rule, and never with those that name somebody.
pub async fn without_entities_by_rule<F: Fixture>() {
    use RaisedKind::{Joined, Opened};
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let batch = [
        detection("dijon", 1, &[host("pc")]),
        detection("dijon", 2, &[]),
        ruled(detection("dijon", 3, &[]), "other", Level::Low, &[]),
        timed(detection("dijon", 4, &[]), 60),
        timed(detection("dijon", 5, &[]), 3 * 24 * 60),
    ];
    let raised = raise(&db, &batch).await;
    assert_eq!(kinds(&raised), [Opened, Opened, Opened, Joined, Opened]);
    assert_eq!(raised[3].incident, raised[1].incident);
    let seen = db.incident(&Scope::all(), raised[1].incident.unwrap()).await.unwrap().unwrap();
    assert_eq!((seen.title.as_str(), seen.entities), ("Rule one", vec![]));
}

/// A storm is one incident that counts all and keeps all, with a timeline that stays short.
pub async fn storms_fold<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let storm: Vec<_> = (0..1_200).map(|n| detection("dijon", n, &[host("pc")])).collect();
    let raised = raise(&db, &storm).await;
    let id = raised[0].incident.unwrap();
    assert!(raised.iter().all(|raised| raised.incident == Some(id)));
    let seen = db.incident(&Scope::all(), id).await.unwrap().unwrap();
    assert_eq!((seen.detections, seen.version), (1_200, 1_200));
    let timeline = db.incident_timeline(&Scope::all(), id).await.unwrap();
    assert_eq!(timeline.len() as u64, 1 + TIMELINE_JOINED_MAX);
    let page = db.incident_detections(&Scope::all(), id, None, 5_000).await.unwrap();
    assert_eq!(page.items.len(), 1_000);
    let rest = db.incident_detections(&Scope::all(), id, page.next_cursor.as_deref(), 0).await;
    assert_eq!(rest.unwrap().items.len(), 100);
}

/// An incident lists so many entities, of so many characters, and is joined by no others.
pub async fn entities_are_bounded<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let many: Vec<Entity> = (0..400).map(|n| host(&format!("pc-{n:03}"))).collect();
    let long = user(&"é".repeat(10_000));
    let id = opened(&db, detection("dijon", 1, &[long.clone(), user("")])).await;
    let mut entities = vec![long];
    entities.extend(many.iter().cloned());
    raise(&db, &[detection("dijon", 2, &entities)]).await;
    let seen = db.incident(&Scope::all(), id).await.unwrap().unwrap();
    assert_eq!((seen.detections, seen.entities.len()), (2, ENTITIES_MAX));
    assert_eq!(seen.entities[0].name.chars().count(), 256);
    assert_eq!(seen.entities[1], many[0]);
    assert!(seen.title.chars().count() <= 256);
    let raised =
        raise(&db, &[detection("dijon", 3, &many[..1]), detection("dijon", 4, &many[399..])]).await;
    assert_eq!(kinds(&raised), [RaisedKind::Joined, RaisedKind::Opened]);
}

/// The most severe rule names an incident, the first of them where several are.
pub async fn the_worst_names_it<F: Fixture>() {
    let fixture = F::fresh().await;
    let db = fixture.open().await;
    let phone = Entity { kind: EntityKind::Device, name: "phone".to_owned() };
    let d = |n, rule, level, entities: &[Entity]| {
        ruled(detection("dijon", n, entities), rule, level, &[])
    };
    let id = opened(&db, d(1, "a", Level::Low, &[user("ana"), phone.clone()])).await;
    let title = async || {
        let seen = db.incident(&Scope::all(), id).await.unwrap().unwrap();
        (seen.title, seen.severity)
    };
    assert_eq!(title().await, ("Name of a — phone".to_owned(), Level::Low));
    raise(&db, &[d(2, "b", Level::High, &[host("pc"), user("ana")])]).await;
    assert_eq!(title().await, ("Name of b — pc".to_owned(), Level::High));
    let phone = std::slice::from_ref(&phone);
    raise(&db, &[d(3, "c", Level::High, phone), d(4, "d", Level::Medium, phone)]).await;
    assert_eq!(title().await, ("Name of b — pc".to_owned(), Level::High));
}

/// What returned is there when the database is dropped without being closed.
pub async fn outlives_a_drop<F: Fixture>() {
    let fixture = F::fresh().await;
    for n in 0..5 {
        let db = fixture.open().await;
        raise(&db, &[detection("dijon", n, &[host("pc")])]).await;
        db.raise(&[], position(n), at(0)).await.unwrap();
        drop(db);
    }
    let db = fixture.open().await;
    let all = everything(&db, &Scope::all()).await;
    assert_eq!((all.len(), all[0].2.len()), (1, 5));
    assert_eq!(db.cursor(CursorName::Raise, BUS, 0).await.unwrap(), Some(4));
}

fn arb_detection() -> impl Strategy<Value = Detection> {
    let entities = prop::collection::btree_set((0..3u8, 0..4u8), 0..3);
    (0..3u8, 0..30u64, entities, -3_000..3_000i64, 0..3u8, 0..5usize).prop_map(
        |(commune, n, entities, minutes, rule, level)| {
            let entities: Vec<Entity> = entities
                .into_iter()
                .map(|(kind, name)| Entity {
                    kind: [EntityKind::Host, EntityKind::Device, EntityKind::User][kind as usize],
                    name: ["a", "b", "c", "system"][name as usize].to_owned(),
                })
                .collect();
            let commune = ["dijon", "talant", "longvic"][commune as usize];
            let mut d = detection(commune, n, &entities);
            d = ruled(d, &format!("rule-{rule}"), Level::ALL[level], &["attack.execution"]);
            // One id is one detection, so whatever differs must be in it.
            let parts = format!("{commune}{entities:?}{minutes}{rule}{level}");
            d.id = DetectionId::of(&parts, d.event_id);
            timed(d, minutes)
        },
    )
}

/// However the same detections are cut into batches, repeated, or interrupted by opening the
/// database again, the incidents are the same.
pub async fn batches_do_not_matter<F: Fixture>() {
    let cuts = prop::collection::vec((0..40usize, any::<bool>(), any::<bool>()), 0..6);
    let cases = (prop::collection::vec(arb_detection(), 1..40), cuts);
    check(cases, |(detections, mut cuts)| async move {
        let (one, many) = (F::fresh().await, F::fresh().await);
        let db = one.open().await;
        let mut expected = Vec::new();
        for detection in &detections {
            expected.extend(raise(&db, std::slice::from_ref(detection)).await);
        }
        cuts.sort_unstable();
        cuts.push((detections.len(), false, false));
        let mut other = many.open().await;
        let (mut raised, mut from) = (Vec::new(), 0);
        for (cut, again, reopen) in cuts {
            let to = cut.clamp(from, detections.len());
            let batch = &detections[from..to];
            raised.extend(raise(&other, batch).await);
            if reopen {
                drop(other);
                other = many.open().await;
            }
            if again {
                let known = raise(&other, &detections[..to]).await;
                assert!(known.iter().all(|raised| raised.kind == RaisedKind::Known));
            }
            from = to;
        }
        assert_eq!(raised, expected);
        let scope = Scope::all();
        assert_eq!(everything(&other, &scope).await, everything(&db, &scope).await);
        assert_eq!(other.counts(&scope).await.unwrap(), db.counts(&scope).await.unwrap());
    })
    .await;
}

/// A commune's incidents are the same whatever other communes raise in between.
pub async fn other_communes_do_not_matter<F: Fixture>() {
    check(prop::collection::vec(arb_detection(), 1..40), |detections| async move {
        let (mixed, alone) = (F::fresh().await, F::fresh().await);
        let (mixed, alone) = (mixed.open().await, alone.open().await);
        raise(&mixed, &detections).await;
        let own: Vec<_> =
            detections.into_iter().filter(|d| d.commune.as_str() == "dijon").collect();
        raise(&alone, &own).await;
        let dijon = only(&["dijon"]);
        assert_eq!(everything(&mixed, &dijon).await, everything(&alone, &Scope::all()).await);
    })
    .await;
}

/// Runs `test` on generated cases, on a thread that may block, for the runner is not async.
async fn check<S, T>(cases: S, test: impl Fn(S::Value) -> T + Send + 'static)
where
    S: Strategy + Send + 'static,
    T: Future<Output = ()>,
{
    let runtime = tokio::runtime::Handle::current();
    let run = move || {
        // A case takes several databases, so few of them; a failing one is printed whole.
        let config = Config { cases: 48, failure_persistence: None, ..Config::default() };
        let result = TestRunner::new(config).run(&cases, |case| {
            runtime.block_on(test(case));
            Ok(())
        });
        result.map_err(|error| error.to_string()).unwrap();
    };
    tokio::task::spawn_blocking(run).await.unwrap();
}
