//! Sources asked over HTTP, by a server that answers as told: pages, cursors, pauses, faults.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State as Shared},
    http::StatusCode,
    response::Response,
};
use event::Indicator;
use ingest::{
    intel::{Options, Origin, Outcome, Refused, Run, Sink, State, fetch},
    outbound::{Access, Auth, Client, Limits, Secret},
};
use serde_json::{Value, json};

/// One answer, and a piece of the request that it is for.
struct Told {
    path: &'static str,
    query: &'static [&'static str],
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: String,
}

fn told(path: &'static str, body: &Value) -> Told {
    Told { path, query: &[], status: 200, headers: &[], body: body.to_string() }
}

#[derive(Clone, Default)]
struct Script {
    told: Arc<Mutex<VecDeque<Told>>>,
    /// What was wrong with a request; empty at the end of a test.
    wrong: Arc<Mutex<Vec<String>>>,
    authorization: Arc<Mutex<Vec<String>>>,
}

async fn answer(Shared(script): Shared<Script>, request: Request) -> Response {
    let asked = request.uri().to_string();
    let proof = request.headers().get("authorization");
    let proof = proof.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    script.authorization.lock().unwrap().push(proof);
    let Some(told) = script.told.lock().unwrap().pop_front() else {
        script.wrong.lock().unwrap().push(format!("nothing is told for {asked}"));
        return Response::builder().status(500).body(Body::empty()).unwrap();
    };
    let fits = request.uri().path() == told.path
        && told.query.iter().all(|part| {
            asked.contains(part) || part.strip_prefix('!').is_some_and(|part| !asked.contains(part))
        });
    if !fits {
        script
            .wrong
            .lock()
            .unwrap()
            .push(format!("{asked} instead of {} {:?}", told.path, told.query));
    }
    let mut response = Response::builder().status(StatusCode::from_u16(told.status).unwrap());
    for (name, value) in told.headers {
        response = response.header(*name, *value);
    }
    response.body(Body::from(told.body)).unwrap()
}

struct Server {
    url: String,
    script: Script,
}

impl Server {
    async fn start(told: Vec<Told>) -> Self {
        let script = Script { told: Arc::new(Mutex::new(told.into())), ..Script::default() };
        let router = Router::new().fallback(answer).with_state(script.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, script }
    }

    fn done(&self) {
        assert_eq!(*self.script.wrong.lock().unwrap(), Vec::<String>::new());
        assert_eq!(self.script.told.lock().unwrap().len(), 0, "answers are left");
    }
}

#[derive(Default)]
struct Heard {
    values: Vec<String>,
    withdrawn: Vec<String>,
    pages: usize,
}

impl Sink for Heard {
    fn indicator(&mut self, _: Option<&str>, indicator: Indicator) {
        self.values.push(indicator.value);
    }
    fn refused(&mut self, _: Refused) {}
    fn withdrawn(&mut self, group: &str) {
        self.withdrawn.push(group.to_owned());
    }
    fn page(&mut self) {
        self.pages += 1;
    }
}

async fn ask(origin: &Origin, auth: Auth, state: State) -> (Run, Heard) {
    let limits = Limits {
        pause: Duration::from_millis(5),
        pause_max: Duration::from_millis(20),
        tries_max: 3,
        body_bytes_max: 10_000,
        ..Limits::default()
    };
    let client = Client::new(Access { auth, limits, ..Access::default() }).unwrap();
    let heard = Arc::new(Mutex::new(Heard::default()));
    let sink: ingest::intel::SharedSink = heard.clone();
    let run = fetch(origin, &client, &Options::default(), state, &sink).await;
    let heard = std::mem::take(&mut *heard.lock().unwrap());
    (run, heard)
}

fn indicator(n: u32) -> Value {
    json!({"type": "indicator", "id": format!("indicator--{n}"), "pattern_type": "stix",
        "pattern": format!("[domain-name:value = 'n{n}.example']"), "modified": "2026-01-01T00:00:00Z"})
}

fn taxii(server: &Server) -> Origin {
    Origin::Taxii { url: format!("{}/taxii2/", server.url).parse().unwrap(), collections: vec![] }
}

