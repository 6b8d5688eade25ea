//! `/healthz` and `/readyz`: for supervisors and load balancers, without a token.

use std::time::Duration;

use async_trait::async_trait;
use axum::{
    Json,
    extract::Request,
    response::{IntoResponse as _, Response},
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    App, auth,
    problem::{Kind, Problem},
};

/// How long the checks may take altogether.
const READY_TIME_MAX: Duration = Duration::from_secs(5);

/// Whether the parts work; the binary implements it.
#[async_trait]
pub trait Health: Send + Sync + 'static {
    /// Looks at each part now.
    async fn ready(&self) -> Vec<Check>;
}

/// What was seen of one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The part, e.g. `database`.
    pub name: String,
    /// Whether it works.
    pub ok: bool,
    /// How it is, in words; shown to those who may see all communes only, for it may name
    /// files and feeds.
    pub detail: String,
}

/// Answers as long as the process does.
pub(crate) async fn alive(_: App, _: Request) -> Result<Response, Problem> {
    Ok(Json(json!({"status": "alive"})).into_response())
}

/// Whether every part works; 503 where one does not.
pub(crate) async fn ready(app: App, request: Request) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let checks = tokio::time::timeout(READY_TIME_MAX, app.health.ready()).await;
    let checks = checks.unwrap_or_else(|_| {
        let detail = format!("no answer within {} s", READY_TIME_MAX.as_secs());
        vec![Check { name: "checks".to_owned(), ok: false, detail }]
    });
    let failed: Vec<&str> =
        checks.iter().filter(|check| !check.ok).map(|check| check.name.as_str()).collect();
    for check in checks.iter().filter(|check| !check.ok) {
        tracing::warn!(check = check.name, detail = check.detail, "a readiness check fails");
    }
    // A probe with a bad token is still a probe.
    let caller = auth::caller(&app, &parts).await.ok().flatten();
    let is_soc = caller.is_some_and(|caller| caller.scope().is_all());
    let shown: Vec<Value> = checks
        .iter()
        .map(|check| match is_soc {
            true => json!(check),
            false => json!({"name": check.name, "ok": check.ok}),
        })
        .collect();
    if failed.is_empty() {
        return Ok(Json(json!({"status": "ready", "checks": shown})).into_response());
    }
    let detail = format!("not working: {}", failed.join(", "));
    Err(Problem::new(Kind::NotReady, detail).with("checks", shown))
}
