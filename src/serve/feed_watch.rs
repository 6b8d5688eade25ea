//! What is known of each feed since the process began.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    hash::{BuildHasher as _, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
};

use api::{FeedFailure, FeedHealth};
use detect::Ruleset;
use event::{Event, Feed, FeedId, Timestamp, fields, slot_of};
use store::db::FeedActivity;

use super::feed_silence::FeedRhythm;

/// Failures that are kept of a feed.
const FAILURES_MAX: usize = 5;
/// Characters of a failed record that are kept.
const RAW_CHARS_MAX: usize = 1_000;
/// Devices that are told apart of a feed.
const DEVICES_MAX: usize = 10_000;
/// Minutes that are kept.
const MINUTES_MAX: usize = 60;

/// All feeds, as the doors and the detect worker see them.
pub(crate) struct FeedWatch {
    since: Timestamp,
    feeds: Mutex<HashMap<FeedId, Watched>>,
    /// What no feed is known of.
    refused: Mutex<BTreeMap<&'static str, u64>>,
    devices: RandomState,
}

#[derive(Default)]
struct Watched {
    health: FeedHealth,
    /// Records by minute since 1970, the newest last.
    minutes: VecDeque<(i64, u64)>,
    failures: VecDeque<FeedFailure>,
    refused: BTreeMap<&'static str, u64>,
    /// Digests of names.
    devices: HashSet<u64>,
    /// When it was active, as far as nobody was told of it yet.
    activity: Option<FeedActivity>,
    /// What is known from earlier runs too.
    rhythm: Option<FeedRhythm>,
}

fn minute(time: Timestamp) -> i64 {
    time.as_millis().div_euclid(60_000)
}

impl Watched {
    fn accepted(&mut self, records: u64, bytes: u64, now: Timestamp) {
        let health = &mut self.health;
        health.records += records;
        health.bytes += bytes;
        health.first_received = health.first_received.or(Some(now));
        health.last_received = Some(now);
        let activity = self.activity.get_or_insert_default();
        activity.slots.set(slot_of(now));
        activity.first = activity.first.or(Some(now));
        activity.last = Some(now);
        match self.minutes.back_mut() {
            Some((last, count)) if *last == minute(now) => *count += records,
            _ => self.minutes.push_back((minute(now), records)),
        }
        if self.minutes.len() > MINUTES_MAX + 1 {
            self.minutes.pop_front();
        }
    }

    fn event(&mut self, event: &Event, digest: impl FnOnce(&str) -> u64) {
        let health = &mut self.health;
        if event.is_pipeline_error() {
            health.failed += 1;
            if self.failures.len() == FAILURES_MAX {
                self.failures.pop_front();
            }
            self.failures.push_back(FeedFailure {
                received: event.received(),
                reason: event.get_str(fields::ERROR_MESSAGE).unwrap_or_default().to_owned(),
                raw: event.original_text().chars().take(RAW_CHARS_MAX).collect(),
            });
            return;
        }
        health.decoded += 1;
        if event.get(fields::UNMAPPED).is_some() {
            health.partly_decoded += 1;
        }
        health.last_event = health.last_event.max(Some(event.timestamp()));
        health.lag_ms = Some(event.received().as_millis() - event.timestamp().as_millis());
        let device = event.get_str(fields::HOST_NAME).or(event.get_str(fields::DEVICE_ID));
        if let Some(device) = device.filter(|_| self.devices.len() < DEVICES_MAX) {
            self.devices.insert(digest(device));
        }
    }

    /// As it is told: the newest whole minute first, those without a record among them.
    fn told(&self, since: Timestamp, now: Timestamp) -> FeedHealth {
        let by_minute: HashMap<i64, u64> = self.minutes.iter().copied().collect();
        let oldest = minute(since).max(minute(now) - MINUTES_MAX as i64);
        let minutes = (oldest..minute(now)).rev();
        FeedHealth {
            since,
            records_by_minute: minutes
                .map(|minute| by_minute.get(&minute).copied().unwrap_or_default())
                .collect(),
            refused: self.refused.iter().map(|(why, n)| ((*why).to_owned(), *n)).collect(),
            failures: self.failures.iter().rev().cloned().collect(),
            devices: self.devices.len(),
            known_since: self.rhythm.and_then(|rhythm| rhythm.first).or(self.health.first_received),
            last_received: self.health.last_received.max(self.rhythm.map(|rhythm| rhythm.last)),
            is_silent: self.rhythm.is_some_and(|rhythm| {
                rhythm.is_silent && self.health.last_received <= Some(rhythm.last)
            }),
            ..self.health.clone()
        }
    }
}

impl FeedWatch {
    pub(crate) fn new() -> Self {
        Self {
            since: Timestamp::now(),
            feeds: Mutex::default(),
            refused: Mutex::default(),
            devices: RandomState::new(),
        }
    }

