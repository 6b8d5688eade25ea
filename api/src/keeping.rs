//! How long events are kept, `/api/v1/holds`, `/api/v1/purges`.

use std::collections::HashMap;

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use event::{Owner, Timestamp};
use serde::Serialize;
use store::{
    Scope,
    db::{DbError, NewHold, NewPurge, Purge},
    hunt::{HuntError, HuntRequest},
};

use crate::{Api, App, ask::Ask, page, problem::Problem};

/// The days that events of communes and feeds are kept, where they have their own.
pub(crate) async fn days(api: &Api, scope: &Scope) -> Result<HashMap<Owner, u32>, Problem> {
    let own = api.db.retentions(scope).await.map_err(Problem::of_db)?;
    Ok(own.into_iter().collect())
}

#[derive(Serialize)]
struct Days<'a> {
    id: &'a str,
    retention_days: Option<u32>,
}

/// Sets the days of what was found.
pub(crate) async fn set_days(api: &Api, ask: &mut Ask, of: &Owner) -> Result<Response, Problem> {
    let days: Option<u32> = ask.fields.optional("days")?;
    api.db.set_retention(of, days).await.map_err(|error| match error {
        DbError::Refused(reason) => Problem::content("#/days", reason),
        error => Problem::of_db(error),
    })?;
    Ok(Json(Days { id: of.id(), retention_days: days }).into_response())
}

/// The holds in scope.
pub(crate) async fn holds(app: App, ask: Ask) -> Result<Response, Problem> {
    Ok(page::whole(app.db.holds(ask.scope()).await.map_err(Problem::of_db)?))
}

/// Places a hold.
pub(crate) async fn place(app: App, mut ask: Ask) -> Result<Response, Problem> {
    let hold = NewHold {
        commune: ask.fields.required("commune")?,
        feed: ask.fields.optional("feed")?,
        from: ask.fields.optional("from")?,
        to: ask.fields.optional("to")?,
        reason: ask.fields.required("reason")?,
    };
    let by = ask.caller().name.clone();
    let placed =
        app.db.place_hold(ask.scope(), hold, &by, Timestamp::now()).await.map_err(named)?;
    Ok((StatusCode::CREATED, Json(placed)).into_response())
}

/// Releases a hold.
pub(crate) async fn release(app: App, ask: Ask) -> Result<Response, Problem> {
    let by = ask.caller().name.clone();
    let released = app
        .db
        .release_hold(ask.scope(), ask.id_text(), &by, Timestamp::now())
        .await
        .map_err(Problem::of_db)?;
    Ok(Json(released).into_response())
}

/// The purges in scope.
pub(crate) async fn purges(app: App, ask: Ask) -> Result<Response, Problem> {
    Ok(page::whole(app.db.purges(ask.scope()).await.map_err(Problem::of_db)?))
}

/// One purge.
pub(crate) async fn purge(app: App, ask: Ask) -> Result<Response, Problem> {
    let found = app.db.purge(ask.scope(), ask.id_text()).await.map_err(Problem::of_db)?;
    let purge = found.ok_or_else(|| Problem::not_found("purge", ask.id_text()))?;
    Ok(Json(purge).into_response())
}

/// Writes a purge down; it is done soon.
pub(crate) async fn ask_purge(app: App, mut ask: Ask) -> Result<Response, Problem> {
    let purge = NewPurge {
        commune: ask.fields.required("commune")?,
        query: ask.fields.required("query")?,
        from: ask.fields.optional("from")?,
        to: ask.fields.optional("to")?,
        reason: ask.fields.required("reason")?,
    };
    // What it would find now tells whether it is what was meant.
    let request = HuntRequest {
        query: purge.query.clone(),
        from: purge.from.unwrap_or(Timestamp::MIN),
        to: purge.to.unwrap_or(Timestamp::MAX),
        cursor: None,
        limit: 1,
    };
    let found = app.hunt.hunt(&ask.scope().narrowed(&purge.commune), request).await;
    let (matches, warnings) = match found {
        Ok(found) => (Some(found.total), found.warnings),
        Err(error @ HuntError::TooLong(_)) => (None, vec![format!("not counted: {error}")]),
        Err(error) => return Err(Problem::of_query(error)),
    };
    let by = ask.caller().name.clone();
    let asked = app.db.ask_purge(ask.scope(), purge, &by, Timestamp::now()).await.map_err(named)?;
    let location = format!("/api/v1/purges/{}", asked.id);
    let answer = Asked { purge: asked, matches, warnings };
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(answer)).into_response())
}

/// A purge that is written down.
#[derive(Serialize)]
struct Asked {
    #[serde(flatten)]
    purge: Purge,
    /// Events that match now, those under a hold included; `null` where counting took too long.
    matches: Option<u64>,
    /// As a hunt for them says.
    warnings: Vec<String>,
}

/// A commune or feed that the body names and that is not there is the body's fault.
fn named(error: DbError) -> Problem {
    match error {
        DbError::Missing { what, .. } => Problem::content(&format!("#/{what}"), error.to_string()),
        error => Problem::of_db(error),
    }
}
