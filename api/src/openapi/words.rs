//! What the table of routes does not say of them: summaries, types, and what comes back.

use serde_json::{Value, json};

/// A route in words.
pub(super) struct Words {
    /// Method and path as in the table.
    pub(super) route: &'static str,
    /// One line.
    pub(super) summary: &'static str,
    /// What comes back.
    pub(super) answer: Answer,
    /// Members of the body that must be there.
    pub(super) required: &'static [&'static str],
}

/// What a route answers where all is well.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Answer {
    /// 200 with a page: `items`, `next_cursor`.
    Page,
    /// This status with an object.
    Object(u16),
    /// 204.
    Nothing,
    /// 200 with lines of text.
    Text,
    /// 200 with a page for people.
    Html,
    /// 200 in one of the formats of an export.
    Export,
    /// 200 with server-sent events.
    Stream,
}

use Answer::{Export, Html, Nothing, Object, Page, Stream, Text};

const fn words(
    route: &'static str,
    answer: Answer,
    summary: &'static str,
    required: &'static [&'static str],
) -> Words {
    Words { route, summary, answer, required }
}

/// Every route, in the order of the table.
pub(super) const WORDS: &[Words] = &[
    words("GET /healthz", Object(200), "Whether the process lives", &[]),
    words("GET /readyz", Object(200), "Whether each part works; 503 where one does not", &[]),
    words("GET /metrics", Text, "Measurements for Prometheus", &[]),
    words("GET /api/v1/openapi.json", Object(200), "This description", &[]),
    words("GET /api/v1/docs", Html, "This description, for people", &[]),
    words("GET /api/v1/me", Object(200), "Who asks, and what they may see", &[]),
    words("GET /api/v1/status", Object(200), "Totals of what the caller may see", &[]),
    words("GET /api/v1/incidents", Page, "Incidents that match", &[]),
    words(
        "GET /api/v1/incidents/export",
        Export,
        "Incidents that match, as NDJSON, CSV, OCSF or STIX 2.1; x-next-cursor where there are more",
        &["format"],
    ),
    words(
        "GET /api/v1/incidents/stream",
        Stream,
        "Changes of incidents as they happen; goes on after Last-Event-ID without a gap",
        &[],
    ),
    words(
        "POST /api/v1/incidents/bulk",
        Object(200),
        "Change several incidents, with a result for each",
        &["ids"],
    ),
    words("GET /api/v1/incidents/{id}", Object(200), "An incident with its timeline", &[]),
    words(
        "PATCH /api/v1/incidents/{id}",
        Object(200),
        "Change an incident; If-Match guards against changes by others",
        &[],
    ),
    words(
        "POST /api/v1/incidents/{id}/merge",
        Object(200),
        "Merge an incident into another of its commune, and close it",
        &["into"],
    ),
    words("GET /api/v1/incidents/{id}/similar", Page, "Incidents that are like it", &[]),
    words("GET /api/v1/incidents/{id}/detections", Page, "Its detections, oldest first", &[]),
    words("GET /api/v1/incidents/{id}/events", Page, "The events of its detections", &[]),
    words("GET /api/v1/events", Page, "Hunt: events that match a query, newest first", &[]),
    words(
        "GET /api/v1/events/statistics",
        Object(200),
        "What matching events have in common: top values, histogram",
        &[],
    ),
    words("GET /api/v1/events/{id}", Object(200), "An event, as ECS", &[]),
    words("GET /api/v1/events/{id}/around", Page, "What else happened on its device", &[]),
    words(
        "GET /api/v1/events/{id}/process-tree",
        Object(200),
        "What started its process, and what that started",
        &[],
    ),
    words(
        "GET /api/v1/sightings",
        Object(200),
        "Where a value was seen, by commune, and the incidents that name it",
        &["value"],
    ),
    words("GET /api/v1/indicators", Page, "Indicators of compromise, or who knows a value", &[]),
    words("GET /api/v1/indicators/sources", Page, "Where indicators come from", &[]),
    words("GET /api/v1/rules", Page, "The rules in force, now or at a moment", &[]),
    words("GET /api/v1/rules/status", Object(200), "Whether the rules' files were taken", &[]),
    words("POST /api/v1/rules/reload", Object(200), "Read the rules' files again, now", &[]),
    words("GET /api/v1/rules/{id}", Object(200), "A rule in force", &[]),
    words("GET /api/v1/rules/{id}/versions", Page, "Each time that it was in force", &[]),
    words("DELETE /api/v1/rule-exceptions/{id}", Object(200), "Take an exception back", &[]),
    words("GET /api/v1/communes", Page, "Communes", &[]),
    words("POST /api/v1/communes", Object(201), "Add a commune", &["id"]),
    words("GET /api/v1/communes/{id}", Object(200), "A commune", &[]),
    words("PUT /api/v1/communes/{id}/quota", Object(200), "How much its feeds may send", &[]),
    words("PUT /api/v1/communes/{id}/retention", Object(200), "How long its events are kept", &[]),
    words("PUT /api/v1/communes/{id}/nis2", Object(200), "What NIS 2 takes it for", &["regime"]),
    words("GET /api/v1/sla", Page, "How soon incidents are to be dealt with", &[]),
    words(
        "PUT /api/v1/sla",
        Object(200),
        "How soon those that open from now on are to be dealt with",
        &["severity"],
    ),
    words("GET /api/v1/communes/{id}/rules", Object(200), "What it chose about the rules", &[]),
    words(
        "POST /api/v1/communes/{id}/rules/choices",
        Object(200),
        "Switch rules off or on for it, or change their level",
        &["select"],
    ),
    words(
        "POST /api/v1/communes/{id}/rules/exceptions",
        Object(201),
        "Except events from rules for it, until a moment",
        &["filter", "owner", "reason", "expires"],
    ),
    words("GET /api/v1/feeds", Page, "Feeds", &[]),
    words(
        "POST /api/v1/feeds",
        Object(201),
        "Add a feed; its key is in the answer, once",
        &["id", "commune", "format"],
    ),
    words("GET /api/v1/feeds/{id}", Object(200), "A feed", &[]),
    words("GET /api/v1/feeds/{id}/health", Object(200), "How a feed does", &[]),
    words("GET /api/v1/feeds/{id}/health/stream", Stream, "The same, at each change", &[]),
    words("GET /api/v1/feeds/{id}/rules", Page, "Rules that can fire on what it fills", &[]),
    words("GET /api/v1/feeds/{id}/devices", Page, "Devices that it names or should name", &[]),
    words(
        "PUT /api/v1/feeds/{id}/inventory",
        Object(200),
        "Declare the devices that it should name",
        &["devices"],
    ),
    words("PUT /api/v1/feeds/{id}/quota", Object(200), "How much it may send", &[]),
    words("PUT /api/v1/feeds/{id}/retention", Object(200), "How long its events are kept", &[]),
    words("POST /api/v1/feeds/{id}/rotate", Object(200), "Give it another key", &[]),
    words("GET /api/v1/holds", Page, "Legal holds", &[]),
    words("POST /api/v1/holds", Object(201), "Place a hold", &["commune", "reason"]),
    words("DELETE /api/v1/holds/{id}", Object(200), "Release a hold", &[]),
    words("GET /api/v1/purges", Page, "Purges and what came of them", &[]),
    words(
        "POST /api/v1/purges",
        Object(202),
        "Have events removed for good",
        &["commune", "query", "reason"],
    ),
    words("GET /api/v1/purges/{id}", Object(200), "A purge", &[]),
    words("GET /api/v1/hunts", Page, "Hunts that are kept or shared", &[]),
    words("POST /api/v1/hunts", Object(201), "Keep a hunt", &["name", "query"]),
    words("GET /api/v1/hunts/{id}", Object(200), "A hunt that is kept", &[]),
    words("DELETE /api/v1/hunts/{id}", Object(200), "Forget a hunt", &[]),
    words("GET /api/v1/reports", Page, "Reports that were made", &[]),
    words(
        "POST /api/v1/reports",
        Object(200),
        "The report of a period: the one made of it before, or a new one",
        &["from", "to"],
    ),
    words("GET /api/v1/reports/{id}", Object(200), "A report as it was made", &[]),
    words("GET /api/v1/notices", Page, "What was told to whom of incidents", &[]),
    words("POST /api/v1/notices/{id}/retry", Object(200), "Send a notice again", &[]),
    words("GET /api/v1/audit", Page, "The audit trail", &[]),
    words("GET /api/v1/tokens", Page, "API tokens, without their secrets", &[]),
    words(
        "POST /api/v1/tokens",
        Object(201),
        "Make a token; its secret is in the answer, once",
        &["name", "communes"],
    ),
    words("DELETE /api/v1/tokens/{name}", Nothing, "Make a token worthless", &[]),
];

