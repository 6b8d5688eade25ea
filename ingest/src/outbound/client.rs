//! Asking over HTTP: within limits, again where it may help, and without telling secrets.

use std::{fmt, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{HeaderMap, HeaderValue},
};
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use super::{
    connect::{self, Connector},
    public,
};

/// Redirections that are followed.
const REDIRECTS_MAX: u32 = 5;
/// What is read of a refusal, and what is told of it.
const REFUSAL_BYTES_MAX: u64 = 16 << 10;
const REFUSAL_CHARS_MAX: usize = 300;

/// Bounds on asking one server.
#[derive(Clone, Debug)]
pub struct Limits {
    /// One document or page.
    pub body_bytes_max: u64,
    /// Pages of one collection, or events of one feed, in one go.
    pub pages_max: u64,
    /// Tries of one request.
    pub tries_max: u32,
    /// The pause before the second try; each further one is twice as long.
    pub pause: Duration,
    /// The longest pause, whatever a server asks for.
    pub pause_max: Duration,
    /// Waiting for the connection, and for each part of an answer.
    pub wait_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 512 << 20,
            pages_max: 100_000,
            tries_max: 5,
            pause: Duration::from_secs(1),
            pause_max: Duration::from_secs(60),
            wait_max: Duration::from_secs(30),
        }
    }
}

/// A text that no message and no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Of a text, without white space around it.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// The text, for what sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How the caller proves who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// `Authorization: Basic …`.
    Basic(String, Secret),
    /// `Authorization: Bearer …`.
    Bearer(Secret),
    /// `Authorization: …`, the key alone, as MISP takes it.
    Key(Secret),
    /// `Authorization: ApiToken …`, as SentinelOne takes it.
    ApiToken(Secret),
}

impl Auth {
    /// The header's value; `None` where there is none, or it can't be one.
    fn header(&self) -> Option<HeaderValue> {
        let text = match self {
            Self::None => return None,
            Self::Basic(user, password) => {
                format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{}", password.0)))
            }
            Self::Bearer(token) => format!("Bearer {}", token.0),
            Self::Key(key) => key.0.clone(),
            Self::ApiToken(token) => format!("ApiToken {}", token.0),
        };
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// How a server is reached.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Proof.
    pub auth: Auth,
    /// Certificates of authorities in PEM that are trusted besides the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// Bounds.
    pub limits: Limits,
    /// Only servers with public addresses are asked.
    pub public_only: bool,
}

/// Why a server did not give what it was asked for. The texts complete "failed to fetch …". URLs are
/// told without user, password and query, which may be secret.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The server was not reached, or the connection broke.
    #[error("{url}: {reason}")]
    Transport {
        /// The URL.
        url: String,
        /// Why.
        reason: String,
    },
    /// The server answered, but not with what was asked for.
    #[error("{url}: the server answered {status}{said}{hint}")]
    Status {
        /// The URL.
        url: String,
        /// The status.
        status: u16,
        /// What the server said of it, or nothing.
        said: String,
        /// What to do about it, or nothing.
        hint: &'static str,
    },
    /// More than is read from one source.
    #[error("{url}: more than {bytes_max} bytes; raise the limit, or ask for less")]
    TooMuch {
        /// The URL.
        url: String,
        /// How many are read.
        bytes_max: u64,
    },
}

impl CallError {
    /// The status that the server answered, where it did.
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            Self::Transport { .. } | Self::TooMuch { .. } => None,
        }
    }
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) url: &'a Url,
    pub(crate) headers: &'a [(&'static str, &'a str)],
    pub(crate) body: Bytes,
    /// A proof of this request's own, over the client's.
    pub(crate) proof: Option<HeaderValue>,
}

impl<'a> Call<'a> {
    pub(crate) const fn get(url: &'a Url) -> Self {
        Self { method: Method::GET, url, headers: &[], body: Bytes::new(), proof: None }
    }

    /// With a body, which is sent again with each try: only for what may be repeated.
    pub(crate) const fn post(
        url: &'a Url,
        headers: &'a [(&'static str, &'a str)],
        body: Bytes,
    ) -> Self {
        Self { method: Method::POST, url, headers, body, proof: None }
    }
}