    fn feeds(&self) -> MutexGuard<'_, HashMap<FeedId, Watched>> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records of the feed are durable.
    pub(crate) fn accepted(&self, feed: &Feed, records: u64, bytes: u64) {
        let now = Timestamp::now();
        self.feeds().entry(feed.id.clone()).or_default().accepted(records, bytes, now);
    }

    /// Something was turned away.
    pub(crate) fn rejected(&self, feed: Option<&Feed>, reason: &'static str, n: u64) {
        match feed {
            Some(feed) => {
                let mut feeds = self.feeds();
                *feeds.entry(feed.id.clone()).or_default().refused.entry(reason).or_default() += n;
            }
            None => {
                let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
                *refused.entry(reason).or_default() += n;
            }
        }
    }

    /// A vendor was asked for all that it has, or could not be.
    pub(crate) fn pulled(&self, feed: &FeedId, outcome: Result<(), &str>) {
        let mut feeds = self.feeds();
        let health = &mut feeds.entry(feed.clone()).or_default().health;
        let (pull, now) = (health.pull.get_or_insert_default(), Timestamp::now());
        match outcome {
            Ok(()) => (pull.last_success, pull.error) = (Some(now), None),
            Err(error) => (pull.last_failure, pull.error) = (Some(now), Some(error.to_owned())),
        }
    }

    /// When the token expires that a vendor is shown.
    pub(crate) fn pull_token_expires(&self, feed: &FeedId, at: Timestamp) {
        let mut feeds = self.feeds();
        let health = &mut feeds.entry(feed.clone()).or_default().health;
        health.pull.get_or_insert_default().token_expires = Some(at);
    }

    /// When feeds were active since this was asked last.
    pub(crate) fn take_activity(&self) -> Vec<FeedActivity> {
        let mut feeds = self.feeds();
        let taken = feeds.iter_mut().filter_map(|(feed, watched)| {
            Some(FeedActivity { feed: Some(feed.clone()), ..watched.activity.take()? })
        });
        taken.collect()
    }

    /// What was taken and could not be kept.
    pub(crate) fn give_back(&self, taken: Vec<FeedActivity>) {
        let mut feeds = self.feeds();
        for activity in taken {
            let Some(feed) = &activity.feed else { continue };
            feeds
                .entry(feed.clone())
                .or_default()
                .activity
                .get_or_insert_default()
                .merge(&activity);
        }
    }

    /// What is known of feeds over more than this run.
    pub(crate) fn set_silent(&self, rhythms: HashMap<FeedId, FeedRhythm>) {
        let mut feeds = self.feeds();
        for (feed, rhythm) in rhythms {
            feeds.entry(feed).or_default().rhythm = Some(rhythm);
        }
    }

    /// A batch was decoded and is about to be matched with `ruleset`.
    pub(crate) fn events(&self, events: &[std::sync::Arc<Event>], ruleset: &Ruleset) {
        let mut feeds = self.feeds();
        for event in events {
            // What the centre says of a feed is not from it.
            if event.get_str(fields::EVENT_MODULE) == Some("jacquemart") {
                continue;
            }
            // Most feeds have been seen, so that nothing is cloned.
            if !feeds.contains_key(event.feed()) {
                feeds.insert(event.feed().clone(), Watched::default());
            }
            let Some(watched) = feeds.get_mut(event.feed()) else { continue };
            watched.event(event, |device| self.devices.hash_one(device.to_lowercase()));
            if watched.health.first_usable.is_none()
                && !event.is_pipeline_error()
                && ruleset.engine().is_of_use(event)
            {
                watched.health.first_usable = Some(event.received());
            }
        }
    }
}

impl api::FeedWatch for FeedWatch {
    fn of(&self, feed: &FeedId) -> FeedHealth {
        let now = Timestamp::now();
        match self.feeds().get(feed) {
            Some(watched) => watched.told(self.since, now),
            None => Watched::default().told(self.since, now),
        }
    }

    fn refused_unknown(&self) -> BTreeMap<String, u64> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.iter().map(|(why, n)| ((*why).to_owned(), *n)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_are_told_from_the_newest_whole_one_back() {
        let at = |minute: i64, second: i64| Timestamp::from_millis((minute * 60 + second) * 1_000);
        let mut watched = Watched::default();
        watched.accepted(3, 30, at(100, 1));
        watched.accepted(4, 40, at(100, 59));
        watched.accepted(5, 50, at(102, 0));
        watched.accepted(6, 60, at(103, 0));
        let told = watched.told(at(99, 0), at(103, 30));
        assert_eq!(told.records_by_minute, [5, 0, 7, 0]);
        assert_eq!((told.records, told.bytes), (18, 180));
        assert_eq!((told.first_received, told.last_received), (Some(at(100, 1)), Some(at(103, 0))));
        // No more than an hour, however long it runs.
        for minute in 200..400 {
            watched.accepted(1, 1, at(minute, 0));
        }
        assert!(watched.minutes.len() <= MINUTES_MAX + 1);
        assert_eq!(watched.told(at(99, 0), at(400, 0)).records_by_minute, [1; MINUTES_MAX]);
    }
}
