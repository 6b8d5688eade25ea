//! A feed that falls silent raises an incident in its commune, and is seen to send again.

#![expect(clippy::unwrap_used, reason = "a test ends where something it needs is not there")]

mod support;

use std::time::{Duration, Instant};

use event::{FeedId, SLOTS_A_DAY, Timestamp, slot_of};
use serde_json::{Value, json};
use store::db::{self, FeedActivity};
use support::Centre;

/// Four weeks in which `pc` sent in every five minutes until an hour ago, `phones` from 6 h to 22 h,
/// and `steady` until now; somebody listened all the while.
fn remember(centre: &Centre) -> Timestamp {
    let now = Timestamp::now();
    let slot = slot_of(now);
    let mut seen: Vec<FeedActivity> = [None, Some("pc"), Some("phones"), Some("steady")]
        .map(|id| FeedActivity::of(id.map(|id| FeedId::new(id).unwrap())))
        .into();
    for n in slot - 28 * SLOTS_A_DAY + 10..slot {
        let is_day = (6..22).contains(&(n.rem_euclid(SLOTS_A_DAY) / 12));
        let sent = [true, n < slot - 12, is_day && n < slot - 1, true];
        for (activity, sent) in seen.iter_mut().zip(sent) {
            if sent {
                activity.slots.set(n);
                let at = Timestamp::from_secs(n * 300);
                activity.first = activity.first.or(Some(at));
                activity.last = Some(at);
            }
        }
    }
    let url = format!("sqlite://{}", centre.path("data/jacquemart.db").display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let db = db::connect(&url).await.unwrap();
        db.note_feed_activity(seen.clone()).await.unwrap();
        db.close().await;
    });
    seen[1].last.unwrap()
}