const OBJECTS: &str = "/api/collections/c1/objects/";

fn discovery() -> [Told; 3] {
    [
        told("/taxii2/", &json!({"title": "t", "api_roots": ["/api"]})),
        told("/api/collections/", &json!({"collections": []})),
        told(
            "/api/collections/",
            &json!({"collections": [
                {"id": "c0", "title": "not mine", "can_read": false},
                {"id": "c1", "title": "mine", "can_read": true},
            ]}),
        ),
    ]
}

#[tokio::test]
async fn a_collection_is_read_page_by_page_and_goes_on_where_it_broke() {
    let [first, _, collections] = discovery();
    let page = |query, last, body: Value, status| Told {
        path: OBJECTS,
        query,
        status,
        headers: last,
        body: body.to_string(),
    };
    let server = Server::start(vec![
        first,
        collections,
        page(
            &["match%5Btype%5D=indicator", "!added_after", "!next"],
            &[("x-taxii-date-added-last", "2026-01-01T00:00:01.000000Z")],
            json!({"more": true, "next": "p2", "objects": [indicator(1)]}),
            200,
        ),
        // Told to wait, once, then broken for good.
        page(&["next=p2", "!added_after"], &[("retry-after", "0")], json!({}), 429),
        page(&["next=p2"], &[], json!({}), 503),
        page(&["next=p2"], &[], json!({}), 502),
    ])
    .await;
    let auth = || Auth::Basic("soc".to_owned(), Secret::new("pass-word\n"));
    let (run, heard) = ask(&taxii(&server), auth(), State::default()).await;
    server.done();
    assert_eq!((run.outcome, heard.values), (Outcome::Changes, vec!["n1.example".to_owned()]));
    let error = run.error.unwrap().to_string();
    assert!(error.contains("the server answered 502") && !error.contains("next="), "{error}");
    // base64 of soc:pass-word
    assert_eq!(server.script.authorization.lock().unwrap()[0], "Basic c29jOnBhc3Mtd29yZA==");

    let [first, _, collections] = discovery();
    server.script.told.lock().unwrap().extend([
        first,
        collections,
        page(
            &["added_after=2026-01-01T00%3A00%3A01.000000Z", "!next"],
            &[("x-taxii-date-added-last", "2026-01-02T00:00:00.000000Z")],
            json!({"more": true, "objects": [indicator(2)]}),
            200,
        ),
        page(
            &["added_after=2026-01-02T00%3A00%3A00.000000Z"],
            &[("x-taxii-date-added-last", "2026-01-03T00:00:00.000000Z")],
            json!({"objects": [indicator(3), {"type": "indicator", "id": "indicator--1", "revoked": true}]}),
            200,
        ),
    ]);
    let (run, heard) = ask(&taxii(&server), auth(), run.state).await;
    server.done();
    assert!(run.error.is_none(), "{:?}", run.error);
    assert_eq!(heard.values, ["n2.example", "n3.example"]);
    assert_eq!((heard.withdrawn, heard.pages), (vec!["indicator--1".to_owned()], 2));
    let cursor = run.state.added_after.values().next().unwrap();
    assert_eq!(cursor, "2026-01-03T00:00:00.000000Z");
}

#[tokio::test]
async fn a_server_that_is_none_is_told_so() {
    for (body, reason) in [
        (json!({"title": "t"}), "neither a TAXII 2.1 discovery"),
        (json!([1]), "not what TAXII 2.1 says"),
    ] {
        let server = Server::start(vec![told("/taxii2/", &body)]).await;
        let (run, _) = ask(&taxii(&server), Auth::None, State::default()).await;
        assert!(run.error.unwrap().to_string().contains(reason));
        assert_eq!(run.outcome, Outcome::Unchanged);
        server.done();
    }
    let [first, none, _] = discovery();
    let server = Server::start(vec![first, none]).await;
    let (run, _) = ask(&taxii(&server), Auth::None, State::default()).await;
    assert!(run.error.unwrap().to_string().contains("no collection that may be read"));
    let [first, _, collections] = discovery();
    let more = json!({"more": true, "objects": []});
    let server = Server::start(vec![first, collections, told(OBJECTS, &more)]).await;
    let (run, _) = ask(&taxii(&server), Auth::None, State::default()).await;
    assert!(run.error.unwrap().to_string().contains("but not where"));
}

