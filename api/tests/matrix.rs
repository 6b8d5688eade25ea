//! Every route, asked by nobody, with wrong tokens, and by a commune for what is its own,
//! another's, and nobody's: the last two must not differ.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;

use api::{Needs, RouteInfo};
use axum::http::Method;
use serde_json::{Value, json};
use support::{Answer, Centre};

/// How a route is asked for what is Dijon's own, Talant's, and nobody's.
struct Case {
    method: Method,
    path: &'static str,
    own: Target,
    foreign: Target,
    absent: Target,
}

/// A request, and the ids in it that the answer may repeat.
#[derive(Clone)]
struct Target {
    uri: String,
    body: Option<Value>,
    id: String,
}

fn target(uri: impl Into<String>, body: Option<Value>, id: impl Into<String>) -> Target {
    Target { uri: uri.into(), body, id: id.into() }
}

/// Ids that nobody has, as long as real ones.
const NOBODYS: &str = "00000000-0000-8000-8000-000000000000";
const NOWHERE: &str = "nowher";

/// Answers for each of its ids apart.
const BULK: &str = "/api/v1/incidents/bulk";

async fn centre() -> Centre {
    let mut centre = Centre::new().await;
    centre.another = Some(centre.another_incident("dijon", "other-host").await);
    centre
}

