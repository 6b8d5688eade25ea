//! `/api/v1/indicators`: known-bad values that events are compared with. A source that is for some
//! communes only is nobody else's to see.

use std::sync::Arc;

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use event::{CommuneId, IndicatorRef, Level, Timestamp};
use serde::Serialize;
use serde_json::json;
use store::Scope;

use crate::{App, ask::Ask, page, params::LIMIT_MAX, problem::Problem};

/// Indicators on a page where nothing is said.
const LIMIT_DEFAULT: usize = 100;

/// The indicators in use; the binary implements it. It may block: a set is compiled on first use
/// where none is in force, and listings go through all of it.
pub trait Indicators: Send + Sync + 'static {
    /// What `value` carries: it itself, the domains above it, the networks around it.
    fn look_up(&self, scope: &Scope, value: &str) -> Result<Vec<IndicatorAnswer>, String>;
    /// At most `limit` indicators from place `from` on, and the place to go on from.
    fn list(
        &self,
        scope: &Scope,
        source: Option<&str>,
        from: usize,
        limit: usize,
    ) -> Result<(Vec<IndicatorAnswer>, Option<usize>), String>;
    /// The sources, sorted by name.
    fn sources(&self, scope: &Scope) -> Result<Vec<IndicatorSource>, String>;
}

/// An indicator as it is shown. Names are those of a detection's `indicator`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IndicatorAnswer {
    /// The indicator and its source.
    #[serde(flatten)]
    pub indicator: IndicatorRef,
    /// The level of its hits.
    pub level: Level,
    /// Whether it holds at this moment.
    pub valid: bool,
    /// Whether an allow list keeps the value that was asked for silent.
    pub allowed: bool,
}

/// A source as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IndicatorSource {
    /// Its name.
    pub name: String,
    /// `file`, `url`, `taxii`, `misp-feed` or `import`.
    pub kind: &'static str,
    /// Indicators in use.
    pub indicators: u64,
    /// Indicators of no use, of what came last.
    pub refused: u64,
    /// The first of them, with the reason.
    pub refusals: Vec<String>,
    /// The communes that it is for; `null` for all.
    pub communes: Option<Vec<CommuneId>>,
    /// The level of its hits; `null` by confidence.
    pub level: Option<Level>,
    /// When it last said something new.
    pub changed: Option<Timestamp>,
    /// When it was last asked and answered, since the server began.
    pub succeeded: Option<Timestamp>,
    /// When it was last asked in vain, where it has not answered since.
    pub failed: Option<Timestamp>,
    /// Why.
    pub error: Option<String>,
}

/// What a value carries, or all indicators page by page.
pub(crate) async fn list(app: App, ask: Ask) -> Result<Response, Problem> {
    let (value, source) = (ask.params.text("value"), ask.params.text("source"));
    let limit = match ask.params.limit(LIMIT_MAX)? {
        0 => LIMIT_DEFAULT,
        limit => limit,
    };
    let from = match ask.params.cursor() {
        None => 0,
        Some(cursor) => cursor.parse().map_err(|_| Problem::wrong_cursor())?,
    };
    let (scope, source) = (ask.scope().clone(), source.map(str::to_owned));
    let Some(value) = value.map(str::to_owned) else {
        let read = move |of: &dyn Indicators| of.list(&scope, source.as_deref(), from, limit);
        let (items, next) = blocking(&app, read).await?;
        let next_cursor = next.map(|next| next.to_string());
        return Ok(Json(json!({"items": items, "next_cursor": next_cursor})).into_response());
    };
    let mut items = blocking(&app, move |of| of.look_up(&scope, &value)).await?;
    items.retain(|item| {
        source.as_ref().is_none_or(|source| item.indicator.source.as_str() == source)
    });
    Ok(page::whole(items))
}

/// The sources and how they are doing.
pub(crate) async fn sources(app: App, ask: Ask) -> Result<Response, Problem> {
    let scope = ask.scope().clone();
    Ok(page::whole(blocking(&app, move |of| of.sources(&scope)).await?))
}

/// Asks the indicators on a thread that may block.
async fn blocking<T: Send + 'static>(
    app: &App,
    read: impl FnOnce(&dyn Indicators) -> Result<T, String> + Send + 'static,
) -> Result<T, Problem> {
    let indicators = Arc::clone(&app.indicators);
    let read = tokio::task::spawn_blocking(move || read(&*indicators)).await;
    match read {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(reason)) => Err(Problem::internal(reason)),
        Err(panic) => Err(Problem::internal(panic.to_string())),
    }
}
