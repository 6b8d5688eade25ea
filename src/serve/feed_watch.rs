//! What is known of each feed: what this process sees, added to what the database keeps of other
//! processes and earlier runs.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use api::{FeedHealth, FeedPull, FeedRule};
use detect::{Observed, Ruleset};
use event::{Event, Feed, FeedId, Timestamp, fields, slot_of};
use ingest::formats::Formats;
use store::db::{DEVICE_CHARS_MAX, FeedActivity, FeedCounts, FeedFailure, SeenDevice, device_key};

use super::feed_silence::FeedRhythm;
use crate::rules::InForce;

/// Characters of a failed record that are kept.
const RAW_CHARS_MAX: usize = 1_000;
/// Devices that are told apart of a feed.
const DEVICES_MAX: usize = 10_000;
/// Keys that are told as not read.
const UNREAD_MAX: usize = 200;
/// Bytes of such a key.
const UNREAD_BYTES_MAX: usize = 200;
/// Minutes that are kept.
const MINUTES_MAX: usize = 60;
/// How much later than the database knows a device must have been seen to be written again.
const DEVICE_AGAIN: Duration = Duration::from_secs(600);

/// All feeds, as the doors and the detect worker see them.
pub(crate) struct FeedWatch {
    since: Timestamp,
    feeds: Mutex<HashMap<FeedId, Watched>>,
    /// What no feed is known of.
    refused: Mutex<BTreeMap<&'static str, u64>>,
    devices: RandomState,
    formats: Arc<Formats>,
    rules: Arc<InForce>,
}

#[derive(Default)]
struct Watched {
    /// What the database knows.
    kept: FeedCounts,
    /// What is on its way there.
    leaving: FeedCounts,
    /// What was counted since.
    counts: FeedCounts,
    first_received: Option<Timestamp>,
    last_received: Option<Timestamp>,
    lag_ms: Option<i64>,
    pull: Option<FeedPull>,
    /// Records by minute since 1970, the newest last.
    minutes: VecDeque<(i64, u64)>,
    /// By the digest of their names.
    devices: HashMap<u64, Device>,
    /// What its events were.
    observed: Observed,
    /// Keys that its format does not read; `None` where the format cannot tell.
    unread: Option<BTreeSet<String>>,
    /// When it was active, as far as nobody was told of it yet.
    activity: Option<FeedActivity>,
    /// What is known from earlier runs too.
    rhythm: Option<FeedRhythm>,
}

struct Device {
    seen: SeenDevice,
    /// What the database knows as its last time.
    kept: Option<Timestamp>,
}

impl Device {
    fn is_news(&self) -> bool {
        self.kept.is_none_or(|kept| self.seen.last.since(kept) >= DEVICE_AGAIN)
    }
}

fn minute(time: Timestamp) -> i64 {
    time.as_millis().div_euclid(60_000)
}

impl Watched {
    fn accepted(&mut self, records: u64, bytes: u64, now: Timestamp) {
        self.counts.records += records;
        self.counts.bytes += bytes;
        self.first_received = self.first_received.or(Some(now));
        self.last_received = Some(now);
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
        let counts = &mut self.counts;
        if event.is_pipeline_error() {
            counts.fail(FeedFailure {
                received: event.received(),
                reason: event.get_str(fields::ERROR_MESSAGE).unwrap_or_default().to_owned(),
                raw: event.original_text().chars().take(RAW_CHARS_MAX).collect(),
            });
            return;
        }
        counts.decoded += 1;
        if event.get(fields::UNMAPPED).is_some() {
            counts.partly_decoded += 1;
        }
        counts.last_event = counts.last_event.max(Some(event.timestamp()));
        self.lag_ms = Some(event.received().as_millis() - event.timestamp().as_millis());
        let named = [fields::HOST_NAME, fields::HOST_HOSTNAME, fields::DEVICE_ID];
        if let Some(name) = named.into_iter().find_map(|field| event.get_str(field)) {
            let (digest, at) = (digest(name), event.received());
            if let Some(device) = self.devices.get_mut(&digest) {
                device.seen.last = device.seen.last.max(at);
            } else if name.chars().count() <= DEVICE_CHARS_MAX {
                self.sees(digest, SeenDevice { name: name.to_owned(), first: at, last: at }, None);
            }
        }
    }

