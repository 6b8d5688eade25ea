//! Requests to AWS's services, signed (SigV4).

use bytes::Bytes;
use hyper::{Request, header::HeaderValue};
use object_store::{
    aws::{AwsAuthorizer, AwsCredential},
    client::HttpRequestBody,
};
use url::Url;

use super::{Answer, Call, CallError, Client, Secret, shown};

/// An access key.
#[derive(Clone, Debug)]
pub struct AwsKey {
    /// `AKIA…`.
    pub id: String,
    /// What proves it.
    pub secret: Secret,
}

/// One service in one region, as one key may use it.
#[derive(Clone, Debug)]
pub(crate) struct Aws<'a> {
    pub(crate) key: &'a AwsKey,
    pub(crate) service: &'static str,
    pub(crate) region: &'a str,
}

impl Aws<'_> {
    /// Signs and asks. The signature holds for some minutes, longer than a request is tried.
    pub(crate) async fn ask(
        &self,
        client: &Client,
        call: Call<'_>,
    ) -> Result<Option<Answer>, CallError> {
        let wrong = |reason: String| CallError::Transport { url: shown(call.url), reason };
        let mut request = Request::builder().method(&call.method).uri(call.url.as_str());
        for (name, value) in call.headers {
            request = request.header(*name, *value);
        }
        let mut request = request
            .body(HttpRequestBody::from(call.body.clone()))
            .map_err(|error| wrong(error.to_string()))?;
        let credential = AwsCredential {
            key_id: self.key.id.clone(),
            secret_key: self.key.secret.expose().to_owned(),
            token: None,
        };
        AwsAuthorizer::new(&credential, self.service, self.region)
            .try_authorize(&mut request, None)
            .map_err(|error| wrong(format!("it can't be signed: {error}")))?;
        let text = |name: &str| {
            request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
        };
        let mut headers = call.headers.to_vec();
        for name in ["x-amz-date", "x-amz-content-sha256"] {
            headers.push((name, text(name)));
        }
        let proof: Option<HeaderValue> = request.headers().get("authorization").cloned();
        client.call(&Call { headers: &headers, proof, ..call }).await
    }
}

/// The path of an object's key, encoded as it is signed.
pub(crate) fn key_path(key: &str) -> String {
    const STRICT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~')
        .remove(b'/');
    percent_encoding::utf8_percent_encode(key, STRICT).to_string()
}

/// A request of the JSON protocols.
pub(crate) fn json<'a>(
    url: &'a Url,
    headers: &'a [(&'static str, &'a str)],
    body: &serde_json::Value,
) -> Call<'a> {
    Call::post(url, headers, Bytes::from(body.to_string()))
}