const SLUG: &str = "^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$";
const SPAN: &str = "^[0-9]+[smhdw]$";
const LEVELS: [&str; 5] = ["informational", "low", "medium", "high", "critical"];
const STATUSES: [&str; 5] = ["new", "acknowledged", "in_progress", "resolved", "closed"];
const VERDICTS: [&str; 4] =
    ["true_positive", "false_positive", "benign_true_positive", "undetermined"];

fn slug() -> Value {
    json!({"type": "string", "pattern": SLUG})
}

fn time() -> Value {
    json!({"type": "string", "format": "date-time", "description": "RFC 3339, UTC"})
}

fn span(example: &str) -> Value {
    json!({"type": "string", "pattern": SPAN, "example": example})
}

fn text(chars_max: u32) -> Value {
    json!({"type": "string", "maxLength": chars_max})
}

/// One or several of these words, with commas between them.
fn any_of(words: &[&str]) -> Value {
    let words = words.join("|");
    json!({"type": "string", "pattern": format!("^(?:{words})(?:,(?:{words}))*$")})
}

/// The type of a query parameter; `None` where nobody knows it.
pub(super) fn parameter(path: &str, name: &str) -> Option<Value> {
    Some(match name {
        "commune" => slug(),
        "status" => any_of(&STATUSES),
        "verdict" => any_of(&VERDICTS),
        "severity_min" => json!({"type": "string", "enum": LEVELS}),
        "assignee" => {
            json!({"type": "string", "description": "a name; `me`; `none` for those without"})
        }
        "value" if path == "/api/v1/sightings" => {
            json!({"type": "string", "minLength": 1, "maxLength": 1_000})
        }
        "label" | "action" | "by" | "object" | "value" => json!({"type": "string"}),
        "source" => json!({"type": "string", "description": "an indicator source's id"}),
        "q" if path == "/api/v1/incidents" => {
            json!({"type": "string", "description": "a part of the title, an entity or a rule"})
        }
        "q" => json!({"type": "string", "description": "docs/hunting.md; at most 16 KiB"}),
        "updated_since" | "due_before" | "from" | "to" | "at" => time(),
        "since" => span("24h"),
        "window" => span("5m"),
        "sort" => json!({
            "type": "string",
            "pattern": "^[+-]?(?:updated|created|severity|risk_score|due)$",
            "description": "greatest first; smallest first with a + before it",
        }),
        "format" => json!({"type": "string", "enum": ["ndjson", "csv", "ocsf", "stix"]}),
        "tlp" => json!({
            "type": "string", "enum": ["clear", "green", "amber", "amber+strict", "red"],
            "description": "with stix alone; amber where it is not given",
        }),
        "limit" if path == "/api/v1/incidents/export" => {
            json!({"type": "integer", "minimum": 1, "maximum": 10_000})
        }
        "cursor" => json!({"type": "string", "description": "next_cursor of the page before"}),
        "limit" => json!({"type": "integer", "minimum": 1, "maximum": 1_000}),
        "top" => json!({"type": "integer", "minimum": 1, "maximum": 1_000}),
        "field" => json!({"type": "string", "description": "up to ten ECS names, with commas"}),
        "interval" => json!({"type": "string", "description": "`auto` or a span"}),
        "last_event_id" => {
            json!({"type": "string", "description": "for who cannot set the header"})
        }
        "can_fire" => json!({"type": "boolean"}),
        "state" if path.ends_with("/devices") => any_of(&["seen", "missing", "unknown"]),
        "state" => any_of(&["pending", "sent", "dropped", "dead"]),
        _ => return None,
    })
}