/// The centre is about to stop, so that answers that go on end at once.
fn cases(centre: &Centre) -> Vec<Case> {
    centre.api.stopping.cancel();
    let mut cases = Vec::new();
    let mut add = |method: Method, path: &'static str, each: &dyn Fn(&str) -> Target| {
        let [own, foreign, absent] = ["dijon", "talant", NOWHERE].map(each);
        cases.push(Case { method, path, own, foreign, absent });
    };
    // Routes that name no object.
    for path in [
        "/healthz",
        "/readyz",
        "/metrics",
        "/api/v1/openapi.json",
        "/api/v1/docs",
        "/api/v1/me",
        "/api/v1/status",
        "/api/v1/rules",
        "/api/v1/rules/status",
        "/api/v1/communes",
        "/api/v1/tokens",
        "/api/v1/audit",
        "/api/v1/notices",
        "/api/v1/indicators/sources",
        "/api/v1/holds",
        "/api/v1/purges",
        "/api/v1/sla",
        "/api/v1/reports",
        "/api/v1/hunts",
    ] {
        add(Method::GET, path, &|_| target(path, None, "-"));
    }
    // Listings cut down to a commune.
    add(Method::GET, "/api/v1/incidents/export", &|of| {
        target(format!("/api/v1/incidents/export?format=stix&commune={of}"), None, of)
    });
    for path in ["/api/v1/incidents", "/api/v1/incidents/stream", "/api/v1/events", "/api/v1/feeds"]
    {
        add(Method::GET, path, &|of| target(format!("{path}?commune={of}"), None, of));
    }
    add(Method::GET, "/api/v1/sightings", &|of| {
        target(format!("/api/v1/sightings?value=secret&commune={of}"), None, of)
    });
    add(Method::GET, "/api/v1/events/statistics", &|of| {
        let asked = format!("commune={of}&field=message,organization.id&interval=auto");
        target(format!("/api/v1/events/statistics?{asked}"), None, of)
    });
    add(Method::GET, "/api/v1/indicators", &|of| {
        // A value that is only another's is one that nobody knows: an empty list, for all alike.
        let value = if of == "talant" { "talant-secret.evil.example" } else { of };
        target(format!("/api/v1/indicators?value={value}"), None, "-")
    });
    let incident = |of: &str| match of {
        "dijon" => centre.dijon.incident.to_string(),
        "talant" => centre.talant.incident.to_string(),
        _ => NOBODYS.to_owned(),
    };
    for path in [
        "/api/v1/incidents/{id}",
        "/api/v1/incidents/{id}/detections",
        "/api/v1/incidents/{id}/events",
        "/api/v1/incidents/{id}/similar",
    ] {
        add(Method::GET, path, &|of| {
            let id = incident(of);
            target(path.replace("{id}", &id), None, id)
        });
    }
    add(Method::PATCH, "/api/v1/incidents/{id}", &|of| {
        let id = incident(of);
        target(format!("/api/v1/incidents/{id}"), Some(json!({"status": "acknowledged"})), id)
    });
    add(Method::POST, "/api/v1/incidents/{id}/merge", &|of| {
        let id = incident(of);
        // The other one is nobody's own here: who may not see the first hears of none.
        let body = json!({"into": centre.another.unwrap().to_string()});
        target(format!("/api/v1/incidents/{id}/merge"), Some(body), id)
    });
    add(Method::POST, BULK, &|of| {
        let id = incident(of);
        target(BULK, Some(json!({"ids": [id], "comment": "seen", "labels": [of]})), id)
    });
    for path in
        ["/api/v1/events/{id}", "/api/v1/events/{id}/around", "/api/v1/events/{id}/process-tree"]
    {
        add(Method::GET, path, &|of| {
            let id = match of {
                "dijon" => centre.dijon.events[0].id().to_string(),
                "talant" => centre.talant.events[0].id().to_string(),
                _ => NOBODYS.to_owned(),
            };
            target(path.replace("{id}", &id), None, id)
        });
    }
    add(Method::GET, "/api/v1/rules/{id}", &|of| {
        // Rules belong to nobody; the foreign one is another that does not exist.
        let id = if of == "dijon" { "rule-1".to_owned() } else { format!("no-{of}") };
        target(format!("/api/v1/rules/{id}"), None, id)
    });
    add(Method::GET, "/api/v1/rules/{id}/versions", &|of| {
        let id = if of == "dijon" { "rule-1".to_owned() } else { format!("no-{of}") };
        target(format!("/api/v1/rules/{id}/versions"), None, id)
    });
    add(Method::POST, "/api/v1/rules/reload", &|_| {
        target("/api/v1/rules/reload", Some(json!({})), "-")
    });
    add(Method::DELETE, "/api/v1/rule-exceptions/{id}", &|of| {
        let id = match of {
            "dijon" => centre.dijon.exception.clone(),
            "talant" => centre.talant.exception.clone(),
            _ => "0".repeat(centre.dijon.exception.len()),
        };
        target(format!("/api/v1/rule-exceptions/{id}"), None, id)
    });
    add(Method::POST, "/api/v1/notices/{id}/retry", &|of| {
        let id = match of {
            "dijon" => centre.dijon.notice,
            "talant" => centre.talant.notice,
            _ => 9,
        };
        let uri = format!("/api/v1/notices/{id}/retry");
        target(uri, Some(json!({})), format!("notice \\\"{id}\\\""))
    });
    add(Method::GET, "/api/v1/communes/{id}", &|of| {
        target(format!("/api/v1/communes/{of}"), None, of)
    });
    add(Method::GET, "/api/v1/communes/{id}/rules", &|of| {
        target(format!("/api/v1/communes/{of}/rules"), None, of)
    });
    add(Method::POST, "/api/v1/communes/{id}/rules/choices", &|of| {
        let body = json!({"select": "id:rule-1", "state": "disabled", "reason": "loud"});
        target(format!("/api/v1/communes/{of}/rules/choices"), Some(body), of)
    });
    add(Method::POST, "/api/v1/communes/{id}/rules/exceptions", &|of| {
        let body = json!({
            "filter": "title: Ours\n", "owner": "IT", "reason": "loud",
            "expires": "2100-01-01T00:00:00Z",
        });
        target(format!("/api/v1/communes/{of}/rules/exceptions"), Some(body), of)
    });
    add(Method::GET, "/api/v1/feeds/{id}", &|of| {
        target(format!("/api/v1/feeds/{of}-pc"), None, format!("{of}-pc"))
    });
    for path in [
        "/api/v1/feeds/{id}/health",
        "/api/v1/feeds/{id}/health/stream",
        "/api/v1/feeds/{id}/devices",
        "/api/v1/feeds/{id}/rules",
    ] {
        add(Method::GET, path, &|of| {
            let id = format!("{of}-pc");
            target(path.replace("{id}", &id), None, id)
        });
    }
    add(Method::PUT, "/api/v1/feeds/{id}/inventory", &|of| {
        let body = json!({"devices": [format!("{of}-secret")]});
        target(format!("/api/v1/feeds/{of}-pc/inventory"), Some(body), format!("{of}-pc"))
    });
    add(Method::PUT, "/api/v1/communes/{id}/quota", &|of| {
        target(format!("/api/v1/communes/{of}/quota"), Some(json!({"records_per_s": 9})), of)
    });
    add(Method::PUT, "/api/v1/feeds/{id}/quota", &|of| {
        let body = json!({"records_per_s": 9});
        target(format!("/api/v1/feeds/{of}-pc/quota"), Some(body), format!("{of}-pc"))
    });
    add(Method::PUT, "/api/v1/communes/{id}/retention", &|of| {
        target(format!("/api/v1/communes/{of}/retention"), Some(json!({"days": 90})), of)
    });
    add(Method::PUT, "/api/v1/communes/{id}/nis2", &|of| {
        let body = json!({"regime": "essential"});
        target(format!("/api/v1/communes/{of}/nis2"), Some(body), of)
    });
    add(Method::PUT, "/api/v1/sla", &|of| {
        let body = json!({"commune": of, "severity": "high", "acknowledge_min": 20});
        target("/api/v1/sla", Some(body), of)
    });
    add(Method::PUT, "/api/v1/feeds/{id}/retention", &|of| {
        let body = json!({"days": 90});
        target(format!("/api/v1/feeds/{of}-pc/retention"), Some(body), format!("{of}-pc"))
    });
    add(Method::POST, "/api/v1/holds", &|of| {
        target("/api/v1/holds", Some(json!({"commune": of, "reason": "ours"})), of)
    });
    add(Method::DELETE, "/api/v1/holds/{id}", &|of| {
        let id = match of {
            "dijon" => centre.dijon.hold.clone(),
            "talant" => centre.talant.hold.clone(),
            _ => "0".repeat(centre.dijon.hold.len()),
        };
        target(format!("/api/v1/holds/{id}"), None, id)
    });
    add(Method::POST, "/api/v1/purges", &|of| {
        let body = json!({"commune": of, "query": "user.name:x", "reason": "ours"});
        target("/api/v1/purges", Some(body), of)
    });
    let hunt = |of: &str| match of {
        "dijon" => centre.dijon.hunt.clone(),
        "talant" => centre.talant.hunt.clone(),
        _ => "0".repeat(centre.dijon.hunt.len()),
    };
    for method in [Method::GET, Method::DELETE] {
        add(method, "/api/v1/hunts/{id}", &|of| {
            target(format!("/api/v1/hunts/{}", hunt(of)), None, hunt(of))
        });
    }
    add(Method::POST, "/api/v1/hunts", &|of| {
        let body = json!({"name": format!("hunt of {of}"), "query": "user.name:x", "commune": of});
        target("/api/v1/hunts", Some(body), of)
    });
    add(Method::POST, "/api/v1/reports", &|of| {
        let (from, to) = ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
        target("/api/v1/reports", Some(json!({"commune": of, "from": from, "to": to})), of)
    });
    add(Method::GET, "/api/v1/reports/{id}", &|of| {
        let id = match of {
            "dijon" => centre.dijon.report.clone(),
            "talant" => centre.talant.report.clone(),
            _ => "0".repeat(centre.dijon.report.len()),
        };
        target(format!("/api/v1/reports/{id}"), None, id)
    });
    add(Method::GET, "/api/v1/purges/{id}", &|of| {
        let id = match of {
            "dijon" => centre.dijon.purge.clone(),
            "talant" => centre.talant.purge.clone(),
            _ => "0".repeat(centre.dijon.purge.len()),
        };
        target(format!("/api/v1/purges/{id}"), None, id)
    });
    add(Method::POST, "/api/v1/feeds/{id}/rotate", &|of| {
        target(format!("/api/v1/feeds/{of}-pc/rotate"), Some(json!({})), format!("{of}-pc"))
    });
    add(Method::POST, "/api/v1/communes", &|of| {
        target("/api/v1/communes", Some(json!({"id": of})), of)
    });
    add(Method::POST, "/api/v1/feeds", &|of| {
        let body = json!({"id": "new", "commune": of, "format": "windows"});
        target("/api/v1/feeds", Some(body), of)
    });
    add(Method::POST, "/api/v1/tokens", &|of| {
        target("/api/v1/tokens", Some(json!({"name": "new", "communes": [of]})), of)
    });
    add(Method::DELETE, "/api/v1/tokens/{name}", &|of| {
        let name = if of == "dijon" { "dijon-reader".to_owned() } else { format!("no-{of}") };
        target(format!("/api/v1/tokens/{name}"), None, name)
    });
    cases
}

