//! `/api/v1/status`: how much there is, as far as the caller may see.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use serde_json::json;

use crate::{App, ask::Ask, problem::Problem};

/// Version and totals. How far readers lag behind the bus is in `/metrics`, for it tells of
/// all communes together.
pub(crate) async fn get(app: App, ask: Ask) -> Result<Response, Problem> {
    let counts = app.db.counts(ask.scope()).await.map_err(Problem::of_db)?;
    let communes = app.db.communes(ask.scope()).await.map_err(Problem::of_db)?;
    let feeds = app.db.feeds(ask.scope()).await.map_err(Problem::of_db)?;
    Ok(Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "counts": {
            "incidents": counts.incidents,
            "open_incidents": counts.open_incidents,
            "detections": counts.detections,
            "communes": communes.len(),
            "feeds": feeds.len(),
            "rules": app.rules.count(),
        },
    }))
    .into_response())
}