    /// Notes which keys of the event's record its format does not read.
    fn reads(&mut self, event: &Event, formats: &Formats) {
        let format = formats.get(event.format().as_str());
        let Some(unread) = format.and_then(|format| format.unread(event.original())) else {
            return;
        };
        let known = self.unread.get_or_insert_default();
        for (key, _) in unread {
            if known.len() < UNREAD_MAX && key.len() <= UNREAD_BYTES_MAX {
                known.insert(key);
            }
        }
    }

    fn sees(&mut self, digest: u64, seen: SeenDevice, kept: Option<Timestamp>) {
        if self.devices.len() < DEVICES_MAX {
            self.devices.entry(digest).or_insert(Device { seen, kept });
        }
    }

    /// As it is told: the newest whole minute first, those without a record among them.
    fn told(&self, since: Timestamp, now: Timestamp) -> FeedHealth {
        let by_minute: HashMap<i64, u64> = self.minutes.iter().copied().collect();
        let oldest = minute(since).max(minute(now) - MINUTES_MAX as i64);
        let minutes = (oldest..minute(now)).rev();
        let mut counts = self.kept.clone();
        counts.add(&self.leaving);
        counts.add(&self.counts);
        counts.since.get_or_insert(since);
        FeedHealth {
            counts,
            first_received: self.rhythm.and_then(|rhythm| rhythm.first).or(self.first_received),
            last_received: self.last_received.max(self.rhythm.map(|rhythm| rhythm.last)),
            records_by_minute: minutes
                .map(|minute| by_minute.get(&minute).copied().unwrap_or_default())
                .collect(),
            lag_ms: self.lag_ms,
            devices: self.devices.len(),
            unmapped: self.unread.as_ref().map(|unread| unread.iter().cloned().collect()),
            is_silent: self
                .rhythm
                .is_some_and(|rhythm| rhythm.is_silent && self.last_received <= Some(rhythm.last)),
            pull: self.pull.clone(),
        }
    }
}

impl FeedWatch {
    pub(crate) fn new(formats: Arc<Formats>, rules: Arc<InForce>) -> Self {
        Self {
            formats,
            rules,
            since: Timestamp::now(),
            feeds: Mutex::default(),
            refused: Mutex::default(),
            devices: RandomState::new(),
        }
    }