/// Asks servers, showing one proof.
pub struct Client {
    connector: Connector<Full<Bytes>>,
    auth: Option<HeaderValue>,
    pub(crate) limits: Limits,
    public_only: bool,
}

/// An answer that may be used.
pub(crate) struct Answer {
    headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header's value, where it is text.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name)?.to_str().ok().map(str::to_owned)
    }
}

impl Client {
    /// With connections of its own; a short reason where the certificates or the proof are none.
    /// Reads the system's certificates, so it blocks.
    pub fn new(access: Access) -> Result<Self, String> {
        let Access { auth, ca_pem, limits, public_only } = access;
        let header = auth.header();
        if header.is_none() && auth != Auth::None {
            return Err("its password, token or key has characters that no header has".to_owned());
        }
        let connector = connect::connector(ca_pem.as_deref(), public_only)?;
        Ok(Self { connector, auth: header, limits, public_only })
    }

    /// `GET url`; `None` where the server says that nothing changed.
    pub(crate) async fn get(
        &self,
        url: &Url,
        headers: &[(&'static str, &str)],
    ) -> Result<Option<Answer>, CallError> {
        self.call(&Call { headers, ..Call::get(url) }).await
    }

    /// Asks; `None` where the server says that nothing changed. Tries again where the connection
    /// broke, on 429 and on 5xx.
    pub(crate) async fn call(&self, call: &Call<'_>) -> Result<Option<Answer>, CallError> {
        let mut pause = self.limits.pause;
        let mut tries = 1;
        loop {
            let (error, asked) = match self.followed(call).await {
                Ok(answer) => return Ok(answer),
                Err(Failed { error, again: false, .. }) => return Err(error),
                Err(Failed { error, retry_after, .. }) => (error, retry_after),
            };
            if tries >= self.limits.tries_max {
                return Err(error);
            }
            let wait = asked.unwrap_or(pause).min(self.limits.pause_max);
            tracing::debug!(url = shown(call.url), %error, ?wait, "asking again");
            tokio::time::sleep(wait).await;
            pause = pause.saturating_mul(2);
            tries += 1;
        }
    }

    /// Asks, and where the answer sends elsewhere asks there, but for requests with a body. The
    /// proof goes to no other origin, and never from HTTPS to HTTP.
    async fn followed(&self, call: &Call<'_>) -> Result<Option<Answer>, Failed> {
        let mut at = call.url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let with_proof = at.origin() == call.url.origin();
            let response = self.once(&at, call, with_proof).await?;
            let status = response.status();
            if status == StatusCode::NOT_MODIFIED {
                return Ok(None);
            }
            if status.is_success() {
                let headers = response.headers().clone();
                let body = self.body(&at, response.into_body()).await?;
                return Ok(Some(Answer { headers, body }));
            }
            let location = response
                .headers()
                .get("location")
                .filter(|_| status.is_redirection() && call.method == Method::GET);
            let next = location.and_then(|to| at.join(to.to_str().ok()?).ok());
            match next {
                Some(next) if next.scheme() == "https" || at.scheme() == "http" => at = next,
                _ => return Err(self.refused(&at, response).await),
            }
        }
        let reason = format!("it redirects more than {REDIRECTS_MAX} times");
        Err(Failed::for_good(CallError::Transport { url: shown(call.url), reason }))
    }

    async fn once(
        &self,
        url: &Url,
        call: &Call<'_>,
        with_proof: bool,
    ) -> Result<Response<Incoming>, Failed> {
        if self.public_only && public::is_refused(url) {
            let reason = public::REFUSED.to_owned();
            return Err(Failed::for_good(CallError::Transport { url: shown(url), reason }));
        }
        let mut request = Request::builder()
            .method(&call.method)
            .uri(url.as_str())
            .header("user-agent", concat!("jacquemart/", env!("CARGO_PKG_VERSION")));
        for (name, value) in call.headers {
            request = request.header(*name, *value);
        }
        if let Some(proof) = call.proof.as_ref().or(self.auth.as_ref()).filter(|_| with_proof) {
            request = request.header("authorization", proof);
        }
        let request = request
            .body(Full::new(call.body.clone()))
            .map_err(|error| Failed::for_good(CallError::transport(url, &error)))?;
        match timeout(self.limits.wait_max, self.connector.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(Failed::again(CallError::transport(url, &error))),
            Err(elapsed) => Err(Failed::again(CallError::transport(url, &elapsed))),
        }
    }

    /// What an answer that is none comes to, with what the server says of it.
    async fn refused(&self, url: &Url, response: Response<Incoming>) -> Failed {
        let (head, body) = response.into_parts();
        let said = match self.body_to(url, body, REFUSAL_BYTES_MAX).await {
            Ok(body) => said(&body),
            Err(_) => String::new(),
        };
        Failed::status(url, head.status, &head.headers, said)
    }

    async fn body(&self, url: &Url, incoming: Incoming) -> Result<Vec<u8>, Failed> {
        self.body_to(url, incoming, self.limits.body_bytes_max).await
    }

    async fn body_to(
        &self,
        url: &Url,
        mut incoming: Incoming,
        bytes_max: u64,
    ) -> Result<Vec<u8>, Failed> {
        let mut body = Vec::new();
        loop {
            let frame = match timeout(self.limits.wait_max, incoming.frame()).await {
                Ok(None) => return Ok(body),
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => {
                    return Err(Failed::again(CallError::transport(url, &error)));
                }
                Err(elapsed) => return Err(Failed::again(CallError::transport(url, &elapsed))),
            };
            let Some(chunk) = frame.data_ref() else { continue };
            if (body.len() + chunk.len()) as u64 > bytes_max {
                let error = CallError::TooMuch { url: shown(url), bytes_max };
                return Err(Failed::for_good(error));
            }
            body.extend_from_slice(chunk);
        }
    }
}

impl CallError {
    fn transport(url: &Url, error: &dyn std::error::Error) -> Self {
        Self::Transport { url: shown(url), reason: chain(error) }
    }
}

struct Failed {
    error: CallError,
    again: bool,
    retry_after: Option<Duration>,
}

impl Failed {
    const fn again(error: CallError) -> Self {
        Self { error, again: true, retry_after: None }
    }

