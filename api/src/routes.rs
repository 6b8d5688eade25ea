//! The table of all routes.

use std::sync::Arc;

use axum::{
    extract::Request,
    http::Method,
    response::{IntoResponse as _, Response},
    routing::{MethodFilter, MethodRouter, on},
};
use futures::{FutureExt as _, future::BoxFuture};
use serde::Serialize;

use crate::{
    App,
    account::Account,
    around,
    ask::{Ask, admit},
    audit, auth, clocks, communes, devices, events, export, feed_stream, feeds, health,
    incident_change, incidents, indicators, keeping, me, metrics, notices, openapi, policy,
    problem::Problem,
    process_tree, reports, rules, saved_hunts, sightings, status, stream, tokens,
};

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Needs {
    /// Anybody, without a token. What it tells depends on who asks at most.
    Nobody,
    /// Any token.
    Reader,
    /// A token of role analyst or admin.
    Analyst,
    /// A token of role admin.
    Admin,
    /// A token of any role that spans all communes, unless the configuration opens the route.
    AllCommunes,
}

/// One route as the table has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteInfo {
    /// E.g. `GET`, which answers `HEAD` too.
    pub method: Method,
    /// E.g. `/api/v1/incidents/{id}`; at most one part is variable.
    pub path: &'static str,
    /// Who may ask.
    pub needs: Needs,
    /// The query parameters that it knows.
    pub params: &'static [&'static str],
    /// The members of the JSON object that it takes; `None` where it takes no body.
    pub body: Option<&'static [&'static str]>,
    /// What the audit trail calls it; `None` where it is not worth an entry.
    pub audit: Option<&'static str>,
}

type Answer = Result<Response, Problem>;

enum Handler {
    /// Gets the request as it came.
    Public(Box<dyn Fn(App, Request) -> BoxFuture<'static, Answer> + Send + Sync>),
    /// Gets what was admitted.
    Admitted(Box<dyn Fn(App, Ask) -> BoxFuture<'static, Answer> + Send + Sync>),
}

/// One line of the table.
pub(crate) struct Route {
    pub(crate) info: RouteInfo,
    handler: Handler,
}

impl Route {
    fn public<F, A>(path: &'static str, needs: Needs, handler: F) -> Self
    where
        F: Fn(App, Request) -> A + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        let info =
            RouteInfo { method: Method::GET, path, needs, params: &[], body: None, audit: None };
        let handler = Handler::Public(Box::new(move |app, request| handler(app, request).boxed()));
        Self { info, handler }
    }

    fn new<F, A>(method: Method, path: &'static str, needs: Needs, handler: F) -> Self
    where
        F: Fn(App, Ask) -> A + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        let info = RouteInfo { method, path, needs, params: &[], body: None, audit: None };
        let handler = Handler::Admitted(Box::new(move |app, ask| handler(app, ask).boxed()));
        Self { info, handler }
    }

    fn params(mut self, params: &'static [&'static str]) -> Self {
        self.info.params = params;
        self
    }

    fn body(mut self, members: &'static [&'static str]) -> Self {
        self.info.body = Some(members);
        self
    }

    fn audited(mut self, action: &'static str) -> Self {
        self.info.audit = Some(action);
        self
    }

    /// The route for axum.
    pub(crate) fn handler(self, app: &App) -> MethodRouter {
        let filter = match self.info.method {
            Method::POST => MethodFilter::POST,
            Method::PATCH => MethodFilter::PATCH,
            Method::PUT => MethodFilter::PUT,
            Method::DELETE => MethodFilter::DELETE,
            // The table has no other.
            _ => MethodFilter::GET,
        };
        let (app, route) = (Arc::clone(app), Arc::new(self));
        on(filter, move |request: Request| {
            let (app, route) = (Arc::clone(&app), Arc::clone(&route));
            async move { route.answer(app, request).await.unwrap_or_else(Problem::into_response) }
        })
    }

    async fn answer(&self, app: App, request: Request) -> Answer {
        match &self.handler {
            Handler::Public(handler) => handler(app, request).await,
            Handler::Admitted(handler) => {
                let (parts, body) = request.into_parts();
                let caller = auth::caller(&app, &parts).await?.ok_or_else(auth::missing)?;
                let account = Account::of(&app.audit, &self.info, &caller, &parts);
                let admitted = admit(caller, &self.info, parts, body).await;
                let Some(mut account) = account else { return handler(app, admitted?).await };
                let answer = match admitted {
                    Ok(ask) => {
                        account.asked(&ask).await?;
                        handler(app, ask).await
                    }
                    Err(problem) => Err(problem),
                };
                account
                    .done(answer.as_ref().map_or_else(Problem::status, Response::status))
                    .await?;
                answer
            }
        }
    }
}

/// Every route, as the router has it.
pub fn routes() -> Vec<RouteInfo> {
    table().into_iter().map(|route| route.info).collect()
}

