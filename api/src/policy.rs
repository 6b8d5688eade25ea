//! `/api/v1/communes/{id}/rules`: what a commune makes of the rules.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use event::{CommuneId, Level, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::db::{ChoiceKind, DbError, NewChoice, NewException, RuleEffect, RuleException};

use crate::{App, ask::Ask, problem::Problem};

/// What a client may set, and `default` to take it back.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Enabled,
    Disabled,
    Default,
}

/// An exception as it is listed.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    exception: RuleException,
    /// Whether it applied no more at the moment that was asked for.
    expired: bool,
}

/// What a commune has chosen, or had at `at`.
pub(crate) async fn get(app: App, ask: Ask) -> Result<Response, Problem> {
    let commune: CommuneId = ask.id("commune")?;
    let at = ask.params.time("at")?.unwrap_or_else(Timestamp::now);
    let policy = app.db.rule_policy(ask.scope(), &commune, at).await.map_err(|e| gone(e, &ask))?;
    let exceptions: Vec<Listed> = policy
        .exceptions
        .into_iter()
        .map(|exception| Listed { expired: exception.expires <= at, exception })
        .collect();
    let answer = json!({
        "commune": policy.commune, "at": at, "choices": policy.choices, "exceptions": exceptions,
    });
    Ok(Json(answer).into_response())
}

/// Turns the selected rules on or off or gives them another level.
pub(crate) async fn choose(app: App, mut ask: Ask) -> Result<Response, Problem> {
    let commune: CommuneId = ask.id("commune")?;
    let selector: String = ask.fields.required("select")?;
    let state: Option<State> = ask.fields.optional("state")?;
    let level: Option<String> = ask.fields.optional("level")?;
    let reason: Option<String> = ask.fields.optional("reason")?;
    let (kind, effect) = read(state, level.as_deref())?;
    // Whether the commune is there goes first, so that nothing else is told of a foreign one.
    require(&app, &ask, &commune).await?;
    let by = ask.caller().name.clone();
    let now = Timestamp::now();
    let Some(effect) = effect else {
        let selector = app.rules.check_selector(&selector).map_or(selector, |(usual, _)| usual);
        let taken = app.db.unchoose_rules(ask.scope(), &commune, &selector, kind, &by, now).await;
        taken.map_err(|error| match error {
            DbError::Missing { what: "choice", .. } => Problem::content(
                "#/select",
                format!("commune {commune} has no such choice for {selector:?}"),
            ),
            error => gone(error, &ask),
        })?;
        changed(&app).await?;
        let answer = json!({"commune": commune, "select": selector, "effect": null});
        return Ok(Json(answer).into_response());
    };
    let (selector, rules) = app
        .rules
        .check_selector(&selector)
        .map_err(|reason| Problem::content("#/select", reason))?;
    let reason = reason.ok_or_else(|| {
        Problem::content("#/reason", "reason is missing; whoever reads this later needs it")
    })?;
    let new = NewChoice { selector, effect, reason };
    let made = app
        .db
        .choose_rules(ask.scope(), &commune, new, &by, now)
        .await
        .map_err(|error| gone(error, &ask))?;
    changed(&app).await?;
    let mut answer = json!(made);
    answer["rules"] = rules.into();
    Ok(Json(answer).into_response())
}

/// Exactly one of state and level; `None` where it is taken back.
fn read(
    state: Option<State>,
    level: Option<&str>,
) -> Result<(ChoiceKind, Option<RuleEffect>), Problem> {
    match (state, level) {
        (Some(State::Enabled), None) => Ok((ChoiceKind::State, Some(RuleEffect::Enable))),
        (Some(State::Disabled), None) => Ok((ChoiceKind::State, Some(RuleEffect::Disable))),
        (Some(State::Default), None) => Ok((ChoiceKind::State, None)),
        (None, Some("default")) => Ok((ChoiceKind::Level, None)),
        (None, Some(level)) => {
            let level: Level =
                level.parse().map_err(|reason: String| Problem::content("#/level", reason))?;
            Ok((ChoiceKind::Level, Some(RuleEffect::Level(level))))
        }
        (None, None) => Err(Problem::content(
            "#/state",
            "give a state (enabled, disabled, default) or a level (one of Sigma's, or default)",
        )),
        (Some(_), Some(_)) => {
            Err(Problem::content("#/level", "give a state or a level, each in its own request"))
        }
    }
}

/// Adds an exception.
pub(crate) async fn except(app: App, mut ask: Ask) -> Result<Response, Problem> {
    let commune: CommuneId = ask.id("commune")?;
    let filter: String = ask.fields.required("filter")?;
    let owner: String = ask.fields.required("owner")?;
    let reason: String = ask.fields.required("reason")?;
    let expires: Timestamp = ask.fields.required("expires")?;
    require(&app, &ask, &commune).await?;
    let checked = app.rules.check_filter(&filter).map_err(|refusal| {
        let line = refusal.line;
        Problem::content("#/filter", format!("filter, line {line}: {}", refusal.reason))
            .with("line", line)
    })?;
    let new = NewException { title: checked.title, filter, owner, reason, expires };
    let by = ask.caller().name.clone();
    let made = app
        .db
        .except_rules(ask.scope(), &commune, new, &by, Timestamp::now())
        .await
        .map_err(|error| gone(error, &ask))?;
    changed(&app).await?;
    let mut answer = json!(made);
    answer["rules"] = checked.rules.into();
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// Takes an exception back.
pub(crate) async fn unexcept(app: App, ask: Ask) -> Result<Response, Problem> {
    let by = ask.caller().name.clone();
    let removed = app
        .db
        .unexcept_rules(ask.scope(), ask.id_text(), &by, Timestamp::now())
        .await
        .map_err(Problem::of_db)?;
    changed(&app).await?;
    Ok(Json(removed).into_response())
}

async fn require(app: &App, ask: &Ask, commune: &CommuneId) -> Result<(), Problem> {
    let known = app.db.rule_policy(ask.scope(), commune, Timestamp::MIN).await;
    known.map(drop).map_err(|error| gone(error, ask))
}

/// A commune that is not there or not the caller's is the path's, so it is not found.
fn gone(error: DbError, ask: &Ask) -> Problem {
    match error {
        DbError::Missing { what: "commune", .. } => Problem::not_found("commune", ask.id_text()),
        error => Problem::of_db(error),
    }
}

/// It is stored; where it can't take effect at once, whoever asked must know.
async fn changed(app: &App) -> Result<(), Problem> {
    app.rules.policies_changed().await.map_err(Problem::internal)
}
