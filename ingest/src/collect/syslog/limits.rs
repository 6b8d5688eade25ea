//! The bounds of a syslog listener.

use std::time::Duration;

/// What one sender, and all together, may ask of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogLimits {
    /// One message without its framing; a larger one is passed over alone.
    pub frame_bytes_max: usize,
    /// The largest length that an octet count may announce and be passed over; after a larger
    /// one nothing tells where the next message begins, and the connection ends.
    pub skipped_bytes_max: usize,
    /// Connections at the same time; further ones wait to be accepted.
    pub connections_max: usize,
    /// From one byte to the next. Long, as quiet senders are common and many lose the first
    /// message that they write into a connection which was closed on them.
    pub idle_time_max: Duration,
    /// Records of one append.
    pub batch_records_max: usize,
    /// Bytes of one append.
    pub batch_bytes_max: usize,
    /// From reading a message to its append.
    pub batch_time_max: Duration,
    /// Messages in a row without the key of a feed until the connection is closed.
    pub wrong_keys_max: u32,
    /// Datagrams that wait for the bus at most; further ones are dropped.
    pub datagrams_bytes_max: usize,
    /// What the last records get to reach a full bus once the listener closes.
    pub close_time_max: Duration,
}

impl Default for SyslogLimits {
    fn default() -> Self {
        Self {
            frame_bytes_max: 64 << 10,
            skipped_bytes_max: 16 << 20,
            connections_max: 1024,
            idle_time_max: Duration::from_secs(3600),
            batch_records_max: 1000,
            batch_bytes_max: 256 << 10,
            batch_time_max: Duration::from_millis(50),
            wrong_keys_max: 10,
            datagrams_bytes_max: 16 << 20,
            close_time_max: Duration::from_secs(5),
        }
    }
}
