//! Whether a feed is alive, through the running centre.

#![expect(clippy::unwrap_used, reason = "a test ends where something it needs is not there")]

mod support;

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use serde_json::{Value, json};
use support::{Centre, JACQUEMART, process_event};

fn post(centre: &Centre, key: &str, body: String) -> u16 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let url = format!("{}/ingest", centre.ingest);
        let http = reqwest::Client::new();
        http.post(url).bearer_auth(key).body(body).send().await.unwrap().status().as_u16()
    })
}

/// `feed wait` on its way, with what it says line by line.
struct Waiting {
    child: std::process::Child,
    lines: mpsc::Receiver<String>,
    heard: Vec<String>,
}

impl Waiting {
    fn begin(centre: &Centre, id: &str) -> Self {
        let mut child = Command::new(JACQUEMART)
            .args(["feed", "wait", id, "--timeout-s", "60", "--config"])
            .arg(centre.path("jacquemart.toml"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, lines, heard: Vec::new() }
    }

    fn hears(&mut self, part: &str) {
        while !self.heard.iter().any(|line| line.contains(part)) {
            match self.lines.recv_timeout(Duration::from_secs(30)) {
                Ok(line) => self.heard.push(line),
                Err(_) => panic!("{part:?} is not said: {:?}", self.heard),
            }
        }
    }

    fn end(mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap()
    }
}

#[test]
fn feed_wait_says_what_is_missing_until_an_event_is_of_use() {
    let mut centre = Centre::new("");
    let key = centre.onboard("dijon", "dijon-pc", "windows");
    let offline = centre.run(&["feed", "status"]);
    assert_eq!(offline.status.code(), Some(4), "nobody knows while nothing runs");
    centre.start();

    let mut waiting = Waiting::begin(&centre, "dijon-pc");
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(post(&centre, "jqf_wrong", "{}".to_owned()), 401);
    waiting.hears("opens no feed");
    // A record that is no event of this format, with the reason and how it begins.
    assert_eq!(post(&centre, &key, "\"a line of another source\"".to_owned()), 200);
    waiting.hears("connected and authenticated");
    waiting.hears("could not be decoded as windows");
    waiting.hears("a line of another source");
    // An event by a clock that is years behind.
    let mut old = process_event("PC-1", "whoami");
    old["UtcTime"] = json!("2020-01-01 00:00:00.000");
    assert_eq!(post(&centre, &key, old.to_string()), 200);
    waiting.hears("decoded: 1 of 2");
    waiting.hears("before it came");
    waiting.hears("in use: the first event that rules can use");
    assert_eq!(waiting.end(), 0);
    assert_eq!(post(&centre, &key, process_event("PC-2", "whoami").to_string()), 200);
    let until = std::time::Instant::now() + Duration::from_secs(30);
    while centre.json(&["feed", "status", "dijon-pc"])["health"]["decoded"] != 2 {
        assert!(std::time::Instant::now() < until);
        std::thread::sleep(Duration::from_millis(100));
    }

    let told = centre.json(&["feed", "status", "dijon-pc"]);
    let health = &told["health"];
    assert_eq!(
        (&health["records"], &health["decoded"], &health["failed"], &health["devices"]),
        (&json!(3), &json!(2), &json!(1), &json!(2)),
        "{told}"
    );
    assert!(health["failures"][0]["raw"].as_str().unwrap().contains("another source"));
    assert_eq!(told["refused_unknown"]["key-wrong"], 1, "{told}");
    let listed = centre.json(&["feed", "status"]);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    let printed = centre.run(&["feed", "status", "dijon-pc"]);
    let text = String::from_utf8(printed.stdout).unwrap();
    for part in ["records", "first that a rule can use", "a line of another source"] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }

