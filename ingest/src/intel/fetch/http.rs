//! Asking over HTTP: within limits, again where it may help, and without telling secrets.

use std::{fmt, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{HeaderMap, HeaderValue},
};
use tokio::time::timeout;
use url::Url;

use super::{
    FetchError,
    connect::{Client, client},
};

/// Redirections that are followed.
const REDIRECTS_MAX: u32 = 5;

/// Bounds on asking one source.
#[derive(Clone, Debug)]
pub struct FetchLimits {
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

impl Default for FetchLimits {
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
        };
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// How a source is reached.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Proof.
    pub auth: Auth,
    /// Certificates of authorities in PEM that are trusted besides the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// Bounds.
    pub limits: FetchLimits,
}

/// Asks one source.
pub struct Fetcher {
    client: Client,
    auth: Option<HeaderValue>,
    pub(super) limits: FetchLimits,
}

/// An answer that may be used.
pub(super) struct Answer {
    headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// A header's value, where it is text.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name)?.to_str().ok().map(str::to_owned)
    }
}

impl Fetcher {
    /// A client of its own; a short reason where the certificates or the proof are none. Reads
    /// the system's certificates, so it blocks.
    pub fn new(access: Access) -> Result<Self, String> {
        let Access { auth, ca_pem, limits } = access;
        let header = auth.header();
        if header.is_none() && auth != Auth::None {
            return Err("its password, token or key has characters that no header has".to_owned());
        }
        Ok(Self { client: client(ca_pem.as_deref())?, auth: header, limits })
    }

    /// `GET url`; `None` where the server says that nothing changed. Tries again where the
    /// connection broke, on 429 and on 5xx.
    pub(super) async fn get(
        &self,
        url: &Url,
        headers: &[(&'static str, &str)],
    ) -> Result<Option<Answer>, FetchError> {
        let mut pause = self.limits.pause;
        let mut tries = 1;
        loop {
            let (error, asked) = match self.followed(url, headers).await {
                Ok(answer) => return Ok(answer),
                Err(Failed { error, again: false, .. }) => return Err(error),
                Err(Failed { error, retry_after, .. }) => (error, retry_after),
            };
            if tries >= self.limits.tries_max {
                return Err(error);
            }
            let wait = asked.unwrap_or(pause).min(self.limits.pause_max);
            tracing::debug!(url = shown(url), %error, ?wait, "asking again");
            tokio::time::sleep(wait).await;
            pause = pause.saturating_mul(2);
            tries += 1;
        }
    }

    /// Asks, and where the answer sends elsewhere asks there. The proof goes to no other origin,
    /// and never from HTTPS to HTTP.
    async fn followed(
        &self,
        url: &Url,
        headers: &[(&'static str, &str)],
    ) -> Result<Option<Answer>, Failed> {
        let mut at = url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let with_proof = at.origin() == url.origin();
            let response = self.once(&at, headers, with_proof).await?;
            let status = response.status();
            if status == StatusCode::NOT_MODIFIED {
                return Ok(None);
            }
            if status.is_success() {
                let headers = response.headers().clone();
                let body = self.body(&at, response.into_body()).await?;
                return Ok(Some(Answer { headers, body }));
            }
            let location = response.headers().get("location").filter(|_| status.is_redirection());
            let next = location.and_then(|to| at.join(to.to_str().ok()?).ok());
            match next {
                Some(next) if next.scheme() == "https" || at.scheme() == "http" => at = next,
                _ => return Err(Failed::status(&at, &response)),
            }
        }
        let reason = format!("it redirects more than {REDIRECTS_MAX} times");
        Err(Failed::for_good(FetchError::Transport { url: shown(url), reason }))
    }

    async fn once(
        &self,
        url: &Url,
        headers: &[(&'static str, &str)],
        with_proof: bool,
    ) -> Result<Response<Incoming>, Failed> {
        let mut request = Request::get(url.as_str())
            .header("user-agent", concat!("jacquemart/", env!("CARGO_PKG_VERSION")));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(proof) = self.auth.as_ref().filter(|_| with_proof) {
            request = request.header("authorization", proof);
        }
        let request = request
            .body(Empty::<Bytes>::new())
            .map_err(|error| Failed::for_good(FetchError::transport(url, &error)))?;
        match timeout(self.limits.wait_max, self.client.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(Failed::again(FetchError::transport(url, &error))),
            Err(elapsed) => Err(Failed::again(FetchError::transport(url, &elapsed))),
        }
    }

    async fn body(&self, url: &Url, mut incoming: Incoming) -> Result<Vec<u8>, Failed> {
        let max = self.limits.body_bytes_max;
        let mut body = Vec::new();
        loop {
            let frame = match timeout(self.limits.wait_max, incoming.frame()).await {
                Ok(None) => return Ok(body),
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => {
                    return Err(Failed::again(FetchError::transport(url, &error)));
                }
                Err(elapsed) => return Err(Failed::again(FetchError::transport(url, &elapsed))),
            };
            let Some(chunk) = frame.data_ref() else { continue };
            if (body.len() + chunk.len()) as u64 > max {
                let error = FetchError::TooMuch { place: shown(url), max, unit: "bytes" };
                return Err(Failed::for_good(error));
            }
            body.extend_from_slice(chunk);
        }
    }
}

impl FetchError {
    fn transport(url: &Url, error: &dyn std::error::Error) -> Self {
        Self::Transport { url: shown(url), reason: chain(error) }
    }
}

struct Failed {
    error: FetchError,
    again: bool,
    retry_after: Option<Duration>,
}

impl Failed {
    const fn again(error: FetchError) -> Self {
        Self { error, again: true, retry_after: None }
    }

    const fn for_good(error: FetchError) -> Self {
        Self { error, again: false, retry_after: None }
    }

    fn status(url: &Url, response: &Response<Incoming>) -> Self {
        let status = response.status();
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
        let retry_after = response
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok()?.trim().parse().ok().map(Duration::from_secs));
        let error = FetchError::Status { url: shown(url), status: status.as_u16(), hint };
        Self { error, again, retry_after }
    }
}

/// A URL without what may be secret in it.
pub(super) fn shown(url: &Url) -> String {
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
