//! The same over gRPC: `LogsService/Export` on the door's own port, over HTTP/2.
//!
//! A unary call is one request whose body is one message behind five bytes (whether it is
//! compressed, and its length), answered by one message so framed and the call's status in
//! trailers; a refused call is answered by its status alone. So the door's own way of receiving does
//! all else: the key comes as metadata `authorization: Bearer <key>`, `grpc-encoding` may be gzip.
//!
//! | status | when | may be repeated |
//! |---|---|---|
//! | 0 OK | taken; `partial_success` counts what was not | no |
//! | 3 INVALID_ARGUMENT | no message, too large, unreadable | no |
//! | 8 RESOURCE_EXHAUSTED | over the quota | yes, `RetryInfo` says when |
//! | 14 UNAVAILABLE | the bus is full or stopped, too many senders at once | yes, `RetryInfo` says when |
//! | 16 UNAUTHENTICATED | no key, or a wrong one | no |
//! | 12 UNIMPLEMENTED | `grpc-encoding` is neither gzip nor identity | no |
//!
//! Source: gRPC over HTTP/2 (doc/PROTOCOL-HTTP2.md), the OTLP specification 1.x.

use std::{
    fmt::Write as _,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::{Body, HttpBody},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Frame, SizeHint};
use prost::Message as _;

use super::{
    super::{Open, answer::Receipt, key, problem::Refusal, take::Way},
    logs::Encoding,
    partial_success, proto,
};

/// Where gRPC's clients call it.
pub(super) const PATH: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

const GRPC: &str = "application/grpc";
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// Bytes before a message.
const PREFIX_BYTES: usize = 5;

pub(super) async fn export(State(open): State<Arc<Open>>, request: Request) -> Response {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_grpc = kind.is_some_and(|kind| {
        let kind = kind.to_ascii_lowercase();
        let rest = kind.strip_prefix(GRPC);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([';', '+']))
    });
    if !is_grpc || request.version() != Version::HTTP_2 {
        let refusal = Refusal::Media(kind.unwrap_or_default().chars().take(80).collect());
        open.turn_away(&refusal, None, request.into_body());
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, "this address takes gRPC over HTTP/2")
            .into_response();
    }
    let (mut head, body) = request.into_parts();
    // Before anything is read of the body.
    if let Err(refusal) = open.feed_of(key::of(&head.headers)) {
        open.turn_away(&refusal, None, body);
        return refused(&refusal);
    }
    let patience = open.door.limits.body_idle_time_max;
    let message = match tokio::time::timeout(patience, Message::begin(body)).await {
        Ok(Ok(message)) => message,
        Ok(Err(refusal)) => return turn_away(&open, &head.headers, &refusal),
        Err(_) => {
            let refusal = Refusal::Slow { time_max: patience, idle_max: patience };
            return turn_away(&open, &head.headers, &refusal);
        }
    };
    // What gRPC says of its message is what HTTP says of a body.
    head.headers.remove(header::CONTENT_ENCODING);
    if message.is_compressed {
        match head.headers.get(ENCODING).map(HeaderValue::as_bytes) {
            Some(b"gzip") => {
                head.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
            other => {
                let named = String::from_utf8_lossy(other.unwrap_or(b"identity"));
                let refusal = Refusal::Coding(named.chars().take(40).collect());
                return turn_away(&open, &head.headers, &refusal);
            }
        }
    }
    let request = Request::from_parts(head, Body::new(message));
    let way = Way { limits: &open.door.limits, split: Encoding::Protobuf, ids: false };
    match open.receive(request, &way).await.outcome {
        Ok(receipt) => taken(&receipt),
        Err(Refusal::NothingAcceptable(receipt)) => taken(&receipt),
        Err(refusal) => refused(&refusal),
    }
}

/// Counts and answers what is wrong with the framing.
fn turn_away(open: &Open, headers: &HeaderMap, refusal: &Refusal) -> Response {
    let feed = open.feed_of(key::of(headers)).ok();
    open.turn_away(refusal, feed.as_deref(), Body::empty());
    refused(refusal)
}

/// A call's only message, without what is before it.
struct Message {
    is_compressed: bool,
    /// What was read with the prefix.
    first: Option<Bytes>,
    rest: Body,
    /// What the message has yet to bring.
    left: u64,
}

impl Message {
    /// Reads up to the message.
    async fn begin(mut body: Body) -> Result<Self, Refusal> {
        let mut read = BytesMut::new();
        while read.len() < PREFIX_BYTES {
            let frame = body.frame().await.ok_or_else(|| {
                Refusal::Shape("it ends before the five bytes that begin a message".to_owned())
            })?;
            let frame = frame.map_err(|error| Refusal::Interrupted(error.to_string()))?;
            if let Ok(data) = frame.into_data() {
                read.put(data);
            }
        }
        let is_compressed = match read.get_u8() {
            0 => false,
            1 => true,
            flag => {
                return Err(Refusal::Shape(format!(
                    "a message begins with 0 or 1, whether it is compressed, not with {flag}"
                )));
            }
        };
        let left = u64::from(read.get_u32());
        Ok(Self { is_compressed, first: Some(read.freeze()), rest: body, left })
    }

