//! `/api/v1/reports`: what was done in a period, in figures that stay as they were made.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use event::{CommuneId, Feed, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use store::{
    Scope,
    db::{NewReport, Report, ReportInfo},
    hunt::{Interval, Statistics, StatisticsRequest},
};

use crate::{
    App,
    ask::Ask,
    devices::{self, Inventory},
    keeping, page,
    problem::Problem,
};

/// The longest period: ten years.
const DAYS_MAX: u64 = 3_660;

/// Feeds whose events are counted.
const FEEDS_MAX: usize = 1_000;

/// The reports in scope.
pub(crate) async fn list(app: App, ask: Ask) -> Result<Response, Problem> {
    Ok(page::whole(app.db.reports(ask.scope()).await.map_err(Problem::of_db)?))
}

/// A report with its figures.
#[derive(Serialize)]
struct Whole {
    #[serde(flatten)]
    info: ReportInfo,
    figures: Value,
}

impl Whole {
    fn of(report: Report) -> Result<Self, Problem> {
        let figures = serde_json::from_str(&report.figures)
            .map_err(|error| Problem::internal(format!("a stored report: {error}")))?;
        Ok(Self { info: report.info, figures })
    }
}

/// One report.
pub(crate) async fn get(app: App, ask: Ask) -> Result<Response, Problem> {
    let found = app.db.report(ask.scope(), ask.id_text()).await.map_err(Problem::of_db)?;
    let report = found.ok_or_else(|| Problem::not_found("report", ask.id_text()))?;
    Ok(Json(Whole::of(report)?).into_response())
}

/// The report of a period: the one that was made of it last, or a new one.
pub(crate) async fn make(app: App, mut ask: Ask) -> Result<Response, Problem> {
    let commune: Option<CommuneId> = ask.fields.optional("commune")?;
    let from: Timestamp = ask.fields.required("from")?;
    let to: Timestamp = ask.fields.required("to")?;
    let anew = ask.fields.optional("anew")?.unwrap_or(false);
    let now = Timestamp::now();
    if to <= from || to > now {
        return Err(Problem::content(
            "#/to",
            format!("to: {to} must be after from, and not to come: figures are of what is over"),
        ));
    }
    if to.since(from) > std::time::Duration::from_hours(24 * DAYS_MAX) {
        let detail = format!("from: the period is longer than {DAYS_MAX} days; take a shorter one");
        return Err(Problem::content("#/from", detail));
    }
    let scope = match &commune {
        Some(commune) => ask.scope().narrowed(commune),
        None if ask.scope().is_all() => ask.scope().clone(),
        None => {
            return Err(Problem::content(
                "#/commune",
                "commune is missing; a report of all communes is for those who see all",
            ));
        }
    };
    if let Some(commune) = &commune
        && !app
            .db
            .communes(&scope)
            .await
            .map_err(Problem::of_db)?
            .iter()
            .any(|of| of.id == *commune)
    {
        let absent = Problem::not_found("commune", commune.as_str());
        return Err(absent.with("pointer", "#/commune"));
    }
    if !anew {
        let known = app.db.reports(ask.scope()).await.map_err(Problem::of_db)?;
        let same = |of: &&ReportInfo| of.commune == commune && of.from == from && of.to == to;
        if let Some(info) = known.iter().find(same)
            && let Some(report) =
                app.db.report(ask.scope(), &info.id).await.map_err(Problem::of_db)?
        {
            return Ok(Json(Whole::of(report)?).into_response());
        }
    }
    let figures = figures(&app, &scope, commune.as_ref(), [from, to], now).await?;
    // No spaces, whole numbers alone: what is read and written again is the same text, whose digest
    // anybody can make.
    let report = NewReport { commune, from, to, figures: figures.to_string() };
    let by = ask.caller().name.clone();
    let kept = app.db.keep_report(ask.scope(), report, &by, now).await.map_err(Problem::of_db)?;
    Ok(Json(Whole::of(kept)?).into_response())
}

