//! `/api/v1/notices`: what was told to whom, and what could not be.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use event::Timestamp;
use store::db::{DbError, NoticeState, Page};

use crate::{App, ask::Ask, page, params::LIMIT_MAX, problem::Problem};

const PAGE: usize = 100;

/// Notices, the latest first.
pub(crate) async fn list(app: App, ask: Ask) -> Result<Response, Problem> {
    let states = ask.params.words("state", &NoticeState::ALL, NoticeState::as_str)?;
    let before = match ask.params.text("cursor").map(str::parse) {
        None => None,
        Some(Ok(before)) => Some(before),
        Some(Err(_)) => return Err(Problem::wrong_cursor()),
    };
    let limit = match ask.params.limit(LIMIT_MAX)? {
        0 => PAGE,
        limit => limit,
    };
    // One more than asked tells whether there is a next page.
    let found = app.db.notices(ask.scope(), &states, before, limit + 1).await;
    let mut items = found.map_err(Problem::of_db)?;
    let more = items.len() > limit;
    items.truncate(limit);
    if !ask.scope().is_all() {
        // What the operator's receivers answer is the operator's.
        items.iter_mut().for_each(|notice| notice.error = None);
    }
    let next_cursor = items.last().filter(|_| more).map(|last| last.id.to_string());
    Ok(page::page(Page { items, next_cursor }))
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
