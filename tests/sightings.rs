//! Where a value was seen, by commune.

mod support;

use std::time::{Duration, Instant};

use serde_json::json;
use support::Centre;

#[test]
fn a_value_is_seen_where_it_is() {
    let mut centre = Centre::new("");
    let dijon = centre.onboard("dijon", "pc", "ecs");
    let talant = centre.onboard("talant", "talant-pc", "ecs");
    centre.start();
    let event = |host: &str, user: &str, more: serde_json::Value| {
        let mut event = json!({
            "host": {"name": host}, "user": {"name": user}, "message": "counted",
        });
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event.to_string() + "\n"
    };
    let to = |ip: &str| json!({"destination": {"ip": ip}});
    let body = event("pc-1", "ana", to("203.0.113.7"))
        + &event("pc-1", "bob", to("203.0.113.7"))
        + &event("pc-2", "ana", json!({"url": {"original": "http://203.0.113.7/x"}}))
        + &event("pc-3", "eve", to("203.0.113.70"));
    assert_eq!(support::post(&centre, &dijon, body).0, 200);
    assert_eq!(support::post(&centre, &talant, event("srv", "root", to("203.0.113.7"))).0, 200);
    let until = Instant::now() + Duration::from_secs(30);
    while centre.json(&["sightings", "counted"])["total"] != 5 {
        assert!(Instant::now() < until, "they are not indexed");
        std::thread::sleep(Duration::from_millis(100));
    }
    let seen = centre.json(&["sightings", "203.0.113.7"]);
    assert_eq!(seen["total"], 4);
    let communes = seen["communes"].as_array().unwrap();
    assert_eq!((&communes[0]["commune"], &communes[0]["events"]), (&json!("dijon"), &json!(3)));
    assert_eq!(communes[0]["hosts"][0], json!({"value": "pc-1", "events": 2}));
    assert_eq!(communes[0]["users"][0], json!({"value": "ana", "events": 2}));
    assert_eq!((&communes[1]["commune"], &communes[1]["events"]), (&json!("talant"), &json!(1)));
    let one = centre.json(&["sightings", "203.0.113.7", "--commune", "talant"]);
    assert_eq!((&one["total"], one["communes"].as_array().unwrap().len()), (&json!(1), 1));
    let shown = centre.run(&["sightings", "203.0.113.7"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("hosts: pc-1 (2), pc-2 (1)"), "{shown}");
    let none = centre.json(&["sightings", "198.51.100.9"]);
    assert_eq!((&none["total"], &none["communes"]), (&json!(0), &json!([])));
    assert!(!centre.run(&["sightings", ""]).status.success());
}

/// A hunt that is kept runs by its name, and others see it where it is shared.
#[test]
fn saved_hunts_run_by_their_name() {
    let mut centre = Centre::new("");
    let key = centre.onboard("dijon", "pc", "ecs");
    centre.start();
    let event = |host: &str, user: &str| {
        json!({"host": {"name": host}, "user": {"name": user}}).to_string() + "\n"
    };
    let body = event("pc-1", "ana") + &event("pc-1", "bob") + &event("pc-2", "ana");
    assert_eq!(support::post(&centre, &key, body).0, 200);
    let until = Instant::now() + Duration::from_secs(30);
    while centre.json(&["hunt", "--top", "host.name"])["total"] != 3 {
        assert!(Instant::now() < until, "they are not indexed");
        std::thread::sleep(Duration::from_millis(100));
    }
    let add = ["saved-hunt", "add", "ana", "user.name:ana"];
    let kept = centre.json(&[&add[..], &["--commune", "dijon", "--shared"]].concat());
    assert_eq!((&kept["shared"], &kept["commune"]), (&json!(true), &json!("dijon")));
    centre.json(&["saved-hunt", "add", "mine", "user.name:bob or user.name:eve"]);
    let total = |args: &[&str]| {
        centre.json(&[&["hunt", "--top", "host.name"][..], args].concat())["total"].clone()
    };
    assert_eq!(total(&["--saved", "ana"]), 2);
    assert_eq!(total(&["--saved", kept["id"].as_str().unwrap(), "host.name:pc-2"]), 1);
    // The narrower query is of all of the saved one, not of its last part.
    assert_eq!(total(&["--saved", "mine", "host.name:pc-1"]), 1);
    assert_eq!(total(&["--saved", "mine", "host.name:pc-2"]), 0);

    // Somebody of the commune sees what is shared there and nothing else.
    let made = centre.json(&["token", "add", "dsi", "--commune", "dijon"]);
    let token = made["secret"].as_str().unwrap();
    let as_dsi = ["--url", &centre.api, "--token", token];
    let listed = centre.json(&[&["saved-hunt", "list"][..], &as_dsi].concat());
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(listed["items"][0]["name"], "ana");
    let run = |args: &[&str]| centre.run(&[args, &as_dsi].concat());
    assert_eq!(run(&["hunt", "--saved", "mine"]).status.code(), Some(3));
    assert!(!run(&["saved-hunt", "remove", "ana"]).status.success(), "a reader removes nothing");

    let wrong = centre.run(&["saved-hunt", "add", "wrong", "user.name:("]);
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(!wrong.status.success() && said.contains("column"), "{said}");
    let twice = centre.run(&add);
    let said = String::from_utf8_lossy(&twice.stderr).into_owned();
    assert!(!twice.status.success() && said.contains("is taken"), "{said}");
    centre.json(&["saved-hunt", "remove", "ana"]);
    assert_eq!(centre.run(&["hunt", "--saved", "ana"]).status.code(), Some(3));
    centre.stop();
}