    fn feeds(&self) -> MutexGuard<'_, HashMap<FeedId, Watched>> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn digest(&self, device: &str) -> u64 {
        self.devices.hash_one(device_key(device))
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
                let counts = &mut feeds.entry(feed.id.clone()).or_default().counts;
                *counts.refused.entry(reason.to_owned()).or_default() += n;
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
        let pull = feeds.entry(feed.clone()).or_default().pull.get_or_insert_default();
        let now = Timestamp::now();
        match outcome {
            Ok(()) => (pull.last_success, pull.error) = (Some(now), None),
            Err(error) => (pull.last_failure, pull.error) = (Some(now), Some(error.to_owned())),
        }
    }

    /// When the token expires that a vendor is shown.
    pub(crate) fn pull_token_expires(&self, feed: &FeedId, at: Timestamp) {
        let mut feeds = self.feeds();
        let pull = feeds.entry(feed.clone()).or_default().pull.get_or_insert_default();
        pull.token_expires = Some(at);
    }

    /// When feeds were active and what was counted since this was asked last. Until
    /// [`set_known`](Self::set_known) or [`give_back`](Self::give_back) it counts as on its way.
    pub(crate) fn take_activity(&self) -> Vec<FeedActivity> {
        let mut feeds = self.feeds();
        let taken = feeds.iter_mut().filter_map(|(feed, watched)| {
            let counts = std::mem::take(&mut watched.counts);
            let activity = watched.activity.take();
            if activity.is_none() && counts == FeedCounts::default() {
                return None;
            }
            let counts = FeedCounts { since: Some(self.since), ..counts };
            watched.leaving.add(&counts);
            let activity = activity.unwrap_or_default();
            Some(FeedActivity { feed: Some(feed.clone()), counts, ..activity })
        });
        taken.collect()
    }

    /// What was taken and could not be kept.
    pub(crate) fn give_back(&self, taken: Vec<FeedActivity>) {
        let mut feeds = self.feeds();
        for mut activity in taken {
            let Some(feed) = &activity.feed else { continue };
            let watched = feeds.entry(feed.clone()).or_default();
            watched.leaving = FeedCounts::default();
            watched.counts.add(&std::mem::take(&mut activity.counts));
            watched.activity.get_or_insert_default().merge(&activity);
        }
    }

    /// What is known of feeds over more than this run, with all that was taken.
    pub(crate) fn set_known(&self, known: HashMap<FeedId, FeedRhythm>, counts: Vec<FeedActivity>) {
        let mut feeds = self.feeds();
        for activity in counts {
            let Some(feed) = activity.feed else { continue };
            let watched = feeds.entry(feed).or_default();
            (watched.kept, watched.leaving) = (activity.counts, FeedCounts::default());
        }
        for (feed, rhythm) in known {
            feeds.entry(feed).or_default().rhythm = Some(rhythm);
        }
    }

    /// The devices of each feed that the database does not know yet, or not so late.
    pub(crate) fn take_devices(&self) -> Vec<(FeedId, Vec<SeenDevice>)> {
        let mut feeds = self.feeds();
        let taken = feeds.iter_mut().map(|(feed, watched)| {
            let news = watched.devices.values_mut().filter(|device| device.is_news());
            let news = news.map(|device| {
                device.kept = Some(device.seen.last);
                device.seen.clone()
            });
            (feed.clone(), news.collect::<Vec<_>>())
        });
        taken.filter(|(_, devices)| !devices.is_empty()).collect()
    }

    /// Devices that were taken and could not be kept.
    pub(crate) fn give_devices_back(&self, feed: &FeedId, devices: &[SeenDevice]) {
        let mut feeds = self.feeds();
        let Some(watched) = feeds.get_mut(feed) else { return };
        for seen in devices {
            if let Some(device) = watched.devices.get_mut(&self.digest(&seen.name)) {
                device.kept = None;
            }
        }
    }

    /// Devices that the database knows.
    pub(crate) fn know_devices(&self, known: Vec<(FeedId, SeenDevice)>) {
        let mut feeds = self.feeds();
        for (feed, seen) in known {
            let (digest, kept) = (self.digest(&seen.name), seen.last);
            feeds.entry(feed).or_default().sees(digest, seen, Some(kept));
        }
    }

    /// A batch was decoded and is about to be matched with `ruleset`.
    pub(crate) fn events(&self, events: &[Arc<Event>], ruleset: &Ruleset) {
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
            watched.event(event, |device| self.digest(device));
            if !event.is_pipeline_error() && watched.observed.add(event) {
                watched.reads(event, &self.formats);
            }
            let is_known = |counts: &FeedCounts| counts.first_usable.is_some();
            if ![&watched.kept, &watched.leaving, &watched.counts].into_iter().any(is_known)
                && !event.is_pipeline_error()
                && ruleset.engine().is_of_use(event)
            {
                watched.counts.first_usable = Some(event.received());
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

    fn rules(&self, feed: &FeedId) -> Vec<FeedRule> {
        let observed = match self.feeds().get(feed) {
            Some(watched) => watched.observed.clone(),
            None => return Vec::new(),
        };
        let ruleset = self.rules.now();
        let rules = ruleset.rules().iter().filter_map(|rule| {
            let lacks = observed.lacks(rule)?;
            let (id, title) = (rule.id().to_owned(), rule.title().to_owned());
            Some(FeedRule { id, title, level: rule.level(), can_fire: lacks.is_empty(), lacks })
        });
        rules.collect()
    }

    fn new_devices(&self, feed: &FeedId) -> Vec<SeenDevice> {
        let feeds = self.feeds();
        let devices = feeds.get(feed).into_iter().flat_map(|watched| watched.devices.values());
        devices
            .filter(|device| device.kept != Some(device.seen.last))
            .map(|device| device.seen.clone())
            .collect()
    }

    fn refused_unknown(&self) -> BTreeMap<String, u64> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.iter().map(|(why, n)| ((*why).to_owned(), *n)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> FeedWatch {
        let rules = InForce::new(Ruleset::compile(detect::Loaded::default()));
        FeedWatch::new(Arc::new(Formats::builtin()), Arc::new(rules))
    }

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
        assert_eq!((told.counts.records, told.counts.bytes), (18, 180));
        assert_eq!((told.first_received, told.last_received), (Some(at(100, 1)), Some(at(103, 0))));
        // No more than an hour, however long it runs.
        for minute in 200..400 {
            watched.accepted(1, 1, at(minute, 0));
        }
        assert!(watched.minutes.len() <= MINUTES_MAX + 1);
        assert_eq!(watched.told(at(99, 0), at(400, 0)).records_by_minute, [1; MINUTES_MAX]);
    }

    #[test]
    fn what_is_on_its_way_to_the_database_is_told() {
        let watch = watch();
        let id = FeedId::new("pc").unwrap();
        let records = || api::FeedWatch::of(&watch, &id).counts.records;
        let accept = |n| watch.feeds().entry(id.clone()).or_default().accepted(n, n, watch.since);
        accept(3);
        let taken = watch.take_activity();
        assert_eq!((taken.len(), records()), (1, 3));
        accept(4);
        assert_eq!(records(), 7);
        watch.give_back(taken);
        assert_eq!(records(), 7, "it was not kept");
        let taken = watch.take_activity();
        assert_eq!(taken[0].counts.records, 7);
        accept(1);
        // Another process counted 10 meanwhile.
        let mut kept = taken;
        kept[0].counts.records += 10;
        watch.set_known(HashMap::new(), kept);
        assert_eq!(records(), 18);
        assert_eq!(watch.take_activity()[0].counts.records, 1);
        assert!(watch.take_activity().is_empty());
    }

    #[test]
    fn devices_are_written_when_new_or_seen_much_later() {
        let watch = watch();
        let id = FeedId::new("pc").unwrap();
        let at = Timestamp::from_secs;
        let seen = |s| SeenDevice { name: "PC".to_owned(), first: at(0), last: at(s) };
        watch.know_devices(vec![(id.clone(), seen(0))]);
        assert!(watch.take_devices().is_empty());
        let again = |s| {
            let mut feeds = watch.feeds();
            let devices = &mut feeds.get_mut(&id).unwrap().devices;
            devices.get_mut(&watch.digest("pc")).unwrap().seen.last = at(s);
        };
        again(599);
        assert!(watch.take_devices().is_empty());
        assert_eq!(api::FeedWatch::new_devices(&watch, &id), [seen(599)]);
        again(600);
        let taken = watch.take_devices();
        assert_eq!(taken, [(id.clone(), vec![seen(600)])]);
        assert!(watch.take_devices().is_empty());
        watch.give_devices_back(&id, &taken[0].1);
        assert_eq!(watch.take_devices(), taken);
        assert_eq!(api::FeedWatch::of(&watch, &id).devices, 1);
    }
}
