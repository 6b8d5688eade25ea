//! Vendors' APIs, asked: nothing skipped, nothing twice, whatever goes wrong on the way.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod pull_support;

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use event::Timestamp;
use ingest::{
    outbound::{Access, Auth, Client, Limits, Secret},
    pull::{
        Delivered, DoorOutlet, Outlet, PullError, Puller, Sekoia, SekoiaStream, SentinelOne,
        SentinelOneStream, Source, StateFile, Vade, VadeStream, VadeToken,
    },
};
use pull_support::{Cloud, Fault};
use serde_json::{Value, json};

/// Keeps what it is given; refuses all where it is told.
#[derive(Default)]
struct Kept {
    records: Mutex<Vec<Value>>,
    is_broken: AtomicBool,
}

#[async_trait]
impl Outlet for Kept {
    async fn deliver(&self, records: &[Bytes]) -> Result<Delivered, PullError> {
        if self.is_broken.load(Ordering::SeqCst) {
            return Err(PullError::Outlet("the bus is stopped".to_owned()));
        }
        let mut kept = self.records.lock().unwrap();
        kept.extend(records.iter().map(|raw| serde_json::from_slice::<Value>(raw).unwrap()));
        Ok(Delivered { accepted: records.len() as u64, refused: Vec::new() })
    }
}

impl Kept {
    fn take(&self) -> Vec<Value> {
        std::mem::take(&mut *self.records.lock().unwrap())
    }

    fn names(&self, key: &str) -> Vec<String> {
        self.take().iter().map(|record| record[key].as_str().unwrap().to_owned()).collect()
    }
}

fn limits() -> Limits {
    Limits {
        pause: Duration::from_millis(2),
        pause_max: Duration::from_millis(10),
        tries_max: 3,
        ..Limits::default()
    }
}

fn client(auth: Auth) -> Client {
    Client::new(Access { auth, limits: limits(), ..Access::default() }).unwrap()
}

fn puller(source: Source, auth: Auth, kept: &Arc<Kept>, folder: &Path) -> Puller {
    let outlet: Arc<dyn Outlet> = Arc::clone(kept) as _;
    let file = StateFile::new(folder, "source");
    Puller::new(source, client(auth), outlet, file, Duration::from_hours(24))
}

fn console(cloud: &Cloud, streams: &[SentinelOneStream]) -> (Source, Auth) {
    let token = Secret::new("s1-token");
    let source = SentinelOne {
        url: format!("{}/", cloud.url).parse().unwrap(),
        streams: streams.to_vec(),
        site_ids: Vec::new(),
        token: token.clone(),
    };
    (Source::SentinelOne(source), Auth::ApiToken(token))
}

/// So many seconds ago, as SentinelOne and Vade write it.
fn ago(seconds: u64) -> String {
    Timestamp::now().minus(Duration::from_secs(seconds)).to_string()
}

fn threat(id: &str, changed: &str, status: &str) -> Value {
    json!({ "id": id, "threatInfo": {
        "threatId": id, "updatedAt": changed, "mitigationStatus": status
    } })
}

#[tokio::test]
async fn a_mitigation_that_comes_later_arrives_and_nothing_comes_twice() {
    let cloud = Cloud::start("ApiToken s1-token", 2).await;
    let (kept, folder) = (Arc::new(Kept::default()), tempfile::tempdir().unwrap());
    let streams = [SentinelOneStream::Threats, SentinelOneStream::Activities];
    let (source, auth) = console(&cloud, &streams);
    let mut puller = puller(source, auth, &kept, folder.path());
    for n in 0..5 {
        // Some share a time, over the end of a page.
        cloud.put("threats", threat(&format!("t{n}"), &ago(3_000), "not_mitigated"));
        cloud.put(
            "activities",
            json!({ "id": format!("a{n}"), "activityType": 19, "createdAt": ago(2_000 - n) }),
        );
    }
    let (round, outcome) = puller.round().await;
    outcome.unwrap();
    assert_eq!(round.accepted, 10);
    assert_eq!(kept.names("id"), ["t0", "t1", "t2", "t3", "t4", "a0", "a1", "a2", "a3", "a4"]);
    let (round, outcome) = puller.round().await;
    outcome.unwrap();
    assert_eq!((round.accepted, kept.take()), (0, Vec::new()));

    // It was identified an hour ago and mitigated now; one was changed a little before the newest
    // and became visible after it.
    cloud.held.lock().unwrap().objects[0].1 = threat("t0", &ago(1), "mitigated");
    cloud.put("activities", json!({ "id": "late", "activityType": 19, "createdAt": ago(2_100) }));
    let (_, outcome) = puller.round().await;
    outcome.unwrap();
    let came = kept.take();
    assert_eq!(came.len(), 2, "{came:?}");
    assert_eq!(came[0]["threatInfo"]["mitigationStatus"], "mitigated");
    assert_eq!(came[1]["id"], "late");
    assert_eq!(puller.proof_expires().await, Timestamp::parse("2099-01-01T00:00:00Z"));
}

