//! From a request to who sent it.

use axum::http::{HeaderMap, header, request::Parts};
use event::Timestamp;
use store::auth::{Caller, Secret};

use crate::{
    Api,
    problem::{Kind, Problem},
};

/// Longer than any token of ours.
const TOKEN_BYTES_MAX: usize = 512;

/// Layered (as an axum `Extension`) over the router that is served on a socket which only the
/// operator can open: requests without a token count as this caller. Nothing that a client
/// sends can make one.
#[derive(Clone, Debug)]
pub struct LocalOperator(pub Caller);

/// What a request shows of who sent it.
enum Shown {
    Nothing,
    Token(Secret),
    Unreadable,
}

/// Who asks; `None` for nobody known. A token that opens nothing is a problem rather than
/// nobody, so that whoever mistyped it hears of it. A token goes before the local operator, so
/// that one can try it there.
pub(crate) async fn caller(api: &Api, parts: &Parts) -> Result<Option<Caller>, Problem> {
    match shown(&parts.headers) {
        Shown::Nothing => {
            Ok(parts.extensions.get::<LocalOperator>().map(|operator| operator.0.clone()))
        }
        Shown::Unreadable => {
            api.audit.wrong_token(parts);
            Err(wrong())
        }
        Shown::Token(token) => {
            let found = api.db.authenticate(&token, Timestamp::now()).await;
            let Some(caller) = found.map_err(Problem::of_db)? else {
                api.audit.wrong_token(parts);
                return Err(wrong());
            };
            api.audit.used(&caller, parts).await?;
            Ok(Some(caller))
        }
    }
}

/// Whether the token of an answer that goes on still opens what it did, for whoever was let in
/// with `headers`. The local operator stays one.
pub(crate) async fn still(api: &Api, headers: &HeaderMap) -> Result<bool, Problem> {
    match shown(headers) {
        Shown::Nothing => Ok(true),
        Shown::Unreadable => Ok(false),
        Shown::Token(token) => {
            let found = api.db.authenticate(&token, Timestamp::now()).await;
            Ok(found.map_err(Problem::of_db)?.is_some())
        }
    }
}

fn shown(headers: &HeaderMap) -> Shown {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Shown::Nothing,
        (Some(value), None) => value,
        (Some(_), Some(_)) => return Shown::Unreadable,
    };
    value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .filter(|token| (1..=TOKEN_BYTES_MAX).contains(&token.len()))
        .map_or(Shown::Unreadable, |token| Shown::Token(Secret::presented(token)))
}

/// Nobody is known to ask.
pub(crate) fn missing() -> Problem {
    Problem::new(
        Kind::Unauthenticated,
        "send a token as `Authorization: Bearer <token>`; `jacquemart token add` makes one",
    )
    .header(header::WWW_AUTHENTICATE, "Bearer realm=\"jacquemart\"")
}

fn wrong() -> Problem {
    Problem::new(
        Kind::Unauthenticated,
        "this token opens nothing: it was mistyped, revoked, or has expired",
    )
    .header(header::WWW_AUTHENTICATE, "Bearer realm=\"jacquemart\", error=\"invalid_token\"")
}
