//! `POST /ingest`: batches of JSON records over HTTP.
//!
//! The feed's key comes as `Authorization: Bearer`; the body is NDJSON, a JSON array or single
//! objects, told apart by content ([`split`]), plain or with `Content-Encoding` gzip or zstd.
//! Each well-formed JSON value is one record, its bytes exactly as sent.
//!
//! | status | when | what is on the bus |
//! |---|---|---|
//! | 200 | at least one record was accepted, or the body holds none | `accepted`; not `rejected` |
//! | 422 | there are records, none well-formed | nothing |
//! | 400, 408, 413, 415 | the body as a whole can't be read | nothing |
//! | 401, 405 | wrong key, wrong method | nothing |
//! | 503 + `Retry-After` | the bus is full or stopped, or too many senders at once | what `accepted` says, nothing where it is absent |
//!
//! A 200 tells the rejected records one by one: they are the sender's to mend, sending them
//! again would not help. A 503 is for all that was not accepted. A body of up to
//! `append_bytes_max` is taken whole or not at all; of a larger one a 503 may tell that its
//! first records are durable and where to resume. A sender that rather repeats the whole body
//! doubles those records but loses none.

mod answer;
mod body;
mod buffer;
mod coding;
mod limits;
mod problem;
mod serve;
mod split;
mod take;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, header, request},
    response::{IntoResponse, Response},
    routing::post,
};
use event::Feed;
use tokio::sync::Semaphore;

pub use limits::HttpLimits;
pub use serve::serve;

use self::{answer::Receipt, coding::Coding, problem::Refusal};
use super::{admission::Admission, meter::CollectMetrics};
use crate::{Feeds, bus::Bus};

/// What the HTTP door needs.
#[derive(Clone)]
pub struct HttpDoor {
    /// Where records go.
    pub bus: Arc<dyn Bus>,
    /// Which feed a key opens.
    pub feeds: Arc<dyn Feeds>,
    /// The memory that it shares with the other doors.
    pub admission: Admission,
    /// Its own bounds.
    pub limits: HttpLimits,
    /// Where it counts.
    pub metrics: CollectMetrics,
}

/// The door with what is shared between its requests.
struct Open {
    door: HttpDoor,
    requests: Arc<Semaphore>,
}

/// A router with `POST /ingest` alone, to be served or merged.
pub fn router(door: HttpDoor) -> Router {
    let requests = Arc::new(Semaphore::new(door.limits.concurrent_requests_max));
    Router::new()
        .route("/ingest", post(ingest).fallback(wrong_method))
        .with_state(Arc::new(Open { door, requests }))
}

async fn wrong_method() -> Response {
    Refusal::Method.into_response()
}

async fn ingest(State(open): State<Arc<Open>>, request: Request) -> Response {
    let (head, mut body) = request.into_parts();
    let mut feed = None;
    match open.receive(&head, &mut body, &mut feed).await {
        Ok(receipt) => Json(receipt).into_response(),
        Err(refusal) => {
            let door = &open.door;
            if !matches!(refusal, Refusal::NothingAcceptable(_)) {
                door.metrics.rejected(feed.as_deref(), refusal.reason(), 1);
            }
            if refusal.may_linger() {
                body::linger(body, door.limits.body_bytes_max);
            }
            refusal.into_response()
        }
    }
}

impl Open {
    /// One request, in the order in which a refusal costs least. `feed` is set once it is known.
    async fn receive(
        &self,
        head: &request::Parts,
        body: &mut axum::body::Body,
        feed: &mut Option<Arc<Feed>>,
    ) -> Result<Receipt, Refusal> {
        let HttpDoor { bus, admission, limits, .. } = &self.door;
        let feed = feed.insert(self.authenticate(&head.headers)?);
        let coding = Coding::of(&head.headers)?;
        if !bus.has_room(1) {
            let error = take::why_no_room(bus.as_ref()).await;
            return Err(Refusal::Bus { error, retry: limits.bus_retry_after, receipt: None });
        }
        let _turn = self
            .requests
            .try_acquire()
            .map_err(|_| Refusal::Busy { retry: limits.busy_retry_after })?;
        let body = body::read(body, limits, admission).await?;
        let batch = take::unpack(body, coding, limits, admission).await?;
        take::hand_over(batch, bus.as_ref(), feed, &self.door).await
    }

    /// The feed whose key the headers show.
    fn authenticate(&self, headers: &HeaderMap) -> Result<Arc<Feed>, Refusal> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(Refusal::KeyMissing);
        };
        let key = value
            .to_str()
            .ok()
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, key)| key.trim())
            .filter(|key| !key.is_empty())
            .ok_or(Refusal::KeyMissing)?;
        self.door.feeds.by_key(key).ok_or(Refusal::KeyWrong)
    }
}
