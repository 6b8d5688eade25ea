//! `/api/v1/openapi.json`: the API in OpenAPI 3.1, made of the table of routes.

use std::sync::LazyLock;

use axum::{
    Json,
    extract::Request,
    http::header,
    response::{IntoResponse as _, Response},
};
use serde_json::{Map, Value, json};

use crate::{
    App,
    problem::Problem,
    routes::{Needs, RouteInfo, routes},
};

mod page;
mod words;

use words::{Answer, WORDS, Words, member, parameter};

static DESCRIPTION: LazyLock<Value> = LazyLock::new(|| describe(&routes()));

/// The description. It tells nothing of what is kept, so anybody may have it.
pub(crate) async fn show(_: App, _: Request) -> Result<Response, Problem> {
    Ok(Json(&*DESCRIPTION).into_response())
}

static PAGE: LazyLock<String> = LazyLock::new(|| page::page(&DESCRIPTION));

/// The description for people.
pub(crate) async fn show_page(_: App, _: Request) -> Result<Response, Problem> {
    // The style is part of the page, which is made of our own words alone.
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    Ok((headers, PAGE.as_str()).into_response())
}

fn describe(routes: &[RouteInfo]) -> Value {
    let mut paths = Map::new();
    for route in routes {
        let of_path = paths.entry(route.path).or_insert_with(|| json!({}));
        of_path[route.method.as_str().to_ascii_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Jacquemart",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Errors are problems (RFC 9457). Times are RFC 3339 in UTC. What the caller \
                may not see answers as what does not exist. docs/api.md says more.",
            "license": {"name": "EUPL-1.2", "identifier": "EUPL-1.2"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Problem": {
                    "type": "object",
                    "properties": {
                        "type": {"type": "string"},
                        "title": {"type": "string"},
                        "status": {"type": "integer"},
                        "detail": {"type": "string"},
                        "pointer": {"type": "string", "description": "the member that is wrong"},
                    },
                    "required": ["type", "title", "status", "detail"],
                },
                "Page": {
                    "type": "object",
                    "properties": {
                        "items": {"type": "array", "items": {"type": "object"}},
                        "next_cursor": {"type": ["string", "null"]},
                    },
                    "required": ["items", "next_cursor"],
                },
            },
            "responses": {
                "Problem": {
                    "description": "It was refused or failed",
                    "content": {
                        "application/problem+json":
                            {"schema": {"$ref": "#/components/schemas/Problem"}},
                    },
                },
            },
        },
    })
}

fn operation(route: &RouteInfo) -> Value {
    let name = format!("{} {}", route.method, route.path);
    // A test sees to it that each has its words.
    let unknown = Words { route: "", summary: "", answer: Answer::Object(200), required: &[] };
    let words = WORDS.iter().find(|words| words.route == name).unwrap_or(&unknown);
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": words.summary,
        "tags": [route.path.split('/').nth(3).unwrap_or("process")],
        "parameters": parameters(route, words.required),
        "responses": responses(words.answer),
        "x-needs": route.needs,
    });
    if route.needs != Needs::Nobody {
        operation["security"] = json!([{"token": []}]);
    }
    if let Some(audit) = route.audit {
        operation["x-audit"] = audit.into();
    }
    if let Some(members) = route.body {
        let properties: Map<String, Value> = members
            .iter()
            .map(|name| {
                let schema = member(route.path, name).unwrap_or_default();
                let is_required = words.required.contains(name);
                ((*name).to_owned(), if is_required { schema } else { or_null(schema) })
            })
            .collect();
        operation["requestBody"] = json!({
            "required": !words.required.is_empty(),
            "content": {"application/json": {"schema": {
                "type": "object",
                "properties": properties,
                "required": words.required,
                "additionalProperties": false,
            }}},
        });
    }
    operation
}

/// What may be left out may be null, too.
fn or_null(mut schema: Value) -> Value {
    if schema["type"].is_string() {
        schema["type"] = json!([schema["type"].take(), "null"]);
    }
    if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        words.push(Value::Null);
    }
    schema
}

/// E.g. `get_incidents_id_detections`.
fn operation_id(route: &RouteInfo) -> String {
    let path = route.path.strip_prefix("/api/v1").unwrap_or(route.path);
    let parts = path.split(['/', '.', '-']).filter(|part| !part.is_empty());
    let parts: Vec<&str> = parts.map(|part| part.trim_matches(['{', '}'])).collect();
    format!("{}_{}", route.method.as_str().to_ascii_lowercase(), parts.join("_"))
}

fn parameters(route: &RouteInfo, required: &[&str]) -> Vec<Value> {
    let in_path = route.path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        Some(json!({
            "name": name, "in": "path", "required": true,
            "schema": {"type": "string", "minLength": 1},
        }))
    });
    let in_query = route.params.iter().map(|name| {
        json!({
            "name": name, "in": "query", "required": required.contains(name),
            "schema": parameter(route.path, name).unwrap_or_default(),
        })
    });
    in_path.chain(in_query).collect()
}

fn responses(answer: Answer) -> Value {
    let (status, content) = match answer {
        Answer::Page => {
            (200, json!({"application/json": {"schema": {"$ref": "#/components/schemas/Page"}}}))
        }
        Answer::Object(status) => {
            (status, json!({"application/json": {"schema": {"type": "object"}}}))
        }
        Answer::Nothing => (204, Value::Null),
        Answer::Text => (200, json!({"text/plain": {"schema": {"type": "string"}}})),
        Answer::Html => (200, json!({"text/html": {"schema": {"type": "string"}}})),
        Answer::Export => {
            let text = json!({"schema": {"type": "string"}});
            let bundle = json!({"schema": {"type": "object"}});
            (
                200,
                json!({
                    "application/x-ndjson": text,
                    "text/csv": text,
                    "application/stix+json;version=2.1": bundle,
                }),
            )
        }
        Answer::Stream => (200, json!({"text/event-stream": {"schema": {"type": "string"}}})),
    };
    let mut done = json!({"description": "Done"});
    if !content.is_null() {
        done["content"] = content;
    }
    let mut responses = Map::new();
    responses.insert(status.to_string(), done);
    responses.insert("default".to_owned(), json!({"$ref": "#/components/responses/Problem"}));
    Value::Object(responses)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_route_has_its_words() {
        let routes = routes();
        let named: Vec<String> =
            routes.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
        let worded: Vec<&str> = WORDS.iter().map(|words| words.route).collect();
        assert_eq!(worded, named);
        for (route, words) in routes.iter().zip(WORDS) {
            for name in route.params {
                assert!(parameter(route.path, name).is_some(), "{}: {name}", words.route);
            }
            let members = route.body.unwrap_or_default();
            for name in members {
                assert!(member(route.path, name).is_some(), "{}: {name}", words.route);
            }
            let known: HashSet<&str> = members.iter().chain(route.params).copied().collect();
            assert!(words.required.iter().all(|name| known.contains(name)), "{}", words.route);
            assert!(!words.summary.is_empty() && !words.summary.ends_with('.'));
        }
        let ids: HashSet<String> = routes.iter().map(operation_id).collect();
        assert_eq!(ids.len(), routes.len());
    }
}
