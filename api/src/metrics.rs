//! `/metrics`, and what the API itself counts.

use std::time::Duration;

use axum::{
    extract::Request,
    http::{Method, header},
    response::{IntoResponse as _, Response},
};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder};

use crate::{App, ask, auth, problem::Problem, routes::Needs};

/// Bounds for request times, in seconds.
const BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The route of requests that match none; raw paths are never a label, for there is no end of
/// them and they hold ids.
const UNMATCHED: &str = "unmatched";

/// Counts requests by method, route and status, and times them by method and route.
#[derive(Clone, Debug)]
pub struct RequestMetrics {
    requests: IntCounterVec,
    seconds: HistogramVec,
}

impl RequestMetrics {
    /// Registers `api_requests_total` and `api_request_seconds` in `registry`, which gives
    /// them its prefix.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let requests = IntCounterVec::new(
            Opts::new("api_requests_total", "Requests answered by the API"),
            &["method", "route", "status"],
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new("api_request_seconds", "Time from a request's head to its answer's")
                .buckets(BUCKETS.to_vec()),
            &["method", "route"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        Ok(Self { requests, seconds })
    }

    pub(crate) fn count(&self, method: &Method, route: Option<&str>, status: u16, took: Duration) {
        let (method, route) = (label(method), route.unwrap_or(UNMATCHED));
        let status = status.to_string();
        self.requests.with_label_values(&[method, route, &status]).inc();
        self.seconds.with_label_values(&[method, route]).observe(took.as_secs_f64());
    }
}

/// Clients may send any word for a method, so only those of the standard are labels.
fn label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Everything registered, as Prometheus reads it. Labels name communes and feeds, so unless
/// the configuration opens it, this is for those who may see all communes.
pub(crate) async fn show(app: App, request: Request) -> Result<Response, Problem> {
    if !app.metrics_open {
        let (parts, _) = request.into_parts();
        let caller = auth::caller(&app, &parts).await?.ok_or_else(auth::missing)?;
        ask::require(Needs::AllCommunes, &caller)?;
    }
    let text = TextEncoder::new()
        .encode_to_string(&app.metrics.gather())
        .map_err(|error| Problem::internal(format!("failed to write the metrics: {error}")))?;
    Ok(([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response())
}
