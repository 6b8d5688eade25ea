//! The audit trail as an auditor meets it: listed, checked, tampered with.

#![expect(clippy::unwrap_used, reason = "a test ends where something it needs is not there")]

mod support;

use std::{fs, path::PathBuf};

use serde_json::Value;
use support::Centre;

fn get(centre: &Centre, token: &str, path: &str) -> u16 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let request = reqwest::Client::new().get(format!("{}{path}", centre.api));
        request.bearer_auth(token).send().await.unwrap().status().as_u16()
    })
}

fn verify(centre: &Centre, more: &[&str]) -> (i32, Value) {
    let mut args = vec!["-o", "json", "audit", "verify"];
    args.extend(more);
    let output = centre.run(&args);
    let said = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.code().unwrap(), said)
}

fn trail(centre: &Centre) -> PathBuf {
    centre.path("data/audit/trail-00000000000000000001.ndjson")
}

#[test]
fn an_auditor_sees_who_did_what_and_whether_it_is_all() {
    let mut centre = Centre::new("");
    centre.onboard("dijon", "dijon-pc", "windows");
    let token = centre.json(&["token", "add", "soc", "--role", "analyst"]);
    let token = token["secret"].as_str().unwrap().to_owned();
    centre.start();
    for n in 0..5 {
        assert_eq!(get(&centre, &token, &format!("/api/v1/events?q=word-{n}")), 200);
    }
    assert_eq!(get(&centre, "jqt_wrong", "/api/v1/events"), 401);
    let listed = centre.json(&["audit", "list", "--action", "event.hunt", "--by", "token:soc"]);
    let hunts = listed["items"].as_array().unwrap();
    assert_eq!(hunts.len(), 5);
    assert_eq!((&hunts[0]["query"], &hunts[0]["from"]), (&"q=word-4".into(), &"127.0.0.1".into()));
    // What was done before it served is in it, by the operator, and no secret is.
    let added = centre.json(&["audit", "list", "--action", "token.add"]);
    assert_eq!(added["items"][0]["by"], "operator");
    assert_eq!(added["items"][0]["from"], "local");
    let text = fs::read_to_string(trail(&centre)).unwrap();
    assert!(!text.contains(&token) && text.contains("auth.failed"), "{text}");

    let (exit, running) = verify(&centre, &[]);
    assert_eq!((exit, &running["whole"]), (0, &true.into()));
    let key = centre.json(&["audit", "key"])["key"].as_str().unwrap().to_owned();
    let head = running["head"].as_str().unwrap().to_owned();

    // Killed under way: all that was answered is there, and the chain goes on.
    assert_eq!(get(&centre, &token, "/api/v1/events?q=last-words"), 200);
    centre.kill();
    centre.start();
    centre.stop();
    let (exit, after) = verify(&centre, &["--key", &key, "--head", &head]);
    assert_eq!((exit, &after["unsealed"]), (0, &0.into()), "{after}");
    let text = fs::read_to_string(trail(&centre)).unwrap();
    assert!(text.contains("last-words"));
    assert!(centre.log().contains("sealed the audit trail"), "{}", centre.log());

    // Somebody removes the line that shows them.
    let line = 1 + text.lines().position(|line| line.contains("word-3")).unwrap();
    let without: String = text
        .lines()
        .filter(|line| !line.contains("word-3"))
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(trail(&centre), &without).unwrap();
    let (exit, found) = verify(&centre, &[]);
    assert_eq!((exit, &found["whole"]), (5, &false.into()));
    assert_eq!((&found["line"], &found["seq"]), (&line.into(), &(line + 1).into()), "{found}");
    let said = centre.run(&["audit", "verify"]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("removed"), "{said:?}");

    // Or begins another trail with another key.
    fs::remove_dir_all(centre.path("data/audit")).unwrap();
    centre.json(&["commune", "list"]);
    assert_eq!(verify(&centre, &[]).0, 0, "by itself it is whole");
    assert_eq!(verify(&centre, &["--key", &key]).0, 5, "but not by the key that was noted");
    assert_eq!(verify(&centre, &["--head", &head]).0, 5, "nor by the head that was noted");
    assert_eq!(centre.run(&["audit", "verify", "--key", "xyz"]).status.code(), Some(2));
}
