//! Why a whole request is turned away, in the words of RFC 9457.

use std::time::Duration;

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::answer::Receipt;
use crate::{bus::AppendError, quota::OverQuota};

/// Why a request is refused. The texts are the problem's `detail`: what, and how to mend it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error(
        "send the feed's key, once, as `Authorization: Bearer <key>`; `jacquemart feed add` shows it"
    )]
    KeyMissing,
    #[error(
        "this key opens no feed: it was mistyped, or rotated since; `jacquemart feed rotate` \
         gives a new one"
    )]
    KeyWrong,
    #[error("records are sent with POST")]
    Method,
    #[error(
        "Content-Type {0:?} is not understood here; use application/x-protobuf or \
         application/json (gRPC is spoken over HTTP/2 only)"
    )]
    Media(String),
    #[error("Content-Encoding {0:?} is not understood; use gzip, zstd, or send the body as it is")]
    Coding(String),
    #[error("the body is {coding} but no header says so; add `Content-Encoding: {coding}`")]
    Unlabelled { coding: &'static str },
    #[error(
        "the body has more than {bytes_max} bytes (body_bytes_max); send it in several requests"
    )]
    BodyTooLarge { bytes_max: usize },
    #[error(
        "the body has more than {bytes_max} bytes once decompressed (decompressed_bytes_max); \
         send it in several requests"
    )]
    DecompressedTooLarge { bytes_max: usize },
    #[error(
        "the body grows more than {ratio_max} times when decompressed \
         (decompression_ratio_max); send it less compressed"
    )]
    RatioTooLarge { ratio_max: usize },
    #[error(
        "the body has more than {records_max} records (batch_records_max); send them in several \
         requests"
    )]
    TooManyRecords { records_max: usize },
    #[error("the body is not valid {coding}: {reason}; nothing of it was taken")]
    Corrupt { coding: &'static str, reason: String },
    #[error("the body is UTF-16; send it as UTF-8")]
    Utf16,
    #[error("the body is not what this address takes: {0}; nothing was taken")]
    Shape(String),
    #[error("the body broke off: {0}; nothing of it was taken")]
    Interrupted(String),
    #[error(
        "the body took longer than {} s, or paused for longer than {} s (body_time_max, \
         body_idle_time_max); nothing of it was taken",
        time_max.as_secs(), idle_max.as_secs()
    )]
    Slow { time_max: Duration, idle_max: Duration },
    #[error("too much is being received at once; nothing was taken, send it again later")]
    Busy { retry: Duration },
    #[error("{over}; nothing was taken, send it again in {} s", retry_s(&over.wait))]
    OverQuota { over: OverQuota },
    #[error("failed to append: {error}; what was not accepted can be sent again later")]
    Bus { error: AppendError, retry: Duration, receipt: Option<Box<Receipt>> },
    #[error(
        "Idempotency-Key is to come once, with 1 to {chars_max} visible characters, like a UUID"
    )]
    RepeatKey { chars_max: usize },
    #[error(
        "this Idempotency-Key stands for another body, which was sent before; nothing was taken, \
         give each batch a key of its own"
    )]
    RepeatDiffers,
    #[error(
        "the batch with this Idempotency-Key is still being taken; send it again later to learn \
         what became of it"
    )]
    RepeatEarly,
    #[error(
        "it cannot be looked up whether this batch was taken before; nothing was taken, send it \
         again later"
    )]
    Batches,
    #[error("none of the records can be read; `rejected` says why, one by one")]
    NothingAcceptable(Box<Receipt>),
    #[error("failed to read the body: an internal fault, which the server's log names")]
    Internal,
}

