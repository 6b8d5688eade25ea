//! `/api/v1/incidents`.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use event::{CommuneId, Detection, IncidentId, Level};
use serde_json::{Value, json};
use store::{
    Scope,
    db::{
        AssigneeFilter, DbError, Incident, IncidentQuery, IncidentSort, IncidentStatus, Page,
        Verdict,
    },
};

use crate::{
    App,
    ask::Ask,
    communes,
    nearest::hint,
    page,
    params::{LIMIT_MAX, Params},
    precondition,
    problem::{Problem, shown},
};

/// How many detections an incident comes with; the rest is on further pages.
const WITH_DETECTIONS: usize = 100;

/// Characters of a text to find.
const TEXT_CHARS_MAX: usize = 256;

/// The most detections whose events one page shows: each is looked up by itself.
const EVENTS_LIMIT_MAX: usize = 100;

/// Incidents that match, last updated first.
pub(crate) async fn list(app: App, ask: Ask) -> Result<Response, Problem> {
    let (scope, mut query) = query(&app, &ask).await?;
    query.limit = ask.params.limit(LIMIT_MAX)?;
    Ok(page::page(app.db.incidents(&scope, &query).await.map_err(Problem::of_db)?))
}

/// The filters of a list, its `limit` aside.
pub(crate) const FILTERS: [&str; 12] = [
    "commune",
    "status",
    "verdict",
    "severity_min",
    "assignee",
    "label",
    "q",
    "updated_since",
    "due_before",
    "sort",
    "cursor",
    "limit",
];

/// What [`FILTERS`] ask for.
pub(crate) async fn query(app: &App, ask: &Ask) -> Result<(Scope, IncidentQuery), Problem> {
    let params = &ask.params;
    let severity_min = params.words("severity_min", &Level::ALL, Level::as_str)?;
    if severity_min.len() > 1 {
        return Err(Problem::parameter("severity_min", "severity_min is one level, the lowest"));
    }
    let (sort, ascending) = order(params)?;
    let mut query = IncidentQuery {
        commune: None,
        status: params.words("status", &IncidentStatus::ALL, IncidentStatus::as_str)?,
        verdict: params.words("verdict", &Verdict::ALL, Verdict::as_str)?,
        severity_min: severity_min.first().copied(),
        assignee: assignee(params, ask),
        label: params.text("label").map(str::to_owned),
        text: text(params)?,
        updated_since: params.time("updated_since")?,
        due_before: params.time("due_before")?,
        sort,
        ascending,
        cursor: params.cursor(),
        limit: 0,
    };
    let (scope, commune) = communes::narrowed(app, ask.scope(), params).await?;
    query.commune = commune;
    Ok((scope, query))
}

/// `sort=severity` is greatest first, `sort=+severity` smallest first.
fn order(params: &Params) -> Result<(IncidentSort, bool), Problem> {
    let Some(text) = params.text("sort") else { return Ok((IncidentSort::default(), false)) };
    // A plus that was not escaped arrives as a space.
    let (word, ascending) = match text.strip_prefix(['+', ' ']) {
        Some(word) => (word, true),
        None => (text.strip_prefix('-').unwrap_or(text), false),
    };
    let words = IncidentSort::ALL.map(IncidentSort::as_str);
    match IncidentSort::ALL.into_iter().find(|sort| sort.as_str() == word) {
        Some(sort) => Ok((sort, ascending)),
        None => {
            let (word, hint) = (shown(word), hint(word, &words));
            Err(Problem::parameter(
                "sort",
                format!("sort: {word:?} is unknown; {hint}. A + before it is smallest first"),
            ))
        }
    }
}

/// `none` is nobody, `me` whoever asks.
fn assignee(params: &Params, ask: &Ask) -> Option<AssigneeFilter> {
    Some(match params.text("assignee")? {
        "none" => AssigneeFilter::Nobody,
        "me" => AssigneeFilter::Named(ask.caller().name.clone()),
        name => AssigneeFilter::Named(name.to_owned()),
    })
}

/// What to find in an incident's title, entities, labels, tags and number.
fn text(params: &Params) -> Result<Option<String>, Problem> {
    match params.text("q") {
        Some(text)
            if text.chars().count() > TEXT_CHARS_MAX || text.chars().any(char::is_control) =>
        {
            Err(Problem::parameter(
                "q",
                format!("q is a text of at most {TEXT_CHARS_MAX} characters on one line"),
            ))
        }
        text => Ok(text.map(str::to_owned)),
    }
}

