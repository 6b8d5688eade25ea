//! Events compared with a set.

use std::sync::Arc;

use event::{
    Detection, DetectionId, Event, IndicatorRef, Level, MatchedField, Timestamp, ValueRef,
};
use rayon::prelude::*;

use super::{
    allow::above,
    canonical::{self, Url},
    fields::Reading,
    keys::Sort,
    set::{Detail, IndicatorSet, level_of},
};
use crate::entities::entities;

/// Hits of one event at most; an event that lists a whole feed is not worth more.
const HITS_MAX: usize = 64;
/// Fields that a hit names.
const MATCHED_MAX: usize = 64;
/// Characters of a matched value that a hit keeps.
const VALUE_CHARS_MAX: usize = 1_024;
/// Bytes of a value that are looked at; a longer one is no value of any type.
const VALUE_BYTES_MAX: usize = 64 << 10;
/// Events that one task of a batch takes at least.
const TASK_EVENTS_MIN: usize = 64;

/// An event carries an indicator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndicatorHit {
    /// The indicator, with its source.
    pub indicator: IndicatorRef,
    /// How serious it is.
    pub level: Level,
    /// The fields that carry it, sorted.
    pub matched: Vec<MatchedField>,
}

/// Memory that is reused from event to event, and what was counted on the way. One per thread.
#[derive(Debug, Default)]
pub struct IndicatorScratch {
    key: Vec<u8>,
    text: String,
    found: Vec<Found>,
    /// Counted over all events so far.
    pub left_out: LeftOut,
}

/// What was found and is no hit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Values that an indicator names and an allow list keeps silent.
    pub allowed: u64,
    /// Hits past the most that one event has.
    pub cut: u64,
}

/// A key of the set is in a value of the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    place: u32,
    /// Whether the value is below the indicator's domain rather than it.
    below: bool,
    /// The value's place among the event's.
    value: usize,
}

impl IndicatorSet {
    /// Appends what `event` carries to `out`: one hit for each indicator and source, sorted by
    /// type, value and source. The event's own time decides whether an indicator holds.
    pub fn matches(
        &self,
        event: &Event,
        scratch: &mut IndicatorScratch,
        out: &mut Vec<IndicatorHit>,
    ) {
        scratch.found.clear();
        let IndicatorScratch { key, text, found, left_out } = scratch;
        for (value, (field, content)) in event.iter().enumerate() {
            let Some(reading) = self.readings.get(field.index()) else { continue };
            if reading.is_none() {
                continue;
            }
            let ValueRef::Str(content) = content else { continue };
            self.probe(*reading, content, key, text, &mut |place, below, silent| {
                if silent {
                    left_out.allowed += 1;
                } else {
                    found.push(Found { place, below, value });
                }
            });
        }
        if !scratch.found.is_empty() {
            self.hits(event, scratch, out);
        }
    }

    /// The detections of a batch, matched on all threads of the current rayon pool, in the order
    /// of the events, and what was left out. `now` becomes their `detected`.
    pub fn detect(&self, events: &[Arc<Event>], now: Timestamp) -> (Vec<Detection>, LeftOut) {
        if self.is_empty() {
            return Default::default();
        }
        let found: Vec<(Vec<Detection>, LeftOut)> = events
            .par_chunks(TASK_EVENTS_MIN)
            .map(|events| {
                let (mut scratch, mut hits) = (IndicatorScratch::default(), Vec::new());
                let mut detections = Vec::new();
                for event in events {
                    self.matches(event, &mut scratch, &mut hits);
                    detections.extend(hits.drain(..).map(|hit| hit.detection(event, now)));
                }
                (detections, scratch.left_out)
            })
            .collect();
        let mut all = (Vec::new(), LeftOut::default());
        for (detections, left_out) in found {
            all.0.extend(detections);
            all.1.allowed += left_out.allowed;
            all.1.cut += left_out.cut;
        }
        all
    }

    /// Calls `found` with each key that `content`, read as `reading` says, carries: its place,
    /// whether it is that of a domain above the one in the event, and whether it is allowed.
    fn probe(
        &self,
        reading: Reading,
        content: &str,
        key: &mut Vec<u8>,
        text: &mut String,
        found: &mut impl FnMut(u32, bool, bool),
    ) {
        let content = content.trim();
        if content.is_empty() || content.len() > VALUE_BYTES_MAX {
            return;
        }
        if reading.has(Reading::HOST) {
            self.probe_host(content, key, text, found);
        }
        if reading.has(Reading::URL)
            && let Some(url) = Url::parse(content)
        {
            for form in std::iter::once(url.whole()).chain(url.without_query()) {
                canonical::write(Sort::Url, form.as_bytes(), key);
                self.probe_key(key, found);
            }
            self.probe_host(&url.host(), key, text, found);
        }
        for (wanted, sort) in [
            (Reading::HASH, Sort::Hash),
            (Reading::CERTIFICATE, Sort::Certificate),
            (Reading::JA3, Sort::Ja3),
        ] {
            if reading.has(wanted) {
                canonical::write(sort, &[], key);
                if canonical::digest(content, key) {
                    self.probe_key(key, found);
                }
            }
        }
        if reading.has(Reading::EMAIL.and(Reading::SENDER))
            && let Some(at) = canonical::email(content, text)
        {
            canonical::write(Sort::Email, text.as_bytes(), key);
            self.probe_key(key, found);
            if reading.has(Reading::SENDER) {
                self.probe_domain(&text[at..], key, found);
            }
        }
        if reading.has(Reading::USER_AGENT) {
            canonical::write(Sort::UserAgent, content.as_bytes(), key);
            self.probe_key(key, found);
        }
        if reading.has(Reading::FILE_NAME) {
            canonical::file_name(content, text);
            canonical::write(Sort::FileName, text.as_bytes(), key);
            self.probe_key(key, found);
        }
    }

