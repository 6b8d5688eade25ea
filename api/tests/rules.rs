//! Rules in force, then and now, and what communes choose about them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use axum::http::Method;
use serde_json::{Value, json};
use store::db::{RuleCause, RuleText};
use support::Centre;

const CHOICES: &str = "/api/v1/communes/dijon/rules/choices";
const EXCEPTIONS: &str = "/api/v1/communes/dijon/rules/exceptions";

async fn policy(centre: &Centre, token: &str) -> Value {
    centre.get(token, "/api/v1/communes/dijon/rules").await.json()
}

#[tokio::test]
async fn a_choice_is_made_replaced_and_taken_back_and_says_by_whom() {
    let centre = Centre::new().await;
    let token = &centre.tokens.analyst;
    let send = async |body: Value| centre.send(token, Method::POST, CHOICES, body).await;
    let off = json!({"select": "id:rule-1", "state": "disabled", "reason": "the backup"});
    let made = send(off).await.json();
    assert_eq!((&made["effect"], &made["rules"]), (&json!("disable"), &json!(1)), "{made}");
    assert_eq!(made["began"]["by"], "token:dijon-analyst");
    let low = send(json!({"select": "id:rule-1", "level": "low", "reason": "loud"})).await.json();
    assert_eq!(low["effect"], json!({"level": "low"}), "{low}");
    let both = policy(&centre, token).await;
    assert_eq!(both["choices"].as_array().unwrap().len(), 2, "{both}");

    let back = send(json!({"select": "id:rule-1", "state": "default"})).await;
    assert_eq!(back.status, 200, "{back:?}");
    let again = send(json!({"select": "id:rule-1", "state": "default"})).await.problem(422);
    assert_eq!(again["pointer"], "#/select", "{again}");
    let left = policy(&centre, token).await;
    assert_eq!(left["choices"].as_array().unwrap().len(), 1, "{left}");
    // What was chosen at a moment before can still be asked for.
    let at = made["began"]["at"].as_str().unwrap();
    let then = centre.get(token, &format!("/api/v1/communes/dijon/rules?at={at}")).await.json();
    assert_eq!(then["choices"][0]["effect"], "disable", "{then}");
    assert_eq!(then["choices"][0]["ended"]["by"], "token:dijon-analyst", "{then}");
}

#[tokio::test]
async fn a_wrong_choice_says_what_is_wrong_and_changes_nothing() {
    let centre = Centre::new().await;
    let token = &centre.tokens.analyst;
    let before = policy(&centre, token).await["choices"].clone();
    for (body, pointer) in [
        (json!({"state": "disabled", "reason": "x"}), "#/select"),
        (json!({"select": "id:nobody", "state": "disabled", "reason": "x"}), "#/select"),
        (json!({"select": "id:rule-1", "reason": "x"}), "#/state"),
        (json!({"select": "id:rule-1", "state": "off", "reason": "x"}), "#/state"),
        (json!({"select": "id:rule-1", "level": "loud", "reason": "x"}), "#/level"),
        (json!({"select": "id:rule-1", "state": "enabled", "level": "low"}), "#/level"),
        (json!({"select": "id:rule-1", "state": "disabled"}), "#/reason"),
    ] {
        let problem = centre.send(token, Method::POST, CHOICES, body.clone()).await.problem(422);
        assert_eq!(problem["pointer"], pointer, "{body}: {problem}");
    }
    assert_eq!(policy(&centre, token).await["choices"], before);
}

#[tokio::test]
async fn an_exception_is_added_listed_and_taken_back_and_a_bad_one_names_its_line() {
    let centre = Centre::new().await;
    let token = &centre.tokens.analyst;
    let send = async |body: Value| centre.send(token, Method::POST, EXCEPTIONS, body).await;
    let good = json!({
        "filter": "title: Ours\n", "owner": "IT", "reason": "nightly",
        "expires": "2100-01-01T00:00:00Z",
    });
    let made = send(good.clone()).await;
    assert_eq!(made.status, 201, "{made:?}");
    let made = made.json();
    assert_eq!((&made["title"], &made["rules"]), (&json!("Ours"), &json!(["rule-1"])), "{made}");
    let listed = policy(&centre, token).await["exceptions"].clone();
    assert_eq!(listed[1]["id"], made["id"], "{listed}");
    assert_eq!(listed[1]["expired"], false, "{listed}");

    for (member, value, pointer) in [
        ("filter", json!("nonsense"), "#/filter"),
        ("expires", json!("tomorrow"), "#/expires"),
        ("owner", Value::Null, "#/owner"),
        ("reason", Value::Null, "#/reason"),
    ] {
        let mut bad = good.clone();
        bad[member] = value;
        let problem = send(bad).await.problem(422);
        assert_eq!(problem["pointer"], pointer, "{member}: {problem}");
        if member == "filter" {
            assert_eq!(problem["line"], 3, "{problem}");
        }
    }
    let mut past = good.clone();
    past["expires"] = json!("2020-01-01T00:00:00Z");
    assert!(send(past).await.problem(422)["detail"].as_str().unwrap().contains("has passed"));

    let id = made["id"].as_str().unwrap();
    let gone = centre
        .ask(Method::DELETE, &format!("/api/v1/rule-exceptions/{id}"), Some(token), None)
        .await
        .json();
    assert_eq!(gone["ended"]["by"], "token:dijon-analyst", "{gone}");
    assert_eq!(policy(&centre, token).await["exceptions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_past_of_rules_is_told_with_texts() {
    let centre = Centre::new().await;
    let token = &centre.tokens.reader;
    let text = |version: &str| RuleText {
        id: "rule-1".to_owned(),
        version: version.to_owned(),
        title: "Rule one".to_owned(),
        level: event::Level::High,
        text: format!("title: Rule one\n# {version}\n"),
        path: "rules/one.yml".to_owned(),
    };
    let at = |seconds: i64| event::Timestamp::from_secs(1_780_000_000 + seconds);
    for (version, seconds) in [("aaa", 0), ("bbb", 60)] {
        let rules = vec![text(version)];
        centre.db.activate_rules(rules, RuleCause::File, "serve", at(seconds)).await.unwrap();
    }
    let then = centre.get(token, &format!("/api/v1/rules?at={}", at(59))).await.json();
    assert_eq!(then["items"][0]["version"], "aaa", "{then}");
    assert_eq!(then["items"][0]["ended"]["cause"], "file", "{then}");
    let none = centre.get(token, &format!("/api/v1/rules?at={}", at(-1))).await.json();
    assert_eq!(none["items"], json!([]));
    let versions = centre.get(token, "/api/v1/rules/rule-1/versions").await.json();
    assert_eq!(versions["items"][0]["text"], "title: Rule one\n# bbb\n", "{versions}");
    assert_eq!(versions["items"][1]["version"], "aaa", "{versions}");
    centre.get(token, "/api/v1/rules?at=yesterday").await.problem(400);
    centre.get(token, "/api/v1/rules/nobody/versions").await.problem(404);
    // What a commune makes of a rule is told to those who may read that commune.
    let shown = centre.get(token, "/api/v1/rules/rule-1").await.json();
    assert_eq!(shown["communes"], json!([]), "{shown}");
    let shown = centre.get(&centre.tokens.soc, "/api/v1/rules/rule-1").await.json();
    assert_eq!(shown["communes"][0]["commune"], "talant", "{shown}");
}