/// One incident with its first detections and its timeline.
pub(crate) async fn get(app: App, ask: Ask) -> Result<Response, Problem> {
    // The incident is read first, so that its version, which is the ETag, is never newer than
    // what comes with it: a change made for it is refused rather than made blindly.
    let incident = find(&app, &ask).await?;
    let etag = precondition::etag(incident.version);
    if precondition::is_known(&ask.headers, incident.version) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let detections = app
        .db
        .incident_detections(ask.scope(), incident.id, None, WITH_DETECTIONS)
        .await
        .map_err(|error| of_db(&ask, error))?;
    let timeline = app
        .db
        .incident_timeline(ask.scope(), incident.id)
        .await
        .map_err(|error| of_db(&ask, error))?;
    let risk =
        app.db.incident_risk(ask.scope(), incident.id).await.map_err(|error| of_db(&ask, error))?;
    let total = incident.detections;
    let mut whole = json!(incident);
    if let Value::Object(members) = &mut whole {
        let mut page = json!(detections);
        page["total"] = total.into();
        members.insert("detections".to_owned(), page);
        members.insert("timeline".to_owned(), json!(timeline));
        members.insert("risk".to_owned(), json!(risk));
    }
    Ok(([(header::ETAG, etag)], Json(whole)).into_response())
}

/// An incident's detections, oldest event first.
pub(crate) async fn detections(app: App, ask: Ask) -> Result<Response, Problem> {
    let limit = ask.params.limit(LIMIT_MAX)?;
    Ok(page::page(detections_page(&app, &ask, limit).await?))
}

/// The events of a page of an incident's detections, each once a page. What the index no
/// longer has is shown as the detection keeps it.
pub(crate) async fn events(app: App, ask: Ask) -> Result<Response, Problem> {
    let limit = match ask.params.limit(EVENTS_LIMIT_MAX)? {
        0 => EVENTS_LIMIT_MAX,
        limit => limit,
    };
    let Page { items, next_cursor } = detections_page(&app, &ask, limit).await?;
    let mut seen = Vec::with_capacity(items.len());
    let mut events = Vec::with_capacity(items.len());
    for detection in items {
        if seen.contains(&detection.event_id) {
            continue;
        }
        seen.push(detection.event_id);
        events.push(event_of(&app, ask.scope(), detection).await);
    }
    Ok(page::page(Page { items: events, next_cursor }))
}

/// The incident that the path means: by its id, or as people say it, e.g. `DIJON-12`.
pub(crate) async fn id(app: &App, ask: &Ask) -> Result<IncidentId, Problem> {
    let found = id_of(app, ask.scope(), ask.id_text()).await?;
    found.ok_or_else(|| Problem::not_found("incident", ask.id_text()))
}

/// The id of an incident that is named by it or by commune and number; `None` where it is
/// neither, or no incident in scope has that number.
pub(crate) async fn id_of(
    app: &App,
    scope: &Scope,
    text: &str,
) -> Result<Option<IncidentId>, Problem> {
    if let Ok(id) = text.parse() {
        return Ok(Some(id));
    }
    let named = text.rsplit_once('-').and_then(|(commune, number)| {
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let commune: CommuneId = commune.to_ascii_lowercase().parse().ok()?;
        Some((commune, number.parse::<u64>().ok().filter(|_| digits)?))
    });
    let Some((commune, number)) = named else { return Ok(None) };
    app.db.incident_numbered(scope, &commune, number).await.map_err(Problem::of_db)
}

pub(crate) async fn find(app: &App, ask: &Ask) -> Result<Incident, Problem> {
    let id = id(app, ask).await?;
    let found = app.db.incident(ask.scope(), id).await.map_err(Problem::of_db)?;
    found.ok_or_else(|| Problem::not_found("incident", ask.id_text()))
}

async fn detections_page(app: &App, ask: &Ask, limit: usize) -> Result<Page<Detection>, Problem> {
    let id = id(app, ask).await?;
    app.db
        .incident_detections(ask.scope(), id, ask.params.text("cursor"), limit)
        .await
        .map_err(|error| of_db(ask, error))
}

/// The database names an incident as it is stored; the answer names it as it was asked for.
pub(crate) fn of_db(ask: &Ask, error: DbError) -> Problem {
    match error {
        DbError::Missing { .. } => Problem::not_found("incident", ask.id_text()),
        error => Problem::of_db(error),
    }
}

async fn event_of(app: &App, scope: &Scope, detection: Detection) -> Value {
    match app.hunt.event(&scope.narrowed(&detection.commune), detection.event_id).await {
        Ok(Some(event)) => event.to_json(),
        Ok(None) => detection.event,
        Err(error) => {
            let event = detection.event_id;
            tracing::warn!(%event, %error, "failed to look an event up; its detection's copy is shown");
            detection.event
        }
    }
}
