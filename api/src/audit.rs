//! `/api/v1/audit`: the audit trail, latest first. For those who see all communes.

use std::sync::Arc;

use axum::response::Response;
use store::{audit::AuditQuery, db::Page};

use crate::{App, ask::Ask, page, params::LIMIT_MAX, problem::Problem};

const PAGE: usize = 100;

/// Records that match.
pub(crate) async fn list(app: App, ask: Ask) -> Result<Response, Problem> {
    let params = &ask.params;
    let before: Option<u64> = match params.text("cursor").map(str::parse) {
        None => None,
        Some(Ok(before)) => Some(before),
        Some(Err(_)) => return Err(Problem::wrong_cursor()),
    };
    let text = |name| params.text(name).map(str::to_owned);
    let limit = match params.limit(LIMIT_MAX)? {
        0 => PAGE,
        limit => limit,
    };
    let query = AuditQuery {
        from: params.time("from")?,
        to: params.time("to")?,
        by: text("by"),
        action: text("action"),
        object: text("object"),
        before,
        // One more than asked tells whether there is a next page.
        limit: limit + 1,
    };
    let trail = Arc::clone(app.audit.trail());
    let read = tokio::task::spawn_blocking(move || store::audit::read(trail.folder(), &query));
    let mut items = match read.await {
        Ok(Ok(items)) => items,
        Ok(Err(error)) => return Err(Problem::internal(format!("failed to {error}"))),
        Err(panic) => return Err(Problem::internal(panic.to_string())),
    };
    let more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = items.last().filter(|_| more).map(|last| last.seq.to_string());
    Ok(page::page(Page { items, next_cursor }))
}
