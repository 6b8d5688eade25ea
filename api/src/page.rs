//! How listings answer.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use serde::Serialize;
use store::db::Page;

/// A page of a listing.
pub(crate) fn page<T: Serialize>(page: Page<T>) -> Response {
    Json(page).into_response()
}

/// A listing that is always whole: its objects are registered by hand, so they are few.
pub(crate) fn whole<T: Serialize>(items: Vec<T>) -> Response {
    page(Page { items, next_cursor: None })
}
