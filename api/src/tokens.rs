//! `/api/v1/tokens`: who may ask this API. For administrators alone.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use event::{CommuneId, Timestamp};
use serde::Serialize;
use store::{
    auth::{Role, Secret, TokenInfo},
    db::DbError,
};

use crate::{App, ask::Ask, page, problem::Problem};

/// What begins a token.
const TOKEN_PREFIX: &str = "jqt";

/// A token's facts and the token itself, shown by the answer that made it and never again.
#[derive(Serialize)]
struct WithSecret<'a> {
    #[serde(flatten)]
    token: &'a TokenInfo,
    secret: &'a str,
}

/// All tokens, never their secrets.
pub(crate) async fn list(app: App, _: Ask) -> Result<Response, Problem> {
    Ok(page::whole(app.db.tokens().await.map_err(Problem::of_db)?))
}

/// Makes a token. `communes` must be given, for leaving it out by mistake would open all.
pub(crate) async fn add(app: App, mut ask: Ask) -> Result<Response, Problem> {
    let name: String = ask.fields.required("name")?;
    let role = ask.fields.optional("role")?.unwrap_or(Role::Reader);
    let communes: Option<Vec<CommuneId>> = ask.fields.nullable("communes", "all communes")?;
    let expires: Option<Timestamp> = ask.fields.optional("expires")?;
    let token = TokenInfo { name, role, communes, created: Timestamp::now(), expires };
    let secret = Secret::generate(TOKEN_PREFIX)
        .map_err(|error| Problem::internal(format!("failed to draw a token: {error}")))?;
    app.db.add_token(token.clone(), secret.hash()).await.map_err(|error| match error {
        DbError::Missing { .. } => Problem::content("#/communes", error.to_string()),
        error => Problem::of_db(error),
    })?;
    let body = Json(WithSecret { token: &token, secret: secret.reveal() });
    Ok((StatusCode::CREATED, body).into_response())
}

/// Makes a token worthless from the next request on.
pub(crate) async fn revoke(app: App, ask: Ask) -> Result<Response, Problem> {
    app.db.revoke_token(ask.id_text()).await.map_err(Problem::of_db)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