#[tokio::test]
async fn a_restart_goes_on_where_it_was_and_another_console_begins_anew() {
    let cloud = Cloud::start("ApiToken s1-token", 3).await;
    let (kept, folder) = (Arc::new(Kept::default()), tempfile::tempdir().unwrap());
    let begin = |cloud: &Cloud| {
        let (source, auth) = console(cloud, &[SentinelOneStream::Threats]);
        puller(source, auth, &kept, folder.path())
    };
    for n in 0..8 {
        cloud.put("threats", threat(&format!("t{n}"), &ago(1_000 - n), "x"));
    }
    cloud.put("threats", threat("old", &ago(90_000), "older than the lookback"));
    // The bus stops in the middle; what was handed on is noted page by page.
    cloud.held.lock().unwrap().after_page = {
        let (kept, mut pages) = (Arc::clone(&kept), 0);
        Some(Box::new(move |_| {
            pages += 1;
            kept.is_broken.store(pages == 2, Ordering::SeqCst);
        }))
    };
    let (round, outcome) = begin(&cloud).round().await;
    assert!(outcome.unwrap_err().to_string().contains("the bus is stopped"));
    assert_eq!((round.accepted, kept.names("id").len()), (3, 3));
    let (_, outcome) = begin(&cloud).round().await;
    outcome.unwrap();
    assert_eq!(kept.names("id"), ["t3", "t4", "t5", "t6", "t7"]);
    let (round, _) = begin(&cloud).round().await;
    assert_eq!(round.accepted, 0);

    let other = Cloud::start("ApiToken s1-token", 3).await;
    other.put("threats", threat("t7", &ago(40_000), "x"));
    let (round, outcome) = begin(&other).round().await;
    outcome.unwrap();
    assert_eq!(round.accepted, 1);
}

#[tokio::test]
async fn faults_are_waited_out_and_a_wrong_token_is_told_without_it() {
    let cloud = Cloud::start("ApiToken s1-token", 2).await;
    let (kept, folder) = (Arc::new(Kept::default()), tempfile::tempdir().unwrap());
    let (source, auth) = console(&cloud, &[SentinelOneStream::Threats]);
    let mut puller = puller(source.clone(), auth, &kept, folder.path());
    for n in 0..5 {
        cloud.put("threats", threat(&format!("t{n}"), &ago(1_000 - n), "x"));
    }
    cloud.fail(&[Fault::Slow, Fault::Broken, Fault::None, Fault::Cut, Fault::None, Fault::Slow]);
    let (round, outcome) = puller.round().await;
    outcome.unwrap();
    assert_eq!((round.accepted, kept.take().len()), (5, 5));

    // More often than it is tried: the round ends, the next one goes on.
    cloud.put("threats", threat("t5", &ago(1), "x"));
    cloud.fail(&[Fault::Broken; 3]);
    let (_, outcome) = puller.round().await;
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("500 (Internal)"), "{error}");
    cloud.fail(&[Fault::Page]);
    let error = puller.round().await.1.unwrap_err().to_string();
    assert!(error.contains("not what its API says"), "{error}");
    let (round, outcome) = puller.round().await;
    outcome.unwrap();
    assert_eq!(round.accepted, 1);

    cloud.held.lock().unwrap().proof = "ApiToken another".to_owned();
    let error = puller.round().await.1.unwrap_err();
    assert!(error.is_about_proof());
    let error = error.to_string();
    assert!(error.contains("401 (Authentication Failed)"), "{error}");
    assert!(!format!("{error} {source:?}").contains("s1-token"), "{error} {source:?}");
}

