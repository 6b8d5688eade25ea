//! What is too old, held or purged, by the program as it is run.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod support;

use std::time::{Duration, Instant};

use event::Timestamp;
use serde_json::{Value, json};
use store::db::Publication;
use support::Centre;

/// Sends one event for each of these users.
fn send(centre: &Centre, key: &str, users: std::ops::Range<usize>) {
    let lines: String = users
        .map(|n| {
            json!({"message": "kept", "user": {"name": format!("user-{n}")}}).to_string() + "\n"
        })
        .collect();
    let (status, answer) = support::post(centre, key, lines);
    assert_eq!(status, 200, "{answer}");
}

fn hunt(centre: &Centre, query: &str) -> usize {
    let found = centre.run(&["-o", "json", "hunt", query, "--limit", "1000"]);
    assert!(found.status.success(), "{found:?}");
    String::from_utf8(found.stdout).unwrap().lines().count()
}

fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn ask(centre: &Centre, query: &str) -> Value {
    centre.json(&["purge", "ask", query, "--commune", "dijon", "--reason", "Effacement", "--wait"])
}

#[test]
fn what_is_asked_for_is_purged_and_what_is_held_stays() {
    let mut centre = Centre::new("");
    let key = centre.onboard("dijon", "pc", "ecs");
    let other = centre.onboard("talant", "talant-pc", "ecs");
    centre.start();
    send(&centre, &key, 0..4);
    send(&centre, &other, 0..4);
    // It is asked for at once: what is not indexed yet goes, too.
    let purge = ask(&centre, "user.name:(user-1 or user-2)");
    assert_eq!((&purge["events"], &purge["held"]), (&json!(2), &json!(0)), "{purge}");
    assert_eq!(hunt(&centre, "message:kept and organization.id:dijon"), 2);
    wait("the others are indexed", || hunt(&centre, "organization.id:talant") == 4);
    // The same name later is another event.
    send(&centre, &key, 1..2);
    wait("it is indexed", || hunt(&centre, "user.name:user-1 and organization.id:dijon") == 1);

    let hold =
        centre.json(&["hold", "place", "--commune", "dijon", "--reason", "Plainte 2026/118"]);
    let held = ask(&centre, "user.name:user-1");
    assert_eq!((&held["events"], &held["held"]), (&json!(0), &json!(1)), "{held}");
    centre.json(&["hold", "release", hold["id"].as_str().unwrap()]);
    let gone = ask(&centre, "*");
    assert_eq!((&gone["events"], &gone["held"]), (&json!(3), &json!(0)), "{gone}");
    assert_eq!(hunt(&centre, "organization.id:dijon"), 0);
    assert_eq!(hunt(&centre, "organization.id:talant"), 4);

    // A name that no event has is told, and a query that is none is refused where it is wrong.
    let typo = ["purge", "ask", "user.nam:user-3", "--commune", "dijon", "--reason", "Effacement"];
    let warned = centre.run(&typo);
    assert!(String::from_utf8_lossy(&warned.stderr).contains("user.nam"), "{warned:?}");
    let wrong = ["purge", "ask", "user.name:(", "--commune", "dijon", "--reason", "Effacement"];
    let refused = centre.run(&wrong);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("column"), "{refused:?}");

    let listed = centre.run(&["-o", "json", "audit", "list", "--limit", "100"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    for action in ["hold.place", "hold.release", "purge.ask", "purge.done"] {
        assert!(listed.contains(&format!("\"{action}\"")), "{action}: {listed}");
    }
    centre.stop();
    // Where no centre runs nobody could do it, so nobody waits.
    let later =
        ["purge", "ask", "user.name:user-0", "--commune", "talant", "--reason", "E", "--wait"];
    let asked = centre.run(&later);
    assert!(asked.status.success(), "{asked:?}");
    assert!(String::from_utf8_lossy(&asked.stderr).contains("no centre runs"), "{asked:?}");
    centre.start();
    assert_eq!(hunt(&centre, "organization.id:dijon"), 0);
    wait("what was asked for meanwhile", || hunt(&centre, "organization.id:talant") == 3);
}

#[test]
fn purges_outlive_kills_and_take_nothing_else() {
    const USERS: usize = 60;
    let mut centre = Centre::new("[index]\ncheckpoint_age_max_s = 1\n");
    let key = centre.onboard("dijon", "pc", "ecs");
    centre.start();
    for first in (0..USERS).step_by(20) {
        send(&centre, &key, first..first + 20);
        wait("they are indexed", || hunt(&centre, "message:kept") == first + 20);
    }
    for n in (0..USERS).step_by(2) {
        let query = format!("user.name:user-{n}");
        let args = ["purge", "ask", &query, "--commune", "dijon", "--reason", "Effacement"];
        let asked = centre.run(&args);
        assert!(asked.status.success(), "{asked:?}");
        if n % 6 == 0 {
            std::thread::sleep(Duration::from_millis(n as u64 * 37 % 500));
            centre.kill();
            centre.start();
        }
    }
    let purges = || -> Vec<Value> {
        let listed = centre.json(&["purge", "list"]);
        listed["items"].as_array().cloned().unwrap_or_default()
    };
    wait("all are done", || purges().iter().all(|purge| !purge["done"].is_null()));
    let counts: Vec<u64> = purges().iter().map(|p| p["events"].as_u64().unwrap()).collect();
    assert_eq!(counts, vec![1; USERS / 2]);
    for n in 0..USERS {
        assert_eq!(hunt(&centre, &format!("user.name:user-{n}")), n % 2, "user-{n}");
    }
    let verified = centre.run(&["-o", "json", "store", "verify"]);
    assert!(verified.status.success(), "{verified:?}");
    let verified: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(verified["events"], USERS / 2);
}

/// Makes every split as old as that.
fn age(centre: &Centre, days: u32) {
    let url = format!("sqlite://{}", centre.path("data/jacquemart.db").display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let db = store::db::connect(&url).await.unwrap();
        let then = Timestamp::now().minus(Duration::from_secs(86_400) * days);
        for mut split in db.all_splits().await.unwrap() {
            (split.min_received, split.max_received) = (then, then);
            let (id, position) = (split.id, None);
            let aged =
                Publication { added: vec![split], removed: vec![id], position, purged: None };
            db.publish(aged).await.unwrap();
        }
        db.close().await;
    });
}

#[test]
fn what_is_too_old_goes() {
    let mut centre = Centre::new("[retention]\ndays = 100\n");
    let key = centre.onboard("dijon", "pc", "ecs");
    let other = centre.onboard("talant", "talant-pc", "ecs");
    centre.json(&["commune", "retention", "dijon", "--days", "30"]);
    centre.start();
    send(&centre, &key, 0..4);
    send(&centre, &other, 0..3);
    wait("they are indexed", || hunt(&centre, "message:kept") == 7);
    centre.stop();
    age(&centre, 40);
    centre.start();
    wait("the four have gone", || hunt(&centre, "message:kept") == 3);
    let listed = centre.run(&["-o", "json", "audit", "list", "--action", "retention.drop"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("dijon") && !listed.contains("talant"), "{listed}");
    if std::env::var_os("TEST_S3").is_none() {
        let folder = centre.path("data/splits/dijon");
        wait("its objects have gone", || std::fs::read_dir(&folder).unwrap().count() == 0);
    }
    let communes = centre.json(&["commune", "list"]);
    assert_eq!(communes["items"][0]["retention_days"], 30);
}
