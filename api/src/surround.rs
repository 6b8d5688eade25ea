//! What happens around every request: its id, headers, log, metrics, and panics.

use std::{
    any::Any,
    hash::{BuildHasher as _, RandomState},
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures::FutureExt as _;

use crate::{
    metrics::RequestMetrics,
    problem::{Cause, Problem},
};

/// Names a request in the answer and in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Characters of a request id that a client or proxy gives.
const REQUEST_ID_BYTES_MAX: usize = 64;

/// For browsers that someone points at the API: answers are data, of this origin, not to be
/// kept, framed or guessed at.
const SECURITY_HEADERS: [(HeaderName, HeaderValue); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// The id of the request that it came with.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) String);

/// What requests of one router share.
#[derive(Clone)]
pub(crate) struct Around {
    metrics: RequestMetrics,
    ids: Arc<RequestIds>,
}

#[derive(Default)]
struct RequestIds {
    next: AtomicU64,
    key: RandomState,
}

impl Around {
    pub(crate) fn new(metrics: RequestMetrics) -> Self {
        Self { metrics, ids: Arc::default() }
    }
}

impl RequestIds {
    /// The id that came with the request where it is a plain word, else another one: a keyed
    /// hash of a counter, which tells nobody how many requests there were.
    fn of(&self, headers: &HeaderMap) -> HeaderValue {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
        if let Some(given) = headers.get(REQUEST_ID)
            && (1..=REQUEST_ID_BYTES_MAX).contains(&given.len())
            && given.as_bytes().iter().all(plain)
        {
            return given.clone();
        }
        let id = format!("{:016x}", self.key.hash_one(self.next.fetch_add(1, Ordering::Relaxed)));
        // Hexadecimal digits are always a valid value.
        HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("none"))
    }
}

/// Answers a request whatever its handler does, and notes how it went.
pub(crate) async fn surround(
    State(around): State<Around>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let id = around.ids.of(request.headers());
    let shown_id = id.to_str().unwrap_or_default().to_owned();
    request.extensions_mut().insert(RequestId(shown_id.clone()));
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map(MatchedPath::as_str);

    let outcome = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = outcome.unwrap_or_else(|panic| {
        Problem::internal(format!("a handler panicked: {}", message(&*panic))).into_response()
    });

    let (status, took) = (response.status().as_u16(), started.elapsed());
    around.metrics.count(&method, route, status, took);
    let took_ms = took.as_millis();
    match response.extensions().get::<Cause>() {
        Some(Cause(cause)) => {
            tracing::error!(id = shown_id, %method, route, status, cause, "failed to answer a request");
        }
        None => tracing::debug!(id = shown_id, %method, route, status, took_ms, "answered"),
    }
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    for (name, value) in SECURITY_HEADERS {
        // A page for people says what it may show itself.
        if name != header::CONTENT_SECURITY_POLICY || !headers.contains_key(&name) {
            headers.insert(name, value);
        }
    }
    response
}

fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}
