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
    let large =
        proto::LogRecord { body: any(Any::Text("x".repeat(900))), ..proto::LogRecord::default() };
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
    let resource = proto::Resource { attributes: vec![pair("a", Any::Text("x".repeat(10_000)))] };
    let mut resource_logs = field(1, &resource.encode_to_vec());
    resource_logs.extend(field(2, &scope_logs));
    let found = Encoding::Protobuf.split(&field(1, &resource_logs), limits).unwrap();
    assert!(found.pieces.good.len() < 4_000, "{}", found.pieces.good.len());
    assert_eq!(found.pieces.good.len() as u64 + found.pieces.rejected_count(), 50_000);
}

#[test]
fn deep_values_are_kept_in_both_encodings() {
    let mut any = Any::Text("deep".to_owned());
    let mut json = r#"{"stringValue":"deep"}"#.to_owned();
    for _ in 0..20 {
        any = Any::Array(ArrayValue { values: vec![AnyValue { value: Some(any) }] });
        json = format!("{{\"arrayValue\":{{\"values\":[{json}]}}}}");
    }
    let log = proto::LogRecord {
        body: Some(AnyValue { value: Some(any) }),
        ..proto::LogRecord::default()
    };
    let (binary, faults) = taken(Encoding::Protobuf, &request(&[log.encode_to_vec()]));
    assert_eq!(faults, 0);
    assert_eq!(binary[0].0, format!("{}\"deep\"{}", "[".repeat(20), "]".repeat(20)));
    let body = format!(
        "{{\"resourceLogs\":[{{\"scopeLogs\":[{{\"logRecords\":[{{\"body\":{json}}}]}}]}}]}}"
    );
    let (text, faults) = taken(Encoding::Json, body.as_bytes());
    assert_eq!((&text[0].0, faults), (&binary[0].0, 0));
}