    /// Counts a piece of the message.
    fn piece(&mut self, data: Bytes) -> io::Result<Bytes> {
        let left = self.left.checked_sub(data.len() as u64);
        self.left = left.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "more follows the message; a call has one message",
            )
        })?;
        Ok(data)
    }
}

impl HttpBody for Message {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(first) = self.first.take().filter(|first| !first.is_empty()) {
            return Poll::Ready(Some(self.piece(first).map(Frame::data)));
        }
        loop {
            let frame = match std::task::ready!(pin!(&mut self.rest).poll_frame(cx)) {
                None if self.left == 0 => return Poll::Ready(None),
                None => {
                    let error = io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        format!("{} bytes of the message are missing", self.left),
                    );
                    return Poll::Ready(Some(Err(error)));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(io::Error::other(error)))),
                Some(Ok(frame)) => frame,
            };
            if let Ok(data) = frame.into_data() {
                return Poll::Ready(Some(self.piece(data).map(Frame::data)));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0 && self.first.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

fn taken(receipt: &Receipt) -> Response {
    let message = proto::Response { partial_success: partial_success(receipt) }.encode_to_vec();
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    framed.put_u8(0);
    // An answer has a few hundred bytes.
    framed.put_u32(u32::try_from(message.len()).unwrap_or(0));
    framed.put_slice(&message);
    let trailers = HeaderMap::from_iter([(STATUS, HeaderValue::from_static("0"))]);
    let body = Full::new(framed.freeze()).with_trailers(async move { Some(Ok(trailers)) });
    ([(header::CONTENT_TYPE, GRPC)], Body::new(body)).into_response()
}

/// A refused call: its status is all there is of an answer.
fn refused(refusal: &Refusal) -> Response {
    let code = match refusal {
        Refusal::KeyMissing | Refusal::KeyWrong => 16,
        Refusal::OverQuota { .. } => 8,
        Refusal::Busy { .. } | Refusal::Bus { .. } => 14,
        Refusal::Coding(_) => 12,
        Refusal::Internal => 13,
        Refusal::Slow { .. } => 4,
        _ => 3,
    };
    let message = refusal.to_string();
    let mut response = ([(header::CONTENT_TYPE, GRPC)], Body::empty()).into_response();
    let headers = response.headers_mut();
    headers.insert(STATUS, HeaderValue::from(code));
    if let Ok(value) = HeaderValue::from_str(&escaped(&message)) {
        headers.insert(MESSAGE, value);
    }
    if let Some(seconds) = refusal.retry_s() {
        let status = proto::Status { code, message, details: vec![proto::retry_info(seconds)] };
        let details = STANDARD_NO_PAD.encode(status.encode_to_vec());
        if let Ok(value) = HeaderValue::from_str(&details) {
            headers.insert(DETAILS, value);
        }
    }
    response
}

/// As `grpc-message` wants it: visible ASCII, all else and `%` as `%XX`.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => escaped.push(char::from(byte)),
            _ => drop(write!(escaped, "%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_a_status_are_escaped() {
        assert_eq!(escaped("100 % fait\né"), "100 %25 fait%0A%C3%A9");
    }

    #[tokio::test]
    async fn a_message_is_as_long_as_it_says() {
        type Expected = Result<&'static [u8], &'static str>;
        let cases: [(&[&[u8]], Expected); 7] = [
            (&[b"\0\0\0\0\x03abc"], Ok(b"abc")),
            (&[b"\0\0", b"\0\0\x03a", b"bc"], Ok(b"abc")),
            (&[b"\0\0\0\0\0"], Ok(b"")),
            (&[b"\0\0\0\0\x03ab"], Err("1 bytes of the message are missing")),
            (&[b"\0\0\0\0\x03abcd"], Err("more follows")),
            (&[b"\0\0\0"], Err("ends before the five bytes")),
            (&[b"\x02\0\0\0\0"], Err("not with 2")),
        ];
        for (pieces, expected) in cases {
            let pieces: Vec<Bytes> = pieces.iter().map(|piece| Bytes::from_static(piece)).collect();
            let body = Body::new(Pieces(pieces.into_iter()));
            let outcome = match Message::begin(body).await {
                Err(refusal) => Err(refusal.to_string()),
                Ok(message) => match message.collect().await {
                    Ok(whole) => Ok(whole.to_bytes()),
                    Err(error) => Err(error.to_string()),
                },
            };
            match expected {
                Ok(bytes) => assert_eq!(outcome.unwrap(), bytes),
                Err(part) => {
                    let error = outcome.unwrap_err();
                    assert!(error.contains(part), "{error}");
                }
            }
        }
    }

    /// A body that comes in these pieces.
    struct Pieces(std::vec::IntoIter<Bytes>);

    impl HttpBody for Pieces {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
            Poll::Ready(self.0.next().map(|piece| Ok(Frame::data(piece))))
        }
    }
}
