//! How OTLP's requests hold log records, in protobuf and in JSON.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use event::{Context, Timestamp};
use prost::Message as _;
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use super::proto::{self, Any, AnyValue, Fields, KeyValue};
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
struct Log {
    time_ns: u64,
    observed_ns: u64,
    severity_number: i64,
    severity_text: String,
    body: Option<Value>,
    attributes: Vec<(String, Value)>,
    trace_id: String,
    span_id: String,
    event_name: String,
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
        let request: JsonRequest<'_> = serde_json::from_slice(body).map_err(shape)?;
        for resource_logs in request.resource_logs {
            let resource_logs: JsonResourceLogs<'_> =
                serde_json::from_str(resource_logs.get()).map_err(shape)?;
            let around = Around::resource(json_pairs(resource_logs.resource.attributes));
            for scope_logs in resource_logs.scope_logs {
                let scope_logs: JsonScopeLogs<'_> =
                    serde_json::from_str(scope_logs.get()).map_err(shape)?;
                let mut around = around.clone();
                let JsonScope { name, version, attributes } = scope_logs.scope;
                around.scope(name, version, json_pairs(attributes));
                for record in scope_logs.log_records {
                    let decode = |record: &[u8]| {
                        serde_json::from_slice::<JsonLog>(record)
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
        Context { time, host: around.host.clone(), fields }
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

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
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

// OTLP's JSON: names in lowerCamelCase, 64-bit numbers as texts, ids in hex.

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonRequest<'a> {
    #[serde(borrow, default)]
    resource_logs: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonResourceLogs<'a> {
    #[serde(default)]
    resource: JsonResource,
    #[serde(borrow, default)]
    scope_logs: Vec<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct JsonResource {
    #[serde(default)]
    attributes: Vec<JsonPair>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonScopeLogs<'a> {
    #[serde(default)]
    scope: JsonScope,
    #[serde(borrow, default)]
    log_records: Vec<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct JsonScope {
    name: String,
    version: String,
    attributes: Vec<JsonPair>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JsonLog {
    time_unix_nano: Digits,
    observed_time_unix_nano: Digits,
    severity_number: Value,
    severity_text: String,
    body: Option<Value>,
    attributes: Vec<JsonPair>,
    trace_id: String,
    span_id: String,
    event_name: String,
}

#[derive(Deserialize)]
struct JsonPair {
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

impl From<JsonLog> for Log {
    fn from(log: JsonLog) -> Self {
        Self {
            time_ns: log.time_unix_nano.number(),
            observed_ns: log.observed_time_unix_nano.number(),
            severity_number: log.severity_number.as_i64().unwrap_or(0),
            severity_text: log.severity_text,
            body: log.body.map(|body| json_value(body, 0)),
            attributes: json_pairs(log.attributes),
            trace_id: log.trace_id,
            span_id: log.span_id,
            event_name: log.event_name,
        }
    }
}

fn json_pairs(pairs: Vec<JsonPair>) -> Vec<(String, Value)> {
    pairs.into_iter().map(|pair| (pair.key, json_value(pair.value, 0))).collect()
}

/// What `{"stringValue": "a"}` and its like stand for; what is none of them stays as it is.
fn json_value(any: Value, level: usize) -> Value {
    let Value::Object(mut members) = any else { return any };
    let Some((kind, value)) = members.iter().next().map(|(k, v)| (k.clone(), v.clone())) else {
        return Value::Null;
    };
    let mut values = |name: &str| match members.get_mut(&kind).and_then(|v| v.get_mut(name)) {
        Some(Value::Array(values)) if level < LEVELS_MAX => std::mem::take(values),
        _ => Vec::new(),
    };
    match kind.as_str() {
        "stringValue" | "boolValue" | "doubleValue" | "bytesValue" => value,
        "intValue" => match value.as_str().and_then(|text| text.parse::<i64>().ok()) {
            Some(number) => number.into(),
            None => value,
        },
        "arrayValue" => {
            values("values").into_iter().map(|value| json_value(value, level + 1)).collect()
        }
        "kvlistValue" => {
            let pairs = values("values").into_iter().filter_map(|mut pair| {
                let key = pair.get("key")?.as_str()?.to_owned();
                let value = pair.get_mut("value").map_or(Value::Null, Value::take);
                Some((key, json_value(value, level + 1)))
            });
            Value::Object(pairs.collect())
        }
        _ => Value::Object(members),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: SplitLimits =
        SplitLimits { record_bytes_max: 800, batch_records_max: 10, rejections_max: 4 };

    type Taken = (String, Option<Context>);

    fn taken(encoding: Encoding, body: &[u8]) -> (Vec<Taken>, u64) {
        let found = encoding.split(body, LIMITS).unwrap();
        let text = found.text.unwrap();
        let pieces = found.pieces.good.iter().map(|piece| {
            let text = String::from_utf8(text[piece.range.clone()].to_vec()).unwrap();
            (text, piece.context.as_deref().cloned())
        });
        let pieces = pieces.collect();
        (pieces, found.pieces.faults.iter().sum())
    }

    fn any(value: Any) -> Option<AnyValue> {
        Some(AnyValue { value: Some(value) })
    }

    fn pair(key: &str, value: Any) -> KeyValue {
        KeyValue { key: key.to_owned(), value: any(value) }
    }

    /// A field of a message that is bytes.
    fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![tag << 3 | 2];
        prost::encoding::encode_varint(bytes.len() as u64, &mut out);
        out.extend_from_slice(bytes);
        out
    }

    fn request(records: &[Vec<u8>]) -> Vec<u8> {
        let resource = proto::Resource {
            attributes: vec![
                pair("host.name", Any::Text("srv-1".to_owned())),
                pair("service.name", Any::Text("portail".to_owned())),
            ],
        };
        let scope = proto::Scope { name: "lib".to_owned(), ..proto::Scope::default() };
        let mut scope_logs = field(1, &scope.encode_to_vec());
        for record in records {
            scope_logs.extend(field(2, record));
        }
        // The resource behind its logs, and a field that nobody knows.
        let mut resource_logs = field(2, &scope_logs);
        resource_logs.extend(field(1, &resource.encode_to_vec()));
        resource_logs.extend([15 << 3, 7]);
        field(1, &resource_logs)
    }

    fn record() -> proto::LogRecord {
        proto::LogRecord {
            time_unix_nano: 1_433_188_255_500_000_000,
            severity_number: 17,
            severity_text: "ERROR".to_owned(),
            body: any(Any::Text("a line".to_owned())),
            attributes: vec![
                pair("http.status", Any::Int(500)),
                pair(
                    "list",
                    Any::Array(ArrayValue {
                        values: vec![
                            AnyValue { value: Some(Any::Bool(true)) },
                            AnyValue { value: Some(Any::Bytes(vec![1, 2])) },
                        ],
                    }),
                ),
                pair("map", Any::Pairs(KeyValueList { values: vec![pair("x", Any::Double(0.5))] })),
            ],
            trace_id: vec![0xab; 16],
            ..proto::LogRecord::default()
        }
    }

    use proto::{ArrayValue, KeyValueList};

    const JSON: &str = r#"{"resourceLogs":[{"resource":{"attributes":[
        {"key":"host.name","value":{"stringValue":"srv-1"}},
        {"key":"service.name","value":{"stringValue":"portail"}}]},
        "scopeLogs":[{"scope":{"name":"lib"},"logRecords":[{
            "timeUnixNano":"1433188255500000000","severityNumber":17,"severityText":"ERROR",
            "body":{"stringValue":"a line"},
            "attributes":[{"key":"http.status","value":{"intValue":"500"}},
                {"key":"list","value":{"arrayValue":{"values":[{"boolValue":true},{"bytesValue":"AQI="}]}}},
                {"key":"map","value":{"kvlistValue":{"values":[{"key":"x","value":{"doubleValue":0.5}}]}}}],
            "traceId":"abababababababababababababababab"}]}]}]}"#;

    #[test]
    fn both_encodings_say_the_same() {
        let (binary, faults) = taken(Encoding::Protobuf, &request(&[record().encode_to_vec()]));
        assert_eq!((binary.len(), faults), (1, 0));
        let (text, context) = &binary[0];
        let context = context.as_ref().unwrap();
        assert_eq!(text, "a line");
        assert_eq!(context.host.as_deref(), Some("srv-1"));
        assert_eq!(context.time.unwrap().to_string(), "2015-06-01T19:50:55.5Z");
        let fields: Vec<(&str, &str)> =
            context.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            fields,
            [
                ("otel.resource.host.name", "srv-1"),
                ("service.name", "portail"),
                ("otel.resource.service.name", "portail"),
                ("otel.scope.name", "lib"),
                ("log.level", "ERROR"),
                ("otel.severity_number", "17"),
                ("trace.id", "abababababababababababababababab"),
                ("otel.attributes.http.status", "500"),
                ("otel.attributes.list", "true"),
                ("otel.attributes.list", "AQI="),
                ("otel.attributes.map.x", "0.5"),
            ]
        );
        assert_eq!(taken(Encoding::Json, JSON.as_bytes()).0, binary);
    }

    #[test]
    fn bodies_of_any_kind_are_records() {
        let with = |body: Option<AnyValue>| proto::LogRecord { body, ..record() }.encode_to_vec();
        let map = Any::Pairs(KeyValueList { values: vec![pair("EventID", Any::Int(1))] });
        let body = request(&[with(any(map)), with(None), with(any(Any::Text(" ".to_owned())))]);
        let (taken, _) = taken(Encoding::Protobuf, &body);
        let texts: Vec<&str> = taken.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(texts[0], r#"{"EventID":1}"#);
        assert!(texts[1].contains("\"http.status\":500") && texts[2] == texts[1], "{texts:?}");
    }

    #[test]
    fn a_bad_record_is_turned_away_alone_and_a_bad_request_whole() {
        let large = proto::LogRecord {
            body: any(Any::Text("x".repeat(900))),
            ..proto::LogRecord::default()
        };
        let good = record().encode_to_vec();
        // Field 3, a text, that is no UTF-8.
        let bad = field(3, &[0xff, 0xfe]);
        let body = request(&[good.clone(), bad, large.encode_to_vec(), good.clone()]);
        let (good_ones, faults) = taken(Encoding::Protobuf, &body);
        assert_eq!((good_ones.len(), faults), (2, 2));

        for cut in [1, 5, body.len() - 1] {
            let found = Encoding::Protobuf.split(&body[..cut], LIMITS);
            assert!(matches!(found, Err(Unsplittable::Shape(_))), "{cut}");
        }
        for body in ["", "{", "[]", "{\"resourceLogs\":1}", "{\"resourceLogs\":[1]}"] {
            let found = Encoding::Json.split(body.as_bytes(), LIMITS);
            assert!(matches!(found, Err(Unsplittable::Shape(_))), "{body}");
        }
        let many = vec![good; 11];
        assert!(matches!(
            Encoding::Protobuf.split(&request(&many), LIMITS),
            Err(Unsplittable::TooManyRecords)
        ));
        assert_eq!(taken(Encoding::Protobuf, b"").0.len(), 0);
        assert_eq!(taken(Encoding::Json, b"{}").0.len(), 0);
    }

    #[test]
    fn what_a_resource_says_cannot_grow_without_bound() {
        let limits = SplitLimits { batch_records_max: 100_000, ..LIMITS };
        let mut scope_logs = Vec::new();
        for _ in 0..50_000 {
            scope_logs.extend(field(2, b""));
        }
        let resource =
            proto::Resource { attributes: vec![pair("a", Any::Text("x".repeat(10_000)))] };
        let mut resource_logs = field(1, &resource.encode_to_vec());
        resource_logs.extend(field(2, &scope_logs));
        let found = Encoding::Protobuf.split(&field(1, &resource_logs), limits).unwrap();
        assert!(found.pieces.good.len() < 4_000, "{}", found.pieces.good.len());
        assert_eq!(found.pieces.good.len() as u64 + found.pieces.rejected_count(), 50_000);
    }
}
