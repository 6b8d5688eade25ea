//! SEKOIA.IO's HTTP intake: the same paths, keys and answers, so that a forwarder or a vendor's
//! console that knows "Sekoia" needs only a new address and key.
//!
//! | POST | body | answer |
//! |---|---|---|
//! | `/plain` | one event, text | `{"event_id": "…"}` |
//! | `/plain/batch` | one event a line | `{"event_ids": ["…"]}` |
//! | `/jsons` | an array of events; with `?path=$.a.b` the array that lies there | `{"event_ids": ["…"]}` |
//! | `/` | `{"intake_key": "…", "json": event}` | `{"event_id": "…"}` |
//! | `/batch` | `{"intake_key": "…", "jsons": [event, …]}` | `{"event_ids": ["…"]}` |
//! | `/array` | `[{"intake_key": "…", "json": event}, …]`, of several feeds | `{"event_ids": ["…"]}` |
//!
//! An event is a text, whose content is the record, or another JSON value, which is the record as
//! it stands. The key comes as `X-SEKOIAIO-INTAKE-KEY`, as password of `Basic`, as `intake_key` in
//! the query (which proxies log: prefer the header) or in the body. The ids are those of the
//! events, under which hunts find them. What was turned away by itself, which the service knows
//! nothing of, comes as `rejected`, as from `/ingest`; so do errors.
//!
//! Source of the shapes: SEKOIA.IO's documentation of its collection by HTTPS.

mod events;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{RawQuery, Request, State},
    response::{IntoResponse, Response},
    routing::post,
};
use event::Feed;
use serde_json::json;

use self::events::{Keyed, Lines, Listed, One, Shares};
use super::{
    Open,
    answer::Receipt,
    key,
    problem::Refusal,
    take::{self, Batch, Split, Way},
};
use crate::quota::Load;

/// What the answer holds: one id, or a list of them.
#[derive(Clone, Copy)]
enum Told {
    One,
    All,
}

/// The intake's routes.
pub(super) fn routes() -> Router<Arc<Open>> {
    Router::new()
        .route("/plain", post(plain))
        .route("/plain/batch", post(plain_batch))
        .route("/jsons", post(jsons))
        .route("/", post(one))
        .route("/batch", post(batch))
        .route("/array", post(array))
}

async fn plain(
    State(open): State<Arc<Open>>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    respond(keyed_by_head(&open, query.as_deref(), request, One).await, Told::One)
}

async fn plain_batch(
    State(open): State<Arc<Open>>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    respond(keyed_by_head(&open, query.as_deref(), request, Lines).await, Told::All)
}

async fn jsons(
    State(open): State<Arc<Open>>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    let path = parameter(query.as_deref(), "path");
    let listed = match Listed::at(path.as_deref()) {
        Ok(listed) => listed,
        Err(reason) => return Refusal::Shape(reason).into_response(),
    };
    respond(keyed_by_head(&open, query.as_deref(), request, listed).await, Told::All)
}

async fn one(State(open): State<Arc<Open>>, request: Request) -> Response {
    respond(keyed_by_body(&open, request, Keyed::One).await, Told::One)
}

async fn batch(State(open): State<Arc<Open>>, request: Request) -> Response {
    respond(keyed_by_body(&open, request, Keyed::Batch).await, Told::All)
}

async fn array(State(open): State<Arc<Open>>, request: Request) -> Response {
    respond(keyed_by_body(&open, request, Keyed::Array).await, Told::All)
}

fn respond(outcome: Result<Receipt, Refusal>, told: Told) -> Response {
    let receipt = match outcome {
        Ok(receipt) => receipt,
        Err(refusal) => return refusal.into_response(),
    };
    let ids: Vec<String> = receipt.ids.iter().map(|(_, id)| id.to_string()).collect();
    let mut answer = match told {
        Told::One => json!({ "event_id": ids.first() }),
        Told::All => json!({ "event_ids": ids }),
    };
    if receipt.rejected_count > 0 {
        answer["rejected_count"] = json!(receipt.rejected_count);
        answer["rejected"] = json!(receipt.rejected);
    }
    Json(answer).into_response()
}

/// A request whose key stands before its body.
async fn keyed_by_head<S: Split>(
    open: &Open,
    query: Option<&str>,
    mut request: Request,
    split: S,
) -> Result<Receipt, Refusal> {
    if let Some(key) = parameter(query, "intake_key") {
        key::show(request.headers_mut(), &key)?;
    }
    let way = Way { limits: &open.door.limits, split, ids: true };
    open.receive(request, &way).await.outcome
}

/// A request whose body names the key, or several. All must open a feed before anything is
/// taken. Where the bus fails between two feeds, sending the whole again doubles what the first
/// had and loses nothing.
async fn keyed_by_body(open: &Open, request: Request, split: Keyed) -> Result<Receipt, Refusal> {
    let (head, mut body) = request.into_parts();
    let way = Way { limits: &open.door.limits, split, ids: true };
    let mut known: Option<Arc<Feed>> = None;
    let outcome = async {
        let (batch, shares, _turn) = open.unpack(&head, &mut body, &way).await?;
        let fallback = key::of(&head.headers);
        let feeds = feeds(open, &shares, fallback.as_deref())?;
        let mut whole = Receipt::default();
        let batches: Vec<Batch> = (0..feeds.len())
            .map(|place| batch.only(shares.faults[place], |record| shares.of(record) == place))
            .collect();
        let charged: Vec<_> =
            feeds.iter().zip(&batches).map(|(feed, mine)| mine.share(feed)).collect();
        // One by one first, so that the refusal counts as that of the feed which is over.
        for feed in &feeds {
            known = Some(Arc::clone(feed));
            open.charge(&[Load::nothing(feed)])?;
        }
        open.charge(&charged)?;
        for (mine, feed) in batches.into_iter().zip(&feeds) {
            known = Some(Arc::clone(feed));
            let (bus, metrics) = (open.door.bus.as_ref(), &open.door.metrics);
            match take::hand_over(mine, bus, feed, &way, metrics).await {
                Ok(receipt) => whole.join(receipt),
                Err(Refusal::NothingAcceptable(receipt)) => whole.join(*receipt),
                Err(refusal) => return Err(refusal),
            }
        }
        match whole.accepted {
            0 if whole.rejected_count > 0 => Err(Refusal::NothingAcceptable(Box::new(whole))),
            _ => Ok(whole),
        }
    }
    .await;
    if let Err(refusal) = &outcome {
        open.turn_away(refusal, known.as_deref(), body);
    }
    outcome
}

/// The feed of each share; the head's key for those that name none.
fn feeds(open: &Open, shares: &Shares, fallback: Option<&str>) -> Result<Vec<Arc<Feed>>, Refusal> {
    let key = |named: &Option<String>| named.clone().or_else(|| fallback.map(str::to_owned));
    shares.keys.iter().map(|named| open.feed_of(key(named))).collect()
}

/// A parameter of a query, decoded.
pub(super) fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let query = query?;
    form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

/// See [`super::fuzz`].
#[cfg(fuzzing)]
pub(super) fn fuzz(data: &[u8]) {
    super::fuzz::check(&One, data);
    super::fuzz::check(&Lines, data);
    for path in [None, Some("$.a.b")] {
        if let Ok(listed) = Listed::at(path) {
            super::fuzz::check(&listed, data);
        }
    }
    for keyed in [Keyed::One, Keyed::Batch, Keyed::Array] {
        super::fuzz::check(&keyed, data);
    }
}
