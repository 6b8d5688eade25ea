//! `/api/v1/audit`: the audit trail, latest first. For those who see all communes.

use std::sync::Arc;

use axum::response::Response;
use store::audit::AuditQuery;

use crate::{
    App,
    ask::Ask,
    page::{self, Numbered},
    problem::Problem,
};

/// Records that match.
pub(crate) async fn list(app: App, ask: Ask) -> Result<Response, Problem> {
    let params = &ask.params;
    let page = Numbered::asked(params)?;
    let text = |name| params.text(name).map(str::to_owned);
    let query = AuditQuery {
        from: params.time("from")?,
        to: params.time("to")?,
        by: text("by"),
        action: text("action"),
        object: text("object"),
        before: page.before,
        limit: page.wanted(),
    };
    let trail = Arc::clone(app.audit.trail());
    let read = tokio::task::spawn_blocking(move || store::audit::read(trail.folder(), &query));
    let items = match read.await {
        Ok(Ok(items)) => items,
        Ok(Err(error)) => return Err(Problem::internal(format!("failed to {error}"))),
        Err(panic) => return Err(Problem::internal(panic.to_string())),
    };
    Ok(page::page(page.of(items, |record| record.seq)))
}
