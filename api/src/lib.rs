//! The HTTP API.
//!
//! What enters: HTTP requests. What leaves: JSON under `/api/v1`, RFC 9457 problems, health and
//! metrics. [`router`] is made from one table ([`routes`]) that says of each route who may ask
//! and what it takes; a handler runs only once [`ask`] has checked both, and it reads the store
//! through the [`Scope`](store::Scope) of whoever asks. Deliberately ignored: sockets and TLS
//! (the binary serves the router), how incidents are grouped and events searched (`store`).

mod account;
mod around;
mod ask;
mod audit;
mod auth;
mod clocks;
mod communes;
mod devices;
mod events;
mod export;
mod feed_health;
mod feed_stream;
mod feeds;
mod fields;
mod health;
mod incident_change;
mod incidents;
mod indicators;
mod keeping;
mod me;
mod metrics;
mod nearest;
mod notices;
mod openapi;
mod page;
mod params;
mod policy;
mod precondition;
mod problem;
mod process_tree;
mod quota;
mod reports;
mod routes;
mod rules;
mod saved_hunts;
mod sightings;
mod status;
mod stream;
mod surround;
mod tokens;

use std::sync::Arc;

use axum::Router;
use event::FormatName;
use prometheus::Registry;
use store::{db::Database, hunt::Hunt};
use tokio_util::sync::CancellationToken;

pub use account::Audit;
pub use auth::LocalOperator;
pub use export::harmless;
pub use feed_health::{FeedHealth, FeedPull, FeedRule, FeedWatch};
pub use health::{Check, Health};
pub use indicators::{IndicatorAnswer, IndicatorSource, Indicators};
pub use metrics::RequestMetrics;
pub use routes::{Needs, RouteInfo, routes};
pub use rules::{
    CheckedFilter, Reload, RuleDetail, RuleInCommune, RuleKept, RuleLogsource, RuleRefusal,
    RuleSummary, RuleTouched, Rules, RulesStatus,
};
pub use stream::Streams;

/// What the API stands on.
#[derive(Clone)]
pub struct Api {
    /// Incidents, communes, feeds, tokens.
    pub db: Arc<dyn Database>,
    /// Answers searches.
    pub hunt: Arc<dyn Hunt>,
    /// The rules in use.
    pub rules: Arc<dyn Rules>,
    /// The indicators in use.
    pub indicators: Arc<dyn Indicators>,
    /// Called after a feed was added or got another key, so that collectors read them anew.
    /// Must not block.
    pub feeds_changed: Arc<dyn Fn() + Send + Sync>,
    /// How feeds do.
    pub feed_watch: Arc<dyn FeedWatch>,
    /// What a feed's format may be.
    pub formats: Vec<FormatName>,
    /// Whether the parts work.
    pub health: Arc<dyn Health>,
    /// What `/metrics` shows.
    pub metrics: Registry,
    /// Where requests are counted; routers of one process share it.
    pub requests: RequestMetrics,
    /// Where it is written down who asked for what; routers of one process share it.
    pub audit: Audit,
    /// Who follows incidents; routers of one process share it.
    pub streams: Streams,
    /// Ends the streams, so that a server that stops is not held up by them.
    pub stopping: CancellationToken,
    /// Whether `/metrics` answers without a token. Its labels name communes and feeds.
    pub metrics_open: bool,
}

/// The state that handlers share.
type App = Arc<Api>;

/// The whole API as one router, which can be served on TCP, layered with [`LocalOperator`] for
/// a socket that only the operator reaches, or asked in process.
pub fn router(api: Api) -> Router {
    let around = surround::Around::new(api.requests.clone());
    let app = Arc::new(api);
    let mut router = Router::new();
    for route in routes::table() {
        router = router.route(route.info.path, route.handler(&app));
    }
    router
        .fallback(problem::no_such_route)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(axum::middleware::from_fn_with_state(around, surround::surround))
}
