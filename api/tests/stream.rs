//! The live stream of incidents: complete, resumed without a gap, bounded, and each commune's own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::{Duration, Instant};

use axum::{
    body::{Body, BodyDataStream},
    http::{Method, Request, StatusCode},
};
use futures::StreamExt as _;
use serde_json::{Value, json};
use support::{Centre, answer};
use tower::ServiceExt as _;

/// Long after every event that comes.
const PATIENCE: Duration = Duration::from_secs(20);

struct Stream {
    body: BodyDataStream,
    rest: String,
}

#[derive(Debug, PartialEq)]
struct Told {
    kind: String,
    id: u64,
    data: Value,
}

fn request(token: &str, query: &str, last: Option<&str>) -> Request<Body> {
    let mut request = Request::builder()
        .uri(format!("/api/v1/incidents/stream{query}"))
        .header("authorization", format!("Bearer {token}"));
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    request.body(Body::empty()).unwrap()
}

impl Stream {
    async fn open(centre: &Centre, token: &str, query: &str, last: Option<u64>) -> Self {
        let last = last.map(|id| id.to_string());
        let asked = request(token, query, last.as_deref());
        let response = centre.router.clone().oneshot(asked).await.unwrap();
        assert_eq!(response.status(), 200);
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), "text/event-stream");
        assert_eq!(header("cache-control"), "no-store");
        Self { body: response.into_body().into_data_stream(), rest: String::new() }
    }

    /// The next event; `None` where the stream ended.
    async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some((block, rest)) = self.rest.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.rest = rest;
                let line = |name: &str| {
                    block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
                };
                let Some(data) = line("data: ") else { continue };
                return Some(Told {
                    kind: line("event: ").unwrap(),
                    id: line("id: ").unwrap().parse().unwrap(),
                    data: serde_json::from_str(&data).unwrap(),
                });
            }
            let chunk = tokio::time::timeout(PATIENCE, self.body.next()).await.unwrap()?;
            self.rest.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
    }

    async fn next_id(&mut self) -> String {
        self.next().await.unwrap().data["id"].as_str().unwrap().to_owned()
    }
}

async fn comment(centre: &Centre, incident: &str) {
    let uri = format!("/api/v1/incidents/{incident}");
    let body = json!({"comment": "seen"});
    let changed = centre.send(&centre.tokens.soc, Method::PATCH, &uri, body).await;
    assert_eq!(changed.status, 200);
}

#[tokio::test]
async fn every_change_of_ones_own_is_told_at_once() {
    let centre = Centre::new().await;
    let mut dijon = Stream::open(&centre, &centre.tokens.reader, "", None).await;
    let mut soc = Stream::open(&centre, &centre.tokens.soc, "", None).await;
    let mut narrowed = Stream::open(&centre, &centre.tokens.soc, "?commune=talant", None).await;
    let (own, other) = (centre.dijon.incident.to_string(), centre.talant.incident.to_string());
    comment(&centre, &other).await;
    comment(&centre, &own).await;
    let told = dijon.next().await.unwrap();
    assert_eq!((told.kind.as_str(), told.data["id"].as_str().unwrap()), ("incident", &*own));
    assert_eq!(told.data["commune"], "dijon");
    assert_eq!([soc.next_id().await, soc.next_id().await], [other.clone(), own.clone()]);
    assert_eq!(narrowed.next_id().await, other);
    let opened = centre.another_incident("dijon", "new-host").await.to_string();
    assert_eq!(dijon.next_id().await, opened);
    comment(&centre, &other).await;
    assert_eq!(narrowed.next_id().await, other, "and nothing of Dijon between");
    // At once, rather than at the next look; a busy machine may be late with some.
    let mut waits = Vec::new();
    for _ in 0..5 {
        comment(&centre, &own).await;
        let begun = Instant::now();
        dijon.next().await.unwrap();
        waits.push(begun.elapsed());
    }
    assert!(waits.iter().min().unwrap() < &Duration::from_millis(500), "{waits:?}");
}

#[tokio::test]
async fn a_stream_goes_on_without_a_gap() {
    let centre = Centre::new().await;
    let token = &centre.tokens.reader;
    let own = centre.dijon.incident.to_string();
    let mut stream = Stream::open(&centre, token, "", None).await;
    comment(&centre, &own).await;
    let last = stream.next().await.unwrap();
    drop(stream);
    // More than is read at once, while nobody listens.
    let mut opened = Vec::new();
    for n in 0..250 {
        opened.push(centre.another_incident("dijon", &format!("host-{n}")).await.to_string());
        if n % 10 == 0 {
            centre.another_incident("talant", &format!("host-{n}")).await;
        }
    }
    let mut stream = Stream::open(&centre, token, "", Some(last.id)).await;
    for expected in &opened {
        assert_eq!(&stream.next_id().await, expected);
    }
    drop(stream);
    let query = format!("?last_event_id={}", last.id);
    let mut stream = Stream::open(&centre, token, &query, None).await;
    assert_eq!(stream.next_id().await, opened[0]);
    // What the client knows is of another database.
    let mut stream = Stream::open(&centre, token, "", Some(u64::MAX)).await;
    let told = stream.next().await.unwrap();
    assert_eq!((told.kind.as_str(), told.data), ("reset", json!({})));
    comment(&centre, &own).await;
    assert_eq!(stream.next_id().await, own);
    for bad in ["x", "-1", ""] {
        answer(&centre.router, request(token, "", Some(bad))).await.problem(400);
    }
    answer(&centre.router, request(token, "?last_event_id=x", None)).await.problem(400);
}

#[tokio::test]
async fn streams_are_bounded_and_given_back() {
    let centre = Centre::new().await;
    let token = &centre.tokens.reader;
    let mut streams = Vec::new();
    for _ in 0..16 {
        streams.push(Stream::open(&centre, token, "", None).await);
    }
    let refused = answer(&centre.router, request(token, "", None)).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    refused.problem(429);
    assert!(!refused.header("retry-after").is_empty());
    // Another's are its own.
    Stream::open(&centre, &centre.tokens.soc, "", None).await;
    streams.pop();
    Stream::open(&centre, token, "", None).await;
}

#[tokio::test]
async fn a_revoked_token_and_a_stopping_centre_end_streams() {
    let centre = Centre::new().await;
    let mut stream = Stream::open(&centre, &centre.tokens.reader, "", None).await;
    let mut other = Stream::open(&centre, &centre.tokens.soc, "", None).await;
    let revoked = centre
        .ask(Method::DELETE, "/api/v1/tokens/dijon-reader", Some(&centre.tokens.admin), None)
        .await;
    assert!(revoked.status.is_success(), "{revoked:?}");
    let begun = Instant::now();
    assert_eq!(stream.next().await, None);
    // Within 5 s, and on a busy machine a little later.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    centre.api.stopping.cancel();
    assert_eq!(other.next().await, None);
}