    fn probe_key(&self, key: &[u8], found: &mut impl FnMut(u32, bool, bool)) {
        if let Some(place) = self.keys.find(key) {
            found(place, false, self.allow.has_key(key));
        }
    }

    fn probe_host(
        &self,
        content: &str,
        key: &mut Vec<u8>,
        text: &mut String,
        found: &mut impl FnMut(u32, bool, bool),
    ) {
        if let Some(ip) = canonical::address(content) {
            self.keys.containing(ip, |place| found(place, false, self.allow.has_address(ip)));
        } else if canonical::domain(content, text) {
            self.probe_domain(text, key, found);
        }
    }

    fn probe_domain(&self, name: &str, key: &mut Vec<u8>, found: &mut impl FnMut(u32, bool, bool)) {
        for above in above(name) {
            canonical::write(Sort::Domain, above.as_bytes(), key);
            if let Some(place) = self.keys.find(key) {
                found(place, above.len() < name.len(), self.allow.has_domain(name));
            }
        }
    }

    /// Calls `found` with each key that `value`, whatever it is, carries, and whether it is
    /// allowed.
    pub(super) fn each_key_of(&self, value: &str, mut found: impl FnMut(u32, bool)) {
        let (mut key, mut text) = (Vec::new(), String::new());
        let all = event::IndicatorType::ALL;
        let every = all.iter().fold(Reading::NONE, |all, kind| all.and(Reading::of(*kind)));
        self.probe(every, value, &mut key, &mut text, &mut |place, _, allowed| {
            found(place, allowed);
        });
        // A network is no address that an event could have.
        if canonical::key(event::IndicatorType::Ip, value, &mut key).is_ok()
            && let Some(place) = self.keys.find(&key)
        {
            found(place, self.allow.has_key(&key));
        }
    }

    fn hits(&self, event: &Event, scratch: &mut IndicatorScratch, out: &mut Vec<IndicatorHit>) {
        scratch.found.sort_unstable();
        let first = out.len();
        for of_key in scratch.found.chunk_by(|a, b| a.place == b.place) {
            self.hits_of_key(event, of_key, out);
        }
        out[first..].sort_by(|a, b| order(&a.indicator).cmp(&order(&b.indicator)));
        if out.len() - first > HITS_MAX {
            scratch.left_out.cut += (out.len() - first - HITS_MAX) as u64;
            out.truncate(first + HITS_MAX);
        }
    }

    /// One hit for each source that holds the key of `found`.
    fn hits_of_key(&self, event: &Event, found: &[Found], out: &mut Vec<IndicatorHit>) {
        let Some(place) = found.first().map(|found| found.place) else { return };
        let mut held: Vec<&Detail> = self
            .details_of(place)
            .map(|(_, detail)| detail)
            .filter(|detail| detail.holds_at(event.timestamp()))
            .collect();
        // The best of each source first.
        held.sort_by_key(|detail| (detail.source, std::cmp::Reverse(detail.rank())));
        held.dedup_by_key(|detail| detail.source);
        for detail in held {
            let Some(source) = self.source(detail) else { continue };
            if !source.is_for(event.commune()) {
                continue;
            }
            let applies = |found: &&Found| source.subdomains || !found.below;
            let mut matched: Vec<MatchedField> = found
                .iter()
                .filter(applies)
                .filter_map(|found| event.iter().nth(found.value))
                .map(|(field, value)| MatchedField {
                    field: field.name().to_owned(),
                    value: value.to_text().chars().take(VALUE_CHARS_MAX).collect(),
                })
                .collect();
            matched.sort_unstable();
            matched.dedup();
            matched.truncate(MATCHED_MAX);
            if let (false, Some(indicator)) = (matched.is_empty(), self.describe(place, detail)) {
                let level = source.level.unwrap_or_else(|| level_of(detail.confidence()));
                out.push(IndicatorHit { indicator, level, matched });
            }
        }
    }
}

/// Detections of two kinds, each in the order of `events`, as one list in that order.
pub(crate) fn in_order(
    events: &[Arc<Event>],
    first: Vec<Detection>,
    second: Vec<Detection>,
) -> Vec<Detection> {
    if second.is_empty() {
        return first;
    }
    let mut merged = Vec::with_capacity(first.len() + second.len());
    let (mut first, mut second) = (first.into_iter().peekable(), second.into_iter().peekable());
    for event in events {
        let of_event = |detection: &Detection| detection.event_id == event.id();
        while let Some(detection) = first.next_if(of_event) {
            merged.push(detection);
        }
        while let Some(detection) = second.next_if(of_event) {
            merged.push(detection);
        }
    }
    merged
}

fn order(found: &IndicatorRef) -> (event::IndicatorType, &str, &str) {
    (found.indicator.kind, &found.indicator.value, found.source.as_str())
}

impl IndicatorHit {
    /// The detection on `event`, the one that the hit was found on.
    pub fn detection(self, event: &Event, now: Timestamp) -> Detection {
        let rule = self.indicator.rule_ref(self.level);
        Detection {
            id: DetectionId::of(&rule.id, event.id()),
            commune: event.commune().clone(),
            feed: event.feed().clone(),
            format: event.format().clone(),
            rule,
            event_id: event.id(),
            timestamp: event.timestamp(),
            received: event.received(),
            detected: now,
            entities: entities(event),
            matched: self.matched,
            indicator: Some(self.indicator),
            values: Vec::new(),
            correlation: None,
            event: event.to_json(),
        }
    }
}
