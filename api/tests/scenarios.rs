//! What analysts, communes and administrators do, step by step.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    collections::BTreeSet,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use serde_json::{Value, json};
use support::{Answer, Centre, EVENTS, answer};

fn ids(answer: &Answer, path: &str) -> Vec<String> {
    let items = answer.json()["items"].as_array().unwrap().clone();
    items.iter().map(|item| item.pointer(path).unwrap().as_str().unwrap().to_owned()).collect()
}

/// Follows `next_cursor` from `uri` to the end; one answer a page.
async fn pages(centre: &Centre, token: &str, uri: &str) -> Vec<Answer> {
    let mut pages = Vec::new();
    let mut next = uri.to_owned();
    loop {
        let page = centre.get(token, &next).await;
        assert_eq!(page.status, 200, "{page:?}");
        let cursor = page.json()["next_cursor"].as_str().map(str::to_owned);
        pages.push(page);
        match cursor {
            Some(cursor) => next = format!("{uri}&cursor={cursor}"),
            None => return pages,
        }
        assert!(pages.len() < 100, "the pages never end");
    }
}

#[tokio::test]
async fn an_analyst_works_an_incident_to_its_end() {
    let centre = Centre::new().await;
    let token = &centre.tokens.analyst;
    let uri = format!("/api/v1/incidents/{}", centre.dijon.incident);

    let whole = centre.get(token, &uri).await;
    let incident = whole.json();
    assert_eq!(incident["status"], "new");
    assert_eq!(incident["severity"], "high");
    assert_eq!(incident["detections"]["total"], EVENTS);
    assert_eq!(incident["detections"]["items"].as_array().unwrap().len(), EVENTS);
    assert_eq!(incident["timeline"][0]["kind"], "opened");
    let etag = whole.header("etag").to_owned();
    assert_eq!(etag, format!("\"{}\"", incident["version"]));

    let conditional = |name: &'static str, etag: String, method: Method, body: Value| {
        let request = Request::builder()
            .method(method)
            .uri(&uri)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .header(name, etag)
            .body(Body::from(body.to_string()))
            .unwrap();
        answer(&centre.router, request)
    };
    let same = conditional("if-none-match", etag.clone(), Method::GET, json!({})).await;
    assert_eq!(
        (same.status, same.text.as_str(), same.header("etag")),
        (StatusCode::NOT_MODIFIED, "", &*etag)
    );

    let taken = conditional(
        "if-match",
        etag.clone(),
        Method::PATCH,
        json!({"status": "in_progress", "comment": "mine"}),
    )
    .await;
    assert_eq!(taken.status, 200, "{taken:?}");
    assert_eq!(taken.json()["status"], "in_progress");
    assert_ne!(taken.header("etag"), etag);
    let late = conditional("if-match", etag, Method::PATCH, json!({"status": "resolved"})).await;
    assert_eq!(late.problem(412)["type"], "urn:jacquemart:problem:changed");
    let malformed =
        conditional("if-match", "3".to_owned(), Method::PATCH, json!({"status": "resolved"})).await;
    malformed.problem(400);

    let refused = centre.send(token, Method::PATCH, &uri, json!({"status": "closed"})).await;
    assert!(refused.problem(422)["detail"].as_str().unwrap().contains("verdict"));
    for (body, pointer) in [
        (json!({"status": "clsed"}), json!("#/status")),
        (json!({"stauts": "closed"}), json!("#/stauts")),
        (json!({"comment": 5}), json!("#/comment")),
        (json!({}), Value::Null),
        (json!({"version": 9}), json!("#/version")),
    ] {
        let problem = centre.send(token, Method::PATCH, &uri, body).await.problem(422);
        assert_eq!(problem.get("pointer").unwrap_or(&Value::Null), &pointer, "{problem}");
    }
    let closed = json!({"status": "closed", "verdict": "true_positive", "comment": "<script>isolated</script>"});
    assert_eq!(
        centre.send(token, Method::PATCH, &uri, closed).await.json()["verdict"],
        "true_positive"
    );
    let timeline = centre.get(token, &uri).await.json()["timeline"].clone();
    let last = timeline.as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&last["kind"], &last["by"], &last["text"]),
        (&json!("comment"), &json!("token:dijon-analyst"), &json!("<script>isolated</script>"))
    );
}

