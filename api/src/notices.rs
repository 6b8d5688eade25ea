//! `/api/v1/notices`: what was told to whom, and what could not be.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use event::Timestamp;
use store::db::{DbError, NoticeState};

use crate::{
    App,
    ask::Ask,
    page::{self, Numbered},
    problem::Problem,
};

/// Notices, the latest first.
pub(crate) async fn list(app: App, ask: Ask) -> Result<Response, Problem> {
    let states = ask.params.words("state", &NoticeState::ALL, NoticeState::as_str)?;
    let page = Numbered::asked(&ask.params)?;
    let found = app.db.notices(ask.scope(), &states, page.before, page.wanted()).await;
    let mut items = found.map_err(Problem::of_db)?;
    if !ask.scope().is_all() {
        // What the operator's receivers answer is the operator's.
        items.iter_mut().for_each(|notice| notice.error = None);
    }
    Ok(page::page(page.of(items, |notice| notice.id)))
}

/// Sends one that was given up again.
pub(crate) async fn retry(app: App, ask: Ask) -> Result<Response, Problem> {
    let id: u64 = ask.id("notice")?;
    let notice = app.db.retry_notice(ask.scope(), id, Timestamp::now()).await;
    let mut notice = notice.map_err(|error| match error {
        DbError::Missing { .. } => Problem::not_found("notice", ask.id_text()),
        error => Problem::of_db(error),
    })?;
    if !ask.scope().is_all() {
        notice.error = None;
    }
    Ok(Json(notice).into_response())
}
