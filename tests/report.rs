//! Reports of what was done in a period: in French, the same whenever they are asked for.

#![expect(clippy::unwrap_used, reason = "a test ends where something it needs is not there")]

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use support::{Centre, dump_of_lsass, post, process_event};

fn text(centre: &Centre, args: &[&str]) -> String {
    let output = centre.run(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_report_stays_as_it_was_made() {
    let mut centre = Centre::new("");
    let key = centre.onboard("chenove", "chenove-pc", "windows");
    let evil = "pc-<script>alert(1)</script>";
    let body = format!(
        "{}\n{}\n{}\n",
        dump_of_lsass("pc-1"),
        dump_of_lsass(evil),
        process_event("pc-2", "whoami")
    );
    centre.start();
    let from = event::Timestamp::now().minus(Duration::from_secs(60)).to_string();
    assert_eq!(post(&centre, &key, body).0, 200);
    let until = Instant::now() + Duration::from_secs(60);
    let ids: Vec<String> = loop {
        let listed = centre.json(&["incident", "list"]);
        let items = listed["items"].as_array().unwrap();
        let found = centre.run(&["hunt", "event.code:1 or event.code:10", "--since", "1h"]);
        let searchable = String::from_utf8_lossy(&found.stdout).matches("pc-").count() >= 3;
        if items.len() == 2 && searchable {
            break items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect();
        }
        assert!(Instant::now() < until, "{listed}: {found:?}");
        std::thread::sleep(Duration::from_millis(200));
    };
    centre.json(&["incident", "update", &ids[0], "--status", "acknowledged"]);
    std::thread::sleep(Duration::from_millis(20));
    let to = event::Timestamp::now().to_string();
    let of = ["report", "activity", "--commune", "chenove", "--from", &from, "--to", &to];
    let asked = |more: &[&str]| text(&centre, &[&of[..], more].concat());

    let first = asked(&["--format", "json"]);
    let figures: Value = serde_json::from_str(&first).unwrap();
    let incidents = &figures["incidents"];
    assert_eq!(incidents["opened"], json!({"critical": 2, "high": 0, "medium": 0, "low": 0}));
    assert_eq!(figures["events"]["total"], 3);
    assert_eq!(figures["events"]["by_feed"], json!([{"feed": "chenove-pc", "events": 3}]));
    assert_eq!(figures["feeds"][0]["id"], "chenove-pc");
    assert!(figures["coverage"]["at_to"]["rules"].as_u64().unwrap() > 50, "{figures}");
    let acknowledged = incidents["clocks"].as_array().unwrap().iter();
    let acknowledged = acknowledged.filter(|clock| clock["name"] == "acknowledge");
    assert_eq!(
        acknowledged.map(|clock| (&clock["kept"], &clock["running"])).collect::<Vec<_>>(),
        [(&json!(1), &json!(1))]
    );

    // Closed meanwhile: the report stays, a new one knows.
    centre.json(&[
        "incident",
        "update",
        &ids[0],
        "--status",
        "closed",
        "--verdict",
        "true_positive",
    ]);
    assert_eq!(asked(&["--format", "json"]), first);
    let listed = centre.json(&["report", "list"]);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let digest: String = Sha256::digest(&first).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(listed["items"][0]["digest"], digest.as_str());
    let anew: Value = serde_json::from_str(&asked(&["--format", "json", "--anew"])).unwrap();
    assert_eq!(anew["incidents"]["opened_by_verdict"], json!({"none": 1, "true_positive": 1}));
    let id = listed["items"][0]["id"].as_str().unwrap();
    assert_eq!(text(&centre, &["report", "show", id, "--format", "json"]), first);

    // The page: in French, with nothing in it that runs.
    let html = text(&centre, &["report", "show", id]);
    assert!(html.contains("Rapport d&#39;activité — chenove") && html.contains(&digest), "{html}");
    assert!(html.contains("<html lang=\"fr\">") && html.contains("<caption>"), "{html}");
    assert!(!html.contains("<script") && html.contains("&lt;script&gt;"), "{html}");
    let csv = asked(&["--format", "csv"]);
    assert!(csv.contains("incidents/opened_by_verdict/true_positive,1\r\n"), "{csv}");
    let file = centre.path("r.html").display().to_string();
    assert!(asked(&["--out", &file]).contains("wrote report"));
    assert!(std::fs::read_to_string(file).unwrap().ends_with("</html>\n"));

    // What cannot be told of says so.
    for (args, code, said) in [
        (&["--from", "2026-01-01", "--to", "2200-01-01"][..], 2, "not to come"),
        (&["--month", "2026-13"], 2, "is no month"),
        (&["--from", "2026-01-01"], 2, "--to"),
        (&["--commune", "talant", "--month", "2026-01"], 3, "talant"),
    ] {
        let output = centre.run(&[&["report", "activity"][..], args].concat());
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {told}");
        assert!(told.contains(said), "{args:?}: {told}");
    }
    centre.stop();
}
