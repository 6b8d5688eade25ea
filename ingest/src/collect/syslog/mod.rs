//! Syslog over TCP, TLS (RFC 5425) and UDP (RFC 5426): RFC 5424 and RFC 3164, on streams
//! octet-counted or by line.
//!
//! Whose record a message is says the listener, where the configuration binds it to a feed and
//! says which peers may connect; otherwise each message says it, with the feed's key as a
//! parameter of its structured data: `[jacquemart@32473 key="…"]` or, as existing forwarders
//! have it, `[SEKOIA@53288 intake_key="…"]`. A message without such a key is nobody's: it is
//! counted and passed over, and never taken for its predecessor's, as a relay may carry the
//! messages of several communes. [`message`] says what is kept of one.
//!
//! The protocol has no acknowledgement. What was read from a socket is appended, however long
//! the bus is full; meanwhile nothing more is read, so that the sender's own queue fills. Only
//! when the listener closes while the bus stays full for `close_time_max` are records lost, and
//! then counted and logged.

mod connection;
mod datagrams;
mod frame;
#[cfg(fuzzing)]
pub mod fuzz;
mod header;
mod limits;
mod message;
mod network;
mod pending;
mod sd;
mod sink;

use std::{net::SocketAddr, sync::Arc};

use event::{Feed, FeedId};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

pub use datagrams::serve_datagrams;
pub use limits::SyslogLimits;
pub use network::{InvalidNetwork, Network};

use self::{connection::Connection, message::Message};
use super::{admission::Admission, listen::listen, meter::CollectMetrics, quiet::Quiet, tls::Tls};
use crate::{Feeds, bus::Bus};

/// What a syslog listener needs.
#[derive(Clone)]
pub struct SyslogDoor {
    /// Where records go.
    pub bus: Arc<dyn Bus>,
    /// Which feed a key opens.
    pub feeds: Arc<dyn Feeds>,
    /// The memory that it shares with the other doors.
    pub admission: Admission,
    /// Its own bounds.
    pub limits: SyslogLimits,
    /// Where it counts.
    pub metrics: CollectMetrics,
    /// The feed of everything that comes here; keys in messages are then not looked at. Nothing
    /// but [`allow_from`](Self::allow_from) says who sends.
    pub feed: Option<FeedId>,
    /// Networks whose peers may connect; all where it is empty.
    pub allow_from: Vec<Network>,
    /// Where streams are encrypted.
    pub tls: Option<Arc<Tls>>,
}

/// The door with what is shared between its connections.
struct Open {
    door: SyslogDoor,
    quiet: Quiet,
}

/// Why a message is nobody's. The texts complete "failed to take a message: …".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Unrouted {
    #[error("it carries no key, e.g. [jacquemart@32473 key=\"…\"] in its structured data")]
    KeyMissing,
    #[error("its key opens no feed; `jacquemart feed rotate` gives a new one")]
    KeyWrong,
    #[error("the listener's feed does not exist; `jacquemart feed add` makes it")]
    FeedUnknown,
}

impl Unrouted {
    /// A constant word for the metrics.
    const fn reason(self) -> &'static str {
        match self {
            Self::KeyMissing => "key-missing",
            Self::KeyWrong => "key-wrong",
            Self::FeedUnknown => "feed-unknown",
        }
    }
}

/// Takes messages on `listener` until `cancel`; returns once what was read is on the bus, or
/// `close_time_max` is over.
pub async fn serve(listener: TcpListener, door: SyslogDoor, cancel: CancellationToken) {
    let limits = door.limits.clone();
    let open = Arc::new(Open { door, quiet: Quiet::default() });
    let closing = cancel.clone();
    // The connections keep to the time themselves, so as to tell what they lose.
    let patience = limits.close_time_max.saturating_mul(2);
    listen(listener, limits.connections_max, patience, cancel, move |stream, peer| {
        take(open.clone(), stream, peer, closing.clone())
    })
    .await;
}

async fn take(open: Arc<Open>, stream: TcpStream, peer: SocketAddr, cancel: CancellationToken) {
    if !open.is_allowed(peer) {
        return;
    }
    let Some(tls) = open.door.tls.clone() else {
        return Connection::new(open, stream, peer, cancel).run().await;
    };
    let accepted = tokio::select! {
        accepted = tls.accept(stream) => accepted,
        // Nothing was sent within it yet.
        () = cancel.cancelled() => return,
    };
    match accepted {
        Ok(stream) => Connection::new(open, stream, peer, cancel).run().await,
        Err(error) => {
            open.door.metrics.rejected(None, "tls-handshake", 1);
            open.warn(peer, &error);
        }
    }
}

impl Open {
    /// Whether the configuration lets `peer` send; it is counted and logged where not.
    fn is_allowed(&self, peer: SocketAddr) -> bool {
        let allow_from = &self.door.allow_from;
        let is_allowed =
            allow_from.is_empty() || allow_from.iter().any(|network| network.contains(peer.ip()));
        if !is_allowed {
            self.door.metrics.rejected(None, "peer-not-allowed", 1);
            self.warn(peer, &"its address is not in allow_from");
        }
        is_allowed
    }

    /// Whose `message` is, and with which key.
    fn route(&self, message: &Message) -> Result<(Arc<Feed>, Option<String>), Unrouted> {
        if let Some(id) = &self.door.feed {
            let feed = self.door.feeds.by_id(id).ok_or(Unrouted::FeedUnknown)?;
            return Ok((feed, None));
        }
        let mut refused = Unrouted::KeyMissing;
        for key in message.keys() {
            if let Some(feed) = self.door.feeds.by_key(key) {
                return Ok((feed, Some(key.to_owned())));
            }
            refused = Unrouted::KeyWrong;
        }
        Err(refused)
    }

    /// Logs that something of `peer` was turned away, unless too much is being logged.
    fn warn(&self, peer: SocketAddr, reason: &dyn std::fmt::Display) {
        if let Some(held) = self.quiet.may_speak() {
            tracing::warn!(%peer, %reason, held, "failed to take syslog");
        }
    }
}