#[tokio::test]
async fn a_document_is_fetched_once_and_again_when_it_changed() {
    let list = |query, status, body: &str| Told {
        path: "/list.txt",
        query,
        status,
        headers: &[("etag", "\"v1\"")],
        body: body.to_owned(),
    };
    let server = Server::start(vec![list(&["key=secret"], 200, "a.example\n")]).await;
    let origin = Origin::Http {
        url: format!("{}/list.txt?key=secret", server.url).parse().unwrap(),
        shape: None,
    };
    let auth = || Auth::Bearer(Secret::new("t"));
    let (run, heard) = ask(&origin, auth(), State::default()).await;
    assert_eq!((run.outcome, heard.values), (Outcome::Whole, vec!["a.example".to_owned()]));
    server.script.told.lock().unwrap().push_back(list(&[], 304, ""));
    let (run, _) = ask(&origin, auth(), run.state).await;
    assert_eq!((run.outcome, run.error.is_none()), (Outcome::Unchanged, true));
    for (status, body, reason) in [
        (404, String::new(), "answered 404; look at its URL"),
        (403, String::new(), "look at its user, password or token"),
        (200, "x".repeat(20_000), "more than 10000 bytes"),
        (200, "{\"objects\": [".to_owned(), "no stix document"),
    ] {
        server.script.told.lock().unwrap().push_back(list(&[], status, &body));
        let (run, _) = ask(&origin, auth(), run.state.clone()).await;
        let error = run.error.unwrap().to_string();
        assert!(error.contains(reason) && !error.contains("secret"), "{error}");
        assert_eq!(run.outcome, Outcome::Unchanged);
    }
    server.done();
    assert!(server.script.authorization.lock().unwrap().iter().all(|proof| proof == "Bearer t"));
}

#[tokio::test]
async fn a_misp_feed_gives_what_changed() {
    const FIRST: &str = "11111111-1111-4111-8111-111111111111";
    const SECOND: &str = "22222222-2222-4222-8222-222222222222";
    let event = |uuid: &str, value: &str| {
        json!({"Event": {"uuid": uuid, "info": "x", "Attribute": [
            {"uuid": "a", "type": "domain", "value": value, "to_ids": true}]}})
    };
    let manifest = |events: Value| told("/feed/manifest.json", &events);
    let first = "/feed/11111111-1111-4111-8111-111111111111.json";
    let second = "/feed/22222222-2222-4222-8222-222222222222.json";
    let server = Server::start(vec![
        manifest(json!({FIRST: {"timestamp": "100"}, SECOND: {"timestamp": 200}})),
        told(first, &event(FIRST, "one.example")),
        told(second, &event(SECOND, "two.example")),
    ])
    .await;
    let origin = Origin::MispFeed { url: format!("{}/feed", server.url).parse().unwrap() };
    let key = || Auth::Key(Secret::new("misp-key"));
    let (run, heard) = ask(&origin, key(), State::default()).await;
    server.done();
    assert!(run.error.is_none(), "{:?}", run.error);
    assert_eq!(heard.values, ["one.example", "two.example"]);
    server.script.told.lock().unwrap().extend([
        manifest(json!({SECOND: {"timestamp": 201}})),
        told(second, &event(SECOND, "changed.example")),
    ]);
    let (run, heard) = ask(&origin, key(), run.state).await;
    server.done();
    assert_eq!(
        (heard.values, heard.withdrawn),
        (vec!["changed.example".to_owned()], vec![FIRST.to_owned(), SECOND.to_owned()])
    );
    assert_eq!(run.state.events.len(), 1);
    assert_eq!(server.script.authorization.lock().unwrap()[0], "misp-key");
    server
        .script
        .told
        .lock()
        .unwrap()
        .push_back(manifest(json!({"../etc/passwd": {"timestamp": 1}})));
    let (run, _) = ask(&origin, key(), run.state).await;
    assert!(run.error.unwrap().to_string().contains("no UUID"));
}
