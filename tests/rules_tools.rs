//! `jacquemart rules check|test|explain|coverage`, as people use them.

#![expect(clippy::unwrap_used, reason = "a test ends where something it needs is not there")]

mod support;

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::{Value, json};
use support::{JACQUEMART, process_event};

const ID: &str = "0a1b2c3d-0000-4000-8000-000000000001";

fn rule() -> String {
    format!(
        "title: A shell from the tool\nid: {ID}\nstatus: test\ndescription: x\nauthor: x\ndate: 2026-01-31\ntags:\n  - attack.execution\n  - attack.t1059.001\nlevel: high\nlogsource: {{category: process_creation, product: windows}}\ndetection:\n  selection:\n    Image|endswith:\n      - '\\powershell.exe'\n      - '\\cmd.exe'\n    CommandLine|contains: 'tool'\n  filter_ours:\n    User|contains: 'svc-tool'\n  condition: selection and not 1 of filter_*\n"
    )
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(JACQUEMART).current_dir(self.0.path()).args(args).output().unwrap()
    }

    fn json(&self, args: &[&str], code: i32) -> Value {
        let output = self.run(&[args, &["-o", "json"]].concat());
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {told}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// The lines of an explanation, by their key.
fn lines(part: &Value, all: &mut Vec<Value>) {
    if part["kind"] == "line" {
        all.push(part.clone());
    }
    for part in part["parts"].as_array().into_iter().flatten() {
        lines(part, all);
    }
}

#[test]
fn explain_says_which_line_held_on_which_value_and_why_not() {
    let place = Place::new();
    place.write("rules/x.yml", &rule());
    let mut ours = process_event("pc-1", "cmd.exe /c tool");
    ours["User"] = json!("MAIRIE\\svc-tool");
    let mut bare = process_event("pc-1", "dir");
    bare.as_object_mut().unwrap().remove("User");
    bare["Image"] = json!("C:\\Windows\\notepad.exe");
    let other = json!({"EventID": 5, "Channel": "Microsoft-Windows-Sysmon/Operational",
        "SourceName": "Microsoft-Windows-Sysmon", "Hostname": "pc-1"});
    let events = [process_event("pc-1", "cmd.exe /c tool"), ours, bare, other];
    let text: String = events.iter().map(|event| format!("{event}\n")).collect();
    place.write("events.ndjson", &text);

    let args = ["rules", "explain", ID, "events.ndjson", "--format", "windows", "--rules", "rules"];
    let told = place.json(&args, 5);
    let told = told["explanations"].as_array().unwrap();
    let fires: Vec<bool> = told.iter().map(|one| one["fires"].as_bool().unwrap()).collect();
    assert_eq!(fires, [true, false, false, false]);
    let all = |place: usize| {
        let mut found = Vec::new();
        for condition in told[place]["conditions"].as_array().unwrap() {
            lines(condition, &mut found);
        }
        found
    };
    let first = all(0);
    assert_eq!(first[0]["key"], "Image|endswith");
    assert_eq!(
        first[0]["asks"],
        json!([{"value": "\\powershell.exe", "holds": false}, {"value": "\\cmd.exe", "holds": true}])
    );
    let has = first[0]["fields"][0]["has"][0].as_str().unwrap();
    assert!(has.ends_with("cmd.exe"), "{first:?}");
    assert_eq!(first[2]["why_not"], "value differs", "{first:?}");
    assert_eq!(all(1)[2]["holds"], true);
    assert_eq!(all(2)[2]["why_not"], "field absent");
    assert_eq!(told[0]["logsource"]["offered"], true);
    assert_eq!(told[3]["logsource"]["offered"], false);
    assert_eq!(told[3]["logsource"]["event"]["category"], json!(["process_termination"]));

    // For people, without colours where nobody sees them.
    let output = place.run(&args);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains('\u{1b}'), "{text}");
    for said in
        ["fires", "does not fire", "condition of", "filter_ours", "absent: ", "asks \\cmd.exe"]
    {
        assert!(text.contains(said), "{said:?} is not in {text}");
    }
    // A file instead of an id, and a rule that is refused.
    place.json(&["rules", "explain", "rules/x.yml", "events.ndjson", "--format", "windows"], 5);
    place.write("bad.yml", &rule().replace("1 of filter_*", "1 of nothing_*"));
    let output =
        place.run(&["rules", "explain", "bad.yml", "events.ndjson", "--format", "windows"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert!(told.contains("bad.yml:20: "), "{told}");
}

#[test]
fn what_explain_says_is_what_detect_does() {
    // Every case of our own rules, explained: it fires exactly where the case says so.
    let place = Place::new();
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("rules");
    let mut checked = 0;
    for file in detect::files(&[root]).iter().step_by(11) {
        let cases = fs::read_to_string(file.with_extension("test.json")).unwrap();
        let cases: Value = serde_json::from_str(&cases).unwrap();
        for case in cases["cases"].as_array().unwrap() {
            if case["record"].is_null() || case["record"].is_string() {
                continue;
            }
            place.write("event.json", &case["record"].to_string());
            let fires = case["fires"].as_bool().unwrap();
            let args = [
                "rules",
                "explain",
                file.to_str().unwrap(),
                "event.json",
                "--format",
                case["format"].as_str().unwrap(),
            ];
            let told = place.json(&args, if fires { 5 } else { 0 });
            let told = &told["explanations"][0];
            let holds = told["conditions"].as_array().unwrap().iter().all(|c| c["holds"] == true);
            let offered = told["logsource"]["offered"] == true;
            assert_eq!(offered && holds, fires, "{}: {told}", file.display());
            checked += 1;
        }
    }
    assert!(checked > 20, "{checked}");
}

#[test]
fn test_says_which_case_goes_wrong() {
    let place = Place::new();
    place.write("rules/x.yml", &rule());
    let case = |fires: bool, command: &str| json!({"format": "windows", "fires": fires, "why": command, "record": process_event("pc-1", command)});
    let good = json!({"cases": [case(true, "cmd.exe /c tool"), case(false, "dir")]});
    place.write("rules/x.test.json", &good.to_string());
    let report = place.json(&["rules", "test", "rules", "--strict"], 0);
    assert_eq!((&report["cases"], &report["failed"]), (&json!(2), &json!(0)));

    let bad = json!({"cases": [case(true, "dir"), case(false, "cmd.exe /c tool")]});
    place.write("rules/x.test.json", &bad.to_string());
    let report = place.json(&["rules", "test", "rules"], 5);
    assert_eq!(report["failed"], json!(2), "{report}");
    assert!(report["outcomes"][0]["problem"].as_str().unwrap().contains("should fire"));
    assert!(report["outcomes"][1]["problem"].as_str().unwrap().contains("should not fire"));

    // Another rule that fires on a near miss is a failure unless it is named.
    let second = rule()
        .replace("000001", "000002")
        .replace("A shell", "Any shell")
        .replace("CommandLine|contains: 'tool'", "CommandLine|contains: 'dir'");
    place.write("rules/y.yml", &second);
    let miss = |also: Value| {
        let mut miss = case(false, "dir");
        miss["also_fires"] = also;
        json!({"cases": [case(true, "cmd.exe /c tool"), miss]}).to_string()
    };
    place.write("rules/x.test.json", &miss(json!([])));
    let report = place.json(&["rules", "test", "rules"], 5);
    assert!(report["outcomes"][1]["problem"].as_str().unwrap().contains("Any shell"), "{report}");
    place.write("rules/x.test.json", &miss(json!([ID.replace("000001", "000002")])));
    place.json(&["rules", "test", "rules"], 0);
    let report = place.json(&["rules", "test", "rules", "--strict"], 5);
    assert_eq!(report["without_case_that_fires"].as_array().unwrap().len(), 1, "{report}");
    // What can't be read is said, too.
    place.write("rules/x.test.json", "{\"cases\": [{}]}");
    let report = place.json(&["rules", "test", "rules"], 5);
    assert!(report["outcomes"][0]["problem"].as_str().unwrap().contains("cannot be read"));
    place.write("rules/x.yml", "title: [");
    place.json(&["rules", "test", "rules"], 5);
}

#[test]
fn coverage_counts_and_writes_a_navigator_layer() {
    let place = Place::new();
    place.write("rules/x.yml", &rule());
    let phone = rule()
        .replace("000001", "000002")
        .replace("A shell", "A phone")
        .replace("category: process_creation, product: windows", "category: mobile_threat")
        .replace("attack.t1059.001", "attack.t1404");
    place.write("rules/y.yml", &phone);
    let args = ["rules", "coverage", "rules", "--format", "windows", "--navigator", "layer.json"];
    let told = place.json(&args, 0);
    assert_eq!(told["tactics"][0]["tactic"], "execution");
    assert_eq!(told["tactics"][0]["rules"], 2);
    assert_eq!(told["formats"], json!([{"format": "windows", "rules": 1}]));
    assert_eq!(told["unfed"][0]["title"], "A phone from the tool", "{told}");
    let read = |name: &str| -> Value {
        serde_json::from_str(&fs::read_to_string(place.0.path().join(name)).unwrap()).unwrap()
    };
    let layer = read("layer.json");
    assert_eq!(
        (&layer["domain"], &layer["versions"]["layer"]),
        (&json!("enterprise-attack"), &json!("4.5"))
    );
    let technique = &layer["techniques"][0];
    assert_eq!((&technique["techniqueID"], &technique["score"]), (&json!("T1059.001"), &json!(1)));
    assert_eq!(read("layer.mobile.json")["techniques"][0]["techniqueID"], "T1404");
    let both = place.json(&[&args[..], &["--format", "pradeo-mtd"]].concat(), 0);
    assert_eq!(both["unfed"], json!([]), "{both}");
}

#[test]
fn check_says_what_metadata_lacks() {
    let place = Place::new();
    place.write("rules/x.yml", &rule());
    assert_eq!(place.json(&["rules", "check", "rules"], 0)["warnings"], json!([]));
    place.write("rules/x.yml", &rule().replace("author: x\n", "").replace("t1059.001", "t10"));
    let told = place.json(&["rules", "check", "rules"], 0);
    assert_eq!(told["warnings_of_metadata"], json!(2), "{told}");
    assert!(told["engine_bytes"].as_u64().unwrap() > 0);
    let output = place.run(&["rules", "check", "rules", "--warnings"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("x.yml:8: tag \"attack.t10\""), "{text}");
}

fn correlation() -> String {
    format!(
        "title: The tool on and on\nid: {}\nstatus: test\ndescription: x\nauthor: x\ndate: 2026-01-31\ntags: [attack.execution, attack.t1106]\nlevel: high\ncorrelation:\n  type: event_count\n  rules: [{ID}]\n  group-by: [Computer, User]\n  timespan: 5m\n  condition: {{gte: 3}}\n",
        ID.replace("000001", "000003")
    )
}

#[test]
fn explain_says_what_a_correlation_sees_and_how_near_it_came() {
    let place = Place::new();
    place.write("rules/x.yml", &rule());
    place.write("rules/y.yml", &correlation());
    let id = ID.replace("000001", "000003");
    let at = |minute: u32, user: Option<&str>| {
        let mut event = process_event("pc-1", "cmd.exe /c tool");
        let time = format!("2026-03-02 08:{minute:02}:00");
        event["EventTime"] = json!(time);
        event["UtcTime"] = json!(format!("{time}.000"));
        match user {
            Some(user) => event["User"] = json!(user),
            None => {
                event.as_object_mut().unwrap().remove("User");
            }
        }
        event
    };
    let explain = |events: &[Value], code: i32| {
        let text: String = events.iter().map(|event| format!("{event}\n")).collect();
        place.write("events.ndjson", &text);
        let args =
            ["rules", "explain", &id, "events.ndjson", "--format", "windows", "--rules", "rules"];
        let told = place.json(&args, code)["correlations"][0].clone();
        let output = place.run(&args);
        assert_eq!(output.status.code(), Some(code));
        (told, String::from_utf8(output.stdout).unwrap())
    };
    // Two in time, one too late, one of another user whatever its case, one of nobody.
    let near = [
        at(0, Some("MAIRIE\\anne")),
        at(1, Some("mairie\\ANNE")),
        at(2, Some("MAIRIE\\paul")),
        at(3, None),
        at(5, Some("MAIRIE\\anne")),
        json!({"EventID": 5, "Channel": "Microsoft-Windows-Sysmon/Operational", "Hostname": "pc-1"}),
    ];
    let (told, text) = explain(&near, 0);
    assert_eq!(told["fires"], false, "{told}");
    assert_eq!(told["asks"]["condition"], "gte 3");
    let events: Vec<_> = told["matches"].as_array().unwrap().iter().map(|m| &m["event"]).collect();
    assert_eq!(events, [1, 2, 3, 4, 5]);
    assert_eq!(told["matches"][3]["group"]["User"], Value::Null, "{told}");
    assert_eq!(told["groups"].as_array().unwrap().len(), 2, "{told}");
    assert_eq!(told["groups"][0]["matches"]["A shell from the tool"], 2, "{told}");
    for said in ["does not fire", "User is absent; in no group", "at most at once in", "gte 3"] {
        assert!(text.contains(said), "{said:?} is not in {text}");
    }
    // The third within five minutes.
    let mut full = near.to_vec();
    full.insert(0, at(4, Some("MAIRIE\\Anne")));
    let (told, text) = explain(&full, 5);
    assert_eq!(told["fired"].as_array().unwrap().len(), 1, "{told}");
    assert_eq!(told["fired"][0]["event"], 1, "the one that completed it: {told}");
    assert!(text.contains("fires at event 1, 2026-03-02T08:04:00"), "{text}");
    assert_eq!(told["groups"][0]["matches"]["A shell from the tool"], 3, "{told}");
    // A file with both has both explained.
    place.write("rules/both.yml", &format!("{}---\n{}", rule(), correlation()));
    let args = ["rules", "explain", "rules/both.yml", "events.ndjson", "--format", "windows"];
    let told = place.json(&args, 5);
    assert_eq!(told["explanations"].as_array().unwrap().len(), full.len(), "{told}");
    assert_eq!(told["correlations"][0]["fires"], true, "{told}");
}

#[test]
fn coverage_and_check_know_correlations() {
    let place = Place::new();
    place.write("rules/x.yml", &rule());
    place.write("rules/y.yml", &correlation());
    let told = place.json(&["rules", "coverage", "rules", "--format", "windows"], 0);
    assert_eq!((&told["rules"], &told["correlations"]), (&json!(1), &json!(1)), "{told}");
    assert_eq!(told["techniques"], 2, "{told}");
    assert_eq!(told["unfed"], json!([]), "{told}");
    let told = place.json(&["rules", "coverage", "rules", "--format", "pradeo-mtd"], 0);
    let unfed: Vec<_> =
        told["unfed"].as_array().unwrap().iter().map(|one| one["title"].clone()).collect();
    assert_eq!(unfed, ["A shell from the tool", "The tool on and on"], "{told}");

    assert_eq!(place.json(&["rules", "check", "rules"], 0)["warnings"], json!([]));
    place.write("rules/y.yml", &correlation().replace("attack.t1106", "attack.t99"));
    let told = place.json(&["rules", "check", "rules"], 0);
    assert_eq!(told["warnings"].as_array().unwrap().len(), 1, "{told}");
    assert!(told["warnings"][0]["reason"].as_str().unwrap().contains("attack.t99"), "{told}");
}
