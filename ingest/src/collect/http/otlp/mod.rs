//! OpenTelemetry's protocol for logs over HTTP: `POST /v1/logs`, in protobuf or JSON.
//!
//! | `Content-Type` | body | answer |
//! |---|---|---|
//! | `application/x-protobuf` | `ExportLogsServiceRequest` | `ExportLogsServiceResponse`, in protobuf |
//! | `application/json` | the same in OTLP's JSON | the same in JSON |
//!
//! The body of a log record is the record: a text's content, another value as JSON. What is said of
//! it beside it (time, severity, attributes, and those of its resource and scope) goes with it as
//! its [`Context`](event::Context): the time and `host.name` count where the record has none of its
//! own, `log.level`, `trace.id`, `span.id` and `service.name` are ECS's, the rest is under `otel.*`.
//!
//! Records that cannot be taken are counted in `partial_success`, with why of the first; their
//! neighbours are taken, and the sender must not repeat the request. 503 with `Retry-After` is for
//! requests of which nothing is durable. The key comes as `Authorization: Bearer <key>`, which
//! exporters are given as a header.
//!
//! [`grpc`] takes the same over gRPC.
//!
//! Source of the shapes: the OTLP specification 1.x and opentelemetry-proto.

mod grpc;
mod json;
mod logs;
mod proto;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use prost::Message as _;
use serde_json::json;

use self::logs::Encoding;
use super::{Open, answer::Receipt, problem::Refusal, take::Way};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// The routes.
pub(super) fn routes() -> Router<Arc<Open>> {
    Router::new().route("/v1/logs", post(logs)).route(grpc::PATH, post(grpc::export))
}

async fn logs(State(open): State<Arc<Open>>, request: Request) -> Response {
    let encoding = match encoding_of(request.headers()) {
        Ok(encoding) => encoding,
        Err(refusal) => {
            open.turn_away(&refusal, None, request.into_body());
            return refused(&refusal, Encoding::Json);
        }
    };
    let way = Way { limits: &open.door.limits, split: encoding, ids: false };
    match open.receive(request, &way).await.outcome {
        Ok(receipt) => answer(&receipt, encoding),
        Err(Refusal::NothingAcceptable(receipt)) => answer(&receipt, encoding),
        Err(refusal) => refused(&refusal, encoding),
    }
}

fn encoding_of(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    let named = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = named.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    match kind.to_ascii_lowercase().as_str() {
        PROTOBUF | "application/protobuf" => Ok(Encoding::Protobuf),
        JSON => Ok(Encoding::Json),
        _ => Err(Refusal::Media(kind.chars().take(80).collect())),
    }
}

fn answer(receipt: &Receipt, encoding: Encoding) -> Response {
    let partial_success = partial_success(receipt);
    match encoding {
        Encoding::Protobuf => {
            written(StatusCode::OK, PROTOBUF, proto::Response { partial_success }.encode_to_vec())
        }
        Encoding::Json => {
            let told = match partial_success {
                None => json!({}),
                // 64-bit numbers are texts in OTLP's JSON.
                Some(partial) => json!({"partialSuccess": {
                    "rejectedLogRecords": partial.rejected_log_records.to_string(),
                    "errorMessage": partial.error_message,
                }}),
            };
            written(StatusCode::OK, JSON, told.to_string().into_bytes())
        }
    }
}

/// What was not taken; `None` where all was.
fn partial_success(receipt: &Receipt) -> Option<proto::PartialSuccess> {
    let rejected_log_records = i64::try_from(receipt.rejected_count).unwrap_or(i64::MAX);
    let error_message = receipt.rejected.first().map_or_else(String::new, |first| {
        format!("log record {} (from 0): {}", first.record, first.reason)
    });
    (rejected_log_records > 0)
        .then_some(proto::PartialSuccess { rejected_log_records, error_message })
}

/// A refused request as `google.rpc.Status`.
fn refused(refusal: &Refusal, encoding: Encoding) -> Response {
    let status = refusal.kind().0;
    // gRPC's codes for what HTTP says.
    let code = match status {
        StatusCode::UNAUTHORIZED => 16,
        StatusCode::SERVICE_UNAVAILABLE => 14,
        StatusCode::INTERNAL_SERVER_ERROR => 13,
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::TOO_MANY_REQUESTS => 8,
        _ => 3,
    };
    let message = refusal.to_string();
    let mut response = match encoding {
        Encoding::Protobuf => written(
            status,
            PROTOBUF,
            proto::Status { code, message, details: Vec::new() }.encode_to_vec(),
        ),
        Encoding::Json => {
            let told = json!({ "code": code, "message": message });
            written(status, JSON, told.to_string().into_bytes())
        }
    };
    if let Some((name, value)) = refusal.header() {
        response.headers_mut().insert(name, value);
    }
    response
}

fn written(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Response {
    let mut response = (status, body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// See [`super::fuzz`].
#[cfg(fuzzing)]
pub(super) fn fuzz(data: &[u8]) {
    super::fuzz::check(&Encoding::Protobuf, data);
    super::fuzz::check(&Encoding::Json, data);
}
