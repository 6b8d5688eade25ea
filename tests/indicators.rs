//! Indicators as their users meet them: imported, refreshed, fired, expired, withdrawn.

#![expect(clippy::unwrap_used, reason = "a test ends where something it needs is not there")]

mod support;

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use event::Timestamp;
use serde_json::{Value, json};
use support::{Centre, now_utc, process_event};

/// Asks until `ready` says yes, at most for 60 s.
fn eventually<T>(what: &str, centre: &Centre, mut ready: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(Instant::now() < until, "{what} does not happen:\n{}", centre.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A name that a computer asks for, as Sysmon tells it, at a time.
fn dns_query(host: &str, name: &str, at: &str) -> Value {
    let mut event = process_event(host, "");
    event["EventID"] = json!(22);
    event["QueryName"] = json!(name);
    event["UtcTime"] = json!(at);
    event
}

fn post(centre: &Centre, key: &str, events: &[Value]) {
    let body: String = events.iter().map(|event| format!("{event}\n")).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let status = runtime.block_on(async {
        let request = reqwest::Client::new().post(format!("{}/ingest", centre.ingest));
        request.bearer_auth(key).body(body).send().await.unwrap().status()
    });
    assert_eq!(status, 200);
}

/// The shortest span that Sysmon tells.
const MOMENT: Duration = Duration::from_millis(1);

fn now_minus_hours(hours: u64) -> Timestamp {
    let now = Timestamp::from_millis(Timestamp::now().as_millis());
    now.minus(Duration::from_hours(hours))
}

/// A time as Sysmon writes it.
fn sysmon(time: Timestamp) -> String {
    time.to_string().replace('T', " ").replace('Z', "")
}

/// The detections of all incidents that rest on an indicator, newest incident first.
fn hits(centre: &Centre) -> Vec<Value> {
    let listed = centre.json(&["incident", "list"]);
    let ids: Vec<String> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["id"].as_str().unwrap().to_owned())
        .collect();
    let mut hits = Vec::new();
    for id in ids {
        let shown = centre.json(&["incident", "show", &id]);
        let detections = shown["detections"]["items"].as_array().unwrap().clone();
        hits.extend(
            detections.into_iter().filter(|detection| detection.get("indicator").is_some()),
        );
    }
    hits
}

/// A STIX bundle with one indicator.
fn bundle(name: &str, more: &Value) -> String {
    let mut indicator = json!({
        "type": "indicator", "spec_version": "2.1",
        "id": "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
        "created": "2026-01-01T00:00:00Z", "modified": "2026-01-01T00:00:00Z",
        "name": "C2 of a loader", "pattern_type": "stix",
        "pattern": format!("[domain-name:value = '{name}']"),
        "valid_from": "2026-01-01T00:00:00Z", "confidence": 90,
        "kill_chain_phases": [{"kill_chain_name": "mitre-attack", "phase_name": "command-and-control"}],
    });
    indicator.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"type": "bundle", "id": "bundle--1", "objects": [indicator]}).to_string()
}

#[test]
fn an_imported_indicator_fires_once_and_names_its_source() {
    let mut centre = Centre::new("");
    let key = centre.onboard("dijon", "dijon-pc", "windows");
    centre.start();
    let file = centre.path("cert.json");
    std::fs::write(&file, bundle("evil.example", &json!({}))).unwrap();
    let file = file.to_str().unwrap();
    let imported =
        centre.json(&["indicator", "import", file, "--source", "cert", "--tlp", "amber"]);
    assert_eq!((&imported["indicators"], &imported["refused"]), (&json!(1), &json!(0)));
    eventually("the import being in force", &centre, || {
        let shown = centre.run(&["indicator", "show", "www.evil.example"]);
        shown.status.success().then_some(())
    });
    let event = dns_query("pc-7", "WWW.Evil.example", &now_utc());
    post(&centre, &key, &[event, dns_query("pc-8", "good.example", &now_utc())]);
    let hit = eventually("the incident", &centre, || hits(&centre).into_iter().next());
    assert_eq!(hit["rule"]["name"], "Indicator: domain evil.example (cert)");
    assert_eq!(
        (&hit["rule"]["level"], &hit["rule"]["tags"]),
        (&json!("high"), &json!(["attack.command-and-control"]))
    );
    assert_eq!(
        hit["matched"],
        json!([{"field": "dns.question.name", "value": "WWW.Evil.example"}])
    );
    let indicator = &hit["indicator"];
    assert_eq!(indicator["source"], "cert");
    assert_eq!(indicator["value"], "evil.example");
    assert_eq!(indicator["tlp"], "amber");
    assert_eq!(indicator["id"], "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f");
    let sources = centre.json(&["indicator", "sources"]);
    assert_eq!(sources["items"][0]["name"], "cert");
    assert_eq!(sources["items"][0]["indicators"], 1);
    centre.stop();

    // Without a server, and without asking anybody, it is still known.
    let shown = centre.json(&["indicator", "show", "a.evil.example"]);
    assert_eq!(shown["items"][0]["source"], "cert");
    assert_eq!(hits(&centre).len(), 1);
    let listed = centre.json(&["indicator", "list", "--source", "cert"]);
    assert_eq!(listed["items"][0]["value"], "evil.example");
    assert!(centre.run(&["indicator", "remove", "cert"]).status.success());
    assert_eq!(centre.run(&["indicator", "show", "evil.example"]).status.code(), Some(3));
}