    const fn for_good(error: CallError) -> Self {
        Self { error, again: false, retry_after: None }
    }

    fn status(url: &Url, status: StatusCode, headers: &HeaderMap, said: String) -> Self {
        let hint = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                "; look at its user, password or token"
            }
            StatusCode::NOT_FOUND => "; look at its URL",
            StatusCode::NOT_ACCEPTABLE | StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                "; it may not speak this version of the protocol"
            }
            _ => "",
        };
        let again = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
        let retry_after = headers
            .get("retry-after")
            .and_then(|value| value.to_str().ok()?.trim().parse().ok().map(Duration::from_secs));
        let error = CallError::Status { url: shown(url), status: status.as_u16(), said, hint };
        Self { error, again, retry_after }
    }
}

/// What a JSON refusal says of itself, as SentinelOne, SEKOIA.IO, Vade, OAuth2 servers and our own
/// doors write it. Anything else is not shown: it may be a page of a proxy.
fn said(body: &[u8]) -> String {
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return said_in_xml(body) };
    let first = value.get("errors").and_then(|errors| errors.get(0)).unwrap_or(&value);
    let mut parts: Vec<&str> = Vec::new();
    for key in ["title", "error_description", "error", "message", "detail", "Message"] {
        let part = first.get(key).and_then(Value::as_str).map(str::trim).unwrap_or_default();
        if !part.is_empty() && !parts.contains(&part) {
            parts.push(part);
        }
    }
    worded(&parts.join(": "))
}

/// What S3 says: `<Error><Code>…</Code><Message>…</Message>…`.
fn said_in_xml(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let Some((_, error)) = text.split_once("<Error>") else { return String::new() };
    let part = |begin: &str, end: &str| {
        error.split_once(begin).and_then(|(_, rest)| rest.split_once(end)).map(|(part, _)| part)
    };
    let parts = [part("<Code>", "</Code>"), part("<Message>", "</Message>")];
    worded(&parts.into_iter().flatten().collect::<Vec<_>>().join(": "))
}

fn worded(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).take(REFUSAL_CHARS_MAX).collect();
    if text.is_empty() { text } else { format!(" ({text})") }
}

/// A URL without what may be secret in it.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // These fail for URLs without a host, which have neither.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

/// An error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
