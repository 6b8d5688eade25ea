//! How commands reach the API: over the network, through the socket of the data folder's
//! server, or, where none runs, by opening the folder and asking the same routes in this
//! process. A command never knows which.

use anyhow::{Context as _, anyhow};
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request},
};
use bytes::Bytes;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::{
    Exit, Failure,
    cli::Server,
    config::Config,
    wire::{OpenMode, Wired},
};

/// Bytes of one answer at most.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// A way to the API.
pub(crate) struct Client {
    transport: Transport,
}

enum Transport {
    Network { http: reqwest::Client, base: String, token: Option<String> },
    InProcess { router: Router, wired: Box<Wired> },
}

impl Client {
    /// The way that `server` and the configuration say.
    pub(crate) async fn connect(config: &Config, server: &Server) -> Result<Self, Failure> {
        if server.url.is_some() {
            return Self::network(server);
        }
        let socket = config.socket();
        if tokio::net::UnixStream::connect(&socket).await.is_ok() {
            let http = reqwest::Client::builder()
                .unix_socket(socket)
                .build()
                .context("failed to make a client")?;
            let base = "http://localhost".to_owned();
            return Ok(Self { transport: Transport::Network { http, base, token: None } });
        }
        let wired = Wired::open(config, OpenMode::Offline).await.map_err(|error| {
            error.at(Exit::Unreachable).context(
                "no server answers on the data folder's socket, and the folder can't be opened",
            )
        })?;
        let router = wired.local_api();
        Ok(Self { transport: Transport::InProcess { router, wired: Box::new(wired) } })
    }

    /// The API at `server.url`.
    pub(crate) fn network(server: &Server) -> Result<Self, Failure> {
        let url = server.url.as_deref().unwrap_or_default();
        if url.starts_with("https://") {
            return Err(Failure::usage(
                "--url: this version speaks plain HTTP only; reach a TLS proxy through a tunnel, or run the command on the server",
            ));
        }
        let http = reqwest::Client::builder().build().context("failed to make a client")?;
        let base = url.trim_end_matches('/').to_owned();
        Ok(Self { transport: Transport::Network { http, base, token: server.token.clone() } })
    }

    /// Whether nobody else runs and unsealed events are therefore not searchable yet.
    pub(crate) fn is_offline(&self) -> bool {
        matches!(self.transport, Transport::InProcess { .. })
    }

    /// `GET path`, whose parameters are `query`.
    pub(crate) async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, Failure> {
        self.call(Method::GET, path, query, None).await
    }

    /// `GET path` as it is, and where the next part begins.
    pub(crate) async fn text(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<(Vec<u8>, Option<String>), Failure> {
        let (headers, bytes) = self.ask(Method::GET, path, query, None).await?;
        let next = headers.get("x-next-cursor").and_then(|next| next.to_str().ok());
        Ok((bytes.into(), next.map(str::to_owned)))
    }

    /// `method path` with `body` as JSON.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Value,
    ) -> Result<Value, Failure> {
        self.call(method, path, &[], Some(body)).await
    }

    /// An answer that does not end, from `path`; `after` is the id of the event had last.
    pub(crate) async fn follow(
        &self,
        path: &str,
        query: &[(&str, String)],
        after: Option<&str>,
    ) -> Result<reqwest::Response, Failure> {
        let Transport::Network { http, base, token } = &self.transport else {
            let error = anyhow!("no server runs on the data folder; start one, or give its --url");
            return Err(Failure::new(Exit::Unreachable, error));
        };
        let mut request = http.get(format!("{base}{}", target(path, query)));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let response = request.send().await.map_err(|error| {
            let error = anyhow!(error).context(format!("failed to reach {base}"));
            Failure::new(Exit::Unreachable, error)
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        Err(problem(status, &response.bytes().await.context("failed to read the answer")?))
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        let (_, bytes) = self.ask(method, path, query, body).await?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        Ok(serde_json::from_slice(&bytes).context("failed to read the answer as JSON")?)
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        body: Option<Value>,
    ) -> Result<(HeaderMap, Bytes), Failure> {
        let target = target(path, query);
        let (status, headers, bytes) = match &self.transport {
            Transport::Network { http, base, token } => {
                let mut request = http.request(method, format!("{base}{target}"));
                if let Some(token) = token {
                    request = request.bearer_auth(token);
                }
                if let Some(body) = &body {
                    request = request.json(body);
                }
                let response = request.send().await.map_err(|error| {
                    Failure::new(
                        Exit::Unreachable,
                        anyhow!(error).context(format!("failed to reach {base}")),
                    )
                })?;
                let (status, headers) = (response.status(), response.headers().clone());
                (status, headers, response.bytes().await.context("failed to read the answer")?)
            }
            Transport::InProcess { router, .. } => {
                let mut request = Request::builder().method(method).uri(target);
                let body = match &body {
                    Some(body) => {
                        request = request.header("content-type", "application/json");
                        Body::from(body.to_string())
                    }
                    None => Body::empty(),
                };
                let request = request.body(body).context("failed to make a request")?;
                let Ok(response) = router.clone().oneshot(request).await;
                let (status, headers) = (response.status(), response.headers().clone());
                let bytes = axum::body::to_bytes(response.into_body(), ANSWER_BYTES_MAX)
                    .await
                    .context("failed to read the answer")?;
                (status, headers, bytes)
            }
        };
        if status.is_success() { Ok((headers, bytes)) } else { Err(problem(status, &bytes)) }
    }

    /// Closes what was opened.
    pub(crate) async fn close(self) {
        if let Transport::InProcess { wired, .. } = self.transport {
            wired.close().await;
        }
    }
}

fn target(path: &str, query: &[(&str, String)]) -> String {
    let mut target = path.to_owned();
    for (index, (key, value)) in query.iter().enumerate() {
        target.push(if index == 0 { '?' } else { '&' });
        target.push_str(key);
        target.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                target.push(char::from(byte));
            } else {
                target.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    target
}

/// What an error answer means for the one who typed the command.
fn problem(status: StatusCode, bytes: &[u8]) -> Failure {
    let detail = serde_json::from_slice::<Value>(bytes)
        .ok()
        .and_then(|problem| {
            let text = |key: &str| problem.get(key).and_then(Value::as_str).map(str::to_owned);
            text("detail").or_else(|| text("title"))
        })
        .unwrap_or_else(|| String::from_utf8_lossy(bytes).chars().take(300).collect());
    let exit = match status {
        StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Exit::NotFound,
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Exit::Usage,
        _ => Exit::Failed,
    };
    let hint = if status == StatusCode::UNAUTHORIZED {
        "; give a token in JACQUEMART_TOKEN (made by `jacquemart token add`)"
    } else {
        ""
    };
    Failure::new(exit, anyhow!("the server answered {status}: {detail}{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_escaped() {
        let query = [("q", "a:\"b c\"&é".to_owned()), ("limit", "5".to_owned())];
        assert_eq!(target("/x", &query), "/x?q=a%3A%22b%20c%22%26%C3%A9&limit=5");
    }
}
