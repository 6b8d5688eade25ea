//! Accepting connections, bounded.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::quiet::Quiet;

/// Pause after a failed accept, e.g. for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Runs `serve` for each connection on `listener` until `cancel`, then closes the listener and
/// waits up to `close_time_max` for those under way. No more than `connections_max` run at
/// once; further ones wait in the system's queue, where their bytes are not lost.
pub(super) async fn listen<F, Fut>(
    listener: TcpListener,
    connections_max: usize,
    close_time_max: Duration,
    cancel: CancellationToken,
    serve: F,
) where
    F: Fn(TcpStream, SocketAddr) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let turns = Arc::new(Semaphore::new(connections_max));
    let (connections, quiet) = (TaskTracker::new(), Quiet::default());
    loop {
        let accepted = tokio::select! {
            () = cancel.cancelled() => break,
            accepted = accept(&listener, &turns) => accepted,
        };
        match accepted {
            Ok((stream, peer, turn)) => {
                let served = serve(stream, peer);
                connections.spawn(async move {
                    served.await;
                    drop(turn);
                });
            }
            Err(error) => {
                if let Some(held) = quiet.may_speak() {
                    tracing::warn!(%error, held, "failed to accept a connection");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(close_time_max, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "left connections that take too long");
    }
}

async fn accept(
    listener: &TcpListener,
    turns: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let turn = turns.clone().acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, turn))
}