fn wait_for(what: &str, mut found: impl FnMut() -> Option<Value>) -> Value {
    let began = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "no {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn events(centre: &Centre, query: &str) -> Vec<Value> {
    let found = centre.run(&["-o", "json", "hunt", query]);
    assert!(found.status.success(), "{found:?}");
    let lines = String::from_utf8(found.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn incidents(centre: &Centre) -> Vec<Value> {
    centre.json(&["incident", "list"])["items"].as_array().unwrap().clone()
}

#[test]
fn a_silent_feed_is_an_incident_of_its_commune_once() {
    let mut centre = Centre::new("");
    let key = centre.onboard("dijon", "pc", "ecs");
    centre.feed("dijon", "phones", "pradeo-mtd");
    centre.onboard("talant", "steady", "windows");
    centre.feed("talant", "never", "fortigate");
    let last = remember(&centre);
    centre.start();

    let incident = wait_for("incident", || incidents(&centre).first().cloned());
    assert_eq!(incident["commune"], "dijon", "{incident}");
    assert_eq!(incident["title"], "Feed fell silent", "{incident}");
    assert_eq!(incident["severity"], "medium", "{incident}");
    let id = incident["id"].as_str().unwrap();
    let shown = centre.json(&["incident", "show", id]);
    let detection = &shown["detections"]["items"][0];
    assert_eq!(detection["feed"], "pc", "{shown}");

    let found = wait_for("event", || events(&centre, "event.action:feed-silent").pop());
    let message = found["message"].as_str().unwrap();
    assert!(message.starts_with("La source pc (ecs) se tait depuis le "), "{found}");
    assert!(message.contains("1 h"), "{found}");
    let text = last.to_string();
    assert_eq!(found["event"]["start"].as_str().map(|at| &at[..16]), Some(&text[..16]), "{found}");
    let status = centre.json(&["feed", "status", "pc"]);
    assert_eq!(status["health"]["is_silent"], true, "{status}");
    assert_eq!(status["health"]["records"], 0, "{status}");
    assert!(status["health"]["first_received"].is_string(), "{status}");
    assert_eq!(
        status["health"]["last_received"].as_str().map(|at| &at[..16]),
        Some(&text[..16]),
        "known from before the start: {status}"
    );
    assert_eq!(centre.json(&["feed", "status", "steady"])["health"]["is_silent"], false);

    // It is said once, also over a restart.
    centre.stop();
    centre.start();
    wait_for("health", || {
        let status = centre.json(&["feed", "status", "pc"]);
        (status["health"]["is_silent"] == json!(true)).then_some(status)
    });
    assert_eq!(events(&centre, "event.action:feed-silent").len(), 1);
    assert_eq!(incidents(&centre).len(), 1);

    // That it sent long ago is not what one waits for.
    let waited = centre.run(&["feed", "wait", "pc", "--timeout-s", "2"]);
    let said = String::from_utf8(waited.stdout).unwrap();
    assert_eq!(waited.status.code(), Some(5), "{said}");
    assert!(said.starts_with("nothing came since "), "{said}");
    assert!(said.contains("the time is over: no request with this feed's key arrived"), "{said}");

    // It sends again, which a restart notices at once.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sent = runtime.block_on(async {
        let http = reqwest::Client::new();
        let body = json!({"host": {"name": "ws-1"}, "message": "whoami"}).to_string();
        http.post(format!("{}/ingest", centre.ingest)).bearer_auth(key).body(body).send().await
    });
    assert_eq!(sent.unwrap().status(), 200);
    assert_eq!(centre.json(&["feed", "status", "pc"])["health"]["is_silent"], false);
    wait_for("decoded", || {
        let status = centre.json(&["feed", "status", "pc"]);
        (status["health"]["decoded"] == json!(1)).then_some(status)
    });
    let file = centre.path("inventory.csv");
    std::fs::write(&file, "\u{feff}nom;salle\nWS-1;12\n# off\n\"ws-2\";13\n").unwrap();
    let file = file.to_str().unwrap();
    let declared = centre.json(&["feed", "inventory", "pc", file]);
    assert_eq!(declared, json!({"declared": 2, "missing": 1, "unknown": 0}));
    let unknown = centre.json(&["feed", "devices", "phones"]);
    assert_eq!(unknown["items"], json!([]));
    centre.stop();
    centre.start();
    let found = wait_for("event", || events(&centre, "event.action:feed-resumed").pop());
    let message = found["message"].as_str().unwrap();
    assert!(message.starts_with("La source pc (ecs) envoie de nouveau depuis le "), "{found}");
    // The incident about it says so.
    let shown = wait_for("comment", || {
        let shown = centre.json(&["incident", "show", id]);
        shown["timeline"]
            .as_array()
            .unwrap()
            .iter()
            .any(|e| e["kind"] == "comment")
            .then_some(shown)
    });
    let timeline = shown["timeline"].as_array().unwrap();
    let said: Vec<_> = timeline.iter().filter(|entry| entry["kind"] == "comment").collect();
    assert_eq!(said.len(), 1, "{shown}");
    assert_eq!((&said[0]["by"], &said[0]["text"]), (&json!("jacquemart"), &found["message"]));
    assert_eq!(incidents(&centre).len(), 1);

    // What was counted before the restart is known after it.
    let status = wait_for("counts", || {
        let status = centre.json(&["feed", "status", "pc"]);
        (status["health"]["records"] == json!(1)).then_some(status)
    });
    assert_eq!(status["health"]["decoded"], 1, "{status}");
    assert_eq!(status["health"]["devices"], 1, "{status}");
    assert_eq!(status["inventory"], json!({"declared": 2, "missing": 1, "unknown": 0}));
    let missing = centre.json(&["feed", "devices", "pc", "--state", "missing"]);
    let missing: Vec<_> = missing["items"].as_array().unwrap().iter().map(|d| &d["name"]).collect();
    assert_eq!(missing, ["ws-2"]);
    let seen = centre.json(&["feed", "devices", "pc", "--state", "seen"]);
    assert_eq!(seen["items"][0]["name"], "ws-1", "{seen}");
    centre.stop();
}