#[tokio::test]
async fn incidents_are_assigned_rated_labelled_and_found() {
    let centre = Centre::new().await;
    let token = &centre.tokens.soc;
    let uri = format!("/api/v1/incidents/{}", centre.dijon.incident);
    let patch = async |body: Value| centre.send(token, Method::PATCH, &uri, body).await;
    let body = json!({
        "assignee": "token:soc", "labels": ["vip", "école"], "severity": "critical",
        "reason": "contrôleur de domaine", "comment": "à suivre", "visibility": "shared",
    });
    let changed = patch(body).await.json();
    assert_eq!(changed["assignee"], "token:soc");
    assert_eq!(changed["labels"], json!(["vip", "école"]));
    assert_eq!(
        (&changed["severity"], &changed["severity_detected"]),
        (&json!("critical"), &json!("high"))
    );
    assert_eq!(changed["severity_override"]["by"], "token:soc");
    patch(json!({"comment": "entre nous"})).await;
    let commune = centre.get(&centre.tokens.reader, &uri).await;
    assert!(commune.text.contains("à suivre") && !commune.text.contains("entre nous"));
    assert!(centre.get(token, &uri).await.text.contains("entre nous"));
    assert_eq!(commune.json()["risk"]["score"], changed["risk_score"]);
    assert_eq!(commune.json()["risk"]["rules"][0]["detections"], EVENTS);

    let found = async |query: &str| {
        let page = centre.get(token, &format!("/api/v1/incidents?{query}")).await;
        assert_eq!(page.status, 200, "{page:?}");
        ids(&page, "/id")
    };
    let dijon = centre.dijon.incident.to_string();
    for query in [
        "assignee=me",
        "assignee=token:soc",
        "label=%C3%A9cole",
        "q=DIJON-HOST",
        "q=%C3%89cole",
        "severity_min=critical",
        "q=dijon-1",
    ] {
        assert_eq!(found(query).await, [dijon.as_str()], "{query}");
    }
    assert_eq!(found("assignee=none").await, [centre.talant.incident.to_string()]);
    assert_eq!(found("verdict=true_positive").await, [""; 0]);
    assert_eq!(found("sort=severity").await[0], dijon);
    assert_eq!(found("sort=%2Bseverity").await[1], dijon);
    assert_eq!(found("sort=+severity").await[1], dijon, "as people type it");
    for (query, field) in [
        ("sort=severty", "sort"),
        ("verdict=maybe", "verdict"),
        ("q=a%0Ab", "q"),
        ("severity_min=low,high", "severity_min"),
    ] {
        let page = centre.get(token, &format!("/api/v1/incidents?{query}")).await;
        assert_eq!(page.problem(400)["field"], field);
    }
    for (body, pointer) in [
        (json!({"severity": "low"}), json!("#/reason")),
        (json!({"severity": null}), json!("#/reason")),
        (json!({"severity": "informational", "reason": "x"}), Value::Null),
        (json!({"labels": "vip"}), json!("#/labels")),
        (json!({"visibility": "all", "comment": "x"}), json!("#/visibility")),
        (json!({"assignee": ""}), Value::Null),
        (json!({"risk_score": 9}), json!("#/risk_score")),
    ] {
        let problem = patch(body).await.problem(422);
        assert_eq!(problem.get("pointer").unwrap_or(&Value::Null), &pointer, "{problem}");
    }
    let freed = patch(json!({"assignee": null, "severity": null, "reason": "revu"})).await.json();
    assert_eq!((&freed["assignee"], &freed["severity"]), (&Value::Null, &json!("high")));
    let kept = centre
        .send(
            &centre.tokens.analyst,
            Method::PATCH,
            &uri,
            json!({"comment": "x", "visibility": "soc"}),
        )
        .await;
    kept.problem(422);
}

