//! Vendors' APIs, asked by the program itself: by `serve` for its own feeds, and by `collect` on a
//! commune's side, which sends to the door.

#![expect(clippy::unwrap_used, reason = "a test ends where something it needs is not there")]

mod support;

use std::{
    fs,
    net::SocketAddr,
    process::Stdio,
    sync::{Arc, LazyLock, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::StatusCode,
    routing::get,
};
use event::Timestamp;
use serde_json::{Value, json};
use support::Centre;

/// What both consoles hold, and the requests that they refused.
#[derive(Clone, Default)]
struct Held {
    threats: Arc<Mutex<Vec<Value>>>,
    refused: Arc<Mutex<u32>>,
}

/// A console of SentinelOne at `/`, and a workspace of SEKOIA.IO at `/sekoia`.
fn cloud(held: &Held) -> SocketAddr {
    let (sent, address) = std::sync::mpsc::channel();
    let held = held.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            sent.send(listener.local_addr().unwrap()).unwrap();
            let router = Router::new()
                .route("/web/api/v2.1/threats", get(threats))
                .route("/sekoia/v1/sic/alerts", get(alerts))
                .with_state(held);
            axum::serve(listener, router).await.unwrap();
        });
    });
    address.recv().unwrap()
}

fn proof(request: &Request) -> &str {
    request.headers().get("authorization").map_or("", |value| value.to_str().unwrap())
}

async fn threats(State(held): State<Held>, request: Request) -> (StatusCode, Json<Value>) {
    if proof(&request) != "ApiToken of-dijon" {
        *held.refused.lock().unwrap() += 1;
        let told = json!({ "errors": [{ "code": 4_010_010, "title": "Authentication Failed" }] });
        return (StatusCode::UNAUTHORIZED, Json(told));
    }
    let data = held.threats.lock().unwrap().clone();
    (StatusCode::OK, Json(json!({ "data": data, "pagination": { "nextCursor": null } })))
}

async fn alerts(request: Request) -> (StatusCode, Json<Value>) {
    if proof(&request) != "Bearer of-talant" {
        return (StatusCode::FORBIDDEN, Json(json!({ "message": "The API key is invalid" })));
    }
    // Once for all rounds: a later time would be another version.
    static NOW: LazyLock<i64> = LazyLock::new(|| Timestamp::now().as_millis() / 1_000);
    let now = *NOW;
    let alert = json!({
        "uuid": "0a1b", "short_id": "ALxyz", "title": "Mot de passe deviné",
        "created_at": now - 60, "updated_at": now - 30, "urgency": { "current_value": 60 },
        "status": { "name": "Pending" }, "rule": { "uuid": "r-1", "name": "Brute force" },
    });
    (StatusCode::OK, Json(json!({ "items": [alert], "total": 1 })))
}

fn threat(status: &str) -> Value {
    let changed = Timestamp::now().to_string();
    json!({
        "id": "1337",
        "agentRealtimeInfo": { "agentComputerName": "PC-DIJON-7", "agentOsType": "windows" },
        "threatInfo": {
            "threatId": "1337", "threatName": "eicar.com", "confidenceLevel": "malicious",
            "classification": "Malware", "filePath": "\\Users\\Public\\eicar.com",
            "mitigationStatus": status, "incidentStatus": "unresolved",
            "identifiedAt": changed, "createdAt": changed, "updatedAt": changed,
        },
    })
}

