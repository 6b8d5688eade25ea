//! A plan over everything selected: in memory, in parts, in splits.

use std::sync::Arc;

use event::{Decode, Event, EventId, Timestamp};
use tantivy::SegmentReader;

use super::{
    budget::Budget,
    docs::Docs,
    evaluate::Evaluator,
    matches::Matcher,
    page::{Key, Newest},
    plan::Plan,
    stored::Events,
};
use crate::index::{document::whole, part::Part, schema::column, view::Hot};

/// Documents between two looks at the clock.
const CHECK_EVERY: usize = 4096;
/// Events between two looks at the clock.
const CHECK_EVENTS: usize = 256;

/// What to look for and how much of it.
pub(crate) struct Search<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) decode: &'a dyn Decode,
    pub(crate) budget: &'a Budget,
}

/// Where a hit is.
pub(crate) enum Place {
    Hot(Arc<Event>),
    /// Index into the parts, document.
    Part(usize, u32),
}

/// Why a search ended without an answer.
pub(crate) enum SearchError {
    TooLong,
    /// A stored event could not be read; says of which commune and why.
    Stored(String),
}

impl Search<'_> {
    /// Offers every hit to `newest` and returns how many there are. A part that cannot be
    /// searched is passed over and named in `failed`.
    pub(crate) fn run(
        &self,
        hot: &Hot,
        parts: &[Arc<Part>],
        newest: &mut Newest<Place>,
        failed: &mut Vec<(usize, tantivy::TantivyError)>,
    ) -> Result<u64, SearchError> {
        let mut total = self.hot(hot, newest)?;
        for (index, part) in parts.iter().enumerate() {
            match self.part(index, part, newest) {
                Ok(count) => total += count,
                Err(_) if self.budget.is_over() => return Err(SearchError::TooLong),
                Err(error) => failed.push((index, error)),
            }
        }
        Ok(total)
    }

    fn hot(&self, hot: &Hot, newest: &mut Newest<Place>) -> Result<u64, SearchError> {
        let mut total = 0;
        self.each_hot(hot, |event| {
            total += 1;
            let key = Key { time: event.timestamp(), id: event.id() };
            newest.offer(key, || Place::Hot(Arc::clone(event)));
        })?;
        Ok(total)
    }

    /// Every hit in memory.
    pub(super) fn each_hot(
        &self,
        hot: &Hot,
        mut each: impl FnMut(&Arc<Event>),
    ) -> Result<(), SearchError> {
        let mut matcher = Matcher::default();
        for (seen, event) in hot.iter().flat_map(|batch| batch.iter()).enumerate() {
            if seen % CHECK_EVENTS == 0 && self.budget.is_over() {
                return Err(SearchError::TooLong);
            }
            let time = event.timestamp();
            if (self.from..=self.to).contains(&time) && matcher.matches(self.plan, event) {
                each(event);
            }
        }
        Ok(())
    }

    /// The hits of a part.
    pub(super) fn docs(&self, part: &Part, segment: &SegmentReader) -> tantivy::Result<Docs> {
        let mut evaluator = Evaluator::new(part, segment, self.decode, self.budget)?;
        let all = Docs::all(segment.max_doc());
        let extent = part.extent();
        let mut found = evaluator.evaluate(self.plan, &all)?;
        if extent.min_time < self.from || extent.max_time > self.to {
            let mut inside = Docs::none(segment.max_doc());
            let (from, to) = (self.from.as_nanos(), self.to.as_nanos());
            evaluator.between(column::TIME, from, to, &found, &mut inside)?;
            found = inside;
        }
        Ok(found)
    }

    fn part(&self, index: usize, part: &Part, newest: &mut Newest<Place>) -> tantivy::Result<u64> {
        let Some(segment) = part.segment() else { return Ok(0) };
        let found = self.docs(part, segment)?;
        let times = segment.fast_fields().i64(column::TIME)?;
        let highs = segment.fast_fields().u64(column::ID_HIGH)?;
        let lows = segment.fast_fields().u64(column::ID_LOW)?;
        for (seen, doc) in found.iter().enumerate() {
            if seen % CHECK_EVERY == 0 {
                self.budget.check()?;
            }
            let time = Timestamp::from_nanos(times.first(doc).unwrap_or_default());
            if newest.wants(time) {
                let id = whole(
                    highs.first(doc).unwrap_or_default(),
                    lows.first(doc).unwrap_or_default(),
                );
                newest.offer(Key { time, id }, || Place::Part(index, doc));
            }
        }
        Ok(found.len())
    }

    /// The events at `places`, in their order.
    pub(crate) fn fetch(
        &self,
        parts: &[Arc<Part>],
        places: Vec<(Key, Place)>,
    ) -> Result<Vec<Event>, SearchError> {
        let mut events: Vec<Option<Event>> = Vec::new();
        events.resize_with(places.len(), || None);
        let mut stored: Vec<(usize, u32, usize)> = Vec::new();
        for (slot, (_, place)) in places.into_iter().enumerate() {
            match place {
                Place::Hot(event) => events[slot] = Some((*event).clone()),
                Place::Part(part, doc) => stored.push((part, doc, slot)),
            }
        }
        // In the order they are stored, each block is unpacked once.
        stored.sort_unstable();
        for of_part in stored.chunk_by(|a, b| a.0 == b.0) {
            let index = of_part[0].0;
            let failed = |error: tantivy::TantivyError| {
                SearchError::Stored(format!("an event of {}: {error}", parts[index].commune()))
            };
            let Some(segment) = parts[index].segment() else { continue };
            let mut reader = Events::open(segment, self.decode).map_err(failed)?;
            for (_, doc, slot) in of_part {
                if self.budget.is_over() {
                    return Err(SearchError::TooLong);
                }
                events[*slot] = Some(reader.get(*doc).map_err(failed)?);
            }
        }
        Ok(events.into_iter().flatten().collect())
    }
}

/// The event `id`, where it is among these.
pub(crate) fn by_id(
    id: EventId,
    hot: &Hot,
    parts: &[Arc<Part>],
    decode: &dyn Decode,
    budget: &Budget,
) -> tantivy::Result<Option<Event>> {
    if let Some(event) = hot.iter().flat_map(|batch| batch.iter()).find(|event| event.id() == id) {
        return Ok(Some((**event).clone()));
    }
    for part in parts {
        let Some(segment) = part.segment() else { continue };
        let evaluator = Evaluator::new(part, segment, decode, budget)?;
        let mut found = Docs::none(segment.max_doc());
        evaluator.id(id, &mut found)?;
        if let Some(doc) = found.iter().next() {
            return Events::open(segment, decode)?.get(doc).map(Some);
        }
    }
    Ok(None)
}
