//! Changing incidents, one or many.

use axum::{
    Json,
    http::header,
    response::{IntoResponse as _, Response},
};
use event::{Level, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use store::db::{DbError, IncidentChange, IncidentStatus, Nis2Report, Verdict, Visibility};

use crate::{
    App,
    ask::Ask,
    fields::Fields,
    incidents::{self, find, of_db},
    params::joined,
    precondition,
    problem::Problem,
};

/// The members that change one incident.
pub(crate) const MEMBERS: [&str; 11] = [
    "status",
    "verdict",
    "assignee",
    "severity",
    "contained",
    "nis2_aware",
    "nis2_report",
    "reason",
    "labels",
    "comment",
    "visibility",
];

/// The same and which incidents.
pub(crate) const BULK_MEMBERS: [&str; 12] = joined(["ids"], MEMBERS);

/// The most incidents that one request changes.
const BULK_MAX: usize = 1_000;

/// Changes one incident.
pub(crate) async fn change(app: App, mut ask: Ask) -> Result<Response, Problem> {
    let mut change = read(&mut ask.fields)?;
    let incident = find(&app, &ask).await?;
    change.if_version = precondition::expected(&ask.headers, incident.version)?;
    let (scope, by) = (ask.scope(), &ask.caller().name);
    let changed = app.db.change_incident(scope, incident.id, change, by, Timestamp::now()).await;
    let changed = changed.map_err(|error| of_db(&ask, error))?;
    let etag = precondition::etag(changed.version);
    Ok(([(header::ETAG, etag)], Json(changed)).into_response())
}

/// What became of one of many.
#[derive(Serialize)]
struct Outcome {
    /// As it was asked for.
    id: String,
    /// What the change alone would have been answered with.
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    incident: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Value>,
}

/// Makes one change to many incidents: each is changed or not by itself, and the answer says
/// which.
pub(crate) async fn bulk(app: App, mut ask: Ask) -> Result<Response, Problem> {
    let ids: Vec<String> = ask.fields.required("ids")?;
    let change = read(&mut ask.fields)?;
    if ids.is_empty() || ids.len() > BULK_MAX {
        let count = ids.len();
        let detail = format!("ids: there are {count}; give 1 to {BULK_MAX} ids of incidents");
        return Err(Problem::content("#/ids", detail));
    }
    let mut items = Vec::with_capacity(ids.len());
    for id in ids {
        items.push(one_of_many(&app, &ask, id, change.clone()).await?);
    }
    let changed = items.iter().filter(|item| item.incident.is_some()).count();
    let failed = items.len() - changed;
    Ok(Json(json!({"items": items, "changed": changed, "failed": failed})).into_response())
}

async fn one_of_many(
    app: &App,
    ask: &Ask,
    id: String,
    change: IncidentChange,
) -> Result<Outcome, Problem> {
    let problem = match incidents::id_of(app, ask.scope(), &id).await? {
        None => Problem::not_found("incident", &id),
        Some(known) => {
            let (scope, by) = (ask.scope(), &ask.caller().name);
            let changed = app.db.change_incident(scope, known, change, by, Timestamp::now()).await;
            match changed {
                Ok(incident) => {
                    let incident = Some(json!(incident));
                    return Ok(Outcome { id, status: 200, incident, problem: None });
                }
                Err(DbError::Missing { .. }) => Problem::not_found("incident", &id),
                Err(error @ (DbError::Refused(_) | DbError::Conflict { .. })) => {
                    Problem::of_db(error)
                }
                // The others would fail alike.
                Err(error) => return Err(Problem::of_db(error)),
            }
        }
    };
    let status = problem.status().as_u16();
    Ok(Outcome { id, status, incident: None, problem: Some(problem.to_json()) })
}

fn read(fields: &mut Fields) -> Result<IncidentChange, Problem> {
    let severity: Option<Option<Level>> = fields.settable("severity")?;
    let change = IncidentChange {
        status: fields.optional::<IncidentStatus>("status")?,
        verdict: fields.optional::<Verdict>("verdict")?,
        assignee: fields.settable("assignee")?,
        severity,
        contained: fields.optional("contained")?,
        nis2_aware: fields.settable("nis2_aware")?,
        nis2_report: fields.optional::<Nis2Report>("nis2_report")?,
        reason: fields.optional("reason")?,
        labels: fields.optional("labels")?,
        comment: fields.optional("comment")?,
        visibility: fields.optional::<Visibility>("visibility")?,
        if_version: None,
    };
    // Told here, for it names the member that is missing.
    if severity.is_some() && change.reason.is_none() {
        return Err(Problem::content(
            "#/reason",
            "reason is missing; another severity demands one",
        ));
    }
    if change.nis2_aware == Some(None) && change.reason.is_none() {
        return Err(Problem::content(
            "#/reason",
            "reason is missing; not reporting an incident after all demands one",
        ));
    }
    Ok(change)
}

/// How many of the most alike are shown.
const SIMILAR_MAX: usize = 50;
const SIMILAR_DEFAULT: usize = 10;

/// Other incidents that resemble one.
pub(crate) async fn similar(app: App, ask: Ask) -> Result<Response, Problem> {
    let limit = match ask.params.limit(SIMILAR_MAX)? {
        0 => SIMILAR_DEFAULT,
        limit => limit,
    };
    let id = incidents::id(&app, &ask).await?;
    let similar = app.db.similar_incidents(ask.scope(), id, limit).await;
    Ok(crate::page::whole(similar.map_err(|error| of_db(&ask, error))?))
}

/// Merges one incident into another of its commune.
pub(crate) async fn merge(app: App, mut ask: Ask) -> Result<Response, Problem> {
    let into: String = ask.fields.required("into")?;
    let no_other = || {
        let problem = Problem::not_found("incident", &into);
        problem.with("pointer", "#/into")
    };
    let from = incidents::id(&app, &ask).await?;
    let other = incidents::id_of(&app, ask.scope(), &into).await?.ok_or_else(no_other)?;
    // Told apart before both are looked for at once.
    let missing = app.db.incident(ask.scope(), other).await.map_err(Problem::of_db)?.is_none();
    if missing {
        return Err(no_other());
    }
    let (scope, by) = (ask.scope(), &ask.caller().name);
    let merged = app.db.merge_incident(scope, from, other, by, Timestamp::now()).await;
    let merged = merged.map_err(|error| of_db(&ask, error))?;
    let etag = precondition::etag(merged.version);
    Ok(([(header::ETAG, etag)], Json(merged)).into_response())
}
