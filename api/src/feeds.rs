//! `/api/v1/feeds`.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use event::{CommuneId, Feed, FeedId, FormatName, Timestamp};
use serde::Serialize;
use store::{Scope, auth::Secret, db::DbError};

use std::{collections::BTreeMap, time::Duration};

use crate::{
    App, FeedHealth,
    ask::Ask,
    communes,
    devices::{self, Inventory},
    keeping,
    nearest::hint,
    page,
    problem::Problem,
    quota::{self, Bounded as _},
};

/// For how long two keys may open a feed, in seconds.
const OVERLAP_MAX_S: u64 = 30 * 86_400;

/// What begins a feed's key.
const KEY_PREFIX: &str = "jqf";

/// A feed and its key, shown by the answer that made it and never again.
#[derive(Serialize)]
struct WithKey<'a> {
    #[serde(flatten)]
    feed: &'a Feed,
    key: &'a str,
    /// Until when the key before opens the feed too.
    #[serde(skip_serializing_if = "Option::is_none")]
    old_key_until: Option<Timestamp>,
}

/// The feeds in scope, of one commune where `commune` is given.
pub(crate) async fn list(app: App, ask: Ask) -> Result<Response, Problem> {
    let (scope, _) = communes::narrowed(&app, ask.scope(), &ask.params).await?;
    let feeds = app.db.feeds(&scope).await.map_err(Problem::of_db)?;
    Ok(page::whole(quota::with_quotas(&app, &scope, feeds).await?))
}

/// One feed.
pub(crate) async fn get(app: App, ask: Ask) -> Result<Response, Problem> {
    let feed = find(&app, &ask).await?;
    Ok(Json(quota::with_quota(&app, ask.scope(), feed).await?).into_response())
}

/// Sets how much it may send.
pub(crate) async fn set_quota(app: App, mut ask: Ask) -> Result<Response, Problem> {
    let feed = find(&app, &ask).await?;
    Ok(Json(quota::set(&app, &mut ask, feed).await?).into_response())
}

/// Sets how long what came by it is kept.
pub(crate) async fn set_retention(app: App, mut ask: Ask) -> Result<Response, Problem> {
    let feed = find(&app, &ask).await?;
    keeping::set_days(&app, &mut ask, &feed.owner()).await
}

/// A feed with how it does.
#[derive(Serialize)]
pub(crate) struct WithHealth<'a> {
    #[serde(flatten)]
    feed: &'a Feed,
    health: FeedHealth,
    /// How its devices stand to its inventory, where it has one.
    inventory: Option<Inventory>,
    /// What was turned away without anyone knowing whose it is; for those who see all communes.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused_unknown: Option<BTreeMap<String, u64>>,
}

/// How a feed does.
pub(crate) async fn health(app: App, ask: Ask) -> Result<Response, Problem> {
    let feed = find(&app, &ask).await?;
    let inventory = Inventory::of(&devices::of(&app, ask.scope(), &feed.id).await?);
    Ok(Json(with_health(&app, ask.scope(), &feed, inventory)).into_response())
}

/// `feed` with how it does, as `scope` may know it.
pub(crate) fn with_health<'a>(
    app: &App,
    scope: &Scope,
    feed: &'a Feed,
    inventory: Option<Inventory>,
) -> WithHealth<'a> {
    let health = app.feed_watch.of(&feed.id);
    let refused_unknown = scope.is_all().then(|| app.feed_watch.refused_unknown());
    WithHealth { feed, health, inventory, refused_unknown }
}

/// The rules that are for its events, and what keeps them from firing.
pub(crate) async fn rules(app: App, ask: Ask) -> Result<Response, Problem> {
    let feed = find(&app, &ask).await?;
    let can_fire = match ask.params.text("can_fire") {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => return Err(Problem::parameter("can_fire", "it is true or false")),
    };
    let watch = std::sync::Arc::clone(&app.feed_watch);
    let rules = tokio::task::spawn_blocking(move || watch.rules(&feed.id)).await;
    let mut rules =
        rules.map_err(|error| Problem::internal(format!("judging the rules failed: {error}")))?;
    rules.retain(|rule| can_fire.is_none_or(|can_fire| rule.can_fire == can_fire));
    Ok(page::whole(rules))
}

/// Adds a feed; its name is its id where none is given.
pub(crate) async fn add(app: App, mut ask: Ask) -> Result<Response, Problem> {
    let id: FeedId = ask.fields.required("id")?;
    let commune: CommuneId = ask.fields.required("commune")?;
    let format: FormatName = ask.fields.required("format")?;
    if !app.formats.contains(&format) {
        let known: Vec<&str> = app.formats.iter().map(FormatName::as_str).collect();
        let hint = hint(format.as_str(), &known);
        return Err(Problem::content("#/format", format!("there is no format {format}; {hint}")));
    }
    let name = ask.fields.optional("name")?.unwrap_or_else(|| id.to_string());
    let feed = Feed { id, commune, format, name, created: Timestamp::now() };
    let key = draw()?;
    app.db.add_feed(feed.clone(), key.hash()).await.map_err(|error| match error {
        DbError::Missing { .. } => Problem::content("#/commune", error.to_string()),
        DbError::Refused(reason) => Problem::content("#/name", reason),
        error => Problem::of_db(error),
    })?;
    (app.feeds_changed)();
    let location = format!("/api/v1/feeds/{}", feed.id);
    let body = Json(WithKey { feed: &feed, key: key.reveal(), old_key_until: None });
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], body).into_response())
}

/// Gives a feed another key; the old one stops working, at once or after `overlap_s`.
pub(crate) async fn rotate(app: App, mut ask: Ask) -> Result<Response, Problem> {
    let feed = find(&app, &ask).await?;
    let overlap_s: u64 = ask.fields.optional("overlap_s")?.unwrap_or(0);
    if overlap_s > OVERLAP_MAX_S {
        let reason = format!("overlap_s is {overlap_s}; it may be up to {OVERLAP_MAX_S} (30 days)");
        return Err(Problem::content("#/overlap_s", reason));
    }
    let until = Timestamp::now().plus(Duration::from_secs(overlap_s));
    let until = (overlap_s > 0).then_some(until);
    let key = draw()?;
    app.db.rotate_feed_key(&feed.id, key.hash(), until).await.map_err(Problem::of_db)?;
    (app.feeds_changed)();
    let body = WithKey { feed: &feed, key: key.reveal(), old_key_until: until };
    Ok(Json(body).into_response())
}

/// The feed that is asked for.
pub(crate) async fn find(app: &App, ask: &Ask) -> Result<Feed, Problem> {
    let id: FeedId = ask.id("feed")?;
    let found = app.db.feed(ask.scope(), &id).await.map_err(Problem::of_db)?;
    found.ok_or_else(|| Problem::not_found("feed", id.as_str()))
}

fn draw() -> Result<Secret, Problem> {
    Secret::generate(KEY_PREFIX)
        .map_err(|error| Problem::internal(format!("failed to draw a key: {error}")))
}
