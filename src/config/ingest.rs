//! The doors.

use std::net::SocketAddr;

use ::ingest::collect::http::ElasticVersion;
use event::FeedId;
use serde::{Deserialize, Serialize};

use super::{ByteSize, Tls};

/// The doors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Ingest {
    pub(crate) http: IngestHttp,
    /// Syslog listeners; none by default.
    pub(crate) syslog: Vec<IngestSyslog>,
}

/// `POST /ingest`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct IngestHttp {
    pub(crate) listen: SocketAddr,
    /// A request's body as sent.
    pub(crate) body_bytes_max: ByteSize,
    /// A request's body once decompressed.
    pub(crate) decompressed_bytes_max: ByteSize,
    /// One record.
    pub(crate) record_bytes_max: ByteSize,
    /// All bodies in memory at once.
    pub(crate) in_flight_bytes_max: ByteSize,
    /// The version that Elasticsearch's clients are told; Beats want one not older than theirs.
    pub(crate) elasticsearch_version: String,
    /// HTTPS instead of HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<Tls>,
}

impl Default for IngestHttp {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7080)),
            body_bytes_max: ByteSize::mib(16),
            decompressed_bytes_max: ByteSize::mib(64),
            record_bytes_max: ByteSize::mib(1),
            in_flight_bytes_max: ByteSize::mib(256),
            elasticsearch_version: ElasticVersion::default().to_string(),
            tls: None,
        }
    }
}

/// How syslog comes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    #[default]
    Tcp,
    Udp,
}

/// A syslog listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IngestSyslog {
    pub(crate) listen: SocketAddr,
    /// The feed of everything that comes here; without it each message must carry a feed's key
    /// as structured data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) feed: Option<FeedId>,
    /// Networks that may connect, e.g. `10.1.0.0/16`; demanded where `feed` is set and the
    /// listener is not on loopback, as nothing else says who sends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) allow_from: Vec<String>,
    #[serde(default)]
    pub(crate) transport: Transport,
    /// TLS over TCP (RFC 5425).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<Tls>,
}