#[tokio::test]
async fn a_door_that_takes_less_gets_less_and_what_it_never_takes_is_told() {
    use axum::{body::to_bytes, http::StatusCode, response::IntoResponse as _};
    let taken: Arc<Mutex<Vec<Value>>> = Arc::default();
    let kept = Arc::clone(&taken);
    let door = axum::Router::new().fallback(move |request: axum::extract::Request| {
        let kept = Arc::clone(&kept);
        async move {
            assert_eq!(request.headers()["authorization"], "Bearer jqf_k");
            assert!(request.headers().contains_key("idempotency-key"));
            let body = to_bytes(request.into_body(), 1 << 20).await.unwrap();
            if body.len() > 60 {
                return StatusCode::PAYLOAD_TOO_LARGE.into_response();
            }
            let records: Vec<Value> = serde_json::from_slice(&body).unwrap();
            let accepted = records.len();
            kept.lock().unwrap().extend(records);
            axum::Json(json!({ "accepted": accepted, "rejected_count": 0, "rejected": [] }))
                .into_response()
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, door).await.unwrap() });
    let outlet = DoorOutlet::new(client(Auth::Bearer(Secret::new("jqf_k"))), &url);
    let mut records: Vec<Bytes> = (0..20).map(|n| format!("{{\"n\":{n}}}").into()).collect();
    records.insert(7, format!("{{\"long\":\"{}\"}}", "x".repeat(100)).into());
    let delivered = outlet.deliver(&records).await.unwrap();
    assert_eq!((delivered.accepted, delivered.refused.len()), (20, 1));
    assert!(delivered.refused[0].contains("413"), "{delivered:?}");
    let order: Vec<_> =
        taken.lock().unwrap().iter().map(|one| one["n"].as_u64().unwrap()).collect();
    assert_eq!(order, (0..20).collect::<Vec<u64>>());
}

fn workspace(cloud: &Cloud, streams: &[SekoiaStream]) -> (Source, Auth) {
    let source = Sekoia {
        url: cloud.url.parse().unwrap(),
        streams: streams.to_vec(),
        community: Some("c-1".to_owned()),
    };
    (Source::Sekoia(source), Auth::Bearer(Secret::new("sek")))
}

#[tokio::test]
async fn alerts_that_change_while_pages_are_read_hide_no_others() {
    let cloud = Cloud::start("Bearer sek", 100).await;
    let (kept, folder) = (Arc::new(Kept::default()), tempfile::tempdir().unwrap());
    let (source, auth) = workspace(&cloud, &[SekoiaStream::Alerts, SekoiaStream::Cases]);
    let mut puller = puller(source, auth, &kept, folder.path());
    let now = Timestamp::now().as_millis() / 1_000;
    let alert = |n: usize, at: i64| json!({ "uuid": format!("u{n}"), "short_id": format!("AL{n}"), "updated_at": at, "community_uuid": "c-1" });
    // More than a page in one second, in the middle.
    for n in 0..450 {
        let at = if (100..350).contains(&n) { 800 } else { 1_000 - n as i64 };
        cloud.put("alerts", alert(n, now - at));
    }
    let mut foreign = alert(999, now - 500);
    foreign["community_uuid"] = json!("c-2");
    cloud.put("alerts", foreign);
    cloud.put("cases", json!({ "uuid": "case", "short_id": "CA1", "updated_at": ago(50), "community_uuid": "c-1" }));
    // After each page the first of those that were read changes, and moves to the end: by
    // offsets alone one that was not read yet would move up past them.
    let mut changed = 0;
    cloud.held.lock().unwrap().after_page = Some(Box::new(move |objects| {
        if changed < 5 {
            objects[changed].1["updated_at"] = json!(now - 5);
            changed += 1;
        }
    }));
    let (_, outcome) = puller.round().await;
    outcome.unwrap();
    let came = kept.take();
    let mut names: Vec<_> = came.iter().map(|one| one["uuid"].as_str().unwrap()).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 451, "every alert and the case");
    assert_eq!(all, 456, "and the five that changed once more");
    assert!(!names.contains(&"u999"));
    let (round, _) = puller.round().await;
    assert_eq!(round.accepted, 0);
}

