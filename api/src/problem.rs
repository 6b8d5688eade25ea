//! Why a request is not answered as asked, in the words of RFC 9457.

use axum::{
    http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};
use store::{db::DbError, hunt::HuntError};

/// Characters of what the client sent that a detail repeats at most.
const SHOWN_CHARS_MAX: usize = 80;

/// What sort of problem: decides status, type and title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A parameter, header or cursor is wrong.
    Parameter,
    /// The hunt's query does not parse.
    Query,
    /// The body is no JSON object.
    Body,
    /// No token, or one that opens nothing.
    Unauthenticated,
    /// The role does not suffice.
    Forbidden,
    /// Not there, or not for this caller.
    NotFound,
    /// The path knows other methods.
    Method,
    /// The body took too long.
    Slow,
    /// An object of that id is there already.
    Exists,
    /// `If-Match` names another version.
    Changed,
    /// The body is too long.
    TooLarge,
    /// The body is no `application/json`.
    MediaType,
    /// The body's values can't be used.
    Content,
    /// Our fault.
    Internal,
    /// The caller holds as many as it may.
    TooMany,
    /// A part does not work.
    NotReady,
    /// The hunt ran into its time limit.
    HuntTooLong,
}

impl Kind {
    /// Status, last part of the type, title.
    fn facts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Parameter => (StatusCode::BAD_REQUEST, "parameter", "Wrong parameter"),
            Self::Query => (StatusCode::BAD_REQUEST, "query", "Wrong query"),
            Self::Body => (StatusCode::BAD_REQUEST, "body", "Unreadable body"),
            Self::Unauthenticated => {
                (StatusCode::UNAUTHORIZED, "unauthenticated", "Not authenticated")
            }
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "Not allowed"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "Not found"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "method", "Method not allowed"),
            Self::Slow => (StatusCode::REQUEST_TIMEOUT, "body-slow", "Body too slow"),
            Self::Exists => (StatusCode::CONFLICT, "exists", "Exists already"),
            Self::Changed => (StatusCode::PRECONDITION_FAILED, "changed", "Changed meanwhile"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "Body too large"),
            Self::MediaType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "Unsupported media type")
            }
            Self::Content => (StatusCode::UNPROCESSABLE_ENTITY, "content", "Unusable content"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
            Self::TooMany => (StatusCode::TOO_MANY_REQUESTS, "too-many", "Too many at once"),
            Self::NotReady => (StatusCode::SERVICE_UNAVAILABLE, "not-ready", "Not ready"),
            Self::HuntTooLong => {
                (StatusCode::SERVICE_UNAVAILABLE, "hunt-too-long", "The hunt took too long")
            }
        }
    }
}

/// An answer that says what is wrong, where, and how to mend it.
#[derive(Debug)]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
    members: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<String>,
}

/// What an internal error was, for the log: never part of the answer.
#[derive(Clone, Debug)]
pub(crate) struct Cause(pub(crate) String);

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), members: Map::new(), headers: Vec::new(), cause: None }
    }

    /// The query parameter `field` is wrong.
    pub(crate) fn parameter(field: &str, detail: impl Into<String>) -> Self {
        Self::new(Kind::Parameter, detail).with("field", shown(field))
    }

    /// The body's member at `pointer` (RFC 6901, in a fragment: `#/status`) can't be used.
    pub(crate) fn content(pointer: &str, detail: impl Into<String>) -> Self {
        Self::new(Kind::Content, detail).with("pointer", pointer)
    }

    /// No object of that id, or none that this caller may read: the two read alike.
    pub(crate) fn not_found(what: &str, id: &str) -> Self {
        let id = shown(id);
        Self::new(Kind::NotFound, format!("there is no {what} {id:?} among those you may read"))
    }

    /// An internal error; `cause` goes into the log.
    pub(crate) fn internal(cause: impl Into<String>) -> Self {
        let detail = "the server failed; its log says why, under the id in the X-Request-Id header";
        Self { cause: Some(cause.into()), ..Self::new(Kind::Internal, detail) }
    }

    /// Adds a member.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    /// What a failure of the database means where it is not about an object that the request
    /// names in its path or body; those are told apart where they are known.
    pub(crate) fn of_db(error: DbError) -> Self {
        match error {
            DbError::Exists { .. } => Self::new(Kind::Exists, error.to_string()),
            DbError::Missing { what, id } => Self::not_found(what, &id),
            DbError::Refused(reason) => Self::new(Kind::Content, reason),
            DbError::Conflict { .. } => Self::new(Kind::Changed, error.to_string()),
            DbError::Cursor => Self::wrong_cursor(),
            DbError::Url(_) | DbError::Version { .. } | DbError::Backend(_) => {
                Self::internal(error.to_string())
            }
        }
    }

    /// Of a hunt whose query is the member `query` of a body.
    pub(crate) fn of_query(error: HuntError) -> Self {
        match error {
            HuntError::Query { column, reason } => {
                Self::content("#/query", format!("query, column {column}: {reason}"))
                    .with("column", column)
            }
            error => Self::of_hunt(error),
        }
    }

    /// What a failed hunt means.
    pub(crate) fn of_hunt(error: HuntError) -> Self {
        match error {
            HuntError::Query { column, ref reason } => {
                Self::new(Kind::Query, format!("q, column {column}: {reason}"))
                    .with("field", "q")
                    .with("column", column)
            }
            HuntError::Field { ref name, ref reason } => {
                Self::parameter("field", format!("field: {}: {reason}", shown(name)))
            }
            HuntError::Bars(_) => Self::parameter("interval", error.to_string()),
            HuntError::Cursor => Self::wrong_cursor(),
            HuntError::TooLong(_) => Self::new(Kind::HuntTooLong, error.to_string()),
            other => Self::internal(format!("failed to hunt: {other}")),
        }
    }

    /// A cursor that no page before gave.
    pub(crate) fn wrong_cursor() -> Self {
        Self::parameter(
            "cursor",
            "cursor is not one that this listing gave out; begin again without it",
        )
    }
}

impl Problem {
    /// The status of the answer that it is.
    pub(crate) fn status(&self) -> StatusCode {
        self.kind.facts().0
    }

    /// The body of the answer that it is.
    pub(crate) fn to_json(&self) -> Value {
        let (status, slug, title) = self.kind.facts();
        let mut problem = json!({
            "type": format!("urn:jacquemart:problem:{slug}"),
            "title": title,
            "status": status.as_u16(),
            "detail": self.detail,
        });
        if let Value::Object(all) = &mut problem {
            all.extend(self.members.clone());
        }
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, problem) = (self.status(), self.to_json());
        let mut response = (status, axum::Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.extend(self.headers);
        if let Some(cause) = self.cause {
            response.extensions_mut().insert(Cause(cause));
        }
        response
    }
}

/// The beginning of what a client sent, to show it back.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// No route has this path.
pub(crate) async fn no_such_route(uri: Uri) -> Problem {
    let path = shown(uri.path());
    Problem::new(Kind::NotFound, format!("there is no path {path:?}; the API is under /api/v1"))
}

/// The path is known and the method is not; axum adds `Allow`.
pub(crate) async fn no_such_method(method: Method, uri: Uri) -> Problem {
    let (method, path) = (shown(method.as_str()), shown(uri.path()));
    Problem::new(
        Kind::Method,
        format!("{path} does not take {method}; the Allow header names what it takes"),
    )
}
