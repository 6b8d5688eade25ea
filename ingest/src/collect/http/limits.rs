//! The bounds of the HTTP door.

use std::time::Duration;

/// What one sender, and all together, may ask of the door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// A body as it comes over the wire, compressed or not.
    pub body_bytes_max: usize,
    /// A body once decompressed.
    pub decompressed_bytes_max: usize,
    /// Decompressed bytes for one compressed byte, watched from the first MiB of output on.
    /// Logs compress 10 to 100 times; bombs of gzip 1,000 times, of zstd more.
    pub decompression_ratio_max: usize,
    /// One record; a larger one is turned away alone.
    pub record_bytes_max: usize,
    /// Records, good or bad, in one body.
    pub batch_records_max: usize,
    /// Turned-away records that an answer describes one by one; the others are only counted.
    pub answer_rejections_max: usize,
    /// Bytes of encoded records in one append. A body that fits is taken whole or not at all.
    pub append_bytes_max: usize,
    /// Records in one append.
    pub append_records_max: usize,
    /// Requests at the same time.
    pub concurrent_requests_max: usize,
    /// From one piece of a body to the next.
    pub body_idle_time_max: Duration,
    /// From the first byte of a body to its last.
    pub body_time_max: Duration,
    /// What senders are told to wait when the bus is full or stopped.
    pub bus_retry_after: Duration,
    /// What senders are told to wait when too many of them came at once.
    pub busy_retry_after: Duration,
    /// Bodies larger than this are decompressed and split off the async workers.
    pub inline_bytes_max: usize,
    /// Connections at the same time ([`super::serve`]).
    pub connections_max: usize,
    /// From accepting a connection, or the end of an answer, to the end of the next request's
    /// headers ([`super::serve`]).
    pub header_time_max: Duration,
    /// What requests under way get to finish when the door closes ([`super::serve`]).
    pub close_time_max: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            body_bytes_max: 16 << 20,
            decompressed_bytes_max: 64 << 20,
            decompression_ratio_max: 250,
            record_bytes_max: 1 << 20,
            batch_records_max: 100_000,
            answer_rejections_max: 100,
            append_bytes_max: 8 << 20,
            append_records_max: 20_000,
            concurrent_requests_max: 256,
            body_idle_time_max: Duration::from_secs(10),
            body_time_max: Duration::from_secs(60),
            bus_retry_after: Duration::from_secs(5),
            busy_retry_after: Duration::from_secs(1),
            inline_bytes_max: 64 << 10,
            connections_max: 1024,
            header_time_max: Duration::from_secs(60),
            close_time_max: Duration::from_secs(10),
        }
    }
}
