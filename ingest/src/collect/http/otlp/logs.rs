//! How OTLP's requests hold log records, in protobuf and in JSON.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use event::{Context, Timestamp};
use prost::Message as _;
use serde_json::{Map, Value};

use super::{
    super::repeat::hex,
    json,
    proto::{self, Any, AnyValue, Fields, KeyValue},
};
use crate::collect::http::{
    split::{Fault, Piece, Pieces, SplitLimits, Unsplittable, offer, reject},
    take::{Found, Split},
};

/// What all contexts of a body take at most: those of a resource are kept with each of its
/// records, so that a large one with many records would become far more than what was sent.
const CONTEXTS_BYTES_MAX: usize = 32 << 20;
/// Levels of nested values that become names with dots; deeper ones are kept as JSON.
const LEVELS_MAX: usize = 16;

/// How a request is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Protobuf,
    Json,
}

impl Split for Encoding {
    type Notes = ();

    fn split(&self, body: &[u8], limits: SplitLimits) -> Result<Found<()>, Unsplittable> {
        let mut taker = Taker {
            pieces: Pieces::default(),
            text: Vec::new(),
            contexts_bytes: 0,
            next: 0,
            limits,
        };
        match self {
            Self::Protobuf => taker.protobuf(body)?,
            Self::Json => taker.json(body)?,
        }
        Ok(Found { pieces: taker.pieces, text: Some(taker.text), notes: () })
    }
}

/// One log record, however it was written.
#[derive(Default)]
pub(super) struct Log {
    pub(super) time_ns: u64,
    pub(super) observed_ns: u64,
    pub(super) severity_number: i64,
    pub(super) severity_text: String,
    pub(super) body: Option<Value>,
    pub(super) attributes: Vec<(String, Value)>,
    pub(super) trace_id: String,
    pub(super) span_id: String,
    pub(super) event_name: String,
}

/// What a resource and a scope say of their records.
#[derive(Clone, Default)]
struct Around {
    host: Option<String>,
    fields: Vec<(String, String)>,
}

impl Around {
    fn resource(attributes: Vec<(String, Value)>) -> Self {
        let mut around = Self::default();
        for (key, value) in attributes {
            match (key.as_str(), &value) {
                ("host.name", Value::String(host)) if !host.is_empty() => {
                    around.host = Some(host.clone());
                }
                ("service.name", Value::String(name)) => {
                    around.fields.push(("service.name".to_owned(), name.clone()));
                }
                _ => {}
            }
            flatten(&mut around.fields, &format!("otel.resource.{key}"), &value, 0);
        }
        around
    }

    fn scope(&mut self, name: String, version: String, attributes: Vec<(String, Value)>) {
        for (field, value) in [("otel.scope.name", name), ("otel.scope.version", version)] {
            if !value.is_empty() {
                self.fields.push((field.to_owned(), value));
            }
        }
        for (key, value) in attributes {
            flatten(&mut self.fields, &format!("otel.scope.{key}"), &value, 0);
        }
    }
}

/// A value under a name: members of objects under longer ones, members of lists under the same.
fn flatten(fields: &mut Vec<(String, String)>, name: &str, value: &Value, level: usize) {
    match value {
        Value::Null => {}
        Value::String(text) => fields.push((name.to_owned(), text.clone())),
        Value::Object(members) if level < LEVELS_MAX => {
            for (key, value) in members {
                flatten(fields, &format!("{name}.{key}"), value, level + 1);
            }
        }
        Value::Array(values) if level < LEVELS_MAX => {
            for value in values {
                flatten(fields, name, value, level + 1);
            }
        }
        other => fields.push((name.to_owned(), other.to_string())),
    }
}

struct Taker {
    pieces: Pieces,
    text: Vec<u8>,
    contexts_bytes: usize,
    next: u64,
    limits: SplitLimits,
}

fn shape(reason: impl std::fmt::Display) -> Unsplittable {
    Unsplittable::Shape(format!("expected an ExportLogsServiceRequest: {reason}"))
}

