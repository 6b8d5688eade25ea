//! What Elasticsearch's clients ask before they send, answered so that they go on.
//!
//! Nothing here is stored or managed: templates, policies and pipelines are this service's own
//! business. Each question demands the feed's key, so that a wrong one shows when a shipper
//! starts rather than when it first has something to say.

use std::{fmt, str::FromStr, sync::Arc};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::Method,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use serde_json::{Value, json};

use super::super::Open;

/// The version that clients are told, e.g. `9.5.0`.
///
/// Beats compare it with their own: an older server than the shipper makes some of them stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElasticVersion(Box<str>);

/// A text that is no version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no version; write three numbers, e.g. 9.5.0")]
pub struct InvalidVersion(String);

impl Default for ElasticVersion {
    fn default() -> Self {
        Self("9.5.0".into())
    }
}

impl FromStr for ElasticVersion {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let numbers: Vec<&str> = text.split('.').collect();
        let right =
            numbers.len() == 3 && numbers.iter().all(|number| number.parse::<u16>().is_ok());
        right.then(|| Self(text.into())).ok_or_else(|| InvalidVersion(text.to_owned()))
    }
}

impl fmt::Display for ElasticVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The questions of Beats, Logstash, Fluent Bit, rsyslog and the official clients.
fn questions() -> Router<Arc<Open>> {
    Router::new()
        .route("/", get(about))
        .route("/_license", get(license))
        .route("/_xpack", get(|| async { Json(json!({ "features": {} })) }))
        .route("/_cluster/health", get(health))
        .route("/_cat/health", get(|| async { "jacquemart green 1 1\n" }))
        .route("/_nodes", get(nodes))
        .route("/_nodes/{*rest}", get(nodes))
        .route("/_ilm/policy/{name}", any(managed))
        .route("/_index_template/{name}", any(managed))
        .route("/_component_template/{name}", any(managed))
        .route("/_template/{name}", any(managed))
        .route("/_data_stream/{name}", any(managed))
        .route("/_ingest/{*rest}", any(managed))
        .route("/_logstash/{*rest}", any(managed))
}

/// Lets a request through to its answer only with a feed's key.
async fn keyed(State(open): State<Arc<Open>>, request: Request, next: Next) -> Response {
    match super::admitted(&open, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => *refusal,
    }
}

/// The questions, behind the feed's key.
pub(super) fn routes(open: &Arc<Open>) -> Router<Arc<Open>> {
    questions().layer(middleware::from_fn_with_state(Arc::clone(open), keyed))
}

async fn about(State(open): State<Arc<Open>>) -> Json<Value> {
    Json(json!({
        "name": "jacquemart",
        "cluster_name": "jacquemart",
        "cluster_uuid": open.door.bus.id().to_string(),
        "version": {
            "number": open.door.elastic_version.to_string(),
            "build_flavor": "default",
            "build_type": "deb",
            "build_snapshot": false,
            "lucene_version": "10.3.1",
            "minimum_wire_compatibility_version": "8.19.0",
            "minimum_index_compatibility_version": "8.0.0",
        },
        "tagline": "You Know, for Search",
    }))
}

async fn license(State(open): State<Arc<Open>>) -> Json<Value> {
    let uid = open.door.bus.id().to_string();
    Json(json!({ "license": { "status": "active", "uid": uid, "type": "basic", "mode": "basic" } }))
}

async fn health() -> Json<Value> {
    Json(json!({
        "cluster_name": "jacquemart",
        "status": "green",
        "timed_out": false,
        "number_of_nodes": 1,
        "number_of_data_nodes": 1,
    }))
}

/// No node of its own: clients that look for more addresses keep the one they have.
async fn nodes() -> Json<Value> {
    Json(json!({ "_nodes": { "total": 0 }, "cluster_name": "jacquemart", "nodes": {} }))
}

/// Whatever a shipper wants to set up is there already, as far as it can tell.
async fn managed(method: Method) -> Response {
    match method {
        Method::GET | Method::HEAD => Json(json!({})).into_response(),
        _ => Json(json!({ "acknowledged": true })).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_three_numbers() {
        assert_eq!("8.19.4".parse::<ElasticVersion>().unwrap().to_string(), "8.19.4");
        for bad in ["", "9", "9.2", "9.2.0.1", "9.2.x", "v9.2.0", "9.2.-1", "9..0"] {
            assert!(bad.parse::<ElasticVersion>().is_err(), "{bad}");
        }
    }
}