#[tokio::test]
async fn vades_tokens_are_fetched_kept_and_replaced() {
    let cloud = Cloud::start("", 100).await;
    let (kept, folder) = (Arc::new(Kept::default()), tempfile::tempdir().unwrap());
    let tenant = |secret: &str| {
        Source::Vade(Vade {
            url: cloud.url.parse().unwrap(),
            token_url: format!("{}/oauth2/v2/token", cloud.url).parse().unwrap(),
            tenant: "t-1".to_owned(),
            client_id: "soc".to_owned(),
            client_secret: Secret::new(secret),
            streams: vec![
                VadeStream::Emails,
                VadeStream::RemediationsAuto,
                VadeStream::RemediationsManual,
            ],
            token: VadeToken::default(),
        })
    };
    let mut vade = puller(tenant("shh"), Auth::None, &kept, folder.path());
    for n in 0..250 {
        cloud.put(
            "emails",
            json!({ "id": format!("e{n:03}"), "date": ago(600 - n / 10), "status": "LEGIT" }),
        );
    }
    cloud.put(
        "remediations/auto",
        json!({ "id": "auto", "date": ago(20), "nb_messages_remediated": 2 }),
    );
    cloud.put(
        "remediations/manual",
        json!({ "id": "manual", "date": ago(10), "nb_messages_remediated": 1 }),
    );
    let (round, outcome) = vade.round().await;
    outcome.unwrap();
    assert_eq!(round.accepted, 252);
    let mut names = kept.names("id");
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 252);
    assert_eq!(cloud.held.lock().unwrap().tokens, 1, "one token serves all requests");

    // The token ends early: a new one is fetched and nothing is missed.
    cloud.held.lock().unwrap().proof = "Bearer ended".to_owned();
    cloud.put("emails", json!({ "id": "last", "date": ago(1), "status": "PHISHING" }));
    let (round, outcome) = vade.round().await;
    outcome.unwrap();
    assert_eq!(round.accepted, 1);
    assert_eq!(cloud.held.lock().unwrap().tokens, 2);

    let mut wrong = puller(tenant("forgotten"), Auth::None, &kept, folder.path());
    let error = wrong.round().await.1.unwrap_err();
    assert!(error.is_about_proof());
    let error = error.to_string();
    assert!(error.contains("/oauth2/v2/token") && error.contains("invalid_client"), "{error}");
    assert!(!error.contains("forgotten"), "{error}");
}

#[tokio::test]
async fn a_stream_that_fails_keeps_no_other_from_its_own() {
    let cloud = Cloud::start("ApiToken s1-token", 100).await;
    let (kept, folder) = (Arc::new(Kept::default()), tempfile::tempdir().unwrap());
    let streams = [SentinelOneStream::Threats, SentinelOneStream::Agents];
    let (source, auth) = console(&cloud, &streams);
    let mut puller = puller(source, auth, &kept, folder.path());
    cloud.put("threats", threat("t", &ago(5), "x"));
    cloud.put("agents", json!({ "id": "pc", "updatedAt": ago(5), "computerName": "PC-1" }));
    cloud.fail(&[Fault::Broken; 3]);
    let (round, outcome) = puller.round().await;
    assert!(outcome.is_err());
    assert_eq!((round.accepted, kept.names("id")), (1, vec!["pc".to_owned()]));
    let (_, outcome) = puller.round().await;
    outcome.unwrap();
    assert_eq!(kept.names("id"), ["t"]);

    // Cursors that nobody can read are told with the way out.
    std::fs::write(folder.path().join("source.json"), "{").unwrap();
    let (source, auth) = console(&cloud, &streams);
    let error = self::puller(source, auth, &kept, folder.path()).round().await.1.unwrap_err();
    assert!(error.to_string().contains("move it away"), "{error}");
}
