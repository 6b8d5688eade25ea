//! The whole path as its users walk it: the binary, its socket, its doors.

#![expect(clippy::unwrap_used, reason = "a test ends where something it needs is not there")]

mod support;

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{Centre, dump_of_lsass, free_port, post, process_event};

/// Asks until `ready` says yes, at most for 30 s.
fn eventually<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(Instant::now() < until, "{what} does not happen");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn http() -> (tokio::runtime::Runtime, reqwest::Client) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    (runtime, reqwest::Client::new())
}

fn get(url: &str, token: &str) -> (u16, Value) {
    let (runtime, http) = http();
    runtime.block_on(async {
        let answer = http.get(url).bearer_auth(token).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    })
}

#[test]
fn from_a_posted_event_to_an_incident_that_its_commune_alone_sees() {
    let mut centre = Centre::new("");
    let key = centre.onboard("dijon", "dijon-pc", "windows");
    centre.onboard("talant", "talant-pc", "windows");
    centre.start();

    let soc = centre.json(&["token", "add", "soc", "--role", "analyst"])["secret"]
        .as_str()
        .unwrap()
        .to_owned();
    let of = |commune: &str| {
        let added = centre.json(&["token", "add", &format!("of-{commune}"), "--commune", commune]);
        added["secret"].as_str().unwrap().to_owned()
    };
    let (dijon, talant) = (of("dijon"), of("talant"));

    let (status, _) = post(&centre, "jqf_wrong", "{}".to_owned());
    assert_eq!(status, 401);
    let body = format!(
        "{}\nnot json\n{}\n",
        process_event("pc-1", "cmd.exe /c ver"),
        dump_of_lsass("pc-7")
    );
    let (status, answer) = post(&centre, &key, body);
    assert_eq!(
        (status, &answer["accepted"], &answer["rejected_count"]),
        (200, &json!(2), &json!(1)),
        "{answer}"
    );

    // A search by the acknowledged event's words, within the promised five seconds.
    let since_acknowledged = Instant::now();
    eventually("the event being searchable", || {
        let output = centre.run(&[
            "hunt",
            "process.command_line:comsvcs",
            "--commune",
            "dijon",
            "--since",
            "24h",
            "-o",
            "json",
        ]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        (!output.stdout.is_empty()).then_some(())
    });
    assert!(
        since_acknowledged.elapsed() < Duration::from_secs(5),
        "{:?}",
        since_acknowledged.elapsed()
    );

    let incidents = |token: &str| {
        get(&format!("{}/api/v1/incidents", centre.api), token).1["items"]
            .as_array()
            .unwrap()
            .clone()
    };
    let incident = eventually("the incident", || incidents(&dijon).into_iter().next());
    assert_eq!(incident["commune"], "dijon");
    assert_eq!(incident["entities"][0], json!({"kind": "host", "name": "pc-7"}));
    assert_eq!(incidents(&soc).len(), 1);
    assert_eq!(incidents(&talant), Vec::<Value>::new());

    let id = incident["id"].as_str().unwrap();
    let url = format!("{}/api/v1/incidents/{id}", centre.api);
    let (status, whole) = get(&url, &soc);
    assert_eq!(status, 200);
    let detection = &whole["detections"]["items"][0];
    assert!(
        detection["matched"]
            .as_array()
            .unwrap()
            .iter()
            .any(|m| m["value"].as_str().unwrap().contains("MiniDump")),
        "{whole}"
    );
    // What else happened on its device, and not what happened on another.
    let event = detection["event_id"].as_str().unwrap();
    let around = centre.run(&["event", "around", event, "--window", "48h", "-o", "json"]);
    assert_eq!(around.status.code(), Some(2), "a window has a bound: {around:?}");
    let around = centre.run(&["event", "around", event, "-o", "json"]);
    let around = String::from_utf8(around.stdout).unwrap();
    assert!(around.contains("MiniDump") && !around.contains("pc-1"), "{around}");
    assert_eq!(centre.json(&["event", "show", event])["host"]["name"], "pc-7");
    let (foreign, foreign_body) = get(&url, &talant);
    let (absent, absent_body) =
        get(&url.replace(id, "00000000-0000-8000-8000-000000000000"), &talant);
    assert_eq!((foreign, absent), (404, 404));
    let nameless = |body: &Value, id: &str| body.to_string().replace(id, "ID");
    assert_eq!(
        nameless(&foreign_body, id),
        nameless(&absent_body, "00000000-0000-8000-8000-000000000000")
    );

    // Work it from the command line, over the socket.
    let shown = centre.run(&["incident", "show", id]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("pc-7"), "{shown:?}");
    let refused = centre.run(&["incident", "update", id, "--status", "closed"]);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("verdict"), "{refused:?}");
    centre.json(&[
        "incident",
        "update",
        id,
        "--status",
        "closed",
        "--verdict",
        "true_positive",
        "--comment",
        "isolated",
    ]);
    assert_eq!(get(&url, &soc).1["status"], "closed");
    centre.stop();

    // Without a server the same commands open the folder themselves.
    let listed = centre.json(&["incident", "list"]);
    assert_eq!(listed["items"][0]["id"], id);
    let output = centre.run(&["hunt", "comsvcs", "--since", "1d", "-o", "json"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1, "{output:?}");
}

#[test]
fn syslog_arrives_too() {
    let port = free_port();
    let mut centre = Centre::new("");
    let config = std::fs::read_to_string(centre.path("jacquemart.toml")).unwrap();
    let door = format!("[[ingest.syslog]]\nlisten = \"127.0.0.1:{port}\"\n");
    std::fs::write(centre.path("jacquemart.toml"), config + &door).unwrap();
    let key = centre.onboard("quetigny", "quetigny-pc", "windows");
    centre.start();
    let event = dump_of_lsass("srv-9").to_string();
    let message = format!(
        "<134>1 2026-03-03T08:00:00Z srv-9 nxlog - - [jacquemart@32473 key=\"{key}\"] {event}"
    );
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "{} {message}", message.len()).unwrap();
    stream.write_all(format!("{message}\n").as_bytes()).unwrap();
    drop(stream);
    eventually("both events being searchable", || {
        let output = centre.run(&["hunt", "host.name:srv-9", "--since", "1d", "-o", "json"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!text.contains(&key), "the key must not be stored");
        (text.lines().count() == 2).then_some(())
    });
    eventually("one incident of both", || {
        let listed = centre.json(&["incident", "list"]);
        let items = listed["items"].as_array().unwrap();
        (items.len() == 1 && items[0]["detections"].as_u64().unwrap() >= 2).then_some(())
    });
    centre.stop();
}

#[test]
fn what_cannot_be_decoded_is_kept_and_found() {
    let mut centre = Centre::new("");
    let key = centre.onboard("longvic", "longvic-phones", "pradeo-mtd");
    centre.start();
    let (status, answer) = post(&centre, &key, "[1, \"strange\", {\"unknown\": true}]".to_owned());
    assert_eq!((status, &answer["accepted"]), (200, &json!(3)), "{answer}");
    let found = eventually("three pipeline errors", || {
        let output =
            centre.run(&["hunt", "event.kind:pipeline_error", "--since", "1d", "-o", "json"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (text.lines().count() == 3).then_some(text)
    });
    assert!(found.contains("strange"));
    let (runtime, http) = http();
    let metrics = runtime.block_on(async {
        let soc = centre.json(&["token", "add", "scraper"])["secret"].as_str().unwrap().to_owned();
        let answer =
            http.get(format!("{}/metrics", centre.api)).bearer_auth(soc).send().await.unwrap();
        answer.text().await.unwrap()
    });
    assert!(
        metrics.contains(
            "jacquemart_decode_failures_total{commune=\"longvic\",feed=\"longvic-phones\"} 3"
        ),
        "{metrics}"
    );
    assert!(metrics.contains("jacquemart_receipt_to_searchable_seconds_count 3"), "{metrics}");
}

#[test]
fn what_a_hunt_finds_is_counted() {
    let mut centre = Centre::new("");
    let key = centre.onboard("dijon", "pc", "windows");
    let other = centre.onboard("talant", "pc-2", "windows");
    centre.start();
    let body: String = ["PC-1", "PC-1", "PC-2"]
        .map(|host| format!("{}\n", process_event(host, "whoami /all")))
        .concat();
    assert_eq!(post(&centre, &key, body).0, 200);
    assert_eq!(post(&centre, &other, process_event("SRV-9", "whoami /all").to_string()).0, 200);
    let counts = ["hunt", "whoami", "--top", "host.name,organization.id", "--histogram"];
    let counted = eventually("four events", || {
        let counted = centre.json(&counts);
        (counted["total"] == 4).then_some(counted)
    });
    assert_eq!(
        counted["fields"][0]["values"][0],
        json!({"value": "PC-1", "count": 2}),
        "{counted}"
    );
    assert_eq!(counted["fields"][0]["distinct"], 3, "{counted}");
    assert_eq!(counted["fields"][1]["values"][0]["value"], "dijon", "{counted}");
    let bars = counted["histogram"]["buckets"].as_array().unwrap();
    assert_eq!(bars.iter().map(|bar| bar["count"].as_u64().unwrap()).sum::<u64>(), 4);

    let shown = centre.run(&["hunt", "whoami", "--top", "host.name", "--histogram=1h"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("█") && shown.contains("host.name: 3 values in 4 events"), "{shown}");
    assert!(shown.contains("         2  PC-1"), "{shown}");
    let wrong = centre.run(&["hunt", "--top", "host.nam"]);
    assert!(!wrong.status.success());
    let said = String::from_utf8_lossy(&wrong.stderr);
    assert!(said.contains("did you mean host.name?"), "{said}");

    let csv = centre.run(&["hunt", "whoami", "--all", "--csv", "organization.id,host.name"]);
    let csv = String::from_utf8(csv.stdout).unwrap();
    assert_eq!(csv.lines().count(), 5, "{csv}");
    assert!(csv.starts_with("organization.id,host.name\r\n") && csv.contains("talant,SRV-9\r\n"));

    // Of another commune nothing is counted.
    let token = centre.json(&["token", "add", "l", "--role", "reader", "--commune", "talant"]);
    let token = token["secret"].as_str().unwrap();
    let path = "/api/v1/events/statistics?field=host.name,organization.id&interval=auto";
    let (status, own) = get(&format!("{}{path}", centre.api), token);
    assert_eq!((status, &own["total"]), (200, &json!(1)), "{own}");
    assert!(!own.to_string().contains("PC-1") && !own.to_string().contains("dijon"), "{own}");
}

#[test]
fn rotation_ends_the_old_key_at_once() {
    let mut centre = Centre::new("");
    let old = centre.onboard("dijon", "dijon-pc", "windows");
    centre.start();
    assert_eq!(post(&centre, &old, process_event("pc", "a").to_string()).0, 200);
    let new = centre.json(&["feed", "rotate", "dijon-pc"])["key"].as_str().unwrap().to_owned();
    eventually("the old key being refused", || {
        (post(&centre, &old, "{}".to_owned()).0 == 401).then_some(())
    });
    assert_eq!(post(&centre, &new, process_event("pc", "b").to_string()).0, 200);
}

#[test]
fn with_an_overlap_both_keys_open_the_feed_for_a_while() {
    let mut centre = Centre::new("");
    let old = centre.onboard("dijon", "dijon-pc", "windows");
    centre.start();
    let rotated = centre.json(&["feed", "rotate", "dijon-pc", "--overlap-h", "1"]);
    assert!(rotated["old_key_until"].is_string(), "{rotated}");
    let new = rotated["key"].as_str().unwrap().to_owned();
    eventually("the new key opening the feed", || {
        (post(&centre, &new, "{}".to_owned()).0 == 200).then_some(())
    });
    assert_eq!(post(&centre, &old, "{}".to_owned()).0, 200);
    // The next one takes the place of both.
    let last = centre.json(&["feed", "rotate", "dijon-pc"])["key"].as_str().unwrap().to_owned();
    eventually("the older keys being refused", || {
        let statuses = [&old, &new].map(|key| post(&centre, key, "{}".to_owned()).0);
        (statuses == [401, 401]).then_some(())
    });
    assert_eq!(post(&centre, &last, "{}".to_owned()).0, 200);
    let much = centre.run(&["feed", "rotate", "dijon-pc", "--overlap-h", "9999"]);
    assert!(!much.status.success());
    assert!(String::from_utf8_lossy(&much.stderr).contains("30 days"), "{much:?}");
    centre.stop();
}

#[test]
fn a_second_server_on_the_same_folder_is_refused() {
    let mut centre = Centre::new("");
    centre.start();
    let output = centre.run(&["serve"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("in use by another jacquemart"),
        "{output:?}"
    );
}

#[test]
fn a_command_without_server_or_folder_says_so_and_makes_none() {
    let centre = Centre::new("");
    let output = centre.run(&["incident", "list"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no data folder"), "{output:?}");
    assert!(!centre.path("data").exists());
}

#[test]
fn health_tells_the_truth() {
    let mut centre = Centre::new("");
    centre.start();
    for path in ["/healthz", "/readyz"] {
        let address = centre.api.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}
