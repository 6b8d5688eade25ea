//! Serving a router to strangers.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, response::Response};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::HttpLimits;
use crate::collect::{Tls, listen::listen};

/// What a request's line and headers may take, and what is read of a body at once.
const HEADER_BYTES_MAX: usize = 64 << 10;

/// Serves `router` on `listener` until `cancel`, then lets requests under way finish within
/// `close_time_max`. Unlike `axum::serve` it bounds connections, headers and how long a sender
/// may take for them; connections past the bound wait to be accepted. With `tls` it speaks HTTPS
/// alone.
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
        async move {
            // Answers are small and whole: waiting for more to send only delays them.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "failed to set TCP_NODELAY");
            }
            match tls {
                None => connection(stream, router, header_time_max, closing).await,
                Some(tls) => {
                    if let Some(stream) = handshake(&tls, stream, peer, &closing).await {
                        connection(stream, router, header_time_max, closing).await;
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
) -> Option<impl AsyncRead + AsyncWrite + Unpin + Send + 'static> {
    let accepted = tokio::select! {
        accepted = tls.accept(stream) => accepted,
        // No request has begun.
        () = cancel.cancelled() => return None,
    };
    accepted.inspect_err(|error| tracing::debug!(%peer, %error, "a TLS handshake failed")).ok()
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    header_time_max: Duration,
    cancel: CancellationToken,
) {
    let service = service_fn(move |request| {
        let router = router.clone();
        async move { Ok::<_, Infallible>(answer(router, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_time_max)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = cancel.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP connection broke off");
    }
}

async fn answer(router: Router, request: Request<Incoming>) -> Response {
    match router.oneshot(request.map(Body::new)).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}