async fn ask(centre: &Centre, case: &Case, target: &Target, token: Option<&str>) -> Answer {
    centre.ask(case.method.clone(), &target.uri, token, target.body.as_ref()).await
}

/// What may differ between two answers that mean the same: the request's id, and the id that
/// was asked for.
fn essence(answer: &Answer, target: &Target) -> (u16, Vec<(String, String)>, String) {
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| *name != "x-request-id")
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    (answer.status.as_u16(), headers, answer.text.replace(&target.id, "ID"))
}

fn assert_alike(what: &str, a: (&Answer, &Target), b: (&Answer, &Target)) {
    assert_eq!(essence(a.0, a.1), essence(b.0, b.1), "{what}");
}

#[tokio::test]
async fn the_matrix_has_every_route_and_no_other() {
    let centre = centre().await;
    let of_router: BTreeSet<_> =
        api::routes().iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    let of_matrix: BTreeSet<_> =
        cases(&centre).iter().map(|case| format!("{} {}", case.method, case.path)).collect();
    assert_eq!(of_router, of_matrix);
}

fn info(case: &Case) -> RouteInfo {
    let all = api::routes();
    all.into_iter().find(|route| route.path == case.path && route.method == case.method).unwrap()
}

#[tokio::test]
async fn nobody_gets_in_without_a_token_that_works() {
    let centre = centre().await;
    let wrong = format!("jqt_{}", "0".repeat(64));
    let too_long = "x".repeat(10_000);
    for case in cases(&centre) {
        if info(&case).needs == Needs::Nobody {
            assert_eq!(ask(&centre, &case, &case.own, None).await.status, 200, "{}", case.path);
            continue;
        }
        for token in
            [None, Some(wrong.as_str()), Some(&centre.tokens.expired), Some(&too_long), Some("é")]
        {
            let own = ask(&centre, &case, &case.own, token).await;
            own.problem(401);
            assert!(own.header("www-authenticate").starts_with("Bearer"), "{own:?}");
            for other in [&case.foreign, &case.absent] {
                let answer = ask(&centre, &case, other, token).await;
                assert_eq!(essence(&own, &case.own), essence(&answer, other), "{}", case.path);
            }
        }
    }
}

