//! How soon incidents are to be dealt with: `/api/v1/sla`, and who is under NIS 2.

use std::collections::HashMap;

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use event::{CommuneId, Level};
use serde::Serialize;
use store::db::{DbError, OwnTargets, Regime, SetTargets, Targets};

use crate::{App, ask::Ask, communes, page, problem::Problem};

/// The severities that an incident may have, the worst first.
const SEVERITIES: [Level; 4] = [Level::Critical, Level::High, Level::Medium, Level::Low];

/// What holds for the incidents of one severity of a commune that open now.
#[derive(Serialize)]
struct Promise<'a> {
    /// `null` is every commune without an own target.
    commune: Option<&'a CommuneId>,
    severity: Level,
    #[serde(flatten)]
    targets: Targets,
    /// Whether any of it was set for this commune, or for all in the line of all.
    own: bool,
}

/// The targets that hold, for all and for each commune in scope.
pub(crate) async fn targets(app: App, ask: Ask) -> Result<Response, Problem> {
    let set = app.db.targets(ask.scope()).await.map_err(Problem::of_db)?;
    let communes = app.db.communes(ask.scope()).await.map_err(Problem::of_db)?;
    let whose = std::iter::once(None).chain(communes.iter().map(|commune| Some(&commune.id)));
    let mut promises = Vec::new();
    for commune in whose {
        for severity in SEVERITIES {
            let is_own =
                |set: &SetTargets| set.commune.as_ref() == commune && set.severity == severity;
            promises.push(Promise {
                commune,
                severity,
                targets: Targets::of(&set, commune, severity),
                own: set.iter().any(is_own),
            });
        }
    }
    Ok(page::whole(promises))
}

/// Sets the targets of one severity, of one commune or of all.
pub(crate) async fn set_targets(app: App, mut ask: Ask) -> Result<Response, Problem> {
    let set = SetTargets {
        commune: ask.fields.optional("commune")?,
        severity: ask.fields.required("severity")?,
        own: OwnTargets {
            acknowledge_min: ask.fields.optional("acknowledge_min")?,
            contain_min: ask.fields.optional("contain_min")?,
            resolve_min: ask.fields.optional("resolve_min")?,
        },
    };
    let (commune, severity) = (set.commune.clone(), set.severity);
    app.db.set_targets(set).await.map_err(|error| match error {
        DbError::Missing { .. } => Problem::content("#/commune", error.to_string()),
        DbError::Refused(reason) => {
            let member = reason.split(' ').next().filter(|word| word.ends_with("_min"));
            let pointer = format!("#/{}", member.unwrap_or("severity"));
            Problem::content(&pointer, reason)
        }
        error => Problem::of_db(error),
    })?;
    let set = app.db.targets(ask.scope()).await.map_err(Problem::of_db)?;
    let targets = Targets::of(&set, commune.as_ref(), severity);
    let own = set.iter().any(|set| set.commune == commune && set.severity == severity);
    Ok(Json(Promise { commune: commune.as_ref(), severity, targets, own }).into_response())
}

#[derive(Serialize)]
struct UnderNis2 {
    id: CommuneId,
    nis2: Option<Regime>,
}

/// Says what NIS 2 takes a commune for.
pub(crate) async fn set_regime(app: App, mut ask: Ask) -> Result<Response, Problem> {
    let commune = communes::named(&app, &ask).await?;
    let nis2: Option<Regime> = ask.fields.nullable("regime", "not under NIS 2")?;
    app.db.set_regime(&commune.id, nis2).await.map_err(Problem::of_db)?;
    Ok(Json(UnderNis2 { id: commune.id, nis2 }).into_response())
}

/// What NIS 2 takes the communes in scope for.
pub(crate) async fn regimes(app: &App, ask: &Ask) -> Result<HashMap<CommuneId, Regime>, Problem> {
    let regimes = app.db.regimes(ask.scope()).await.map_err(Problem::of_db)?;
    Ok(regimes.into_iter().collect())
}
