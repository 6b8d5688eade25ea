//! Batches of records over HTTP: `POST /ingest`, and the protocols that shippers already speak.
//!
//! [`bulk`] is Elasticsearch's, [`intake`] SEKOIA.IO's, [`hec`] Splunk's, [`otlp`]
//! OpenTelemetry's. All find the feed's key
//! the same way ([`key`]) and share bounds, memory and the way onto the bus; they differ in how a body holds records and in how the
//! answer is worded. What follows is `/ingest`.
//!
//! The body is NDJSON, a JSON array or single
//! objects, told apart by content ([`split`]), plain or with `Content-Encoding` gzip or zstd.
//! Each well-formed JSON value is one record, its bytes exactly as sent. A Windows event file
//! (`.evtx`), told by how it begins, is taken too: each of its records as JSON.
//!
//! | status | when | what is on the bus |
//! |---|---|---|
//! | 200 | at least one record was accepted, or the body holds none | `accepted`; not `rejected` |
//! | 422 | there are records, none well-formed | nothing |
//! | 400, 408, 413, 415 | the body as a whole can't be read | nothing |
//! | 401, 405 | wrong key, wrong method | nothing |
//! | 429 + `Retry-After` | the feed or its commune sends more than its quota | nothing |
//! | 503 + `Retry-After` | the bus is full or stopped, or too many senders at once | what `accepted` says, nothing where it is absent |
//!
//! A 200 tells the rejected records one by one: they are the sender's to mend, sending them
//! again would not help. A 503 is for all that was not accepted. A body of up to
//! `append_bytes_max` is taken whole or not at all; of a larger one a 503 may tell that its
//! first records are durable and where to resume. A sender that rather repeats the whole body
//! doubles those records but loses none.
//!
//! With an `Idempotency-Key` a batch that was answered with 200 can be repeated and adds nothing
//! ([`repeat`]); 409 tells that it is still being taken, 422 that the key stands for another one.

mod answer;
mod body;
mod buffer;
mod bulk;
mod coding;
#[cfg(fuzzing)]
pub mod fuzz;
mod hec;
mod intake;
mod key;
mod limits;
mod otlp;
mod problem;
mod repeat;
mod serve;
mod split;
mod take;

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Body,
    extract::{Request, State},
    http::request,
    response::{IntoResponse, Response},
    routing::post,
};
use event::Feed;
use tokio::sync::{Semaphore, SemaphorePermit};

pub use bulk::ElasticVersion;
pub use limits::HttpLimits;
pub use serve::serve;

use self::{
    answer::Receipt,
    coding::Coding,
    problem::Refusal,
    repeat::{Begun, Repeats, Taking},
    split::{SplitLimits, Unsplittable},
    take::{Batch, Found, Split, Way},
};
use super::{admission::Admission, meter::CollectMetrics};
use crate::{Batches, Feeds, bus::Bus, quota::Load};

/// What the HTTP door needs.
#[derive(Clone)]
pub struct HttpDoor {
    /// Where records go.
    pub bus: Arc<dyn Bus>,
    /// Which batches were taken before.
    pub batches: Arc<dyn Batches>,
    /// Which feed a key opens.
    pub feeds: Arc<dyn Feeds>,
    /// The memory that it shares with the other doors.
    pub admission: Admission,
    /// Its own bounds.
    pub limits: HttpLimits,
    /// Where it counts.
    pub metrics: CollectMetrics,
    /// What it says it is to Elasticsearch's clients.
    pub elastic_version: ElasticVersion,
}

/// Takes a batch that this process does not know yet, unless it was taken before.
async fn take_once(
    batch: Batch,
    door: &HttpDoor,
    feed: &Arc<Feed>,
    way: &Way<'_, ()>,
    (taking, digest): (Taking, String),
) -> Result<Receipt, Refusal> {
    let batches = door.batches.as_ref();
    let taking = match taking.known(batches, &digest).await? {
        Begun::First(taking) => taking,
        Begun::Again(receipt) => return Ok(Receipt { is_replayed: true, ..receipt }),
    };
    if let Err(over) = door.feeds.admit(&[batch.share(feed)]) {
        taking.undone(batches).await;
        return Err(Refusal::OverQuota { over });
    }
    let mark = |receipt: &Receipt| taking.mark(&digest, receipt);
    let metrics = &door.metrics;
    let outcome = take::hand_over_marked(batch, &*door.bus, feed, (way, metrics), mark).await;
    match &outcome {
        Ok(receipt) => {
            // Its mark says so too, to whoever reads the bus: this is for those who ask before.
            if let Some(mark) = taking.mark(&digest, receipt)
                && let Err(error) = batches.settle(&feed.id, mark).await
            {
                tracing::warn!(%error, "failed to keep that a batch was taken");
            }
            taking.done(receipt);
        }
        Err(refusal) if refusal.is_settled() => taking.undone(batches).await,
        // Whether it is on the bus is known once what is there has been read.
        Err(_) => {}
    }
    outcome
}

/// The door with what is shared between its requests.
struct Open {
    door: HttpDoor,
    requests: Semaphore,
    repeats: Arc<Repeats>,
}

/// What became of one request.
struct Received<N> {
    outcome: Result<Receipt, Refusal>,
    /// What splitting the body left for the answer; `None` where it did not come so far.
    notes: Option<N>,
}

/// A router with `POST /ingest` and the other protocols, to be served or merged.
pub fn router(door: HttpDoor) -> Router {
    let requests = Semaphore::new(door.limits.concurrent_requests_max);
    let open = Arc::new(Open { door, requests, repeats: Arc::default() });
    Router::new()
        .route("/ingest", post(ingest).fallback(wrong_method))
        .merge(bulk::routes(&open))
        .merge(hec::routes())
        .merge(intake::routes())
        .merge(otlp::routes())
        .with_state(open)
}

