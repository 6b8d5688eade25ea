//! A request that may be answered: who asks and what for, checked against the route's line in
//! the table.

use std::str::FromStr;

use axum::{
    RequestPartsExt as _,
    body::Body,
    extract::RawPathParams,
    http::{HeaderMap, request::Parts},
};
use store::{
    Scope,
    auth::{Caller, Role},
};

use crate::{
    fields::Fields,
    params::Params,
    problem::{Kind, Problem},
    routes::{Needs, RouteInfo},
};

/// What every handler but the public ones is given. Only [`admit`] makes one, so none of them
/// runs for a caller who is not known or whose role does not suffice.
#[derive(Debug)]
pub(crate) struct Ask {
    caller: Caller,
    id: String,
    pub(crate) params: Params,
    pub(crate) fields: Fields,
    pub(crate) headers: HeaderMap,
}

impl Ask {
    /// Who asks.
    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What they may read.
    pub(crate) fn scope(&self) -> &Scope {
        self.caller.scope()
    }

    /// The path's id as it stands there.
    pub(crate) fn id_text(&self) -> &str {
        &self.id
    }

    /// The path's id. What is no id of a `what` names none, as does an id that nobody has.
    pub(crate) fn id<T: FromStr>(&self, what: &str) -> Result<T, Problem> {
        self.id.parse().map_err(|_| Problem::not_found(what, &self.id))
    }
}

/// Checks a request of `caller` in this order: whether their role suffices, whether the
/// parameters and then the body's members are known. So a refusal never depends on an object
/// that the caller may not know of.
pub(crate) async fn admit(
    caller: Caller,
    route: &RouteInfo,
    mut parts: Parts,
    body: Body,
) -> Result<Ask, Problem> {
    require(route.needs, &caller)?;
    let params = Params::parse(&parts.uri, route.params)?;
    let captured = parts.extract::<RawPathParams>().await;
    let id = match &captured {
        Ok(captured) => captured.iter().next().map(|(_, id)| id.to_owned()).unwrap_or_default(),
        // Not UTF-8 once decoded, so the id of nothing.
        Err(_) => char::REPLACEMENT_CHARACTER.to_string(),
    };
    let fields = match route.body {
        Some(known) => Fields::read(&parts.headers, body, known).await?,
        None => Fields::default(),
    };
    Ok(Ask { caller, id, params, fields, headers: parts.headers })
}

/// Refuses a caller whose rights do not suffice.
pub(crate) fn require(needs: Needs, caller: &Caller) -> Result<(), Problem> {
    let detail = match needs {
        Needs::Analyst if caller.role < Role::Analyst => {
            "working an incident needs a token of role analyst or admin"
        }
        Needs::Admin if caller.role < Role::Admin => "administration needs a token of role admin",
        Needs::AllCommunes if !caller.scope().is_all() => {
            "this spans all communes and needs a token that does, too"
        }
        _ => return Ok(()),
    };
    Err(Problem::new(Kind::Forbidden, detail))
}
