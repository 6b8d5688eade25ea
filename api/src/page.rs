//! How listings answer.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use serde::Serialize;
use store::db::Page;

use crate::{
    params::{LIMIT_MAX, Params},
    problem::Problem,
};

/// Objects on a page where the request does not say.
const NUMBERED_DEFAULT: usize = 100;

/// A page of a listing.
pub(crate) fn page<T: Serialize>(page: Page<T>) -> Response {
    Json(page).into_response()
}

/// A page of objects that count up, the latest first: its cursor is the number of its last one.
pub(crate) struct Numbered {
    /// Only those before this one.
    pub(crate) before: Option<u64>,
    limit: usize,
}

impl Numbered {
    /// The page that the parameters ask for.
    pub(crate) fn asked(params: &Params) -> Result<Self, Problem> {
        let before = params.text("cursor").map(str::parse).transpose();
        let limit = match params.limit(LIMIT_MAX)? {
            0 => NUMBERED_DEFAULT,
            limit => limit,
        };
        Ok(Self { before: before.map_err(|_| Problem::wrong_cursor())?, limit })
    }

    /// How many to look for: one more than asked tells whether there is a next page.
    pub(crate) fn wanted(&self) -> usize {
        self.limit + 1
    }

    /// The page with what was found.
    pub(crate) fn of<T>(&self, mut items: Vec<T>, number: impl Fn(&T) -> u64) -> Page<T> {
        let more = items.len() > self.limit;
        items.truncate(self.limit);
        let next_cursor = items.last().filter(|_| more).map(|last| number(last).to_string());
        Page { items, next_cursor }
    }
}

/// A listing that is always whole: its objects are registered by hand, so they are few.
pub(crate) fn whole<T: Serialize>(items: Vec<T>) -> Response {
    page(Page { items, next_cursor: None })
}
