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
