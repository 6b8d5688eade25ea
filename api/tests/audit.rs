//! The audit trail of requests: complete, written before anybody gets an answer, without secrets.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use axum::http::Method;
use serde_json::json;
use store::audit::{Phase, Record, verify};
use support::Centre;

/// The records of `action`, the oldest first.
fn of(centre: &Centre, action: &str) -> Vec<Record> {
    let mut records = centre.audited();
    records.retain(|record| record.entry.action == action);
    records.reverse();
    records
}

#[test]
fn every_change_and_every_read_of_events_has_an_action() {
    for route in api::routes() {
        let reads_events = route.path.starts_with("/api/v1/events")
            || route.path.starts_with("/api/v1/incidents/{id}") && !route.path.ends_with("similar");
        let must = route.method != Method::GET || reads_events || route.path == "/api/v1/audit";
        assert!(route.audit.is_some() || !must, "{} {}", route.method, route.path);
    }
}

#[tokio::test]
async fn who_read_what_is_written_down_before_the_answer() {
    let centre = Centre::new().await;
    let token = &centre.tokens.reader;
    let id = centre.dijon.events[0].id().to_string();
    let answer = centre.get(token, &format!("/api/v1/events/{id}")).await;
    let [read] = of(&centre, "event.read").try_into().unwrap();
    assert_eq!(read.entry.by, "token:dijon-reader");
    assert_eq!(read.entry.role, Some(store::auth::Role::Reader));
    assert_eq!(read.entry.object.as_deref(), Some(id.as_str()));
    assert_eq!((read.entry.status, read.entry.phase), (Some(200), Phase::Done));
    assert_eq!(read.entry.request, answer.header("x-request-id"));
    assert_eq!(read.entry.from, "local");

    centre.get(token, "/api/v1/events?q=dijon-secret&since=24h").await;
    let [hunt] = of(&centre, "event.hunt").try_into().unwrap();
    assert_eq!(hunt.entry.query.as_deref(), Some("q=dijon-secret&since=24h"));
    // What was refused was tried.
    let foreign = format!("/api/v1/events/{}", centre.talant.events[0].id());
    centre.get(token, &foreign).await.problem(404);
    assert_eq!(of(&centre, "event.read")[1].entry.status, Some(404));
    centre.get(token, "/api/v1/tokens").await.problem(403);
    assert_eq!(of(&centre, "token.list")[0].entry.status, Some(403));
    // A token's use is told of once a day.
    let used = of(&centre, "auth.used");
    assert_eq!(used.iter().filter(|record| record.entry.by == "token:dijon-reader").count(), 1);
}

#[tokio::test]
async fn a_change_is_written_down_before_and_after_without_secrets() {
    let centre = Centre::new().await;
    let uri = format!("/api/v1/incidents/{}", centre.dijon.incident);
    let body = json!({"status": "acknowledged", "comment": "é".repeat(5_000)});
    centre.send(&centre.tokens.analyst, Method::PATCH, &uri, body).await;
    let [asked, done] = of(&centre, "incident.change").try_into().unwrap();
    assert_eq!((asked.entry.phase, asked.entry.status), (Phase::Asked, None));
    assert_eq!((done.entry.phase, done.entry.status), (Phase::Done, Some(200)));
    assert_eq!(asked.entry.request, done.entry.request);
    let body = asked.entry.body.unwrap();
    assert_eq!(body["status"], "acknowledged");
    let comment = body["comment"].as_str().unwrap();
    assert!(comment.ends_with("… (5000 characters)") && comment.len() < 500, "{comment}");
    centre.send(&centre.tokens.analyst, Method::PATCH, &uri, json!({"status": "x"})).await;
    assert_eq!(of(&centre, "incident.change")[3].entry.status, Some(422));

    // Numbers grow as they are written anew; a record stays bounded all the same.
    let many = format!("{{\"comment\": \"x\", \"labels\": [{}1E9]}}", "1E9,".repeat(100_000));
    let many: serde_json::Value = serde_json::from_str(&many).unwrap();
    centre.send(&centre.tokens.analyst, Method::PATCH, &uri, many).await.problem(413);
    let many = json!({"ids": vec![1e9; 60_000], "comment": "x"});
    let bulk = "/api/v1/incidents/bulk";
    centre.send(&centre.tokens.analyst, Method::POST, bulk, many).await.problem(422);
    let longest = centre.audited().iter().map(|r| serde_json::to_string(r).unwrap().len()).max();
    assert!(longest.unwrap() < 100_000, "{longest:?}");

    let admin = &centre.tokens.admin;
    let made = json!({"name": "new", "communes": ["dijon"]});
    let made = centre.send(admin, Method::POST, "/api/v1/tokens", made).await.json();
    let rotated =
        centre.send(admin, Method::POST, "/api/v1/feeds/dijon-pc/rotate", json!({})).await.json();
    assert_eq!(of(&centre, "token.add").len(), 2);
    let all = serde_json::to_string(&centre.audited()).unwrap();
    for secret in [&made["secret"], &rotated["key"]] {
        assert!(!all.contains(secret.as_str().unwrap()));
    }
    for token in [admin, &centre.tokens.analyst] {
        assert!(!all.contains(token.as_str()));
    }
}

