//! Elasticsearch's bulk protocol, as far as shippers need it to send events here.
//!
//! Beats, Logstash, rsyslog's `omelasticsearch`, Fluent Bit and the official clients can send to
//! this door with nothing changed but address and key. The index that they name says nothing:
//! whose events they are says the key.
//!
//! `create` and `index` add a record each and are answered one by one with 201 once it is
//! durable. `update` and `delete` are answered with 400: what was collected is never changed by
//! who sent it. Where the bus is full, the items that were not taken are answered with 429, which
//! shippers send again. A document that is not JSON is taken all the same and shows as a record
//! that cannot be decoded, as shippers drop for good what is refused by itself.
//!
//! [`probes`] answers what clients ask before they send. Source of the shapes: Elasticsearch's
//! reference of the bulk API and what its Python client, Beats and rsyslog really send.

mod actions;
mod probes;

use std::{sync::Arc, time::Instant};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use event::EventId;
use serde_json::{Map, Value, json};

pub use probes::ElasticVersion;

use self::actions::{Actions, Item};
use super::{Open, answer::Receipt, key, limits::HttpLimits, problem::Refusal, take::Way};

/// What becomes of an item whose record was not taken.
const REFUSED: (StatusCode, &str) = (StatusCode::BAD_REQUEST, "illegal_argument_exception");
const TOO_LARGE: (StatusCode, &str) = (StatusCode::PAYLOAD_TOO_LARGE, "illegal_argument_exception");
const NO_ROOM: (StatusCode, &str) =
    (StatusCode::TOO_MANY_REQUESTS, "es_rejected_execution_exception");

/// The bulk routes and what clients ask before.
pub(super) fn routes(open: &Arc<Open>) -> Router<Arc<Open>> {
    let bulk = || post(bulk).put(bulk);
    Router::new()
        .route("/_bulk", bulk())
        .route("/{index}/_bulk", bulk())
        .merge(probes::routes(open))
        .layer(axum::middleware::map_response(named))
}

/// Without this header the official clients refuse to talk to a server.
async fn named(mut response: Response) -> Response {
    let name = HeaderValue::from_static("Elasticsearch");
    response.headers_mut().insert("x-elastic-product", name);
    response
}

async fn bulk(State(open): State<Arc<Open>>, request: Request) -> Response {
    let began = Instant::now();
    // Every item is answered by itself, so every rejection must be known.
    let limits = HttpLimits {
        answer_rejections_max: open.door.limits.batch_records_max,
        ..open.door.limits.clone()
    };
    let way = Way { limits: &limits, split: Actions, ids: true };
    let received = open.receive(request, &way).await;
    let (receipt, retry) = match received.outcome {
        Ok(receipt) => (receipt, None),
        Err(Refusal::NothingAcceptable(receipt)) => (*receipt, None),
        // Part of it is durable: the items say which.
        Err(Refusal::Bus { receipt: Some(receipt), retry, .. }) if receipt.accepted > 0 => {
            (*receipt, Some(retry))
        }
        Err(refusal) => return refused(&refusal),
    };
    let items = received.notes.unwrap_or_default();
    let mut response = Json(answer(&items, &receipt, began)).into_response();
    if let Some(retry) = retry {
        let seconds = HeaderValue::from(retry.as_secs().max(1));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

/// The answer, item by item in the order of the request.
fn answer(items: &[Item], receipt: &Receipt, began: Instant) -> Value {
    let mut rejected = receipt.rejected.iter().peekable();
    let mut ids = receipt.ids.iter().peekable();
    let mut errors = false;
    let items: Vec<Value> = (0..)
        .zip(items)
        .map(|(place, item)| {
            let rejection = rejected.next_if(|rejection| rejection.record == place);
            let failure = if !item.op.adds() {
                Some((REFUSED, "collected events are never changed nor removed by their sender"))
            } else if let Some(rejection) = rejection {
                Some((TOO_LARGE, rejection.reason.as_str()))
            } else if receipt.resume_at_record.is_some_and(|resume| place >= resume) {
                Some((NO_ROOM, "the bus has no room; send it again later"))
            } else {
                None
            };
            errors |= failure.is_some();
            let id = ids.next_if(|(record, _)| *record == place).map(|(_, id)| id);
            one(item, place, id, failure)
        })
        .collect();
    json!({
        "took": u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        "errors": errors,
        "items": items,
    })
}

fn one(
    item: &Item,
    place: u64,
    event: Option<&EventId>,
    failure: Option<((StatusCode, &str), &str)>,
) -> Value {
    // The sender's own id comes back as clients look for it; else the event's, which hunts find.
    let id = item.id.as_deref().map(str::to_owned).or_else(|| event.map(ToString::to_string));
    let mut members = json!({ "_index": item.index.as_deref().unwrap_or("events"), "_id": id });
    let more = match failure {
        None => json!({
            "_version": 1,
            "result": "created",
            "_shards": { "total": 1, "successful": 1, "failed": 0 },
            "_seq_no": place,
            "_primary_term": 1,
            "status": 201,
        }),
        Some(((status, kind), reason)) => json!({
            "status": status.as_u16(),
            "error": { "type": kind, "reason": reason },
        }),
    };
    if let (Some(members), Value::Object(more)) = (members.as_object_mut(), more) {
        members.extend(more);
    }
    Value::Object(Map::from_iter([(item.op.as_str().to_owned(), members)]))
}

/// A refused request in Elasticsearch's words.
fn refused(refusal: &Refusal) -> Response {
    let (status, slug, _) = refusal.kind();
    let (status, kind) = match (status, slug) {
        (StatusCode::UNAUTHORIZED, _) => (status, "security_exception"),
        // Shippers know 429 as "later"; some give up on 503.
        (_, "bus-full" | "busy" | "over-quota") => NO_ROOM,
        (StatusCode::BAD_REQUEST, _) => (status, "illegal_argument_exception"),
        (StatusCode::PAYLOAD_TOO_LARGE, _) => (status, "content_too_long_exception"),
        _ => (status, "status_exception"),
    };
    let reason = json!({ "type": kind, "reason": refusal.to_string() });
    let body = json!({
        "error": { "root_cause": [reason], "type": kind, "reason": refusal.to_string() },
        "status": status.as_u16(),
    });
    let mut response = (status, Json(body)).into_response();
    if let Some((name, value)) = refusal.header() {
        // Clients of this protocol ask for a password, not for a bearer's token.
        let value = match name {
            header::WWW_AUTHENTICATE => HeaderValue::from_static("Basic realm=\"feed\""),
            _ => value,
        };
        response.headers_mut().insert(name, value);
    }
    response
}

/// Whether the headers show a feed's key; if not, the answer in this protocol's words.
fn admitted(open: &Open, headers: &HeaderMap) -> Result<(), Box<Response>> {
    open.feed_of(key::of(headers)).map(|_| ()).map_err(|refusal| {
        open.door.metrics.rejected(None, refusal.reason(), 1);
        Box::new(refused(&refusal))
    })
}

/// See [`super::fuzz`].
#[cfg(fuzzing)]
pub(super) fn fuzz(data: &[u8]) {
    super::fuzz::check(&Actions, data);
}
