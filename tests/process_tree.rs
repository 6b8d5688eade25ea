//! What started a process and what it started, by the names that formats give processes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::Centre;

/// A start on a host, so many seconds after the first.
fn start(host: &str, second: u32, line: &str, own: Value, parent: Value) -> Value {
    let mut process = own;
    process["command_line"] = line.into();
    process["parent"] = parent;
    json!({
        "@timestamp": format!("2026-03-01T10:00:{second:02}Z"),
        "event": {"category": ["process"], "type": ["start"], "kind": "event"},
        "host": {"name": host},
        "user": {"name": "ana"},
        "process": process,
        "message": line,
    })
}

fn entity(id: &str) -> Value {
    json!({"entity_id": id, "pid": 7})
}

fn pid(pid: u32) -> Value {
    json!({"pid": pid})
}

fn send(centre: &Centre, key: &str, events: &[Value]) {
    let body: String = events.iter().map(|event| event.to_string() + "\n").collect();
    let (status, answer) = support::post(centre, key, body);
    assert_eq!(status, 200, "{answer}");
}

/// The id of the one event with this message.
fn id(centre: &Centre, message: &str, commune: &str) -> String {
    let query = format!("message:\"{message}\"");
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let args =
            ["-o", "json", "hunt", &query, "--commune", commune, "--from", "2026-01-01T00:00:00Z"];
        let found = centre.run(&args);
        assert!(found.status.success(), "{found:?}");
        let text = String::from_utf8(found.stdout).unwrap();
        if let Some(line) = text.lines().next() {
            let event: Value = serde_json::from_str(line).unwrap();
            return event["event"]["id"].as_str().unwrap().to_owned();
        }
        assert!(Instant::now() < until, "{message} is not found");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Command lines, `*` before the event's own, indented as they started each other.
fn tree(centre: &Centre, id: &str) -> String {
    let tree = centre.json(&["event", "tree", id]);
    let mut lines = String::new();
    let mut add = |process: &Value, depth: usize, mark: &str| {
        let name = process["command_line"].as_str().or(process["executable"].as_str());
        let unknown = if process["started"].is_null() { "?" } else { "" };
        lines += &format!("{}{mark}{}{unknown}\n", "  ".repeat(depth), name.unwrap_or("-"));
    };
    let ancestors = tree["ancestors"].as_array().unwrap();
    for (depth, ancestor) in ancestors.iter().enumerate() {
        add(ancestor, depth, "");
    }
    let mut left = vec![(tree["process"].clone(), ancestors.len(), "*")];
    while let Some((process, depth, mark)) = left.pop() {
        add(&process, depth, mark);
        for child in process["children"].as_array().unwrap().iter().rev() {
            left.push((child.clone(), depth + 1, ""));
        }
    }
    assert_eq!(tree["truncated"], false);
    lines
}

#[test]
fn processes_are_followed_up_and_down() {
    let mut centre = Centre::new("");
    let dijon = centre.onboard("dijon", "pc", "ecs");
    let talant = centre.onboard("talant", "talant-pc", "ecs");
    centre.start();
    let mut explorer = entity("a");
    explorer["executable"] = "explorer.exe".into();
    let attack = |word: &str| {
        vec![
            start("pc-1", 1, word, entity("b"), explorer.clone()),
            start("pc-1", 2, "powershell", entity("c"), entity("b")),
            start("pc-1", 3, "whoami", entity("d"), entity("c")),
            start("pc-1", 4, "net user", entity("e"), entity("c")),
            start("pc-1", 5, "other", entity("f"), entity("b")),
        ]
    };
    send(&centre, &dijon, &attack("winword"));
    // Another device, and another commune's device of the same name.
    let elsewhere = [start("pc-2", 3, "elsewhere", entity("x"), entity("c"))];
    send(&centre, &dijon, &elsewhere);
    send(&centre, &talant, &attack("excel"));
    // What a process does is not its start, and leads to it all the same.
    let mut dump = start("pc-1", 6, "dump", entity("c"), json!({}));
    dump["event"] = json!({"category": ["process"], "type": ["access"]});
    send(&centre, &dijon, &[dump]);
    let whole = "explorer.exe?\n  winword\n    *powershell\n      whoami\n      net user\n";
    assert_eq!(tree(&centre, &id(&centre, "dump", "dijon")), whole);
    assert_eq!(tree(&centre, &id(&centre, "powershell", "dijon")), whole);
    let leaf = "explorer.exe?\n  winword\n    powershell\n      *net user\n";
    assert_eq!(tree(&centre, &id(&centre, "net user", "dijon")), leaf);
    let root = "explorer.exe?\n  *excel\n    powershell\n      whoami\n      net user\n    other\n";
    assert_eq!(tree(&centre, &id(&centre, "excel", "talant")), root);
    let shown = centre.run(&["event", "tree", &id(&centre, "whoami", "dijon")]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("*       whoami  [7 ana 2026-03-01T10:00:03Z]"), "{shown}");

    // By numbers, which are given again.
    send(
        &centre,
        &dijon,
        &[
            start("srv", 10, "alpha", pid(10), pid(1)),
            start("srv", 11, "alphas child", pid(20), pid(10)),
            start("srv", 20, "beta", pid(10), pid(1)),
            start("srv", 21, "betas child", pid(30), pid(10)),
        ],
    );
    assert_eq!(tree(&centre, &id(&centre, "alpha", "dijon")), "-?\n  *alpha\n    alphas child\n");
    let later = "-?\n  beta\n    *betas child\n";
    assert_eq!(tree(&centre, &id(&centre, "betas child", "dijon")), later);

    // Nothing to follow.
    send(&centre, &dijon, &[json!({"message": "nothing of a process", "host": {"name": "pc-1"}})]);
    let nothing = centre.json(&["event", "tree", &id(&centre, "nothing of a process", "dijon")]);
    assert!(nothing["process"].is_null() && !nothing["warnings"].as_array().unwrap().is_empty());
}
