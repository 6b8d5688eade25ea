//! The doors: from the wire to durable records.
//!
//! What enters: bytes from senders nobody vouches for, over [`http`] and [`syslog`]. What
//! leaves: one encoded [`event::Record`] per record on topic `records`, keyed by its feed, and
//! an acknowledgement (where the protocol has one) only once the bus calls it durable. What is
//! ignored: what the bytes mean. A door knows where a record begins and ends and which feed it
//! belongs to; a well-formed record that no format understands is decoding's to report.
//!
//! Every door does the same in the same order: find the feed, bound the memory
//! ([`admission`]), frame, append, answer. Nothing that was acknowledged is dropped, one bad
//! record never sinks its neighbours, and a full bus slows senders rather than losing bytes.

pub mod admission;
mod append;
pub mod http;
mod listen;
mod meter;
mod quiet;
pub mod syslog;
mod tls;

pub use admission::{Admission, Admitted};
pub(crate) use append::{append, encode};
pub use meter::{CollectMetrics, Meter, Unmetered};
pub use tls::{Tls, TlsError, TlsFiles};
