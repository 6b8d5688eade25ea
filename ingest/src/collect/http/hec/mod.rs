//! Splunk's HTTP event collector, so that whatever sends to Splunk needs only a new address and
//! key.
//!
//! | path | body | answer |
//! |---|---|---|
//! | `POST /services/collector`, `…/event`, `…/event/1.0` | objects, one behind the other: `{"event": …, "time": …, "host": …, "source": …, "sourcetype": …, "index": …, "fields": {…}}` | `{"text": "Success", "code": 0}` |
//! | `POST /services/collector/raw`, `…/raw/1.0` | one record a line; `host`, `source`, `sourcetype`, `index` and `time` in the query | the same |
//! | `POST /services/collector/ack` | `{"acks": [1, 2]}` | `{"acks": {"1": true, "2": false}}` |
//! | `GET /services/collector/health`, `…/health/1.0` | | `{"text": "HEC is healthy", "code": 17}` |
//!
//! The record is what `event` holds: a text's content, another value as it stands. What is beside
//! it goes with it as its [`Context`](event::Context): `time` and `host` count where the record
//! has none of its own, the rest is found under `hec.*`. The content type is not looked at.
//!
//! The key comes as `Authorization: Splunk <key>`, as password of `Basic`, or as `token` in the
//! query (which proxies log: prefer the header).
//!
//! What cannot be taken by itself is refused with Splunk's code and `invalid-event-number`, its
//! place from 0; all others of the body are taken, as far as it can be read. An answer with code 0
//! comes once everything is durable, so an `ackId`, which is told where the request names a
//! channel, is true from then on, also after a restart.
//!
//! Source of the shapes and codes: Splunk's documentation of the collector's REST endpoints.

mod events;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, RawQuery, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use event::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::events::{Bad, Events, RawLines};
use super::{
    Open,
    answer::Receipt,
    intake::parameter,
    key,
    problem::Refusal,
    take::{Split, Way},
};

/// Bytes of a question for acknowledgements: far more ids than any client has open.
const ACK_BODY_BYTES_MAX: usize = 1 << 20;
/// After how long a client shall ask again whether there is room.
const UNHEALTHY_RETRY: Duration = Duration::from_secs(5);

/// One of Splunk's answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Code {
    status: StatusCode,
    code: u8,
    text: &'static str,
}

impl Code {
    const fn new(status: StatusCode, code: u8, text: &'static str) -> Self {
        Self { status, code, text }
    }

    const SUCCESS: Self = Self::new(StatusCode::OK, 0, "Success");
    const KEY_MISSING: Self = Self::new(StatusCode::UNAUTHORIZED, 2, "Token is required");
    const KEY_WRONG: Self = Self::new(StatusCode::FORBIDDEN, 4, "Invalid token");
    const NO_DATA: Self = Self::new(StatusCode::BAD_REQUEST, 5, "No data");
    const BAD_DATA: Self = Self::new(StatusCode::BAD_REQUEST, 6, "Invalid data format");
    const INTERNAL: Self = Self::new(StatusCode::INTERNAL_SERVER_ERROR, 8, "Internal server error");
    const BUSY: Self = Self::new(StatusCode::SERVICE_UNAVAILABLE, 9, "Server is busy");
    const NO_EVENT: Self = Self::new(StatusCode::BAD_REQUEST, 12, "Event field is required");
    const BLANK: Self = Self::new(StatusCode::BAD_REQUEST, 13, "Event field cannot be blank");
    const HEALTHY: Self = Self::new(StatusCode::OK, 17, "HEC is healthy");
    const FULL: Self =
        Self::new(StatusCode::SERVICE_UNAVAILABLE, 18, "HEC is unhealthy, queues are full");

    /// The answer, with more members.
    fn with(self, more: Value) -> Response {
        let mut members = Map::from_iter([
            ("text".to_owned(), json!(self.text)),
            ("code".to_owned(), json!(self.code)),
        ]);
        if let Value::Object(more) = more {
            members.extend(more);
        }
        (self.status, Json(Value::Object(members))).into_response()
    }
}

/// The collector's routes.
pub(super) fn routes() -> Router<Arc<Open>> {
    let mut router = Router::new();
    for path in ["", "/event", "/event/1.0"] {
        router = router.route(&format!("/services/collector{path}"), post(events));
    }
    for version in ["", "/1.0"] {
        router = router
            .route(&format!("/services/collector/raw{version}"), post(raw))
            .route(&format!("/services/collector/health{version}"), get(health))
            .route(
                &format!("/services/collector/ack{version}"),
                post(acks).layer(DefaultBodyLimit::max(ACK_BODY_BYTES_MAX)),
            );
    }
    router
}

async fn events(
    State(open): State<Arc<Open>>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    receive(&open, query.as_deref(), request, Events).await
}

async fn raw(
    State(open): State<Arc<Open>>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    let lines = RawLines::of(|name| parameter(query.as_deref(), name));
    receive(&open, query.as_deref(), request, lines).await
}