impl Taker {
    fn protobuf(&mut self, body: &[u8]) -> Result<(), Unsplittable> {
        for field in Fields(body) {
            let (1, resource_logs) = field.map_err(shape)? else { continue };
            // A resource may stand behind its logs.
            let mut around = Around::default();
            for field in Fields(resource_logs) {
                if let (1, resource) = field.map_err(shape)? {
                    let resource = proto::Resource::decode(resource).map_err(shape)?;
                    around = Around::resource(pairs(resource.attributes));
                }
            }
            for field in Fields(resource_logs) {
                let (2, scope_logs) = field.map_err(shape)? else { continue };
                let mut around = around.clone();
                for field in Fields(scope_logs) {
                    if let (1, scope) = field.map_err(shape)? {
                        let scope = proto::Scope::decode(scope).map_err(shape)?;
                        around.scope(scope.name, scope.version, pairs(scope.attributes));
                    }
                }
                for field in Fields(scope_logs) {
                    if let (2, record) = field.map_err(shape)? {
                        let decode = |record: &[u8]| {
                            proto::LogRecord::decode(record)
                                .map(Log::from)
                                .map_err(|error| error.to_string())
                        };
                        self.take(record, &around, decode)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn json(&mut self, body: &[u8]) -> Result<(), Unsplittable> {
        // A list would pass for an object without members.
        if body.trim_ascii_start().first().is_some_and(|byte| *byte != b'{') {
            return Err(shape("it is no JSON object"));
        }
        let request: json::Request<'_> = serde_json::from_slice(body).map_err(shape)?;
        for resource_logs in request.resource_logs {
            let resource_logs: json::ResourceLogs<'_> =
                serde_json::from_str(resource_logs.get()).map_err(shape)?;
            let around = Around::resource(json::pairs(resource_logs.resource.attributes));
            for scope_logs in resource_logs.scope_logs {
                let scope_logs: json::ScopeLogs<'_> =
                    serde_json::from_str(scope_logs.get()).map_err(shape)?;
                let mut around = around.clone();
                let json::Scope { name, version, attributes } = scope_logs.scope;
                around.scope(name, version, json::pairs(attributes));
                for record in scope_logs.log_records {
                    let decode = |record: &[u8]| {
                        serde_json::from_slice::<json::LogRecord>(record)
                            .map(Log::from)
                            .map_err(|error| error.to_string())
                    };
                    self.take(record.get().as_bytes(), &around, decode)?;
                }
            }
        }
        Ok(())
    }

    /// One log record: its body is the record, everything else its context.
    fn take(
        &mut self,
        written: &[u8],
        around: &Around,
        decode: impl FnOnce(&[u8]) -> Result<Log, String>,
    ) -> Result<(), Unsplittable> {
        let record = self.next;
        self.next += 1;
        if self.next > self.limits.batch_records_max as u64 {
            return Err(Unsplittable::TooManyRecords);
        }
        let place = (record, record + 1);
        let bytes_max = self.limits.record_bytes_max;
        // What is too large is not even decoded.
        if written.len() > bytes_max {
            let reason = format!("it has more than {bytes_max} bytes (record_bytes_max)");
            reject(&mut self.pieces, place, (Fault::TooLarge, reason), self.limits);
            return Ok(());
        }
        let log = match decode(written) {
            Ok(log) => log,
            Err(error) => {
                let reason = format!("it is no LogRecord: {error}");
                reject(&mut self.pieces, place, (Fault::Malformed, reason), self.limits);
                return Ok(());
            }
        };
        let start = self.text.len();
        match &log.body {
            Some(Value::String(text)) if !text.trim().is_empty() => {
                self.text.extend_from_slice(text.as_bytes());
            }
            Some(value) if *value != Value::Null && !value.is_string() => {
                self.text.extend_from_slice(value.to_string().as_bytes());
            }
            // A record with attributes alone: they are what it says.
            _ => {
                let members: Map<String, Value> = log.attributes.iter().cloned().collect();
                self.text.extend_from_slice(Value::Object(members).to_string().as_bytes());
            }
        }
        let context = log.context(around);
        self.contexts_bytes += context.bytes();
        if self.contexts_bytes > CONTEXTS_BYTES_MAX {
            self.text.truncate(start);
            let reason = format!(
                "what is said of the records beside them takes more than {CONTEXTS_BYTES_MAX} \
                 bytes in this request; send fewer records in one, or fewer attributes"
            );
            reject(&mut self.pieces, place, (Fault::TooLarge, reason), self.limits);
            return Ok(());
        }
        let context = (!context.is_empty()).then(|| Arc::new(context));
        let piece = Piece { range: start..self.text.len(), record, line: place.1, context };
        offer(&mut self.pieces, piece, self.limits);
        Ok(())
    }
}

impl Log {
    fn context(self, around: &Around) -> Context {
        let time = |ns: u64| i64::try_from(ns).ok().filter(|ns| *ns > 0).map(Timestamp::from_nanos);
        let mut fields = around.fields.clone();
        let severity = (self.severity_number != 0).then(|| self.severity_number.to_string());
        for (name, value) in [
            ("log.level", self.severity_text),
            ("otel.severity_number", severity.unwrap_or_default()),
            ("trace.id", self.trace_id),
            ("span.id", self.span_id),
            ("otel.event_name", self.event_name),
        ] {
            if !value.is_empty() {
                fields.push((name.to_owned(), value));
            }
        }
        for (key, value) in &self.attributes {
            flatten(&mut fields, &format!("otel.attributes.{key}"), value, 0);
        }
        let time = time(self.time_ns).or_else(|| time(self.observed_ns));
        Context { time, host: around.host.clone(), fields, batch: None }
    }
}

impl From<proto::LogRecord> for Log {
    fn from(log: proto::LogRecord) -> Self {
        Self {
            time_ns: log.time_unix_nano,
            observed_ns: log.observed_time_unix_nano,
            severity_number: log.severity_number.into(),
            severity_text: log.severity_text,
            body: log.body.map(value),
            attributes: pairs(log.attributes),
            trace_id: hex(&log.trace_id),
            span_id: hex(&log.span_id),
            event_name: log.event_name,
        }
    }
}

fn pairs(attributes: Vec<KeyValue>) -> Vec<(String, Value)> {
    attributes.into_iter().map(|pair| (pair.key, pair.value.map_or(Value::Null, value))).collect()
}

/// Bytes become base64, as in OTLP's JSON.
fn value(any: AnyValue) -> Value {
    match any.value {
        None => Value::Null,
        Some(Any::Text(text)) => text.into(),
        Some(Any::Bool(value)) => value.into(),
        Some(Any::Int(number)) => number.into(),
        Some(Any::Double(number)) => number.into(),
        Some(Any::Bytes(bytes)) => STANDARD.encode(bytes).into(),
        Some(Any::Array(array)) => array.values.into_iter().map(value).collect(),
        Some(Any::Pairs(list)) => Value::Object(pairs(list.values).into_iter().collect()),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
