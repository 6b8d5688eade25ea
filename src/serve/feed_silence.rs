//! Says when a feed falls silent, and when it sends again.
//!
//! Every minute what the doors saw goes to the database, where it outlives the process and meets
//! what other collectors saw; then each feed's silence is held against its rhythm ([`rhythm`]). What
//! there is to say becomes a record of format `jacquemart` on the bus, in the feed's commune: it is
//! indexed and matched like any other, so that a built-in rule raises the incident and a commune
//! can choose another level or none. It is said once a silence; a crash in between may say it
//! twice, which joins the same incident.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::Context as _;
use bytes::Bytes;
use event::{Feed, FeedId, FormatName, Record, Slots, Timestamp, slot_of};
use ingest::bus::{Bus, Topic};
use serde_json::json;
use store::db::{Database, FeedActivity};
use tokio_util::sync::CancellationToken;

use super::{
    feed_watch::FeedWatch,
    feeds::FeedTable,
    rhythm::{Silence, silence},
};
use crate::metrics::Metrics;

const EVERY: Duration = Duration::from_secs(60);
/// The built-in rule that raises an incident from it.
const RULE: &str = "9d6a3b52-0b7e-4a43-8f0e-6f2c1f6a7c11";
/// The format of what the centre says of itself.
const FORMAT: &str = "jacquemart";

pub(crate) struct FeedSilence {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) db: Arc<dyn Database>,
    pub(crate) feeds: Arc<FeedTable>,
    pub(crate) watch: Arc<FeedWatch>,
    pub(crate) metrics: Arc<Metrics>,
}

/// A feed of which there is something to say.
struct News {
    feed: Arc<Feed>,
    /// Its last record before the silence.
    since: Timestamp,
    kind: Kind,
}

enum Kind {
    Silent(Silence),
    /// Its first record after it came in the slot of this moment.
    Resumed(Timestamp),
}

impl FeedSilence {
    /// Looks every minute until `stop`, then writes down what was seen since.
    pub(crate) async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        match self.db.seen_feed_devices().await {
            Ok(known) => self.watch.know_devices(known),
            // They are known again once they are seen.
            Err(error) => tracing::warn!(%error, "failed to read the devices of feeds"),
        }
        loop {
            if let Err(error) = self.look(Timestamp::now()).await {
                self.metrics.worker_errors.with_label_values(&["feeds"]).inc();
                tracing::error!(
                    error = format!("{error:#}"),
                    "failed to look after silent feeds; trying again in a minute"
                );
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
        // What is lost here makes a rhythm and the counts a minute less exact.
        self.keep_devices().await;
        if let Err(error) = self.db.note_feed_activity(self.watch.take_activity()).await {
            tracing::warn!(%error, "failed to keep when feeds were active last");
        }
        Ok(())
    }

    async fn look(&self, now: Timestamp) -> anyhow::Result<()> {
        let mut seen = self.watch.take_activity();
        let mut listening = FeedActivity::of(None);
        listening.slots.set(slot_of(now));
        seen.push(listening);
        if let Err(error) = self.db.note_feed_activity(seen.clone()).await {
            self.watch.give_back(seen);
            return Err(error).context("failed to keep when feeds were active");
        }
        let known =
            self.db.feed_activity().await.context("failed to read when feeds were active")?;
        self.keep_devices().await;
        let feeds = self.feeds.all();
        let counts = known.clone();
        let judged = move || judge(known, &feeds, now);
        let (news, silent) =
            tokio::task::spawn_blocking(judged).await.context("judging the feeds failed")?;
        self.watch.set_known(silent, counts);
        for news in news {
            self.tell(news, now).await?;
        }
        Ok(())
    }

    async fn keep_devices(&self) {
        for (feed, devices) in self.watch.take_devices() {
            if let Err(error) = self.db.note_feed_devices(&feed, devices.clone()).await {
                tracing::warn!(%error, %feed, "failed to keep the devices of a feed");
                self.watch.give_devices_back(&feed, &devices);
            }
        }
    }

    /// Says it on the bus, then remembers that it was said.
    async fn tell(&self, news: News, now: Timestamp) -> anyhow::Result<()> {
        let feed = &news.feed;
        let record = Record {
            commune: feed.commune.clone(),
            feed: feed.id.clone(),
            format: FormatName::new(FORMAT).context("the format's name")?,
            received: now,
            raw: Bytes::from(news.text(now)),
            context: None,
        };
        self.bus
            .append(Topic::Records, feed.id.as_str(), vec![record.encode()])
            .await
            .context("failed to append that a feed is silent")?;
        let mut told = FeedActivity::of(Some(feed.id.clone()));
        match news.kind {
            Kind::Silent(silence) => {
                tracing::warn!(
                    feed = %feed.id, commune = %feed.commune, since = %news.since, ?silence,
                    "a feed fell silent"
                );
                told.silence_told = Some(news.since);
            }
            Kind::Resumed(first) => {
                tracing::info!(feed = %feed.id, commune = %feed.commune, "a feed sends again");
                // The event has been said; it is not said again for want of a comment.
                let text = news.resumed(first);
                if let Err(error) = self.db.comment_on_feed(feed, RULE, &text, now).await {
                    tracing::warn!(%error, feed = %feed.id, "no incident says that a feed sends again");
                }
                told.end_told = Some(news.since);
            }
        }
        self.db.note_feed_activity(vec![told]).await.context("failed to keep that it was told")
    }
}

/// What there is to say, and since when which feeds are silent for too long.
fn judge(
    known: Vec<FeedActivity>,
    feeds: &[Arc<Feed>],
    now: Timestamp,
) -> (Vec<News>, HashMap<FeedId, FeedRhythm>) {
    let (mut heard, mut by_feed) = (Slots::default(), HashMap::new());
    for activity in known {
        match &activity.feed {
            None => heard = activity.slots,
            Some(feed) => drop(by_feed.insert(feed.clone(), activity)),
        }
    }
    let (mut news, mut rhythms) = (Vec::new(), HashMap::new());
    for feed in feeds {
        let Some(activity) = by_feed.get(&feed.id) else { continue };
        let Some(last) = activity.last else { continue };
        let say = |since, kind| News { feed: Arc::clone(feed), since, kind };
        if let Some(told) = activity.silence_told.filter(|told| *told < last)
            && activity.end_told != Some(told)
        {
            let slots = slot_of(told) + 1..=activity.slots.newest();
            let first = slots.into_iter().find(|slot| activity.slots.get(*slot));
            let first = first.map_or(last, |slot| Timestamp::from_secs(slot * 300));
            news.push(say(told, Kind::Resumed(first.max(told))));
        }
        let silence = silence(&activity.slots, &heard, slot_of(last), slot_of(now));
        rhythms.insert(
            feed.id.clone(),
            FeedRhythm { first: activity.first, last, is_silent: silence.is_too_long },
        );
        if silence.is_too_long && activity.silence_told != Some(last) {
            news.push(say(last, Kind::Silent(silence)));
        }
    }
    (news, rhythms)
}

/// What is known of a feed over more than one run of the centre.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FeedRhythm {
    /// When its first record came, ever.
    pub(crate) first: Option<Timestamp>,
    /// When its last one came.
    pub(crate) last: Timestamp,
    /// Whether that is longer ago than its rhythm explains.
    pub(crate) is_silent: bool,
}

