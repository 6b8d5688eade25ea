//! `/api/v1/events/{id}/around`: what else happened on the same device.

use std::time::Duration;

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use event::{Event, EventId};
use serde_json::{Value, json};
use store::hunt::HuntRequest;

use crate::{App, ask::Ask, params::LIMIT_MAX, problem::Problem};

/// Before and after the event, where the request does not say.
const WINDOW: Duration = Duration::from_mins(5);

/// A wider look is a hunt.
const WINDOW_MAX: Duration = Duration::from_hours(24);

/// What names a device, the surest first.
const DEVICE_FIELDS: [&str; 4] = ["host.id", "host.name", "device.id", "observer.serial_number"];

/// The events of the device that an event is of, from some minutes before it to as many after,
/// newest first.
pub(crate) async fn list(app: App, ask: Ask) -> Result<Response, Problem> {
    let window = match ask.params.span("window")? {
        None => WINDOW,
        Some(window) if !window.is_zero() && window <= WINDOW_MAX => window,
        Some(_) => {
            let reason = "window is a span above 0, at most 24h; hunt for more";
            return Err(Problem::parameter("window", reason));
        }
    };
    let limit = ask.params.limit(LIMIT_MAX)?;
    let id: EventId = ask.id("event")?;
    let found = app.hunt.event(ask.scope(), id).await.map_err(Problem::of_hunt)?;
    let event = found.ok_or_else(|| Problem::not_found("event", ask.id_text()))?;
    let document = event.to_json();
    let (from, to) = (event.timestamp().minus(window), event.timestamp().plus(window));
    let Some((field, device)) = device(&document) else {
        let warning = "the event names no device, so that none is around it";
        return Ok(Json(json!({
            "device": null, "from": from, "to": to, "items": [document],
            "next_cursor": null, "total": 1, "warnings": [warning],
        }))
        .into_response());
    };
    let query = format!("{field}:{}", quoted(device));
    let cursor = ask.params.cursor();
    let request = HuntRequest { query: query.clone(), from, to, cursor, limit };
    // A device of that name in another commune is another.
    let scope = ask.scope().narrowed(event.commune());
    let found = app.hunt.hunt(&scope, request).await.map_err(Problem::of_hunt)?;
    let items: Vec<Value> = found.events.iter().map(Event::to_json).collect();
    Ok(Json(json!({
        "device": {"field": field, "value": device},
        "query": query,
        "from": from,
        "to": to,
        "items": items,
        "next_cursor": found.next_cursor,
        "total": found.total,
        "warnings": found.warnings,
    }))
    .into_response())
}

/// What names the device of an event: the field and its value.
pub(crate) fn device(document: &Value) -> Option<(&'static str, &str)> {
    DEVICE_FIELDS.into_iter().find_map(|field| {
        let value = field.split('.').try_fold(document, |value, part| value.get(part))?;
        // Where there are several it is the first.
        let text = value.as_str().or_else(|| value.get(0)?.as_str())?;
        (!text.is_empty()).then_some((field, text))
    })
}

/// The first value at a dotted path, as text; `None` where there is none or it is empty.
pub(crate) fn text_at(document: &Value, path: &str) -> Option<String> {
    let value = path.split('.').try_fold(document, |value, part| value.get(part))?;
    match value.get(0).unwrap_or(value) {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// `text` as a value of the query language.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_named_by_the_surest_field() {
        let both = json!({"host": {"id": "", "name": ["pc-1", "pc-1.example"]}});
        assert_eq!(device(&both), Some(("host.name", "pc-1")));
        assert_eq!(device(&json!({"device": {"id": "7f"}})), Some(("device.id", "7f")));
        assert_eq!(device(&json!({"host": {"id": 7}, "user": {"name": "ana"}})), None);
        assert_eq!(quoted(r#"a"b\c"#), r#""a\"b\\c""#);
    }
}
