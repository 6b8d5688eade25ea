//! Working incidents from the command line, while another terminal follows them.

#![expect(clippy::unwrap_used, reason = "a test ends where something it needs is not there")]

mod support;

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use serde_json::Value;
use support::{Centre, dump_of_lsass, post};

/// A command that goes on; its lines of JSON as they come.
struct Follower {
    child: Child,
    lines: Receiver<Value>,
}

impl Follower {
    fn start(centre: &Centre) -> Self {
        let mut command = centre.command(&["incident", "follow", "-o", "json"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        Self { child, lines }
    }

    /// The first line from now on that is as wanted.
    fn wait(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).expect("the follower is told");
            if wanted(&line) {
                return line;
            }
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn incidents_are_worked_and_followed_over_a_restart() {
    let mut centre = Centre::new("");
    let key = centre.onboard("dijon", "dijon-pc", "windows");
    centre.start();
    let follower = Follower::start(&centre);
    // Until it is connected it hears nothing; what it prints says that it is.
    let mut hosts = Vec::new();
    let first = loop {
        let host = format!("pc-{}", hosts.len());
        assert_eq!(post(&centre, &key, dump_of_lsass(&host).to_string()).0, 200);
        hosts.push(host);
        if let Ok(line) = follower.lines.recv_timeout(Duration::from_secs(2)) {
            break line;
        }
        assert!(hosts.len() < 20, "the follower is told");
    };
    assert_eq!(first["commune"], "dijon");
    let id = first["id"].as_str().unwrap().to_owned();

    let changed = centre.json(&[
        "incident",
        "update",
        &id,
        "--status",
        "in_progress",
        "--assign",
        "Ana Martin",
        "--label",
        "vip",
        "--severity",
        "critical",
        "--reason",
        "contrôleur de domaine",
    ]);
    assert_eq!(changed["assignee"], "Ana Martin");
    let told =
        follower.wait(|line| line["id"] == id.as_str() && line["version"] == changed["version"]);
    assert_eq!((&told["severity"], &told["labels"][0]), (&"critical".into(), &"vip".into()));
    let listed = centre.json(&[
        "incident",
        "list",
        "--assignee",
        "Ana Martin",
        "--label",
        "vip",
        "--sort",
        "severity",
    ]);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let shown = centre.run(&["incident", "show", &id]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    for text in ["Ana Martin", "contrôleur de domaine", "+vip", "risk score"] {
        assert!(shown.contains(text), "{text} in {shown}");
    }

    // A reader that stays connected does not hold the centre up.
    let begun = Instant::now();
    centre.stop();
    // Doors that do not close by themselves are shut after 20 s.
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    // Changed while nobody serves: the follower hears of it once somebody does.
    let closed = centre.json(&[
        "incident",
        "update",
        &id,
        "--status",
        "closed",
        "--verdict",
        "true_positive",
        "--comment",
        "poste isolé",
        "--shared",
    ]);
    assert_eq!(closed["status"], "closed");
    centre.start();
    follower.wait(|line| line["id"] == id.as_str() && line["status"] == "closed");

    // Several at once, of which one is none.
    let none = "00000000-0000-8000-8000-000000000000";
    let output = centre.run(&["incident", "update", &id, none, "--no-labels"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains(none));
    assert_eq!(centre.json(&["incident", "show", &id])["labels"], Value::Array(Vec::new()));
    let merge = centre.run(&["incident", "merge", &id, "--into", "dijon-999"]);
    assert_eq!(merge.status.code(), Some(3), "{merge:?}");
    let similar = centre.json(&["incident", "similar", &id]);
    for other in similar["items"].as_array().unwrap() {
        assert_ne!(other["id"], id.as_str());
    }
    centre.stop();
}
