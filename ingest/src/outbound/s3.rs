//! A bucket of S3, over the same connections as everything else.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use object_store::{
    ClientOptions, ObjectStore, RetryConfig,
    aws::AmazonS3Builder,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
        HttpResponse, HttpResponseBody, HttpService,
    },
    path::Path,
    prefix::PrefixStore,
};
use tokio::time::{Instant, Sleep, timeout};
use url::Url;

use super::{
    AwsKey,
    connect::{Connector, connector},
};

/// Sending a request and waiting for the head of its answer; parts have up to 8 MiB.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(30);
/// Trying again by itself; who asks tries again later.
const RETRY_MAX: Duration = Duration::from_secs(30);
/// From one piece of an answer to the next.
const PIECE_WAIT_MAX: Duration = Duration::from_secs(30);

/// Where a bucket is, and who asks.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// What all keys begin with; may be empty.
    pub prefix: String,
    /// Its region.
    pub region: String,
    /// The server, other than AWS's; buckets are in its paths.
    pub endpoint: Option<Url>,
    /// Who asks.
    pub key: AwsKey,
    /// Authorities in PEM that are trusted besides the system's.
    pub ca_pem: Option<Vec<u8>>,
}

impl Bucket {
    /// The bucket as an object store; asks nothing yet. Reads the system's certificates, so it blocks.
    pub fn open(self) -> Result<Arc<dyn ObjectStore>, String> {
        let over = Over { connector: connector(self.ca_pem.as_deref(), false)? };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(self.name)
            .with_region(self.region)
            .with_access_key_id(self.key.id)
            .with_secret_access_key(self.key.secret.expose())
            .with_retry(RetryConfig {
                max_retries: 5,
                retry_timeout: RETRY_MAX,
                ..RetryConfig::default()
            })
            .with_http_connector(over);
        if let Some(endpoint) = self.endpoint {
            builder = builder
                .with_allow_http(endpoint.scheme() == "http")
                .with_endpoint(endpoint.as_str().trim_end_matches('/'));
        }
        let store = builder.build().map_err(|error| error.to_string())?;
        let prefix = Path::parse(&self.prefix).map_err(|error| error.to_string())?;
        Ok(if self.prefix.is_empty() {
            Arc::new(store)
        } else {
            Arc::new(PrefixStore::new(store, prefix))
        })
    }
}

/// Connections for [`object_store`].
#[derive(Clone)]
struct Over {
    connector: Connector<HttpRequestBody>,
}

impl fmt::Debug for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Over")
    }
}

impl HttpConnector for Over {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Over {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = timeout(ANSWER_WAIT_MAX, self.connector.request(request)).await;
        let response = answer
            .map_err(|elapsed| HttpError::new(HttpErrorKind::Timeout, elapsed))?
            .map_err(|error| {
            let kind = if error.is_connect() {
                HttpErrorKind::Connect
            } else {
                HttpErrorKind::Interrupted
            };
            HttpError::new(kind, error)
        })?;
        Ok(response.map(|body| HttpResponseBody::new(Patient::new(body))))
    }
}

/// An answer's body that fails where no piece comes for too long.
struct Patient {
    inner: Incoming,
    until: Pin<Box<Sleep>>,
}

impl Patient {
    fn new(inner: Incoming) -> Self {
        Self { inner, until: Box::pin(tokio::time::sleep(PIECE_WAIT_MAX)) }
    }
}

impl Body for Patient {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            self.until.as_mut().reset(Instant::now() + PIECE_WAIT_MAX);
            return Poll::Ready(frame.map(|frame| {
                frame.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, error))
            }));
        }
        if self.until.as_mut().poll(cx).is_ready() {
            let error = std::io::Error::from(std::io::ErrorKind::TimedOut);
            return Poll::Ready(Some(Err(HttpError::new(HttpErrorKind::Timeout, error))));
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