/// Whole seconds to wait; never 0, which invites a tight loop.
fn retry_s(wait: &Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

impl Refusal {
    /// Status, the last part of the type, title.
    pub(super) fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::KeyMissing => (StatusCode::UNAUTHORIZED, "key-missing", "No feed key"),
            Self::KeyWrong => (StatusCode::UNAUTHORIZED, "key-wrong", "Wrong feed key"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "method", "Method not allowed"),
            Self::Media(_) => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-type", "Unknown content type")
            }
            Self::Coding(_) | Self::Unlabelled { .. } => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-encoding", "Unknown encoding")
            }
            Self::BodyTooLarge { .. }
            | Self::DecompressedTooLarge { .. }
            | Self::RatioTooLarge { .. }
            | Self::TooManyRecords { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "Body too large")
            }
            Self::Corrupt { .. } | Self::Utf16 | Self::Shape(_) | Self::Interrupted(_) => {
                (StatusCode::BAD_REQUEST, "body-unreadable", "Unreadable body")
            }
            Self::Slow { .. } => (StatusCode::REQUEST_TIMEOUT, "body-slow", "Body too slow"),
            Self::Busy { .. } => (StatusCode::SERVICE_UNAVAILABLE, "busy", "Too busy"),
            Self::OverQuota { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "over-quota", "More than the quota")
            }
            Self::Bus { error: AppendError::Full { .. }, .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "bus-full", "The bus is full")
            }
            Self::Bus { error: AppendError::Unavailable(_), .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "bus-unavailable", "The bus does not answer")
            }
            Self::Bus { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "bus-stopped", "The bus is stopped")
            }
            Self::RepeatKey { .. } => {
                (StatusCode::BAD_REQUEST, "idempotency-key", "Unusable idempotency key")
            }
            Self::RepeatDiffers => {
                (StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused", "Reused key")
            }
            Self::RepeatEarly => (StatusCode::CONFLICT, "still-taking", "Still being taken"),
            Self::Batches => {
                (StatusCode::SERVICE_UNAVAILABLE, "batches-unknown", "Batches cannot be looked up")
            }
            Self::NothingAcceptable(_) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "records-unreadable", "No readable record")
            }
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
        }
    }

    /// A constant word for the metrics.
    pub(super) fn reason(&self) -> &'static str {
        self.kind().1
    }

    /// Whether it is sure that the last record is not on the bus, and will not be.
    pub(super) fn is_settled(&self) -> bool {
        match self {
            Self::Bus { error, .. } => matches!(error, AppendError::Full { .. }),
            Self::Internal => false,
            _ => true,
        }
    }

    /// Whether the rest of the body may be awaited, so that the answer is read before the
    /// connection ends.
    pub(super) fn may_linger(&self) -> bool {
        !matches!(self, Self::Interrupted(_) | Self::Slow { .. })
    }

    /// What the status demands beside the body.
    pub(super) fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        if let Some(seconds) = self.retry_s() {
            return Some((header::RETRY_AFTER, HeaderValue::from(seconds)));
        }
        let value = match self {
            Self::KeyMissing => (header::WWW_AUTHENTICATE, "Bearer realm=\"feed\"".into()),
            Self::KeyWrong => {
                (header::WWW_AUTHENTICATE, "Bearer realm=\"feed\", error=\"invalid_token\"".into())
            }
            Self::Method => (header::ALLOW, "POST".into()),
            // RFC 7694: the codings that a request may use.
            Self::Coding(_) => (header::ACCEPT_ENCODING, "gzip, zstd".into()),
            Self::Slow { .. } | Self::Interrupted(_) => (header::CONNECTION, "close".to_owned()),
            _ => return None,
        };
        Some((value.0, HeaderValue::from_str(&value.1).ok()?))
    }

    /// Whole seconds after which the same may be sent again, where that may help.
    pub(super) fn retry_s(&self) -> Option<u64> {
        match self {
            Self::Busy { retry } | Self::Bus { retry, .. } => Some(retry_s(retry)),
            Self::OverQuota { over } => Some(retry_s(&over.wait)),
            Self::RepeatEarly | Self::Batches => Some(1),
            _ => None,
        }
    }

    fn members(&self) -> Map<String, Value> {
        let receipt = match self {
            Self::NothingAcceptable(receipt) => Some(receipt),
            Self::Bus { receipt, .. } => receipt.as_ref(),
            _ => None,
        };
        match receipt.map(|receipt| json!(receipt)) {
            Some(Value::Object(members)) => members,
            _ => Map::new(),
        }
    }
}

/// `application/problem+json`; what the receipt says comes as further members.
#[derive(Serialize)]
struct Problem {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(flatten)]
    members: Map<String, Value>,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, slug, title) = self.kind();
        let problem = Problem {
            r#type: format!("urn:jacquemart:problem:{slug}"),
            title,
            status: status.as_u16(),
            detail: self.to_string(),
            members: self.members(),
        };
        let mut response = (status, axum::Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some((name, value)) = self.header() {
            headers.insert(name, value);
        }
        response
    }
}
