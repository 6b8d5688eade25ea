//! Serving a router to strangers.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo, response::Response};
use http_body_util::BodyExt as _;
use hyper::{
    Request,
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::HttpLimits;
use crate::collect::{Tls, listen::listen};

/// What a request's line and headers may take, and what is read of a body at once.
const HEADER_BYTES_MAX: usize = 64 << 10;

/// Requests at the same time on one HTTP/2 connection.
const STREAMS_MAX: u32 = 64;
/// What a sender may send ahead of our reading it, on one stream and on one connection: memory that
/// no budget counts.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 256 << 10;
const HEADER_LIST_BYTES_MAX: u32 = 64 << 10;
/// How often a silent HTTP/2 connection is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(20);
const PONG_MAX: Duration = Duration::from_secs(20);
/// Between two looks at a connection that has begun as HTTP/2's do.
const PEEK_PAUSE: Duration = Duration::from_millis(20);

/// Serves `router` on `listener` until `cancel`, then lets requests under way finish within
/// `close_time_max`. Unlike `axum::serve` it bounds connections, headers and how long a sender
/// may take for them; connections past the bound wait to be accepted. HTTP/2 is
/// told by how a connection begins, or by TLS's ALPN. With `tls` it speaks HTTPS alone.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<Arc<Tls>>,
    limits: HttpLimits,
    cancel: CancellationToken,
) {
    let HttpLimits { connections_max, header_time_max, close_time_max, .. } = limits;
    let closing = cancel.clone();
    listen(listener, connections_max, close_time_max, cancel, move |stream, peer| {
        let (router, tls, closing) = (router.clone(), tls.clone(), closing.clone());
        let answers = Answers { router, peer };
        async move {
            // Answers are small and whole: waiting for more to send only delays them.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "failed to set TCP_NODELAY");
            }
            match tls {
                None => {
                    if let Some(protocol) = protocol_of(&stream, header_time_max, &closing).await {
                        connection(stream, protocol, answers, header_time_max, closing).await;
                    }
                }
                Some(tls) => {
                    if let Some(stream) = handshake(&tls, stream, peer, &closing).await {
                        let protocol = match stream.get_ref().1.alpn_protocol() {
                            Some(b"h2") => Protocol::Http2,
                            _ => Protocol::Http1,
                        };
                        connection(stream, protocol, answers, header_time_max, closing).await;
                    }
                }
            }
        }
    })
    .await;
}

async fn handshake(
    tls: &Tls,
    stream: TcpStream,
    peer: SocketAddr,
    cancel: &CancellationToken,
) -> Option<TlsStream<TcpStream>> {
    let accepted = tokio::select! {
        accepted = tls.accept_http(stream) => accepted,
        // No request has begun.
        () = cancel.cancelled() => return None,
    };
    accepted.inspect_err(|error| tracing::debug!(%peer, %error, "a TLS handshake failed")).ok()
}

/// How a connection's requests come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

/// What an HTTP/2 connection begins with (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Looks at how a connection begins; `None` where it says nothing in time.
async fn protocol_of(
    stream: &TcpStream,
    header_time_max: Duration,
    cancel: &CancellationToken,
) -> Option<Protocol> {
    let mut begin = [0; PREFACE.len()];
    let look = async {
        loop {
            let n = stream.peek(&mut begin).await.ok()?;
            if n == 0 || !PREFACE.starts_with(&begin[..n]) {
                return Some(Protocol::Http1);
            }
            if n == PREFACE.len() {
                return Some(Protocol::Http2);
            }
            // There is nothing to wait for but time: what is peeked at stays readable.
            tokio::time::sleep(PEEK_PAUSE).await;
        }
    };
    tokio::select! {
        protocol = tokio::time::timeout(header_time_max, look) => protocol.ok().flatten(),
        // No request has begun.
        () = cancel.cancelled() => None,
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    protocol: Protocol,
    answers: Answers,
    header_time_max: Duration,
    cancel: CancellationToken,
) {
    let ended = match protocol {
        Protocol::Http1 => http1_connection(stream, answers, header_time_max, cancel).await,
        Protocol::Http2 => http2_connection(stream, answers, header_time_max, cancel).await,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP connection broke off");
    }
}

async fn http1_connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    answers: Answers,
    header_time_max: Duration,
    cancel: CancellationToken,
) -> hyper::Result<()> {
    let service = service_fn(move |request| {
        let answers = answers.clone();
        async move { Ok::<_, Infallible>(answers.to(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_time_max)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => ended,
        () = cancel.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}

/// HTTP/2, as gRPC's clients speak it. A connection on which nothing is asked for `idle_max` is
/// ended, as one of HTTP/1 is.
async fn http2_connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    answers: Answers,
    idle_max: Duration,
    cancel: CancellationToken,
) -> hyper::Result<()> {
    let asked = Arc::new(Asked::default());
    let seen = Arc::clone(&asked);
    let service = service_fn(move |request: Request<Incoming>| {
        let (answers, turn) = (answers.clone(), seen.begin());
        async move {
            let answer = answers.to(request).await;
            // It lasts as long as its body does, which may go on.
            let answer = answer.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    let _lasts = &turn;
                    frame
                }))
            });
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(HEADER_LIST_BYTES_MAX)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    loop {
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = cancel.cancelled() => break,
            () = tokio::time::sleep(idle_max / 2) => {
                if asked.is_idle() {
                    break;
                }
            }
        }
    }
    connection.as_mut().graceful_shutdown();
    match tokio::time::timeout(idle_max, connection).await {
        Ok(ended) => ended,
        // It keeps the connection open without a request: there is nothing to lose.
        Err(_) => Ok(()),
    }
}

/// Whether requests come on a connection.
#[derive(Default)]
struct Asked {
    under_way: AtomicUsize,
    /// Since it was last looked.
    any: AtomicBool,
}

impl Asked {
    fn begin(self: &Arc<Self>) -> Turn {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.any.store(true, Ordering::Relaxed);
        Turn(Arc::clone(self))
    }

    /// Nothing was asked since this was last asked.
    fn is_idle(&self) -> bool {
        let any = self.any.swap(false, Ordering::Relaxed);
        !any && self.under_way.load(Ordering::Relaxed) == 0
    }
}

/// A request under way.
struct Turn(Arc<Asked>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What answers on one connection.
#[derive(Clone)]
struct Answers {
    router: Router,
    peer: SocketAddr,
}

impl Answers {
    async fn to(self, request: Request<Incoming>) -> Response {
        let mut request = request.map(Body::new);
        // Handlers may want to know who is at the other end.
        request.extensions_mut().insert(ConnectInfo(self.peer));
        match self.router.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}