fn wait_for<T>(what: &str, centre: &Centre, mut found: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "no {what}\n{}", centre.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn events(centre: &Centre, query: &str) -> Vec<Value> {
    let found = centre.run(&["-o", "json", "hunt", query]);
    assert!(found.status.success(), "{found:?}");
    let lines = String::from_utf8(found.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn serve_asks_for_its_feeds_over_a_replaced_token_and_a_restart() {
    let held = Held::default();
    held.threats.lock().unwrap().push(threat("not_mitigated"));
    let address = cloud(&held);
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "ended\n").unwrap();
    let mut centre = Centre::new(&format!(
        "[[pull.sources]]\nname = 'console'\nfeed = 'edr'\ninterval_s = 10\n[pull.sources.sentinelone]\nurl = 'http://{address}'\ntoken_file = {token:?}\nstreams = ['threats']\n"
    ));
    centre.onboard("dijon", "edr", "sentinelone");
    centre.start();
    wait_for("refusal", &centre, || (*held.refused.lock().unwrap() > 0).then_some(()));
    assert!(events(&centre, "event.dataset:sentinelone.threats").is_empty());
    wait_for("warning", &centre, || centre.log().contains("Authentication Failed").then_some(()));
    let told = centre.json(&["feed", "status", "edr"]);
    let pull = &told["health"]["pull"];
    assert!(pull["error"].as_str().unwrap().contains("401 (Authentication Failed)"), "{told}");
    let waited = centre.run(&["feed", "wait", "edr", "--timeout-s", "1"]);
    let waited = String::from_utf8(waited.stdout).unwrap();
    assert!(waited.contains("could not be asked") && waited.contains("401"), "{waited}");

    // The operator replaces the token; nothing is restarted.
    fs::write(&token, "of-dijon\n").unwrap();
    let found = wait_for("threat", &centre, || {
        events(&centre, "event.dataset:sentinelone.threats").into_iter().next()
    });
    assert_eq!(found["host"]["name"], "PC-DIJON-7", "{found}");
    assert_eq!(found["organization"]["id"], "dijon", "{found}");
    wait_for("incident", &centre, || {
        let incidents = centre.json(&["incident", "list"]);
        incidents["items"].as_array().unwrap().first().cloned()
    });

    wait_for("success", &centre, || {
        let told = centre.json(&["feed", "status", "edr"]);
        let pull = &told["health"]["pull"];
        (pull["error"].is_null() && !pull["last_success"].is_null()).then_some(())
    });

    // What was handed on is known after a restart; what changes meanwhile comes.
    centre.stop();
    held.threats.lock().unwrap()[0] = threat("mitigated");
    centre.start();
    wait_for("change", &centre, || {
        (events(&centre, "event.dataset:sentinelone.threats").len() == 2).then_some(())
    });
    centre.stop();
    assert_eq!(events(&centre, "event.dataset:sentinelone.threats").len(), 2);
    assert!(!centre.log().contains("of-dijon"), "the token is in the log");
}

#[test]
fn collect_asks_on_a_communes_side_and_sends_to_the_door() {
    let address = cloud(&Held::default());
    let mut centre = Centre::new("");
    let key = centre.onboard("talant", "xdr", "sekoia-alerts");
    centre.start();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let config = |url: &str, key: &str| {
        fs::write(path("key"), key).unwrap();
        fs::write(path("api"), "of-talant").unwrap();
        let text = format!(
            "data_dir = {:?}\n[pull]\nurl = {url:?}\n[[pull.sources]]\nname = 'xdr'\nkey_file = {:?}\nsekoia = {{ url = 'http://{address}/sekoia/', key_file = {:?}, streams = ['alerts'] }}\n",
            path("data"),
            path("key"),
            path("api"),
        );
        fs::write(path("collecte.toml"), text).unwrap();
    };
    let once = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_jacquemart"));
        command.arg("--config").arg(path("collecte.toml")).args(["collect", "--once"]);
        let output = command.stdin(Stdio::null()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    config(&centre.ingest, "jqf_wrong");
    let (status, said) = once();
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("/ingest: the server answered 401") && said.contains("feed rotate"),
        "{said}"
    );

    config(&centre.ingest, &key);
    assert_eq!(once(), (Some(0), "xdr: 1 records\n".to_owned()));
    assert_eq!(once(), (Some(0), "xdr: 0 records\n".to_owned()));
    let found = wait_for("alert", &centre, || {
        events(&centre, "event.dataset:sekoia.alert").into_iter().next()
    });
    assert_eq!(found["organization"]["id"], "talant", "{found}");
    assert_eq!(found["rule"]["name"], "Brute force", "{found}");

    // Nobody to send to: told, and where it was stays.
    config("http://127.0.0.1:9", &key);
    fs::remove_dir_all(path("data/pull")).unwrap();
    fs::write(path("api"), "of-nobody").unwrap();
    let (status, said) = once();
    assert_eq!(status, Some(1));
    assert!(said.contains("403 (The API key is invalid)"), "{said}");
}