async fn figures(
    app: &App,
    scope: &Scope,
    commune: Option<&CommuneId>,
    [from, to]: [Timestamp; 2],
    now: Timestamp,
) -> Result<Value, Problem> {
    let incidents = app.db.incident_figures(scope, from, to, now).await.map_err(Problem::of_db)?;
    let before = app.db.coverage(scope, from).await.map_err(Problem::of_db)?;
    let after = app.db.coverage(scope, to).await.map_err(Problem::of_db)?;
    let events = count(app, scope, "", [from, to], true).await?;
    let unread = count(app, scope, "event.kind:pipeline_error", [from, to], false).await?;
    let communes = app.db.communes(scope).await.map_err(Problem::of_db)?;
    let mut warnings = events.warnings.clone();
    warnings.extend(unread.warnings.iter().cloned());
    warnings.sort_unstable();
    warnings.dedup();
    Ok(json!({
        "kind": "activity",
        "version": 1,
        "commune": commune,
        "communes": communes.iter().map(|of| json!({"id": of.id, "name": of.name})).collect::<Vec<_>>(),
        "from": from,
        "to": to,
        "as_of": now,
        "incidents": incidents,
        "coverage": {"at_from": before, "at_to": after},
        "events": {
            "query": {"q": "", "unread_q": "event.kind:pipeline_error", "field": "jacquemart.feed"},
            "total": events.total,
            "unread": unread.total,
            "by_day": events.histogram.as_ref().map(|bars| &bars.buckets),
            "by_feed": by_feed(&events),
            "unread_by_feed": by_feed(&unread),
            "warnings": warnings,
        },
        "feeds": feeds(app, scope).await?,
    }))
}

/// The events of the period by feed, and by day where that is asked.
async fn count(
    app: &App,
    scope: &Scope,
    query: &str,
    [from, to]: [Timestamp; 2],
    by_day: bool,
) -> Result<Statistics, Problem> {
    let day = std::time::Duration::from_hours(24);
    let request = StatisticsRequest {
        query: query.to_owned(),
        from,
        to: Timestamp::from_nanos(to.as_nanos().saturating_sub(1)),
        fields: vec!["jacquemart.feed".to_owned()],
        top: FEEDS_MAX,
        interval: by_day.then_some(Interval::Every(day)),
    };
    app.hunt.statistics(scope, request).await.map_err(Problem::of_hunt)
}

fn by_feed(counted: &Statistics) -> Vec<Value> {
    let values = counted.fields.first().map_or(&[][..], |field| &field.values[..]);
    values.iter().map(|(feed, events)| json!({"feed": feed, "events": events})).collect()
}

/// The feeds in scope as they are now; what is counted of them is counted since their beginning.
async fn feeds(app: &App, scope: &Scope) -> Result<Vec<Value>, Problem> {
    let days = keeping::days(app, scope).await?;
    let mut told = Vec::new();
    for feed in app.db.feeds(scope).await.map_err(Problem::of_db)? {
        let health = app.feed_watch.of(&feed.id);
        let inventory = Inventory::of(&devices::of(app, scope, &feed.id).await?);
        let own =
            [event::Owner::Feed(feed.id.clone()), event::Owner::Commune(feed.commune.clone())];
        let Feed { id, commune, format, name, created } = feed;
        told.push(json!({
            "id": id,
            "commune": commune,
            "format": format,
            "name": name,
            "created": created,
            "first_received": health.first_received,
            "last_received": health.last_received,
            "is_silent": health.is_silent,
            "records_in_all": health.counts.records,
            "failed_in_all": health.counts.failed,
            "partly_decoded_in_all": health.counts.partly_decoded,
            "devices": health.devices,
            "inventory": inventory,
            // Without days of its own or its commune's it is kept as all are.
            "own_retention_days": own.iter().find_map(|of| days.get(of)),
        }));
    }
    Ok(told)
}