impl News {
    fn lasted(&self, until: Timestamp) -> Duration {
        until.since(self.since)
    }

    /// That it sends again, since `first`.
    fn resumed(&self, first: Timestamp) -> String {
        let Feed { id, format, .. } = &*self.feed;
        format!(
            "La source {id} ({format}) envoie de nouveau depuis le {} UTC, après {} de silence.",
            minute(first),
            words(self.lasted(first))
        )
    }

    /// The record, in ECS.
    fn text(&self, now: Timestamp) -> Vec<u8> {
        let Feed { id, format, .. } = &*self.feed;
        let lasted = |until: Timestamp| {
            let duration = self.lasted(until);
            let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
            (words(duration), nanos)
        };
        let record = match &self.kind {
            Kind::Silent(silence) => {
                let (words, nanos) = lasted(now);
                json!({
                    "@timestamp": now,
                    "event.action": "feed-silent",
                    "event.start": self.since,
                    "event.duration": nanos,
                    "event.reason": format!(
                        "{:.1} slots of five minutes with records were to be expected meanwhile, \
                         {:.1} are allowed",
                        silence.expected, silence.allowed
                    ),
                    "message": format!(
                        "La source {id} ({format}) se tait depuis le {} UTC, soit {words} : plus que son \
                         rythme des quatre dernières semaines ne l'explique. Ce qu'elle surveille ne \
                         l'est plus.",
                        minute(self.since)
                    ),
                })
            }
            Kind::Resumed(first) => {
                let (_, nanos) = lasted(*first);
                json!({
                    "@timestamp": now,
                    "event.action": "feed-resumed",
                    "event.start": self.since,
                    "event.end": first,
                    "event.duration": nanos,
                    "message": self.resumed(*first),
                })
            }
        };
        record.to_string().into_bytes()
    }
}

/// A moment to the minute.
fn minute(time: Timestamp) -> String {
    let text = time.to_string();
    text.get(..16).unwrap_or(&text).replace('T', " ")
}

/// A duration as people say it.
fn words(duration: Duration) -> String {
    let minutes = duration.as_secs() / 60;
    match (minutes / 1_440, minutes / 60 % 24, minutes % 60) {
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes:02}"),
        (days, hours, _) => format!("{days} j {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_in_words() {
        for (seconds, said) in
            [(59, "0 min"), (900, "15 min"), (3_660, "1 h 01"), (190_000, "2 j 4 h")]
        {
            assert_eq!(words(Duration::from_secs(seconds)), said);
        }
        assert_eq!(minute(Timestamp::from_secs(1_796_601_600)), "2026-12-07 00:00");
    }
}
