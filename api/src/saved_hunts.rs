//! `/api/v1/hunts`: queries that somebody keeps.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use event::Timestamp;
use store::{
    db::{DbError, NewSavedHunt},
    hunt::HuntRequest,
};

use crate::{App, ask::Ask, page, problem::Problem};

/// The caller's own, and those shared with them.
pub(crate) async fn list(app: App, ask: Ask) -> Result<Response, Problem> {
    let hunts = app.db.saved_hunts(ask.scope(), &ask.caller().name).await;
    Ok(page::whole(hunts.map_err(Problem::of_db)?))
}

/// One of them.
pub(crate) async fn get(app: App, ask: Ask) -> Result<Response, Problem> {
    let hunts = app.db.saved_hunts(ask.scope(), &ask.caller().name).await;
    let mut hunts = hunts.map_err(Problem::of_db)?.into_iter();
    let found = hunts.find(|hunt| hunt.id == ask.id_text());
    let hunt = found.ok_or_else(|| Problem::not_found("hunt", ask.id_text()))?;
    Ok(Json(hunt).into_response())
}

/// Keeps a query that can be run.
pub(crate) async fn save(app: App, mut ask: Ask) -> Result<Response, Problem> {
    let hunt = NewSavedHunt {
        name: ask.fields.required("name")?,
        query: ask.fields.required("query")?,
        note: ask.fields.optional("note")?,
        commune: ask.fields.optional("commune")?,
        shared: ask.fields.optional("shared")?.unwrap_or(false),
    };
    // Looked for in no time at all: whether it can be read, not what it finds.
    let request = HuntRequest {
        query: hunt.query.clone(),
        from: Timestamp::MIN,
        to: Timestamp::MIN,
        cursor: None,
        limit: 1,
    };
    app.hunt.hunt(ask.scope(), request).await.map_err(Problem::of_query)?;
    let (by, now) = (ask.caller().name.clone(), Timestamp::now());
    let commune = hunt.commune.clone();
    let kept =
        app.db.save_hunt(ask.scope(), hunt, &by, now).await.map_err(|error| match error {
            DbError::Missing { .. } => {
                let commune = commune.as_ref().map_or("", |commune| commune.as_str());
                Problem::not_found("commune", commune).with("pointer", "#/commune")
            }
            DbError::Refused(reason) => {
                let member = ["name", "note", "query", "commune"]
                    .into_iter()
                    .find(|member| reason.starts_with(&format!("the {member} ")));
                Problem::content(&format!("#/{}", member.unwrap_or("name")), reason)
            }
            error => Problem::of_db(error),
        })?;
    let location = format!("/api/v1/hunts/{}", kept.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(kept)).into_response())
}

/// Forgets one of the caller's own, or one shared with them.
pub(crate) async fn forget(app: App, ask: Ask) -> Result<Response, Problem> {
    let forgotten = app.db.forget_hunt(ask.scope(), ask.id_text(), &ask.caller().name).await;
    Ok(Json(forgotten.map_err(Problem::of_db)?).into_response())
}
