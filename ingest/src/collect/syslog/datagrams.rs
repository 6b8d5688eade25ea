//! Syslog over UDP (RFC 5426): one message a datagram.
//!
//! Nothing tells a sender to wait, so datagrams are read as fast as they come and wait for the
//! bus in memory, up to `datagrams_bytes_max`; past it they are dropped, and counted and logged
//! as such. What the system itself drops before it is read here nobody counts but the system
//! (`netstat -su`). Where it can be chosen, TCP or TLS is better.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::{
    net::UdpSocket,
    sync::mpsc::{self, error::TrySendError},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Open, SyslogDoor,
    sink::{OverQuota, Sink},
};
use crate::collect::quiet::Quiet;

/// The largest datagram there is.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// What is asked of the system for datagrams that were not read yet; it may give less.
const SOCKET_BYTES: usize = 8 << 20;

/// Datagrams that wait at most, besides the bound on their bytes.
const WAITING_MAX: usize = 64 << 10;

/// What a datagram takes in memory beside its bytes.
const OVERHEAD_BYTES: usize = 128;

/// Datagrams that are still read when the listener closes.
const LAST_DATAGRAMS_MAX: usize = 64 << 10;

/// How long they may take to show.
const LAST_WAIT: Duration = Duration::from_millis(20);

/// Pause after a failed read.
const READ_PAUSE: Duration = Duration::from_millis(100);

/// A datagram and who sent it.
type Datagram = (SocketAddr, Bytes);

/// Takes messages on `socket` until `cancel`; returns once what was read is on the bus, or
/// `close_time_max` is over.
pub async fn serve_datagrams(socket: UdpSocket, door: SyslogDoor, cancel: CancellationToken) {
    if let Err(error) = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BYTES) {
        tracing::debug!(%error, "failed to ask for a larger socket buffer");
    }
    let open = Arc::new(Open { door, quiet: Quiet::default() });
    loop {
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let sink = Sink::new(Arc::clone(&open), cancel.clone(), OverQuota::Drops);
        let appending = tokio::spawn(append(sink, receiver, Arc::clone(&waiting_bytes)));
        read(&socket, &open, &sender, &waiting_bytes, &cancel).await;
        drop(sender);
        // It keeps to close_time_max itself, so as to tell what it loses.
        let Err(panic) = appending.await else { return };
        // One datagram must not end the listener: its neighbours would be lost unseen.
        open.door.metrics.rejected(None, "internal", 1);
        tracing::error!(%panic, "failed to take a datagram; those that waited behind it are lost");
        if cancel.is_cancelled() {
            return;
        }
    }
}

async fn read(
    socket: &UdpSocket,
    open: &Open,
    sender: &mpsc::Sender<Datagram>,
    waiting_bytes: &AtomicUsize,
    cancel: &CancellationToken,
) {
    let mut buffer = BytesMut::new();
    // What had arrived when the listener closes is read, but no more than that.
    let mut last = 0;
    while last < LAST_DATAGRAMS_MAX {
        buffer.reserve(DATAGRAM_BYTES_MAX);
        let read = if cancel.is_cancelled() {
            last += 1;
            // Not a mere try: what has arrived shows only once the runtime has had a turn.
            match timeout(LAST_WAIT, socket.recv_buf_from(&mut buffer)).await {
                Ok(read) => read,
                Err(_) => return,
            }
        } else {
            tokio::select! {
                read = socket.recv_buf_from(&mut buffer) => read,
                () = cancel.cancelled() => continue,
            }
        };
        let (len, peer) = match read {
            Ok(read) => read,
            Err(error) => {
                open.warn(socket.local_addr().unwrap_or(UNKNOWN), &error);
                tokio::time::sleep(READ_PAUSE).await;
                continue;
            }
        };
        let datagram = buffer.split_to(len).freeze();
        // A buffer that is never empty again would be copied when it grows.
        buffer.clear();
        if !open.is_allowed(peer) {
            continue;
        }
        let datagram = trimmed(&datagram);
        if datagram.is_empty() {
            continue;
        }
        let limits = &open.door.limits;
        if datagram.len() > limits.frame_bytes_max {
            open.door.metrics.rejected(None, "frame-too-large", 1);
            open.warn(peer, &format_args!("a datagram has {} bytes", datagram.len()));
            continue;
        }
        let bytes = datagram.len() + OVERHEAD_BYTES;
        let has_room = waiting_bytes.load(Ordering::Relaxed) + bytes <= limits.datagrams_bytes_max;
        let sent =
            if has_room { sender.try_send((peer, datagram)).map_err(Some) } else { Err(None) };
        if sent.is_ok() {
            waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        } else {
            open.door.metrics.rejected(None, "datagram-dropped", 1);
            if let Err(Some(TrySendError::Closed(_))) = sent {
                return;
            }
            open.warn(
                peer,
                &"datagrams come faster than the bus takes them and are dropped; send over TCP",
            );
        }
    }
}

async fn append(
    mut sink: Sink,
    mut receiver: mpsc::Receiver<Datagram>,
    waiting_bytes: Arc<AtomicUsize>,
) {
    let mut peer = UNKNOWN;
    loop {
        let due = sink.due();
        let received = tokio::select! {
            biased;
            received = receiver.recv() => received,
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                sink.flush(peer).await;
                continue;
            }
        };
        let Some((from, datagram)) = received else { break };
        peer = from;
        waiting_bytes.fetch_sub(datagram.len() + OVERHEAD_BYTES, Ordering::Relaxed);
        // Whose it is not was counted; its neighbours are not concerned.
        let _ = sink.take(peer, datagram).await;
        if due.is_some_and(|due| Instant::now() >= due) {
            sink.flush(peer).await;
        }
    }
    sink.flush(peer).await;
}

/// Without the line end or NUL that some senders add.
fn trimmed(datagram: &Bytes) -> Bytes {
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r' | 0);
    let len = datagram.iter().rposition(|byte| !is_end(byte)).map_or(0, |last| last + 1);
    datagram.slice(..len)
}

const UNKNOWN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);