/// The table. What is not here does not exist.
pub(crate) fn table() -> Vec<Route> {
    use Needs::{Admin, AllCommunes, Analyst, Nobody, Reader};
    vec![
        Route::public("/healthz", Nobody, health::alive),
        Route::public("/readyz", Nobody, health::ready),
        Route::public("/metrics", AllCommunes, metrics::show),
        Route::public("/api/v1/openapi.json", Nobody, openapi::show),
        Route::public("/api/v1/docs", Nobody, openapi::show_page),
        Route::new(Method::GET, "/api/v1/me", Reader, me::get),
        Route::new(Method::GET, "/api/v1/status", Reader, status::get),
        Route::new(Method::GET, "/api/v1/incidents", Reader, incidents::list)
            .params(&incidents::FILTERS),
        Route::new(Method::GET, "/api/v1/incidents/export", Reader, export::get)
            .params(export::PARAMS)
            .audited("incident.export"),
        Route::new(Method::GET, "/api/v1/incidents/stream", Reader, stream::incidents)
            .params(&["commune", "last_event_id"])
            .audited("incident.stream"),
        Route::new(Method::POST, "/api/v1/incidents/bulk", Analyst, incident_change::bulk)
            .body(&incident_change::BULK_MEMBERS)
            .audited("incident.change"),
        Route::new(Method::GET, "/api/v1/incidents/{id}", Reader, incidents::get)
            .audited("incident.read"),
        Route::new(Method::PATCH, "/api/v1/incidents/{id}", Analyst, incident_change::change)
            .body(&incident_change::MEMBERS)
            .audited("incident.change"),
        Route::new(Method::POST, "/api/v1/incidents/{id}/merge", Analyst, incident_change::merge)
            .body(&["into"])
            .audited("incident.merge"),
        Route::new(Method::GET, "/api/v1/incidents/{id}/similar", Reader, incident_change::similar)
            .params(&["limit"]),
        Route::new(Method::GET, "/api/v1/incidents/{id}/detections", Reader, incidents::detections)
            .params(&["cursor", "limit"])
            .audited("incident.read"),
        Route::new(Method::GET, "/api/v1/incidents/{id}/events", Reader, incidents::events)
            .params(&["cursor", "limit"])
            .audited("event.read"),
        Route::new(Method::GET, "/api/v1/events", Reader, events::list)
            .params(&["q", "from", "to", "since", "commune", "cursor", "limit"])
            .audited("event.hunt"),
        Route::new(Method::GET, "/api/v1/events/statistics", Reader, events::statistics)
            .params(&["q", "from", "to", "since", "commune", "field", "top", "interval"])
            .audited("event.count"),
        Route::new(Method::GET, "/api/v1/events/{id}", Reader, events::get).audited("event.read"),
        Route::new(Method::GET, "/api/v1/events/{id}/around", Reader, around::list)
            .params(&["window", "cursor", "limit"])
            .audited("event.around"),
        Route::new(Method::GET, "/api/v1/events/{id}/process-tree", Reader, process_tree::get)
            .params(&["window"])
            .audited("event.process_tree"),
        Route::new(Method::GET, "/api/v1/sightings", Reader, sightings::get)
            .params(&["value", "from", "to", "since", "commune"])
            .audited("event.sightings"),
        Route::new(Method::GET, "/api/v1/indicators", Reader, indicators::list)
            .params(&["value", "source", "cursor", "limit"]),
        Route::new(Method::GET, "/api/v1/indicators/sources", Reader, indicators::sources),
        Route::new(Method::GET, "/api/v1/rules", Reader, rules::list).params(&["at"]),
        Route::new(Method::GET, "/api/v1/rules/status", AllCommunes, rules::status),
        Route::new(Method::POST, "/api/v1/rules/reload", Admin, rules::reload)
            .body(&[])
            .audited("rule.reload"),
        Route::new(Method::GET, "/api/v1/rules/{id}", Reader, rules::get),
        Route::new(Method::GET, "/api/v1/rules/{id}/versions", Reader, rules::versions),
        Route::new(Method::DELETE, "/api/v1/rule-exceptions/{id}", Analyst, policy::unexcept)
            .audited("rule.unexcept"),
        Route::new(Method::GET, "/api/v1/communes", Reader, communes::list),
        Route::new(Method::POST, "/api/v1/communes", Admin, communes::add)
            .body(&["id", "name"])
            .audited("commune.add"),
        Route::new(Method::GET, "/api/v1/communes/{id}", Reader, communes::get),
        Route::new(Method::PUT, "/api/v1/communes/{id}/quota", Admin, communes::set_quota)
            .body(&["records_per_s", "bytes_per_s"])
            .audited("commune.quota"),
        Route::new(Method::PUT, "/api/v1/communes/{id}/retention", Admin, communes::set_retention)
            .body(&["days"])
            .audited("commune.retention"),
        Route::new(Method::PUT, "/api/v1/communes/{id}/nis2", Admin, clocks::set_regime)
            .body(&["regime"])
            .audited("commune.nis2"),
        Route::new(Method::GET, "/api/v1/sla", Reader, clocks::targets),
        Route::new(Method::PUT, "/api/v1/sla", Admin, clocks::set_targets)
            .body(&["commune", "severity", "acknowledge_min", "contain_min", "resolve_min"])
            .audited("sla.set"),
        Route::new(Method::GET, "/api/v1/communes/{id}/rules", Reader, policy::get).params(&["at"]),
        Route::new(Method::POST, "/api/v1/communes/{id}/rules/choices", Analyst, policy::choose)
            .body(&["select", "state", "level", "reason"])
            .audited("rule.choose"),
        Route::new(Method::POST, "/api/v1/communes/{id}/rules/exceptions", Analyst, policy::except)
            .body(&["filter", "owner", "reason", "expires"])
            .audited("rule.except"),
        Route::new(Method::GET, "/api/v1/feeds", Reader, feeds::list).params(&["commune"]),
        Route::new(Method::POST, "/api/v1/feeds", Admin, feeds::add)
            .body(&["id", "commune", "format", "name"])
            .audited("feed.add"),
        Route::new(Method::GET, "/api/v1/feeds/{id}", Reader, feeds::get),
        Route::new(Method::GET, "/api/v1/feeds/{id}/health", Reader, feeds::health)
            .audited("feed.health"),
        Route::new(Method::GET, "/api/v1/feeds/{id}/health/stream", Reader, feed_stream::health)
            .audited("feed.health"),
        Route::new(Method::GET, "/api/v1/feeds/{id}/rules", Reader, feeds::rules)
            .params(&["can_fire"]),
        Route::new(Method::GET, "/api/v1/feeds/{id}/devices", Reader, devices::list)
            .params(&["state"])
            .audited("feed.devices"),
        Route::new(Method::PUT, "/api/v1/feeds/{id}/inventory", Admin, devices::declare)
            .body(&["devices"])
            .audited("feed.inventory"),
        Route::new(Method::PUT, "/api/v1/feeds/{id}/quota", Admin, feeds::set_quota)
            .body(&["records_per_s", "bytes_per_s"])
            .audited("feed.quota"),
        Route::new(Method::PUT, "/api/v1/feeds/{id}/retention", Admin, feeds::set_retention)
            .body(&["days"])
            .audited("feed.retention"),
        Route::new(Method::POST, "/api/v1/feeds/{id}/rotate", Admin, feeds::rotate)
            .body(&["overlap_s"])
            .audited("feed.rotate"),
        Route::new(Method::GET, "/api/v1/holds", Reader, keeping::holds),
        Route::new(Method::POST, "/api/v1/holds", Admin, keeping::place)
            .body(&["commune", "feed", "from", "to", "reason"])
            .audited("hold.place"),
        Route::new(Method::DELETE, "/api/v1/holds/{id}", Admin, keeping::release)
            .audited("hold.release"),
        Route::new(Method::GET, "/api/v1/purges", Reader, keeping::purges),
        Route::new(Method::POST, "/api/v1/purges", Admin, keeping::ask_purge)
            .body(&["commune", "query", "from", "to", "reason"])
            .audited("purge.ask"),
        Route::new(Method::GET, "/api/v1/purges/{id}", Reader, keeping::purge),
        Route::new(Method::GET, "/api/v1/hunts", Reader, saved_hunts::list),
        Route::new(Method::POST, "/api/v1/hunts", Analyst, saved_hunts::save)
            .body(&["name", "query", "note", "commune", "shared"])
            .audited("hunt.save"),
        Route::new(Method::GET, "/api/v1/hunts/{id}", Reader, saved_hunts::get),
        Route::new(Method::DELETE, "/api/v1/hunts/{id}", Analyst, saved_hunts::forget)
            .audited("hunt.forget"),
        Route::new(Method::GET, "/api/v1/reports", Reader, reports::list),
        Route::new(Method::POST, "/api/v1/reports", Reader, reports::make)
            .body(&["commune", "from", "to", "anew"])
            .audited("report.make"),
        Route::new(Method::GET, "/api/v1/reports/{id}", Reader, reports::get)
            .audited("report.read"),
        Route::new(Method::GET, "/api/v1/notices", Reader, notices::list)
            .params(&["state", "cursor", "limit"]),
        Route::new(Method::POST, "/api/v1/notices/{id}/retry", Analyst, notices::retry)
            .body(&[])
            .audited("notice.retry"),
        Route::new(Method::GET, "/api/v1/audit", AllCommunes, audit::list)
            .params(&["from", "to", "by", "action", "object", "cursor", "limit"])
            .audited("audit.read"),
        Route::new(Method::GET, "/api/v1/tokens", Admin, tokens::list).audited("token.list"),
        Route::new(Method::POST, "/api/v1/tokens", Admin, tokens::add)
            .body(&["name", "role", "communes", "expires"])
            .audited("token.add"),
        Route::new(Method::DELETE, "/api/v1/tokens/{name}", Admin, tokens::revoke)
            .audited("token.revoke"),
    ]
}