/// The type of a member of a body; `None` where nobody knows it.
pub(super) fn member(path: &str, name: &str) -> Option<Value> {
    // In bulk, what is too long for an incident is its own problem, as one that is not there is.
    let is_bulk = path.ends_with("/bulk");
    let text = |chars_max| if is_bulk { json!({"type": "string"}) } else { text(chars_max) };
    Some(match name {
        "ids" => json!({
            "type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 1_000,
        }),
        "status" => json!({"type": "string", "enum": STATUSES}),
        "verdict" => json!({"type": "string", "enum": VERDICTS}),
        "assignee" => text(200),
        "severity" if path == "/api/v1/sla" => {
            json!({"type": "string", "enum": &LEVELS[1..]})
        }
        "acknowledge_min" | "contain_min" | "resolve_min" => json!({
            "type": ["integer", "null"], "minimum": 0, "maximum": 527_040,
            "description": "minutes; 0 is no clock, null what holds without",
        }),
        "regime" => json!({"type": ["string", "null"], "enum": ["essential", "important", null]}),
        "contained" | "anew" | "shared" => json!({"type": "boolean"}),
        "nis2_aware" => json!({
            "type": ["string", "null"], "format": "date-time",
            "description": "since when it is known to be one to report; null, with a reason, that it is none",
        }),
        "nis2_report" => {
            json!({"type": "string", "enum": ["early_warning", "notification", "final_report"]})
        }
        "severity" => json!({
            "type": "string", "enum": LEVELS,
            "description": "null is what its detections say again; another one needs a reason",
        }),
        "labels" => json!({"type": "array", "items": text(100)}),
        "comment" => text(10_000),
        "visibility" => json!({"type": "string", "enum": ["soc", "shared"]}),
        "into" => json!({"type": "string", "description": "an incident's id or COMMUNE-NUMBER"}),
        "id" | "commune" | "feed" => slug(),
        "format" => json!({"type": "string", "description": "see `jacquemart format list`"}),
        "name" if path == "/api/v1/tokens" => {
            json!({"type": "string", "pattern": "^[A-Za-z0-9._@-]{1,63}$"})
        }
        "name" if path == "/api/v1/hunts" => text(100),
        "name" | "owner" => text(200),
        "records_per_s" | "bytes_per_s" => json!({"type": "integer", "minimum": 1}),
        "days" => json!({"type": "integer", "minimum": 1, "maximum": 3_650}),
        "devices" => json!({"type": "array", "items": {"type": "string"}, "maxItems": 20_000}),
        "overlap_s" => json!({"type": "integer", "minimum": 0, "maximum": 2_592_000}),
        "from" | "to" | "expires" => time(),
        "query" => json!({"type": "string", "minLength": 1, "maxLength": 16_384}),
        "reason" | "note" => text(2_000),
        "filter" => json!({"type": "string", "description": "a Sigma filter, YAML"}),
        "select" => {
            json!({"type": "string", "description": "rules by selector: docs/rules-operations.md"})
        }
        "state" => json!({"type": "string", "enum": ["enabled", "disabled", "default"]}),
        "level" => {
            json!({"type": "string", "enum": [LEVELS[0], LEVELS[1], LEVELS[2], LEVELS[3], LEVELS[4], "default"]})
        }
        "role" => json!({"type": "string", "enum": ["reader", "analyst", "admin"]}),
        "communes" => json!({
            "type": ["array", "null"], "items": slug(), "minItems": 1,
            "description": "null is all",
        }),
        _ => return None,
    })
}