#[tokio::test]
async fn many_are_changed_each_by_itself() {
    let centre = Centre::new().await;
    let token = &centre.tokens.analyst;
    let other = centre.another_incident("dijon", "second-host").await.to_string();
    let (own, foreign) = (centre.dijon.incident.to_string(), centre.talant.incident.to_string());
    let body = json!({
        "ids": [own, foreign, "no id", other, own], "status": "closed", "verdict": "false_positive",
    });
    let answer = centre.send(token, Method::POST, "/api/v1/incidents/bulk", body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = answer.json();
    let statuses: Vec<_> =
        answer["items"].as_array().unwrap().iter().map(|item| item["status"].clone()).collect();
    assert_eq!(statuses, [200, 404, 404, 200, 422]);
    assert_eq!((&answer["changed"], &answer["failed"]), (&json!(2), &json!(3)));
    assert_eq!(answer["items"][0]["incident"]["status"], "closed");
    let problem = &answer["items"][4]["problem"];
    assert_eq!(problem["type"], "urn:jacquemart:problem:content");
    assert!(problem["detail"].as_str().unwrap().contains("already"));
    for (body, pointer) in [
        (json!({"status": "closed"}), "#/ids"),
        (json!({"ids": [], "comment": "x"}), "#/ids"),
        (json!({"ids": vec!["x"; 1_001], "comment": "x"}), "#/ids"),
    ] {
        let answer = centre.send(token, Method::POST, "/api/v1/incidents/bulk", body).await;
        assert_eq!(answer.problem(422)["pointer"], pointer);
    }
    let similar = centre.get(token, &format!("/api/v1/incidents/{own}/similar")).await.json();
    assert_eq!(similar["items"].as_array().unwrap().len(), 1, "{similar}");
    assert_eq!(similar["items"][0]["id"], other.as_str());
    assert_eq!(similar["items"][0]["verdict"], "false_positive");
    assert_eq!(similar["items"][0]["common"]["rules"], json!(["rule-1"]));
}

#[tokio::test]
async fn incidents_are_merged_within_a_commune() {
    let centre = Centre::new().await;
    let token = &centre.tokens.analyst;
    let other = centre.another_incident("dijon", "second-host").await.to_string();
    let merge = async |token: &str, from: &str, into: &str| {
        let uri = format!("/api/v1/incidents/{from}/merge");
        centre.send(token, Method::POST, &uri, json!({"into": into})).await
    };
    let (own, foreign) = (centre.dijon.incident.to_string(), centre.talant.incident.to_string());
    // Whichever of the two is another's, it is one that nobody has.
    let problem = merge(token, &own, &foreign).await.problem(404);
    assert_eq!(problem["pointer"], "#/into");
    merge(token, &own, "nonsense").await.problem(404);
    merge(token, &foreign, &own).await.problem(404);
    merge(&centre.tokens.soc, &own, &foreign).await.problem(422);
    merge(&centre.tokens.reader, &own, &other).await.problem(403);
    let merged = merge(token, "DIJON-2", "DIJON-1").await;
    assert_eq!(merged.json()["detections"], EVENTS as u64 + 1);
    assert_eq!(merged.header("etag"), format!("\"{}\"", merged.json()["version"]));
    let old = centre.get(token, &format!("/api/v1/incidents/{other}")).await.json();
    assert_eq!(old["merged_into"], own.as_str());
    assert_eq!(old["detections"]["total"], 0);
}

#[tokio::test]
async fn an_incident_is_found_as_people_say_it() {
    let centre = Centre::new().await;
    let token = &centre.tokens.analyst;
    let id = centre.dijon.incident.to_string();
    for path in ["DIJON-1", "dijon-1", &id] {
        let uri = format!("/api/v1/incidents/{path}");
        assert_eq!(centre.get(token, &uri).await.json()["id"], id.as_str(), "{path}");
        let detections = centre.get(token, &format!("{uri}/detections")).await;
        assert_eq!(detections.json()["items"].as_array().unwrap().len(), EVENTS);
        for more in ["events", "similar"] {
            assert_eq!(centre.get(token, &format!("{uri}/{more}")).await.status, 200);
        }
        let changed = centre.send(token, Method::PATCH, &uri, json!({"comment": "seen"})).await;
        assert_eq!(changed.status, 200, "{changed:?}");
    }
    let body = json!({"ids": ["DIJON-1", "TALANT-1"], "labels": ["x"]});
    let many = centre.send(token, Method::POST, "/api/v1/incidents/bulk", body).await.json();
    assert_eq!(
        (&many["items"][0]["status"], &many["items"][1]["status"]),
        (&json!(200), &json!(404))
    );
    for nobody in ["TALANT-1", "DIJON-2", "DIJON-", "DIJON-+1", "DIJON-99999999999999999999", "-1"]
    {
        centre.get(token, &format!("/api/v1/incidents/{nobody}")).await.problem(404);
    }
}

#[tokio::test]
async fn what_surrounds_an_event_is_of_its_device_and_commune() {
    let centre = Centre::new().await;
    let id = centre.dijon.events[2].id();
    let around = format!("/api/v1/events/{id}/around");
    let found = centre.get(&centre.tokens.soc, &format!("{around}?window=90s")).await.json();
    assert_eq!(found["query"], "host.name:\"dijon-host\"");
    assert_eq!(found["device"], json!({"field": "host.name", "value": "dijon-host"}));
    for bad in ["window=0s", "window=25h", "window=5", "limit=0"] {
        let field = bad.split('=').next().unwrap();
        let answer = centre.get(&centre.tokens.soc, &format!("{around}?{bad}")).await;
        assert_eq!(answer.problem(400)["field"], field);
    }
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let centre = Centre::new().await;
    let mut all: BTreeSet<String> =
        [centre.dijon.incident.to_string(), centre.talant.incident.to_string()].into();
    for n in 0..5 {
        all.insert(centre.another_incident("dijon", &format!("pc-{n}")).await.to_string());
    }
    let soc = &centre.tokens.soc;
    let pages = pages(&centre, soc, "/api/v1/incidents?limit=2").await;
    assert_eq!(pages.len(), 4);
    let seen: Vec<String> = pages.iter().flat_map(|page| ids(page, "/id")).collect();
    assert_eq!(seen.len(), all.len());
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), all);

    let count = async |token: &str, query: &str| {
        let answer = centre.get(token, &format!("/api/v1/incidents?{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {answer:?}");
        answer.json()["items"].as_array().unwrap().len()
    };
    assert_eq!(count(soc, "severity_min=high").await, 2);
    assert_eq!(count(soc, "severity_min=critical").await, 0);
    assert_eq!(count(soc, "status=new,closed&commune=dijon").await, 6);
    assert_eq!(count(soc, "status=closed").await, 0);
    assert_eq!(count(soc, "updated_since=2099-01-01T00:00:00Z").await, 0);
    assert_eq!(count(&centre.tokens.reader, "").await, 6);

    // A cursor that the SOC got opens nothing more to a commune.
    let cursor = pages[0].json()["next_cursor"].as_str().unwrap().to_owned();
    let lent =
        centre.get(&centre.tokens.reader, &format!("/api/v1/incidents?cursor={cursor}")).await;
    assert!(!lent.text.contains("talant"), "{lent:?}");

    for (query, field) in [
        ("status=open", "status"),
        ("severity_min=5", "severity_min"),
        ("severity_min=low,high", "severity_min"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("cursor=x", "cursor"),
        ("updated_since=yesterday", "updated_since"),
        ("commune=Dijon", "commune"),
        ("commune=", "commune"),
        ("statsu=new", "statsu"),
    ] {
        let problem = centre.get(soc, &format!("/api/v1/incidents?{query}")).await.problem(400);
        assert_eq!(problem["field"], field, "{problem}");
    }
    let hinted = centre.get(soc, "/api/v1/incidents?statsu=new").await.problem(400);
    assert!(hinted["detail"].as_str().unwrap().contains("did you mean \"status\"?"), "{hinted}");
}

#[tokio::test]
async fn detections_and_events_of_an_incident_are_paged_and_survive_the_index() {
    let centre = Centre::new().await;
    let token = &centre.tokens.reader;
    let base = format!("/api/v1/incidents/{}", centre.dijon.incident);
    let detections = pages(&centre, token, &format!("{base}/detections?limit=2")).await;
    let seen: BTreeSet<String> =
        detections.iter().flat_map(|page| ids(page, "/event_id")).collect();
    let expected: BTreeSet<String> =
        centre.dijon.events.iter().map(|event| event.id().to_string()).collect();
    assert_eq!((detections.len(), &seen), (3, &expected));

    let indexed = pages(&centre, token, &format!("{base}/events?limit=2")).await;
    centre.hunt.clear();
    let kept = pages(&centre, token, &format!("{base}/events?limit=2")).await;
    for events in [&indexed, &kept] {
        let seen: BTreeSet<String> =
            events.iter().flat_map(|page| ids(page, "/event/id")).collect();
        assert_eq!(seen, expected);
    }
    let texts = |pages: &[Answer]| pages.iter().map(|page| page.text.clone()).collect::<Vec<_>>();
    assert_eq!(texts(&indexed), texts(&kept));
    centre.get(token, &format!("{base}/events?limit=101")).await.problem(400);
}

#[tokio::test]
async fn hunts_answer_in_ecs_and_page_through_one_window() {
    let centre = Centre::new().await;
    let (soc, reader) = (&centre.tokens.soc, &centre.tokens.reader);
    let all = centre.get(soc, "/api/v1/events").await.json();
    assert_eq!(all["total"], 2 * EVENTS);
    assert_eq!(all["items"][0]["organization"]["id"].as_str().map(str::is_empty), Some(false));
    assert_eq!(centre.get(reader, "/api/v1/events?since=1d").await.json()["total"], EVENTS);
    assert_eq!(centre.get(reader, "/api/v1/events?since=0s").await.json()["total"], 0);
    assert_eq!(centre.get(reader, "/api/v1/events?q=talant-secret").await.json()["total"], 0);
    assert_eq!(
        centre.get(soc, "/api/v1/events?q=talant-secret&commune=dijon").await.json()["total"],
        0
    );

    let pages = pages(&centre, soc, "/api/v1/events?since=1h&limit=3").await;
    let seen: Vec<String> = pages.iter().flat_map(|page| ids(page, "/event/id")).collect();
    assert_eq!((pages.len(), seen.len()), (4, 2 * EVENTS));
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 2 * EVENTS);

    let event = centre.dijon.events[0].to_json();
    let id = centre.dijon.events[0].id();
    assert_eq!(centre.get(reader, &format!("/api/v1/events/{id}")).await.json(), event);

    let path = "/api/v1/events/statistics?field=organization.id&interval=auto&since=1d";
    let counted = centre.get(soc, path).await.json();
    assert_eq!(counted["total"], 2 * EVENTS);
    assert_eq!(counted["fields"][0]["values"][0], json!({"value": "dijon", "count": EVENTS}));
    assert_eq!(counted["histogram"]["buckets"][0]["count"], 2 * EVENTS);
    let own = centre.get(reader, path).await.json();
    assert_eq!((&own["total"], &own["fields"][0]["distinct"]), (&json!(EVENTS), &json!(1)));
    assert!(!own.to_string().contains("talant"), "{own}");
    for query in ["top=0", "top=5000", "interval=0s", "interval=often", "field=a,,b", "limit=3"] {
        centre.get(soc, &format!("/api/v1/events/statistics?{query}")).await.problem(400);
    }

    let problem = centre.get(soc, "/api/v1/events?q=a%20(b").await.problem(400);
    assert_eq!((&problem["field"], &problem["column"]), (&json!("q"), &json!(3)));
    for query in
        ["cursor=n2", "cursor=0.0.x", "since=1h&from=2026-01-01T00:00:00Z", "since=tomorrow"]
    {
        centre.get(soc, &format!("/api/v1/events?{query}")).await.problem(400);
    }
}

