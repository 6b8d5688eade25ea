//! `/api/v1/me`: who the caller is taken for.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use serde_json::json;

use crate::{App, ask::Ask, problem::Problem};

/// Name, role and communes (`null` is all).
pub(crate) async fn get(_: App, ask: Ask) -> Result<Response, Problem> {
    let caller = ask.caller();
    Ok(Json(json!({
        "name": caller.name,
        "role": caller.role,
        "communes": caller.scope().communes(),
    }))
    .into_response())
}