#[tokio::test]
async fn what_is_anothers_answers_as_what_is_nobodys() {
    let centre = centre().await;
    for case in cases(&centre) {
        for (role, token) in
            [("reader", &centre.tokens.reader), ("analyst", &centre.tokens.analyst)]
        {
            let what = format!("{role}: {} {}", case.method, case.path);
            let own = ask(&centre, &case, &case.own, Some(token)).await;
            let foreign = ask(&centre, &case, &case.foreign, Some(token)).await;
            let absent = ask(&centre, &case, &case.absent, Some(token)).await;
            assert_alike(&what, (&foreign, &case.foreign), (&absent, &case.absent));
            for answer in [&own, &foreign, &absent] {
                for theirs in ["talant-secret", "talant-host", "PCs of talant"] {
                    assert!(!answer.text.contains(theirs), "{what}: {answer:?}");
                }
                if !answer.status.is_success() {
                    answer.problem(answer.status.as_u16());
                }
            }
            let allowed = match info(&case).needs {
                Needs::Nobody | Needs::Reader => true,
                Needs::Analyst => role == "analyst",
                Needs::Admin | Needs::AllCommunes => false,
            };
            if !allowed {
                own.problem(403);
                assert_alike(&what, (&own, &case.own), (&foreign, &case.foreign));
                continue;
            }
            assert!(matches!(own.status.as_u16(), 200 | 201), "{what}: {own:?}");
            if case.path == BULK {
                assert_eq!(foreign.json()["items"][0]["problem"]["status"], 404, "{what}");
            } else if case.foreign.id != "-" {
                foreign.problem(404);
            }
        }
    }
    let count = centre.db.counts(&all(&centre).await).await.unwrap();
    assert_eq!(count.incidents, 3);
}

