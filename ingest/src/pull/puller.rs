//! Rounds: from where each stream is to where the vendor has no more.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use event::Timestamp;

use super::{
    Outlet, PullError, Source,
    funnel::Work,
    page::{Page, Position},
    sekoia::SekoiaStream,
    sentinelone::SentinelOneStream,
    state::{State, StateFile},
    vade::VadeStream,
};
use crate::outbound::Client;

/// Pages of one stream in one round. A source that goes on for longer is asked again next time,
/// from where it was.
const PAGES_MAX: u32 = 10_000;

/// Asks one source.
pub struct Puller {
    source: Source,
    client: Client,
    outlet: Arc<dyn Outlet>,
    file: StateFile,
    lookback: Duration,
    state: Option<State>,
}

/// What a round came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Records that are durable.
    pub accepted: u64,
    /// Why others are not and never will be.
    pub refused: Vec<String>,
    /// Whether the source has more, which the next round is for.
    pub is_cut_short: bool,
}

/// One list of one vendor.
#[derive(Clone, Copy, Debug)]
enum Stream {
    SentinelOne(SentinelOneStream),
    Sekoia(SekoiaStream),
    Vade(VadeStream),
}

impl Stream {
    const fn name(self) -> &'static str {
        match self {
            Self::SentinelOne(stream) => stream.as_str(),
            Self::Sekoia(stream) => stream.as_str(),
            Self::Vade(stream) => stream.as_str(),
        }
    }
}

impl Puller {
    /// Asks `source` through `client` and hands records to `outlet`; where it is is kept in `file`.
    /// The first time it asks for what is `lookback` old.
    pub fn new(
        source: Source,
        client: Client,
        outlet: Arc<dyn Outlet>,
        file: StateFile,
        lookback: Duration,
    ) -> Self {
        Self { source, client, outlet, file, lookback, state: None }
    }

    /// One round over all streams. A stream that fails does not keep the others from theirs; the
    /// first failure is told, beside what came all the same.
    pub async fn round(&mut self) -> (Round, Result<(), PullError>) {
        let mut round = Round::default();
        let mut state = match self.state.take() {
            Some(state) => state,
            None => match self.load().await {
                Ok(state) => state,
                Err(error) => return (round, Err(error)),
            },
        };
        let mut outcome = Ok(());
        if let Source::CloudFunnel(funnel) = &self.source {
            let mut work = Work {
                client: &self.client,
                outlet: &*self.outlet,
                file: &self.file,
                state: &mut state,
                round: &mut round,
            };
            outcome = funnel.pass(&mut work).await;
        }
        for stream in self.streams() {
            if let Err(error) = self.pass(stream, &mut state, &mut round).await {
                outcome = outcome.and(Err(error));
            }
        }
        self.state = Some(state);
        (round, outcome)
    }

    /// When the proof that is shown expires, where the vendor tells.
    pub async fn proof_expires(&self) -> Option<Timestamp> {
        match &self.source {
            Source::SentinelOne(source) => source.token_expires(&self.client).await,
            Source::Sekoia(_) | Source::Vade(_) | Source::CloudFunnel(_) => None,
        }
    }

    fn streams(&self) -> Vec<Stream> {
        match &self.source {
            Source::SentinelOne(source) => {
                source.streams.iter().copied().map(Stream::SentinelOne).collect()
            }
            Source::Sekoia(source) => source.streams.iter().copied().map(Stream::Sekoia).collect(),
            Source::Vade(source) => source.streams.iter().copied().map(Stream::Vade).collect(),
            // Its queue says what there is.
            Source::CloudFunnel(_) => Vec::new(),
        }
    }

    async fn page(&self, stream: Stream, at: &Position) -> Result<Page, PullError> {
        match (&self.source, stream) {
            (Source::SentinelOne(source), Stream::SentinelOne(stream)) => {
                source.page(&self.client, stream, at).await
            }
            (Source::Sekoia(source), Stream::Sekoia(stream)) => {
                source.page(&self.client, stream, at).await
            }
            (Source::Vade(source), Stream::Vade(stream)) => {
                source.page(&self.client, stream, at).await
            }
            // Streams come from the source itself.
            _ => Ok(Page { items: Vec::new(), next: None }),
        }
    }

    /// What the cursors belong to: those of another console begin anew.
    fn identity(&self) -> String {
        match &self.source {
            Source::SentinelOne(source) => {
                format!("sentinelone {} {}", source.url, source.site_ids.join(","))
            }
            Source::Sekoia(source) => {
                let community = source.community.as_deref().unwrap_or_default();
                format!("sekoia {} {community}", source.url)
            }
            Source::Vade(source) => format!("vade-m365 {} {}", source.url, source.tenant),
            Source::CloudFunnel(source) => format!("cloud-funnel {}", source.queue_url),
        }
    }

    async fn load(&self) -> Result<State, PullError> {
        let (file, identity) = (self.file.clone(), self.identity());
        Ok(blocking(move || file.load(&identity)).await??)
    }

    async fn pass(
        &self,
        stream: Stream,
        state: &mut State,
        round: &mut Round,
    ) -> Result<(), PullError> {
        let cursor = state.cursors.entry(stream.name().to_owned()).or_default();
        let from = cursor.from(Timestamp::now(), self.lookback);
        let mut at = Position { from, token: None };
        for _ in 0..PAGES_MAX {
            let Page { items, next } = self.page(stream, &at).await?;
            let cursor = state.cursors.entry(stream.name().to_owned()).or_default();
            let news = cursor.news(items);
            if !news.is_empty() {
                let records: Vec<Bytes> = news.iter().map(|item| item.raw.clone()).collect();
                let delivered = self.outlet.deliver(&records).await?;
                round.accepted += delivered.accepted;
                round.refused.extend(delivered.refused);
                cursor.passed(&news, Timestamp::now());
                let (file, kept) = (self.file.clone(), state.clone());
                blocking(move || file.save(&kept)).await??;
            }
            match next {
                Some(next) if next != at => at = next,
                _ => return Ok(()),
            }
        }
        round.is_cut_short = true;
        Ok(())
    }
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, PullError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|panic| PullError::Outlet(format!("keeping the cursors panicked: {panic}")))
}