#[tokio::test]
async fn an_administrator_onboards_a_commune() {
    let centre = Centre::new().await;
    let admin = &centre.tokens.admin;
    let post = async |uri: &str, body: Value| centre.send(admin, Method::POST, uri, body).await;

    let added = post("/api/v1/communes", json!({"id": "chenove", "name": "Chenôve"})).await;
    assert_eq!(
        (added.status.as_u16(), added.header("location")),
        (201, "/api/v1/communes/chenove")
    );
    post("/api/v1/communes", json!({"id": "chenove"})).await.problem(409);
    for (body, pointer) in [
        (json!({"id": "Chenôve"}), "#/id"),
        (json!({"name": "x"}), "#/id"),
        (json!({"id": "x", "name": ""}), "#/name"),
    ] {
        assert_eq!(post("/api/v1/communes", body).await.problem(422)["pointer"], pointer);
    }

    let feed = json!({"id": "chenove-pc", "commune": "chenove", "format": "windows"});
    let added = post("/api/v1/feeds", feed.clone()).await;
    let key = added.json()["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("jqf_"), "{key}");
    assert_eq!(centre.feeds_changed.load(Ordering::Relaxed), 1);
    post("/api/v1/feeds", feed).await.problem(409);
    let problem =
        post("/api/v1/feeds", json!({"id": "x", "commune": "chenove", "format": "window"}))
            .await
            .problem(422);
    assert!(problem["detail"].as_str().unwrap().contains("did you mean \"windows\"?"), "{problem}");
    let problem =
        post("/api/v1/feeds", json!({"id": "x", "commune": "nowhere", "format": "windows"}))
            .await
            .problem(422);
    assert_eq!(problem["pointer"], "#/commune");
    let rotated =
        centre.ask(Method::POST, "/api/v1/feeds/chenove-pc/rotate", Some(admin), None).await;
    assert_ne!(rotated.json()["key"], key);
    assert_eq!(centre.feeds_changed.load(Ordering::Relaxed), 2);
    assert!(!centre.get(admin, "/api/v1/feeds").await.text.contains("jqf_"));

    let put = async |uri: &str, body: Value| centre.send(admin, Method::PUT, uri, body).await;
    let quota = json!({"records_per_s": 500, "bytes_per_s": null});
    let set = put("/api/v1/feeds/chenove-pc/quota", quota).await;
    assert_eq!((set.status.as_u16(), &set.json()["quota"]), (200, &json!({"records_per_s": 500})));
    assert_eq!(centre.feeds_changed.load(Ordering::Relaxed), 3);
    put("/api/v1/communes/chenove/quota", json!({"bytes_per_s": 1_000})).await;
    let communes = centre.get(admin, "/api/v1/communes").await.json();
    let quotas: Vec<&Value> =
        communes["items"].as_array().unwrap().iter().map(|commune| &commune["quota"]).collect();
    assert!(quotas.contains(&&json!({"bytes_per_s": 1_000})), "{communes}");
    assert!(quotas.contains(&&Value::Null), "{communes}");
    for (body, pointer) in [
        (json!({"records_per_s": 0}), "#/records_per_s"),
        (json!({"records_per_s": 1, "bytes_per_s": 0}), "#/bytes_per_s"),
        (json!({"records_per_s": -1}), "#/records_per_s"),
        (json!({"record_per_s": 1}), "#/record_per_s"),
    ] {
        let problem = put("/api/v1/communes/chenove/quota", body).await.problem(422);
        assert_eq!(problem["pointer"], pointer, "{problem}");
    }
    put("/api/v1/feeds/chenove-pc/quota", json!({})).await;
    let feed = centre.get(admin, "/api/v1/feeds/chenove-pc").await.json();
    assert_eq!(feed.get("quota"), None, "{feed}");

    post("/api/v1/tokens", json!({"name": "all"})).await.problem(422);
    post("/api/v1/tokens", json!({"name": "root", "role": "admin", "communes": ["chenove"]}))
        .await
        .problem(422);
    let added = post("/api/v1/tokens", json!({"name": "chenove", "communes": ["chenove"]})).await;
    let secret = added.json()["secret"].as_str().unwrap().to_owned();
    let me = centre.get(&secret, "/api/v1/me").await.json();
    assert_eq!(me, json!({"name": "token:chenove", "role": "reader", "communes": ["chenove"]}));
    assert_eq!(ids(&centre.get(&secret, "/api/v1/communes").await, "/id"), ["chenove"]);
    assert_eq!(ids(&centre.get(&secret, "/api/v1/feeds").await, "/id"), ["chenove-pc"]);
    assert_eq!(centre.get(&secret, "/api/v1/status").await.json()["counts"]["incidents"], 0);
    let revoked = centre.ask(Method::DELETE, "/api/v1/tokens/chenove", Some(admin), None).await;
    assert_eq!((revoked.status.as_u16(), revoked.text.as_str()), (204, ""));
    centre.get(&secret, "/api/v1/me").await.problem(401);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_a_problem() {
    let centre = Centre::new().await;
    let admin = &centre.tokens.admin;
    let post = |media_type: &str, body: String| {
        let request = Request::post("/api/v1/communes")
            .header("authorization", format!("bearer {admin}"))
            .header("content-type", media_type)
            .body(Body::from(body))
            .unwrap();
        answer(&centre.router, request)
    };
    post("text/plain", "{}".to_owned()).await.problem(415);
    post("application/json", "{\"id\": ".to_owned()).await.problem(400);
    post("application/json", "[]".to_owned()).await.problem(400);
    post("application/json", "[".repeat(1_000_000)).await.problem(400);
    post("application/json", " ".repeat(1 << 20)).await.problem(400);
    post("application/json", " ".repeat((1 << 20) + 1)).await.problem(413);
    let long = json!({"x".repeat(1_000_000): 1}).to_string();
    assert!(post("application/json", long).await.text.len() < 1_000);

    centre.get(admin, "/api/v1/incident").await.problem(404);
    centre.get(admin, "/").await.problem(404);
    centre.get(admin, &format!("/{}", "é".repeat(9_000).replace('é', "%C3%A9"))).await.problem(404);
    for id in ["x", "%ff", "%00", "..%2f..%2fetc", "%E2%80%AE"] {
        centre.get(admin, &format!("/api/v1/incidents/{id}")).await.problem(404);
        centre.get(admin, &format!("/api/v1/feeds/{id}")).await.problem(404);
    }

    // A panic is an error as any other, and tells nothing of the inside.
    let panicked = centre.get(admin, "/api/v1/rules/panic").await;
    panicked.problem(500);
    assert!(!panicked.text.contains("secret") && !panicked.header("x-request-id").is_empty());
    assert_eq!(centre.get(admin, "/api/v1/rules/rule-1").await.json()["title"], "Rule one");
}

#[tokio::test]
async fn every_answer_carries_its_id_and_the_security_headers() {
    let centre = Centre::new().await;
    let ask = |id: &'static str| {
        let request =
            Request::get("/nowhere").header("x-request-id", id).body(Body::empty()).unwrap();
        answer(&centre.router, request)
    };
    assert_eq!(ask("abc-1").await.header("x-request-id"), "abc-1");
    assert_ne!(ask("a b\"").await.header("x-request-id"), "a b\"");
    for uri in ["/healthz", "/api/v1/me", "/nowhere"] {
        let answer = centre.ask(Method::GET, uri, None, None).await;
        assert_eq!(answer.header("x-request-id").len(), 16);
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(answer.header("content-security-policy").contains("default-src 'none'"));
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
}

#[tokio::test]
async fn health_and_metrics_tell_each_what_they_may_know() {
    let centre = Centre::new().await;
    let ready = |token: Option<&'static str>| centre.ask(Method::GET, "/readyz", token, None);
    assert_eq!(ready(None).await.status, 200);
    centre.health.broken.store(true, Ordering::Relaxed);
    let broken = ready(None).await;
    assert_eq!(broken.problem(503)["checks"], json!([{"name": "bus", "ok": false}]));
    ready(Some("wrong")).await.problem(503);
    assert!(!centre.get(&centre.tokens.reader, "/readyz").await.text.contains("/secret/path"));
    assert!(centre.get(&centre.tokens.soc, "/readyz").await.text.contains("/secret/path"));
    assert_eq!(centre.ask(Method::GET, "/healthz", None, None).await.status, 200);

    let uri = format!("/api/v1/incidents/{}", centre.dijon.incident);
    centre.get(&centre.tokens.soc, &uri).await;
    let brew = Method::from_bytes(b"BREW").unwrap();
    centre.ask(brew, "/healthz", None, None).await.problem(405);
    centre.get(&centre.tokens.reader, "/metrics").await.problem(403);
    let text = centre.get(&centre.tokens.soc, "/metrics").await.text;
    let line = "jacquemart_api_requests_total{method=\"GET\",route=\"/api/v1/incidents/{id}\",status=\"200\"} 1";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("jacquemart_api_request_seconds_bucket"), "{text}");
    assert!(!text.contains(&centre.dijon.incident.to_string()) && !text.contains("BREW"));

    let open = api::router(api::Api { metrics_open: true, ..centre.api.clone() });
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    assert_eq!(answer(&open, request).await.status, 200);
}

#[tokio::test]
async fn the_local_operator_needs_no_token_and_a_token_goes_first() {
    let centre = Centre::new().await;
    let me = |token: Option<String>| {
        let mut request = Request::get("/api/v1/me");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        answer(&centre.local, request.body(Body::empty()).unwrap())
    };
    assert_eq!(
        me(None).await.json(),
        json!({"name": "operator", "role": "admin", "communes": null})
    );
    assert_eq!(me(Some(centre.tokens.reader.clone())).await.json()["name"], "token:dijon-reader");
    me(Some("wrong".to_owned())).await.problem(401);
}

/// Sends `request` as it is and reads the answer until the server closes.
async fn over_tcp(address: std::net::SocketAddr, request: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn it_serves_over_tcp() {
    let centre = Centre::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = centre.router.clone();
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let soc = &centre.tokens.soc;

    let get = format!(
        "GET /api/v1/incidents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {soc}\r\nConnection: close\r\n\r\n"
    );
    let answer = over_tcp(address, &get).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(body["items"].as_array().unwrap().len(), 2);

    let head = over_tcp(address, &get.replacen("GET", "HEAD", 1)).await;
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    // No header makes the network local.
    let forged = "GET /api/v1/me HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 127.0.0.1\r\nLocalOperator: operator\r\nConnection: close\r\n\r\n";
    assert!(over_tcp(address, forged).await.starts_with("HTTP/1.1 401"));
    // A body that is announced too large is refused before it is sent.
    let started = Instant::now();
    let admin = &centre.tokens.admin;
    let large = format!(
        "POST /api/v1/communes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {admin}\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n{{"
    );
    assert!(over_tcp(address, &large).await.starts_with("HTTP/1.1 413"));
    assert!(started.elapsed() < Duration::from_secs(5));
    serving.abort();
}
