//! `/api/v1/communes`.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use event::{Commune, CommuneId, Timestamp};
use serde::Serialize;
use store::{
    Scope,
    db::{DbError, Regime},
};

use crate::{
    Api, App,
    ask::Ask,
    clocks, keeping, page,
    params::Params,
    problem::Problem,
    quota::{self, Bounded as _, WithQuota},
};

/// A commune with all that is set for it.
#[derive(Serialize)]
struct Settings {
    #[serde(flatten)]
    commune: WithQuota<Commune>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nis2: Option<Regime>,
}

async fn settings(app: &App, ask: &Ask, communes: Vec<Commune>) -> Result<Vec<Settings>, Problem> {
    let regimes = clocks::regimes(app, ask).await?;
    let nis2: Vec<_> = communes.iter().map(|commune| regimes.get(&commune.id).copied()).collect();
    let communes = quota::with_quotas(app, ask.scope(), communes).await?;
    Ok(communes.into_iter().zip(nis2).map(|(commune, nis2)| Settings { commune, nis2 }).collect())
}

/// The communes in scope.
pub(crate) async fn list(app: App, ask: Ask) -> Result<Response, Problem> {
    let communes = app.db.communes(ask.scope()).await.map_err(Problem::of_db)?;
    Ok(page::whole(settings(&app, &ask, communes).await?))
}

/// One commune.
pub(crate) async fn get(app: App, ask: Ask) -> Result<Response, Problem> {
    let commune = named(&app, &ask).await?;
    Ok(Json(settings(&app, &ask, vec![commune]).await?.pop()).into_response())
}

/// Sets how much its feeds may send together.
pub(crate) async fn set_quota(app: App, mut ask: Ask) -> Result<Response, Problem> {
    let commune = named(&app, &ask).await?;
    Ok(Json(quota::set(&app, &mut ask, commune).await?).into_response())
}

/// Sets how long its events are kept.
pub(crate) async fn set_retention(app: App, mut ask: Ask) -> Result<Response, Problem> {
    let commune = named(&app, &ask).await?;
    keeping::set_days(&app, &mut ask, &commune.owner()).await
}

pub(crate) async fn named(app: &App, ask: &Ask) -> Result<Commune, Problem> {
    let id: CommuneId = ask.id("commune")?;
    let found = find(app, ask.scope(), &id).await?;
    found.ok_or_else(|| Problem::not_found("commune", id.as_str()))
}

/// Adds a commune; its name is its id where none is given.
pub(crate) async fn add(app: App, mut ask: Ask) -> Result<Response, Problem> {
    let id: CommuneId = ask.fields.required("id")?;
    let name = ask.fields.optional("name")?.unwrap_or_else(|| id.to_string());
    let commune = Commune { id, name, created: Timestamp::now() };
    app.db.add_commune(commune.clone()).await.map_err(|error| match error {
        DbError::Refused(reason) => Problem::content("#/name", reason),
        error => Problem::of_db(error),
    })?;
    let location = format!("/api/v1/communes/{}", commune.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(commune)).into_response())
}

/// The scope of a listing that takes a `commune`: cut down to it where it is given. A commune
/// that the caller may not read is one that does not exist; an empty list would hide a typing
/// error.
pub(crate) async fn narrowed(
    api: &Api,
    scope: &Scope,
    params: &Params,
) -> Result<(Scope, Option<CommuneId>), Problem> {
    let Some(id) = params.value::<CommuneId>("commune")? else {
        return Ok((scope.clone(), None));
    };
    match find(api, scope, &id).await? {
        Some(_) => Ok((scope.narrowed(&id), Some(id))),
        None => Err(Problem::not_found("commune", id.as_str()).with("field", "commune")),
    }
}

async fn find(api: &Api, scope: &Scope, id: &CommuneId) -> Result<Option<Commune>, Problem> {
    let communes = api.db.communes(&scope.narrowed(id)).await.map_err(Problem::of_db)?;
    Ok(communes.into_iter().find(|commune| commune.id == *id))
}
