//! SentinelOne's Cloud Funnel: objects of NDJSON in gzip in a bucket of S3, told of by a queue of SQS.
//!
//! A message is deleted once all lines of its objects are durable; until then it is kept from others.
//! SQS delivers at least once and a process may end in the middle of an object, so how far each
//! object came is kept, and what came is not handed on again. A message that can't be worked on stays
//! in the queue: its redrive policy says what becomes of it.

mod lines;
mod notice;
mod queue;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use event::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use url::Url;

use self::{lines::Batch, notice::Object, queue::Message};
use super::{
    Outlet, PullError, Round,
    puller::blocking,
    state::{State, StateFile},
};
use crate::outbound::{Aws, AwsKey, Call, Client, aws, shown};

/// After so long a round ends, so that others see that it goes on.
const ROUND_MAX: Duration = Duration::from_secs(60);
/// Objects whose progress is remembered, the latest.
const OBJECTS_MAX: usize = 5_000;

/// A queue, and the buckets that it tells of.
#[derive(Clone, Debug)]
pub struct CloudFunnel {
    /// `https://sqs.….amazonaws.com/…/…`.
    pub queue_url: Url,
    /// The region of both.
    pub region: String,
    /// Where buckets are, other than on AWS.
    pub endpoint: Option<Url>,
    /// Who asks.
    pub key: AwsKey,
}

/// How far objects came, by their digests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Objects(BTreeMap<String, Progress>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    /// Lines that are durable; `None` is all.
    lines: Option<u64>,
    at: Timestamp,
}

impl Objects {
    fn digest(object: &Object) -> String {
        let mut digest = Sha256::new();
        for part in [&object.bucket, &object.key, &object.version] {
            digest.update(part);
            digest.update([0]);
        }
        let digest: [u8; 32] = digest.finalize().into();
        digest[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Lines of `object` that are durable; `None` is all.
    fn of(&self, object: &Object) -> Option<u64> {
        self.0.get(&Self::digest(object)).map_or(Some(0), |progress| progress.lines)
    }

    fn note(&mut self, object: &Object, lines: Option<u64>) {
        self.0.insert(Self::digest(object), Progress { lines, at: Timestamp::now() });
        while self.0.len() > OBJECTS_MAX {
            let oldest = self.0.iter().min_by_key(|(_, progress)| progress.at);
            let Some(oldest) = oldest.map(|(digest, _)| digest.clone()) else { break };
            self.0.remove(&oldest);
        }
    }
}

/// What a round works with.
pub(super) struct Work<'a> {
    pub(super) client: &'a Client,
    pub(super) outlet: &'a dyn Outlet,
    pub(super) file: &'a StateFile,
    pub(super) state: &'a mut State,
    pub(super) round: &'a mut Round,
}

impl CloudFunnel {
    /// Works on messages until the queue is empty or the round's time is over. A message that fails
    /// keeps no other from its turn; the first failure is told.
    pub(super) async fn pass(&self, work: &mut Work<'_>) -> Result<(), PullError> {
        let began = Instant::now();
        let mut outcome = Ok(());
        while began.elapsed() < ROUND_MAX {
            let mut messages = self.receive(work.client).await?;
            if messages.is_empty() {
                return outcome;
            }
            while !messages.is_empty() {
                self.keep(work.client, messages.iter_mut()).await?;
                if let Err(error) = self.work_on(&mut messages, work).await {
                    tracing::warn!(
                        message = messages[0].id, %error,
                        "a message of the queue stays there, as it can't be worked on"
                    );
                    outcome = outcome.and(Err(error));
                }
                messages.remove(0);
            }
        }
        work.round.is_cut_short = true;
        outcome
    }

    /// Works on the first of `messages`, all of which are kept.
    async fn work_on(
        &self,
        messages: &mut [Message],
        work: &mut Work<'_>,
    ) -> Result<(), PullError> {
        let objects = notice::objects(&messages[0].body).map_err(|reason| PullError::Answer {
            url: shown(&self.queue_url),
            reason: format!("a message is no notice of S3: {reason}"),
        })?;
        for object in objects {
            if let Some(skipped) = work.state.objects.of(&object) {
                self.object(&object, skipped, messages, work).await?;
                work.state.objects.note(&object, None);
                save(work).await?;
            }
        }
        self.delete(work.client, &messages[0]).await
    }

    async fn object(
        &self,
        object: &Object,
        skipped: u64,
        messages: &mut [Message],
        work: &mut Work<'_>,
    ) -> Result<(), PullError> {
        let url = self.url_of(object)?;
        let s3 = Aws { key: &self.key, service: "s3", region: &self.region };
        let answer = s3.ask(work.client, Call::get(&url)).await?;
        let body = answer.map(|answer| answer.body).unwrap_or_default();
        let (to, mut from) = mpsc::channel::<Batch>(1);
        let reading = tokio::task::spawn_blocking(move || {
            let mut too_long = 0;
            (lines::send(&body, skipped, &to, &mut too_long), too_long)
        });
        while let Some(batch) = from.recv().await {
            let delivered = work.outlet.deliver(&batch.lines).await?;
            work.round.accepted += delivered.accepted;
            work.round.refused.extend(delivered.refused);
            work.state.objects.note(object, Some(batch.end));
            save(work).await?;
            self.keep(work.client, messages.iter_mut()).await?;
        }
        let wrong = |reason: String| PullError::Answer { url: shown(&url), reason };
        let (read, too_long) = reading.await.map_err(|panic| wrong(panic.to_string()))?;
        if too_long > 0 {
            let place = shown(&url);
            work.round.refused.push(format!("{place}: {too_long} lines of more than 8 MiB"));
        }
        read.map_err(wrong)
    }

    fn url_of(&self, object: &Object) -> Result<Url, PullError> {
        let Object { bucket, key, .. } = object;
        let (region, key) = (&self.region, aws::key_path(key));
        let url = match &self.endpoint {
            Some(endpoint) => {
                format!("{}/{bucket}/{key}", endpoint.as_str().trim_end_matches('/'))
            }
            // A certificate for `*.s3` covers no name with a dot before it.
            None if bucket.contains('.') => {
                format!("https://s3.{region}.amazonaws.com/{bucket}/{key}")
            }
            None => format!("https://{bucket}.s3.{region}.amazonaws.com/{key}"),
        };
        url.parse().map_err(|error| PullError::Answer {
            url: shown(&self.queue_url),
            reason: format!("the object {bucket}/{key} has no URL: {error}"),
        })
    }
}

async fn save(work: &mut Work<'_>) -> Result<(), PullError> {
    let (file, state) = (work.file.clone(), work.state.clone());
    Ok(blocking(move || file.save(&state)).await??)
}
