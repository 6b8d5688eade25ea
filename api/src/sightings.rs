//! `/api/v1/sightings`: where a value was seen, by commune: an address, a domain, a hash, a name.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use event::{CommuneId, Timestamp};
use serde_json::{Value, json};
use store::{
    db::IncidentQuery,
    hunt::{FieldStatistics, StatisticsRequest},
};

use crate::{App, around::quoted, ask::Ask, communes, events::Window, problem::Problem};

/// Characters of a value at most.
const VALUE_CHARS_MAX: usize = 1_000;
/// Communes that are told of; there are 23.
const COMMUNES_MAX: usize = 100;
/// Devices and users that are told of each.
const TOP: usize = 10;
/// Incidents that are told of.
const INCIDENTS_MAX: usize = 20;

/// Everything in scope that has the value: its events by commune, and the incidents that name it.
pub(crate) async fn get(app: App, ask: Ask) -> Result<Response, Problem> {
    let window = Window::asked(&ask.params, Timestamp::now())?;
    let value = ask.params.text("value").unwrap_or_default().trim().to_owned();
    let chars = value.chars().count();
    if chars == 0 || chars > VALUE_CHARS_MAX {
        let reason = format!("value is what was seen, 1 to {VALUE_CHARS_MAX} characters");
        return Err(Problem::parameter("value", reason));
    }
    let (scope, commune) = communes::narrowed(&app, ask.scope(), &ask.params).await?;
    let request = |fields: &[&str], top| StatisticsRequest {
        query: quoted(&value),
        from: window.from,
        to: window.to,
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        top,
        interval: None,
    };
    let by_commune = request(&["organization.id"], COMMUNES_MAX);
    let counted = app.hunt.statistics(&scope, by_commune).await.map_err(Problem::of_hunt)?;
    let mut warnings = counted.warnings;
    let found = counted.fields.first().map_or(&[][..], |field| &field.values[..]);
    let mut communes = Vec::new();
    for (id, _) in found {
        let Ok(id) = id.parse::<CommuneId>() else { continue };
        let asked = request(&["host.name", "user.name"], TOP);
        let of = app.hunt.statistics(&scope.narrowed(&id), asked).await;
        let of = of.map_err(Problem::of_hunt)?;
        let top = |at: usize| of.fields.get(at).map(values).unwrap_or_default();
        communes.push(json!({
            "commune": id,
            "events": of.total,
            "first": of.extent.map(|(first, _)| first),
            "last": of.extent.map(|(_, last)| last),
            "hosts": top(0),
            "users": top(1),
        }));
        warnings.extend(of.warnings);
    }
    warnings.sort_unstable();
    warnings.dedup();
    let query = IncidentQuery {
        commune,
        text: Some(value.clone()),
        limit: INCIDENTS_MAX,
        ..IncidentQuery::default()
    };
    let incidents = app.db.incidents(&scope, &query).await.map_err(Problem::of_db)?;
    let named: Vec<Value> = incidents
        .items
        .iter()
        .map(|incident| {
            json!({
                "id": incident.id, "commune": incident.commune, "number": incident.number,
                "title": incident.title, "severity": incident.severity, "status": incident.status,
            })
        })
        .collect();
    Ok(Json(json!({
        "value": value,
        "total": counted.total,
        "first": counted.extent.map(|(first, _)| first),
        "last": counted.extent.map(|(_, last)| last),
        "communes": communes,
        "incidents": named,
        "more_incidents": incidents.next_cursor.is_some(),
        "warnings": warnings,
    }))
    .into_response())
}

fn values(field: &FieldStatistics) -> Vec<Value> {
    let each = field.values.iter();
    each.map(|(value, events)| json!({"value": value, "events": events})).collect()
}