async fn receive<S: Split<Notes = Option<Bad>>>(
    open: &Open,
    query: Option<&str>,
    mut request: Request,
    split: S,
) -> Response {
    if let Some(token) = parameter(query, "token")
        && let Err(refusal) = key::show(request.headers_mut(), &token)
    {
        return refused(&refusal);
    }
    let names_channel = request.headers().contains_key("x-splunk-request-channel")
        || parameter(query, "channel").is_some();
    let way = Way { limits: &open.door.limits, split, ids: false };
    let received = open.receive(request, &way).await;
    let bad = received.notes.flatten();
    let receipt = match received.outcome {
        Ok(receipt) => receipt,
        Err(Refusal::NothingAcceptable(receipt)) => *receipt,
        Err(refusal) => return refused(&refusal),
    };
    if let Some(bad) = first_bad(bad, &receipt) {
        return bad.code.with(json!({
            "invalid-event-number": bad.record,
            "reason": bad.reason,
            "accepted": receipt.accepted,
        }));
    }
    if receipt.accepted == 0 {
        return Code::NO_DATA.with(Value::Null);
    }
    match names_channel {
        true => Code::SUCCESS.with(json!({ "ackId": next_ack() })),
        false => Code::SUCCESS.with(Value::Null),
    }
}

/// The first event that was turned away, by its form or by its size.
fn first_bad(bad: Option<Bad>, receipt: &Receipt) -> Option<Bad> {
    let other = receipt.rejected.first().map(|rejection| Bad {
        record: rejection.record,
        code: Code::BAD_DATA,
        reason: rejection.reason.clone(),
    });
    // Where both name the same one, what was found by its form knows the better code.
    bad.into_iter().chain(other).min_by_key(|bad| bad.record)
}

/// A refused request in Splunk's words.
fn refused(refusal: &Refusal) -> Response {
    let code = match refusal {
        Refusal::KeyMissing => Code::KEY_MISSING,
        Refusal::KeyWrong => Code::KEY_WRONG,
        Refusal::Busy { .. } | Refusal::Bus { .. } => Code::BUSY,
        Refusal::OverQuota { .. } => Code { status: refusal.kind().0, ..Code::BUSY },
        Refusal::Internal => Code::INTERNAL,
        // The status says more than the code, which is for all that cannot be read.
        other => Code { status: other.kind().0, ..Code::BAD_DATA },
    };
    let mut response = code.with(json!({ "reason": refusal.to_string() }));
    if let Some((name, value)) = refusal.header()
        && name != header::WWW_AUTHENTICATE
    {
        response.headers_mut().insert(name, value);
    }
    response
}

async fn health(State(open): State<Arc<Open>>) -> Response {
    if open.door.bus.has_room(1) {
        return Code::HEALTHY.with(Value::Null);
    }
    let mut response = Code::FULL.with(Value::Null);
    let seconds = HeaderValue::from(UNHEALTHY_RETRY.as_secs());
    response.headers_mut().insert(header::RETRY_AFTER, seconds);
    response
}

/// Ids begin with the microseconds at which the process did, so that those of an earlier process
/// are below.
fn acks_given() -> &'static AtomicU64 {
    static NEXT: std::sync::OnceLock<AtomicU64> = std::sync::OnceLock::new();
    NEXT.get_or_init(|| {
        AtomicU64::new(u64::try_from(Timestamp::now().as_nanos() / 1_000).unwrap_or(1))
    })
}

fn next_ack() -> u64 {
    acks_given().fetch_add(1, Ordering::Relaxed)
}

#[derive(Deserialize)]
struct Asked {
    acks: Vec<u64>,
}

/// Which requests are durable: all that were ever answered with an id.
async fn acks(
    State(open): State<Arc<Open>>,
    RawQuery(query): RawQuery,
    mut headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Some(token) = parameter(query.as_deref(), "token")
        && let Err(refusal) = key::show(&mut headers, &token)
    {
        return refused(&refusal);
    }
    if let Err(refusal) = open.feed_of(key::of(&headers)) {
        open.door.metrics.rejected(None, refusal.reason(), 1);
        return refused(&refusal);
    }
    let Ok(asked) = serde_json::from_slice::<Asked>(&body) else {
        return Code::BAD_DATA.with(json!({ "reason": "ask like {\"acks\": [1, 2]}" }));
    };
    let given = acks_given().load(Ordering::Relaxed);
    let acks: Map<String, Value> =
        asked.acks.iter().map(|id| (id.to_string(), (*id < given).into())).collect();
    Json(json!({ "acks": acks })).into_response()
}

/// See [`super::fuzz`].
#[cfg(fuzzing)]
pub(super) fn fuzz(data: &[u8]) {
    super::fuzz::check(&Events, data);
    super::fuzz::check(&RawLines::of(|_| None), data);
}
