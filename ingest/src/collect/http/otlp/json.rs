//! OTLP's JSON: names in lowerCamelCase, 64-bit numbers as texts, ids in hex. Lists are read as they
//! stand and one log record is decoded at a time, as in protobuf.

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::logs::Log;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request<'a> {
    #[serde(borrow, default)]
    pub(super) resource_logs: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResourceLogs<'a> {
    #[serde(default)]
    pub(super) resource: Resource,
    #[serde(borrow, default)]
    pub(super) scope_logs: Vec<&'a RawValue>,
}

#[derive(Default, Deserialize)]
pub(super) struct Resource {
    #[serde(default)]
    pub(super) attributes: Vec<KeyValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ScopeLogs<'a> {
    #[serde(default)]
    pub(super) scope: Scope,
    #[serde(borrow, default)]
    pub(super) log_records: Vec<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Scope {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) attributes: Vec<KeyValue>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LogRecord {
    time_unix_nano: Digits,
    observed_time_unix_nano: Digits,
    severity_number: Value,
    severity_text: String,
    body: Option<Value>,
    attributes: Vec<KeyValue>,
    trace_id: String,
    span_id: String,
    event_name: String,
}

#[derive(Deserialize)]
pub(super) struct KeyValue {
    key: String,
    #[serde(default)]
    value: Value,
}

/// A number of 64 bits, as text or as a number.
#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Digits {
    Number(u64),
    Text(String),
    #[default]
    None,
}

impl Digits {
    fn number(&self) -> u64 {
        match self {
            Self::Number(number) => *number,
            Self::Text(text) => text.parse().unwrap_or(0),
            Self::None => 0,
        }
    }
}

impl From<LogRecord> for Log {
    fn from(log: LogRecord) -> Self {
        Self {
            time_ns: log.time_unix_nano.number(),
            observed_ns: log.observed_time_unix_nano.number(),
            severity_number: log.severity_number.as_i64().unwrap_or(0),
            severity_text: log.severity_text,
            body: log.body.map(value),
            attributes: pairs(log.attributes),
            trace_id: log.trace_id,
            span_id: log.span_id,
            event_name: log.event_name,
        }
    }
}

pub(super) fn pairs(pairs: Vec<KeyValue>) -> Vec<(String, Value)> {
    pairs.into_iter().map(|pair| (pair.key, value(pair.value))).collect()
}

/// What `{"stringValue": "a"}` and its like stand for; what is none of them stays as it is. No
/// deeper than serde_json reads.
fn value(any: Value) -> Value {
    let Value::Object(mut members) = any else { return any };
    let Some(kind) = members.keys().next().cloned() else { return Value::Null };
    let mut values = || match members.get_mut(&kind).and_then(|v| v.get_mut("values")) {
        Some(Value::Array(values)) => std::mem::take(values),
        _ => Vec::new(),
    };
    match kind.as_str() {
        "arrayValue" => values().into_iter().map(value).collect(),
        "kvlistValue" => {
            let pairs = values().into_iter().filter_map(|mut pair| {
                let key = pair.get("key")?.as_str()?.to_owned();
                Some((key, pair.get_mut("value").map_or(Value::Null, |v| value(v.take()))))
            });
            Value::Object(pairs.collect())
        }
        "stringValue" | "boolValue" | "doubleValue" | "bytesValue" => {
            members.remove(&kind).unwrap_or_default()
        }
        "intValue" => {
            let number = members.remove(&kind).unwrap_or_default();
            match number.as_str().and_then(|text| text.parse::<i64>().ok()) {
                Some(number) => number.into(),
                None => number,
            }
        }
        _ => Value::Object(members),
    }
}
