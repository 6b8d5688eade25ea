//! `[api]`.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::Tls;

/// The API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Api {
    pub(crate) listen: SocketAddr,
    /// Whether `/metrics` answers without a token.
    pub(crate) metrics_open: bool,
    /// HTTPS instead of HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<Tls>,
}

impl Default for Api {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 7081)), metrics_open: false, tls: None }
    }
}