#[tokio::test]
async fn wrong_tokens_are_told_of_once_a_minute() {
    let centre = Centre::new().await;
    for n in 0..200 {
        centre.get(&format!("jqt_{n:064}"), "/api/v1/me").await.problem(401);
    }
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while of(&centre, "auth.failed").is_empty() {
        assert!(std::time::Instant::now() < until, "it is written down");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let [failed] = of(&centre, "auth.failed").try_into().unwrap();
    assert_eq!((failed.entry.by.as_str(), failed.entry.status), ("", Some(401)));
}

#[tokio::test]
async fn nothing_is_shown_or_changed_that_cannot_be_written_down() {
    let centre = Centre::new().await;
    let token = &centre.tokens.analyst;
    centre.get(token, "/api/v1/me").await;
    centre.trail.close().await;
    let event = format!("/api/v1/events/{}", centre.dijon.events[0].id());
    let problem = centre.get(token, &event).await;
    assert!(!problem.text.contains("dijon-secret"));
    assert!(problem.problem(503)["detail"].as_str().unwrap().contains("audit trail"));
    let uri = format!("/api/v1/incidents/{}", centre.dijon.incident);
    let before = centre.get(token, "/api/v1/incidents").await.json();
    let change = json!({"status": "acknowledged"});
    centre.send(token, Method::PATCH, &uri, change).await.problem(503);
    assert_eq!(centre.get(token, "/api/v1/incidents").await.json(), before);
    // What is not audited goes on.
    assert_eq!(centre.get(token, "/api/v1/me").await.status, 200);
}

#[tokio::test]
async fn the_trail_is_read_page_by_page_by_those_who_see_all() {
    let centre = Centre::new().await;
    let soc = &centre.tokens.soc;
    for n in 0..12 {
        centre.get(&centre.tokens.reader, &format!("/api/v1/events?q=word-{n}")).await;
    }
    let mut uri = "/api/v1/audit?action=event.*&by=token:dijon-reader&limit=5".to_owned();
    let mut queries = Vec::new();
    loop {
        let page = centre.get(soc, &uri).await.json();
        for item in page["items"].as_array().unwrap() {
            queries.push(item["query"].as_str().unwrap().to_owned());
        }
        match page["next_cursor"].as_str() {
            Some(cursor) => {
                uri = format!(
                    "/api/v1/audit?action=event.*&by=token:dijon-reader&limit=5&cursor={cursor}"
                );
            }
            None => break,
        }
    }
    let expected: Vec<_> = (0..12).rev().map(|n| format!("q=word-{n}")).collect();
    assert_eq!(queries, expected);
    assert!(of(&centre, "audit.read").len() >= 3, "reading it is written down, too");
    centre.get(soc, "/api/v1/audit?cursor=x").await.problem(400);
    centre.get(soc, "/api/v1/audit?from=yesterday").await.problem(400);
    centre.get(&centre.tokens.analyst, "/api/v1/audit").await.problem(403);
    verify(centre.trail.folder(), centre.trail.public_key(), None).unwrap().unwrap();
}