    // Rules for such events, and what keeps some of them from firing.
    let rules = centre.json(&["feed", "rules", "dijon-pc"]);
    let rules = rules["items"].as_array().unwrap();
    let (can, cannot): (Vec<&Value>, Vec<_>) =
        rules.iter().partition(|rule| rule["can_fire"] == true);
    assert!(can.len() > 20, "{} of {}", can.len(), rules.len());
    assert!(can.iter().all(|rule| rule["lacks"] == json!([])));
    let lacking = centre.json(&["feed", "rules", "dijon-pc", "--lacking"]);
    assert_eq!(lacking["items"].as_array().map(Vec::len), Some(cannot.len()));
    assert!(cannot.iter().all(|rule| rule["lacks"] != json!([])));
    // No event was of a domain controller's log.
    let dcsync = |rule: &Value| rule["title"].as_str().unwrap().contains("DCSync");
    assert!(!rules.iter().any(dcsync), "{rules:?}");
    assert_eq!(health["unmapped"], Value::Null, "this format cannot tell");

    let key = centre.feed("dijon", "dijon-fw", "fortigate");
    let line = "date=2026-11-27 time=10:00:00 devname=\"FW\" logid=\"0000000013\" type=\"traffic\" \
                subtype=\"forward\" level=\"notice\" srcip=10.0.0.1 dstip=203.0.113.9 \
                action=\"accept\" nouveaute=\"x\"";
    let until = std::time::Instant::now() + Duration::from_secs(30);
    while post(&centre, &key, json!(line).to_string()) != 200 {
        assert!(std::time::Instant::now() < until, "the key is known within seconds");
    }
    let unmapped = loop {
        let told = centre.json(&["feed", "status", "dijon-fw"]);
        if !told["health"]["unmapped"].is_null() {
            break told["health"]["unmapped"].clone();
        }
        assert!(std::time::Instant::now() < until, "{told}");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(unmapped.as_array().unwrap().contains(&json!("nouveaute")), "{unmapped}");
    // Events that no rule is for.
    let other = centre.onboard("chenove", "chenove-json", "json");
    assert_eq!(post(&centre, &other, "{\"a\": 1}".to_owned()), 200);
    let late = centre.run(&["feed", "wait", "chenove-json", "--timeout-s", "5"]);
    assert_eq!(late.status.code(), Some(5));
    let text = String::from_utf8(late.stdout).unwrap();
    assert!(text.contains("rules coverage --format json"), "{text}");
    assert!(text.contains("no rule in force is for such events"), "{text}");
    // Nothing at all.
    centre.onboard("talant", "talant-pc", "windows");
    let late = centre.run(&["feed", "wait", "talant-pc", "--timeout-s", "1"]);
    assert_eq!(late.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&late.stdout).contains("no request with this feed's key"));
    assert_ne!(centre.json(&["feed", "status", "talant-pc"])["health"]["since"], Value::Null);
    centre.stop();
}

#[test]
fn a_quota_holds_while_the_centre_runs_and_is_lifted_again() {
    let mut centre = Centre::new("");
    let greedy = centre.onboard("dijon", "dijon-pc", "ecs");
    let other = centre.onboard("talant", "talant-pc", "ecs");
    for wrong in [
        &["--records-per-s", "0"][..],
        &["--bytes-per-s", "many"],
        &[],
        &["--none", "--bytes-per-s", "1"],
    ] {
        let wrong = centre.run(&[&["commune", "quota", "dijon"], wrong].concat());
        assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
    }
    let set = centre.json(&["commune", "quota", "dijon", "--records-per-s", "2"]);
    assert_eq!(set["quota"], json!({"records_per_s": 2}));
    centre.start();
    let batch = format!("{}\n", process_event("ws-1", "whoami")).repeat(60);
    assert_eq!(post(&centre, &greedy, batch.clone()), 200);
    assert_eq!(post(&centre, &greedy, batch.clone()), 429);
    assert_eq!(post(&centre, &other, batch.clone()), 200);
    let status = centre.json(&["feed", "status", "dijon-pc"]);
    assert_eq!(status["health"]["refused"]["over-quota"], 1, "{status}");
    assert_eq!(status["health"]["records"], 60, "{status}");

    let listed = centre.run(&["commune", "list"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("RECORDS/S"), "{listed:?}");
    centre.json(&["commune", "quota", "dijon", "--none"]);
    assert_eq!(post(&centre, &greedy, batch.clone()), 200);
    // A feed's own quota, in bytes.
    centre.json(&["feed", "quota", "talant-pc", "--bytes-per-s", "1 KiB"]);
    assert_eq!(post(&centre, &other, batch.clone()), 200);
    assert_eq!(post(&centre, &other, batch), 429);
    centre.stop();
}