#[test]
fn what_is_expired_revoked_or_for_others_does_not_fire() {
    let mut centre = Centre::new("");
    // Asked every ten seconds at least; a file is read again when it changed.
    let file = centre.path("cert.json");
    let (from, until) = (now_minus_hours(240), now_minus_hours(24));
    let validity = json!({"valid_from": from.to_string(), "valid_until": until.to_string()});
    std::fs::write(&file, bundle("evil.example", &validity)).unwrap();
    let config = std::fs::read_to_string(centre.path("jacquemart.toml")).unwrap();
    let mut config_file = std::fs::File::create(centre.path("jacquemart.toml")).unwrap();
    write!(
        config_file,
        "{config}\n[[indicators.sources]]\nname = \"cert\"\nkind = \"file\"\npath = {file:?}\ninterval_s = 10\nlevel = \"critical\"\n"
    )
    .unwrap();
    let key = centre.onboard("dijon", "dijon-pc", "windows");
    let others = centre.path("talant.txt");
    std::fs::write(&others, "other.example\n").unwrap();
    centre.start();
    centre.json(&["commune", "add", "talant"]);
    let others = others.to_str().unwrap();
    centre.json(&["indicator", "import", others, "--source", "talant-own", "--commune", "talant"]);
    eventually("both sources being in force", &centre, || {
        let all = ["evil.example", "other.example"];
        all.iter()
            .all(|value| centre.run(&["indicator", "show", value]).status.success())
            .then_some(())
    });
    // The event's own time decides, not when it comes.
    post(
        &centre,
        &key,
        &[
            dns_query("pc-late", "evil.example", &sysmon(until.minus(MOMENT))),
            dns_query("pc-expired", "evil.example", &sysmon(until)),
            dns_query("pc-early", "evil.example", &sysmon(from.minus(MOMENT))),
            dns_query("pc-other", "other.example", &now_utc()),
        ],
    );
    eventually("the hit", &centre, || (!hits(&centre).is_empty()).then_some(()));
    let token = centre.json(&["token", "add", "d", "--commune", "dijon"])["secret"]
        .as_str()
        .unwrap()
        .to_owned();
    let seen = centre.command(&[
        "indicator",
        "show",
        "other.example",
        "--url",
        &centre.api,
        "--token",
        &token,
    ]);
    assert_eq!(
        { seen }.output().unwrap().status.code(),
        Some(3),
        "another commune's source is nobody's"
    );

    std::fs::write(
        &file,
        bundle("evil.example", &json!({"revoked": true, "modified": "2026-07-01T00:00:00Z"})),
    )
    .unwrap();
    eventually("the revocation", &centre, || {
        (centre.run(&["indicator", "show", "evil.example"]).status.code() == Some(3)).then_some(())
    });
    post(
        &centre,
        &key,
        &[dns_query("pc-revoked", "evil.example", &sysmon(until.minus(2 * MOMENT)))],
    );
    // A source that fails keeps its last good set, and says so.
    std::fs::write(&file, "{\"objects\": [").unwrap();
    let error = eventually("the failure being told", &centre, || {
        let sources = centre.json(&["indicator", "sources"]);
        sources["items"][0]["error"].as_str().map(str::to_owned)
    });
    assert!(error.contains("no stix document"), "{error}");
    eventually("all events being searchable", &centre, || {
        let found = centre.run(&[
            "hunt",
            "host.name:pc-revoked",
            "--from",
            "2026-01-01T00:00:00Z",
            "-o",
            "json",
        ]);
        (!found.stdout.is_empty()).then_some(())
    });
    centre.stop();
    let of: Vec<Value> =
        hits(&centre).iter().map(|hit| hit["entities"][0]["name"].clone()).collect();
    assert_eq!(of, ["pc-late"]);
}

#[test]
fn detect_compares_with_a_file_offline() {
    let dir = tempfile::tempdir().unwrap();
    let (list, events) = (dir.path().join("bad-names.txt"), dir.path().join("events.ndjson"));
    std::fs::write(&list, "# names\nevil[.]example\nnot a value\n").unwrap();
    std::fs::write(&events, dns_query("pc", "evil.example", &now_utc()).to_string()).unwrap();
    let output = std::process::Command::new(support::JACQUEMART)
        .args(["detect", "--format", "windows", "--indicators"])
        .arg(&list)
        .arg(&events)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("line 3"), "{said}");
    let hit: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(hit["indicator"]["source"], "bad-names");
}