async fn wrong_method() -> Response {
    Refusal::Method.into_response()
}

async fn ingest(State(open): State<Arc<Open>>, request: Request) -> Response {
    let way = Way { limits: &open.door.limits, split: Whole, ids: false };
    match open.receive(request, &way).await.outcome {
        Ok(receipt) if receipt.is_replayed => {
            ([("idempotency-replayed", "true")], Json(receipt)).into_response()
        }
        Ok(receipt) => Json(receipt).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// Records that are what the body holds, as it holds them.
#[derive(Clone)]
struct Whole;

impl Split for Whole {
    type Notes = ();

    const REPEATABLE: bool = true;

    fn split(&self, body: &[u8], limits: SplitLimits) -> Result<Found<()>, Unsplittable> {
        if body.starts_with(split::evtx::MAGIC) {
            let (pieces, text) = split::evtx::split(body, limits)?;
            return Ok(Found { pieces, text: Some(text), notes: () });
        }
        Ok(Found { pieces: split::split(body, limits)?, text: None, notes: () })
    }
}

impl Open {
    /// One request whose head shows its feed's key.
    async fn receive<S: Split>(&self, request: Request, way: &Way<'_, S>) -> Received<S::Notes> {
        let (head, mut body) = request.into_parts();
        let (mut feed, mut notes) = (None, None);
        let outcome = self.take(&head, &mut body, way, &mut feed, &mut notes).await;
        if let Err(refusal) = &outcome {
            self.turn_away(refusal, feed.as_deref(), body);
        }
        Received { outcome, notes }
    }

    /// Counts a refusal and leaves the body in a state that lets the sender read it.
    fn turn_away(&self, refusal: &Refusal, feed: Option<&Feed>, body: Body) {
        // The records of such a body were counted one by one.
        if !matches!(refusal, Refusal::NothingAcceptable(_)) {
            self.door.metrics.rejected(feed, refusal.reason(), 1);
        }
        if refusal.may_linger() {
            body::linger(body, self.door.limits.body_bytes_max);
        }
    }

    /// One request, in the order in which a refusal costs least. `feed` and `notes` are set
    /// once they are known.
    async fn take<S: Split>(
        &self,
        head: &request::Parts,
        body: &mut Body,
        way: &Way<'_, S>,
        feed: &mut Option<Arc<Feed>>,
        notes: &mut Option<S::Notes>,
    ) -> Result<Receipt, Refusal> {
        let feed = feed.insert(self.feed_of(key::of(&head.headers))?);
        // Before the body is read, which whoever is over the quota must not burden us with.
        self.charge(&[Load::nothing(feed)])?;
        let key = if S::REPEATABLE { repeat::key_of(&head.headers)? } else { None };
        let (batch, noted, _turn) = self.unpack(head, body, way).await?;
        *notes = Some(noted);
        match key {
            Some(key) => self.hand_over_once(batch, feed, way, key).await,
            None => {
                self.charge(&[batch.share(feed)])?;
                take::hand_over(batch, self.door.bus.as_ref(), feed, way, &self.door.metrics).await
            }
        }
    }

    /// Hands a batch over that a sender may repeat. It goes on where the sender hangs up, which
    /// is when it is repeated: what became of it must be known then.
    async fn hand_over_once<S>(
        &self,
        batch: Batch,
        feed: &Arc<Feed>,
        way: &Way<'_, S>,
        key: String,
    ) -> Result<Receipt, Refusal> {
        let digest = batch.digest(way.limits).await?;
        let taking = match self.repeats.begin(&feed.id, key, digest.clone())? {
            Begun::First(taking) => taking,
            Begun::Again(receipt) => return Ok(Receipt { is_replayed: true, ..receipt }),
        };
        let (door, feed, ids) = (self.door.clone(), Arc::clone(feed), way.ids);
        let handed = tokio::spawn(async move {
            let way = Way { limits: &door.limits, split: (), ids };
            take_once(batch, &door, &feed, &way, (taking, digest)).await
        });
        handed.await.unwrap_or_else(|error| {
            tracing::error!(%error, "failed to hand a batch over");
            Err(Refusal::Internal)
        })
    }

    /// The records of a body, while there is room for them.
    async fn unpack<S: Split>(
        &self,
        head: &request::Parts,
        body: &mut Body,
        way: &Way<'_, S>,
    ) -> Result<(Batch, S::Notes, SemaphorePermit<'_>), Refusal> {
        let HttpDoor { bus, admission, .. } = &self.door;
        let limits = way.limits;
        let coding = Coding::of(&head.headers)?;
        if !bus.has_room(1) {
            let error = take::why_no_room(bus.as_ref()).await;
            return Err(Refusal::Bus { error, retry: limits.bus_retry_after, receipt: None });
        }
        let turn = self
            .requests
            .try_acquire()
            .map_err(|_| Refusal::Busy { retry: limits.busy_retry_after })?;
        let body = body::read(body, limits, admission).await?;
        let (batch, notes) = take::unpack(body, coding, way, admission).await?;
        Ok((batch, notes, turn))
    }

    /// Charges the quotas.
    fn charge(&self, shares: &[Load<'_>]) -> Result<(), Refusal> {
        self.door.feeds.admit(shares).map_err(|over| Refusal::OverQuota { over })
    }

    /// The feed that a key opens.
    fn feed_of(&self, key: Option<String>) -> Result<Arc<Feed>, Refusal> {
        self.door.feeds.by_key(&key.ok_or(Refusal::KeyMissing)?).ok_or(Refusal::KeyWrong)
    }
}
