//! Working incidents from the command line, while another terminal follows them.

#![expect(clippy::unwrap_used, reason = "a test ends where something it needs is not there")]

mod support;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
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

#[test]
fn others_read_what_is_exported() {
    let mut centre = Centre::new("");
    let key = centre.onboard("dijon", "dijon-pc", "windows");
    let other = centre.onboard("talant", "talant-pc", "windows");
    centre.start();
    for (key, host) in [(&key, "pc-1"), (&key, "pc-2"), (&other, "pc-1")] {
        assert_eq!(post(&centre, key, dump_of_lsass(host).to_string()).0, 200);
    }
    let until = Instant::now() + Duration::from_secs(60);
    while centre.json(&["incident", "list"])["items"].as_array().unwrap().len() < 3 {
        assert!(Instant::now() < until, "three incidents did not come");
        std::thread::sleep(Duration::from_millis(100));
    }
    let closed = ["--status", "closed", "--verdict", "false_positive", "--label", "=cmd()"];
    centre.json(&[&["incident", "update", "DIJON-1"][..], &closed].concat());
    let export = |more: &[&str]| {
        let output = centre.run(&[&["incident", "export", "--format"][..], more].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };

    let (ndjson, _) = export(&["ndjson", "--sort", "+created"]);
    let lines: Vec<Value> = ndjson.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    let (csv, _) = export(&["csv", "--commune", "dijon"]);
    assert_eq!(csv.lines().count(), 3, "{csv}");
    assert!(csv.starts_with("reference,id,commune,") && csv.contains(",'=cmd(),"), "{csv}");
    let (first, more) = export(&["ndjson", "--limit", "2"]);
    assert_eq!(first.lines().count(), 2);
    let cursor = more.trim().strip_prefix("there is more: --cursor ").unwrap();
    assert_eq!(export(&["ndjson", "--cursor", cursor]).0.lines().count(), 1);

    let (ocsf, _) = export(&["ocsf", "--commune", "dijon", "--sort", "+created"]);
    let findings: Vec<Value> = ocsf.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let of = |reference: &str| {
        let found = findings.iter().find(|of| of["finding_info_list"][0]["uid_alt"] == reference);
        found.unwrap().clone()
    };
    let closed = of("DIJON-1");
    assert_eq!((&closed["class_uid"], &closed["type_uid"]), (&json!(2005), &json!(200_503)));
    assert_eq!((&closed["status_id"], &closed["verdict_id"]), (&json!(5), &json!(1)));
    let open = of("DIJON-2");
    assert_eq!((&open["severity_id"], &open["status_id"]), (&json!(5), &json!(1)));
    assert_eq!(open["assignee_group"]["name"], "SOC");
    assert_eq!(open["attacks"][0]["sub_technique"]["uid"], "T1003.001");

    let (stix, _) = export(&["stix", "--tlp", "amber+strict", "--commune", "dijon"]);
    let bundle: Value = serde_json::from_str(&stix).unwrap();
    let objects = bundle["objects"].as_array().unwrap();
    let count = |kind: &str| objects.iter().filter(|of| of["type"] == kind).count();
    assert_eq!((count("incident"), count("attack-pattern")), (2, 1));
    assert_eq!((count("observed-data"), count("user-account")), (2, 2));
    assert!(!stix.contains("talant"), "{stix}");
    for of in objects.iter().filter(|of| of["type"] != "marking-definition") {
        let marked = &of["object_marking_refs"];
        assert_eq!(marked, &json!(["marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003"]));
    }
    assert_eq!(export(&["stix", "--tlp", "amber+strict", "--commune", "dijon"]).0, stix);
    let wrong = centre.run(&["incident", "export", "--format", "csv", "--tlp", "red"]);
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(!wrong.status.success() && said.contains("leave tlp out"), "{said}");
    centre.stop();

    let python = std::env::var("TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has = Command::new(&python).args(["-c", "import stix2, stix2validator"]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        eprintln!(
            "skipped: validating STIX (pip install stix2==3.0.2 stix2-validator==3.3.2, and set \
             TEST_PYTHON)"
        );
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/stix.py");
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stix.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.is_empty(), "{said}\n{stix}");
}