async fn all(centre: &Centre) -> store::Scope {
    let soc = store::auth::Secret::presented(&centre.tokens.soc);
    let caller = centre.db.authenticate(&soc, event::Timestamp::now()).await.unwrap().unwrap();
    caller.scope().clone()
}

#[tokio::test]
async fn an_administrator_may_do_all_of_it() {
    let centre = centre().await;
    for case in cases(&centre) {
        let what = format!("{} {}", case.method, case.path);
        let answer = ask(&centre, &case, &case.absent, Some(&centre.tokens.admin)).await;
        let expected: &[u16] = match (&case.method, case.path) {
            // Nobody's commune id is free to be added.
            (&Method::POST, "/api/v1/communes") => &[201],
            (&Method::POST, "/api/v1/feeds" | "/api/v1/tokens") => &[201],
            (&Method::POST, "/api/v1/holds" | "/api/v1/purges") => &[422],
            (&Method::PUT, "/api/v1/sla") => &[422],
            _ if case.absent.id == "-" => &[200],
            _ => &[404, 200],
        };
        assert!(expected.contains(&answer.status.as_u16()), "{what}: {answer:?}");
        let own = ask(&centre, &case, &case.own, Some(&centre.tokens.admin)).await;
        assert!(
            !matches!(own.status.as_u16(), 401 | 403 | 404) && !own.status.is_server_error(),
            "{what}: {own:?}"
        );
    }
}

#[tokio::test]
async fn every_route_refuses_what_it_does_not_know() {
    let centre = centre().await;
    for case in cases(&centre) {
        let route = info(&case);
        let what = format!("{} {}", case.method, case.path);
        if !matches!(route.needs, Needs::Nobody | Needs::AllCommunes) {
            let mut odd = case.own.clone();
            odd.uri.push_str(if odd.uri.contains('?') { "&" } else { "?" });
            odd.uri.push_str("nonsense=1");
            let problem = ask(&centre, &case, &odd, Some(&centre.tokens.admin)).await.problem(400);
            assert_eq!(problem["field"], "nonsense", "{what}");
        }
        if route.body.is_some() {
            let mut odd = case.own.clone();
            odd.body = Some(json!({"nonsense": 1}));
            let problem = ask(&centre, &case, &odd, Some(&centre.tokens.admin)).await.problem(422);
            assert_eq!(problem["pointer"], "#/nonsense", "{what}");
        }
        let odd = Case { method: Method::TRACE, ..case };
        let answer = ask(&centre, &odd, &odd.own, Some(&centre.tokens.admin)).await;
        answer.problem(405);
        assert!(answer.header("allow").contains(route.method.as_str()), "{what}: {answer:?}");
    }
}
