//! `/api/v1/events`: hunts.

use std::time::Duration;

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use event::{Event, EventId, Timestamp};
use serde_json::{Value, json};
use store::hunt::{HuntRequest, Interval, Statistics, StatisticsRequest};

use crate::{
    App,
    ask::Ask,
    communes,
    params::{LIMIT_MAX, Params},
    problem::Problem,
};

/// How far back is searched where the request does not say.
const SINCE: Duration = Duration::from_hours(24);

/// Events that match, newest first, as nested ECS documents.
pub(crate) async fn list(app: App, ask: Ask) -> Result<Response, Problem> {
    let window = Window::asked(&ask.params, Timestamp::now())?;
    let limit = ask.params.limit(LIMIT_MAX)?;
    let (window, cursor) = match ask.params.text("cursor") {
        None => (window, None),
        Some(cursor) => {
            let (window, inner) = Window::resumed(cursor).ok_or_else(Problem::wrong_cursor)?;
            (window, Some(inner))
        }
    };
    let (scope, _) = communes::narrowed(&app, ask.scope(), &ask.params).await?;
    let request = HuntRequest {
        query: ask.params.text("q").unwrap_or_default().to_owned(),
        from: window.from,
        to: window.to,
        cursor,
        limit,
    };
    let found = app.hunt.hunt(&scope, request).await.map_err(Problem::of_hunt)?;
    let items: Vec<Value> = found.events.iter().map(Event::to_json).collect();
    Ok(Json(json!({
        "items": items,
        "next_cursor": found.next_cursor.map(|inner| window.cursor(&inner)),
        "total": found.total,
        "warnings": found.warnings,
    }))
    .into_response())
}

/// Fields that one request counts at most.
const FIELDS_MAX: usize = 10;
/// Values of each that are told where the request does not say.
const TOP: usize = 10;

/// What the matching events have in common: how many when, and which values most often.
pub(crate) async fn statistics(app: App, ask: Ask) -> Result<Response, Problem> {
    let params = &ask.params;
    let window = Window::asked(params, Timestamp::now())?;
    let fields: Vec<String> = match params.text("field") {
        None => Vec::new(),
        Some(text) => text.split(',').map(|name| name.trim().to_owned()).collect(),
    };
    if fields.len() > FIELDS_MAX || fields.iter().any(String::is_empty) {
        return Err(Problem::parameter(
            "field",
            format!("field is one to {FIELDS_MAX} names of fields, with commas between them"),
        ));
    }
    let top = match params.value::<usize>("top")? {
        None => TOP,
        Some(top) if (1..=LIMIT_MAX).contains(&top) => top,
        Some(_) => {
            let reason = format!("top is a whole number from 1 to {LIMIT_MAX}");
            return Err(Problem::parameter("top", reason));
        }
    };
    let interval = match params.text("interval") {
        None => None,
        Some("auto") => Some(Interval::Chosen),
        Some(_) => match params.span("interval")? {
            Some(span) if !span.is_zero() => Some(Interval::Every(span)),
            _ => return Err(Problem::parameter("interval", "interval is auto or a span above 0")),
        },
    };
    let (scope, _) = communes::narrowed(&app, ask.scope(), params).await?;
    let request = StatisticsRequest {
        query: params.text("q").unwrap_or_default().to_owned(),
        from: window.from,
        to: window.to,
        fields,
        top,
        interval,
    };
    let counted = app.hunt.statistics(&scope, request).await.map_err(Problem::of_hunt)?;
    Ok(Json(document(&counted)).into_response())
}

fn document(counted: &Statistics) -> Value {
    let fields: Vec<Value> = counted
        .fields
        .iter()
        .map(|field| {
            let values: Vec<Value> = field
                .values
                .iter()
                .map(|(value, count)| json!({ "value": value, "count": count }))
                .collect();
            json!({
                "field": field.field, "values": values, "distinct": field.distinct,
                "events": field.events, "longer": field.longer,
            })
        })
        .collect();
    let histogram = counted.histogram.as_ref().map(|histogram| {
        let buckets: Vec<Value> = histogram
            .buckets
            .iter()
            .map(|(from, count)| json!({ "from": from, "count": count }))
            .collect();
        json!({ "interval_s": histogram.interval.as_secs_f64(), "buckets": buckets })
    });
    json!({
        "total": counted.total,
        "first": counted.extent.map(|(first, _)| first),
        "last": counted.extent.map(|(_, last)| last),
        "histogram": histogram,
        "fields": fields,
        "warnings": counted.warnings,
    })
}

/// One event.
pub(crate) async fn get(app: App, ask: Ask) -> Result<Response, Problem> {
    let id: EventId = ask.id("event")?;
    let found = app.hunt.event(ask.scope(), id).await.map_err(Problem::of_hunt)?;
    let event = found.ok_or_else(|| Problem::not_found("event", ask.id_text()))?;
    Ok(Json(event.to_json()).into_response())
}

/// From when to when. The pages of one hunt share the first one's, which their cursors carry:
/// `since` would otherwise mean another time on each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

impl Window {
    pub(crate) fn asked(params: &Params, now: Timestamp) -> Result<Self, Problem> {
        let (from, to) = (params.time("from")?, params.time("to")?);
        let since = params.span("since")?;
        if let (Some(_), Some(_)) = (from, since) {
            return Err(Problem::parameter("since", "since and from exclude each other; give one"));
        }
        let from = match (from, since) {
            (Some(from), _) => from,
            (None, Some(since)) => now.minus(since),
            (None, None) => to.unwrap_or(now).minus(SINCE),
        };
        // Open at the end by default, so that events of clocks that run ahead are found.
        let to = to.unwrap_or(Timestamp::MAX);
        if from > to {
            return Err(Problem::parameter(
                "from",
                format!("the search would begin at {from}, after its end at {to}"),
            ));
        }
        Ok(Self { from, to })
    }

    fn cursor(self, inner: &str) -> String {
        format!("{:x}.{:x}.{inner}", self.from.as_nanos(), self.to.as_nanos())
    }

    /// The window and the store's own cursor; `None` where `cursor` is none of ours.
    fn resumed(cursor: &str) -> Option<(Self, String)> {
        let (from, rest) = cursor.split_once('.')?;
        let (to, inner) = rest.split_once('.')?;
        // Printed and read as the bits of an i64.
        let time = |text: &str| {
            let bits = u64::from_str_radix(text, 16).ok()?;
            Some(Timestamp::from_nanos(i64::from_ne_bytes(bits.to_ne_bytes())))
        };
        Some((Self { from: time(from)?, to: time(to)? }, inner.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["from", "to", "since"];

    fn window(query: &str) -> Result<Window, Problem> {
        let params = Params::parse(&format!("/x?{query}").parse().unwrap(), KNOWN).unwrap();
        Window::asked(&params, Timestamp::parse("2026-03-03T12:00:00Z").unwrap())
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn a_window_is_a_day_unless_said_otherwise() {
        let day = Window { from: at("2026-03-02T12:00:00Z"), to: Timestamp::MAX };
        assert_eq!(window("").unwrap(), day);
        assert_eq!(window("since=24h").unwrap(), day);
        let past = window("to=2026-01-02T00:00:00Z").unwrap();
        assert_eq!(
            past,
            Window { from: at("2026-01-01T00:00:00Z"), to: at("2026-01-02T00:00:00Z") }
        );
        for bad in [
            "since=1h&from=2026-01-01T00:00:00Z",
            "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
            "from=yesterday",
            "since=1",
        ] {
            assert!(window(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn cursors_carry_the_window() {
        for from in [Timestamp::MIN, Timestamp::from_nanos(-1), at("2026-03-02T12:00:00Z")] {
            let window = Window { from, to: Timestamp::MAX };
            let resumed = Window::resumed(&window.cursor("in.ner")).unwrap();
            assert_eq!(resumed, (window, "in.ner".to_owned()));
        }
        for bad in ["", "x", "1.2", "x.y.z", "1.fffffffffffffffff.a"] {
            assert_eq!(Window::resumed(bad), None, "{bad}");
        }
    }
}
