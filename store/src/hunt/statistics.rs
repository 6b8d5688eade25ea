//! What all events of a hunt have in common: how many when, and which values most often.
//!
//! Counts are exact. The values of a field are terms of every part, sorted alike, so they are met
//! value by value over all parts at once: memory is for the values that are shown, however many there
//! are.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use event::{Event, FieldId, Timestamp, ValueRef};
use tantivy::{
    InvertedIndexReader,
    postings::TermInfo,
    schema::{Field, IndexRecordOption},
    termdict::TermStreamer,
};

use super::{
    FieldStatistics, Histogram, Interval,
    docs::Docs,
    evaluate::Evaluator,
    search::{Search, SearchError},
    stored::Events,
};
use crate::index::{
    document::SEPARATOR,
    fold::{fold, fold_into},
    part::Part,
    schema::{EventSchema, KEYWORD_BYTES_MAX, column},
    view::Hot,
};

/// Bars that a histogram has at most, and those that it has about where it chooses.
pub(super) const BUCKETS_MAX: usize = 10_000;
const BUCKETS_CHOSEN: i64 = 100;
/// Terms or documents between two looks at the clock.
const CHECK_EVERY: usize = 1024;

/// Steps that a histogram chooses from, in seconds.
const STEPS_S: &[i64] = &[
    1, 5, 10, 30, 60, 300, 600, 1_800, 3_600, 10_800, 43_200, 86_400, 604_800, 2_592_000,
    31_536_000,
];

/// All that a hunt finds.
pub(super) struct Found {
    hot: Vec<Arc<Event>>,
    /// By part.
    docs: Vec<Docs>,
}

impl Found {
    pub(super) fn total(&self) -> u64 {
        self.hot.len() as u64 + self.docs.iter().map(Docs::len).sum::<u64>()
    }
}

impl Search<'_> {
    /// All hits. A part that cannot be searched is passed over and named in `failed`.
    pub(super) fn all(
        &self,
        hot: &Hot,
        parts: &[Arc<Part>],
        failed: &mut Vec<(usize, tantivy::TantivyError)>,
    ) -> Result<Found, SearchError> {
        let mut found = Found { hot: Vec::new(), docs: Vec::with_capacity(parts.len()) };
        self.each_hot(hot, |event| found.hot.push(Arc::clone(event)))?;
        for (index, part) in parts.iter().enumerate() {
            let docs = match part.segment() {
                None => Docs::none(0),
                Some(segment) => match self.docs(part, segment) {
                    Ok(docs) => docs,
                    Err(_) if self.budget.is_over() => return Err(SearchError::TooLong),
                    Err(error) => {
                        failed.push((index, error));
                        Docs::none(segment.max_doc())
                    }
                },
            };
            found.docs.push(docs);
        }
        Ok(found)
    }

    /// The earliest and the latest time of `found`.
    pub(super) fn extent(
        &self,
        parts: &[Arc<Part>],
        found: &Found,
    ) -> Result<Option<(Timestamp, Timestamp)>, SearchError> {
        let mut extent: Option<(i64, i64)> = None;
        self.times(parts, found, |time| {
            let (first, last) = extent.unwrap_or((time, time));
            extent = Some((first.min(time), last.max(time)));
        })?;
        let at = Timestamp::from_nanos;
        Ok(extent.map(|(first, last)| (at(first), at(last))))
    }

    /// How many of `found` there are when.
    pub(super) fn histogram(
        &self,
        parts: &[Arc<Part>],
        found: &Found,
        extent: (Timestamp, Timestamp),
        interval: Interval,
    ) -> Result<Histogram, HistogramError> {
        let (first, last) = (extent.0.as_nanos(), extent.1.as_nanos());
        let step = match interval {
            Interval::Every(every) => i64::try_from(every.as_nanos()).unwrap_or(i64::MAX).max(1),
            Interval::Chosen => chosen(last.saturating_sub(first)),
        };
        let (begin, end) = (first.div_euclid(step), last.div_euclid(step));
        let bars = usize::try_from(end.saturating_sub(begin)).unwrap_or(usize::MAX);
        if bars >= BUCKETS_MAX {
            return Err(HistogramError::TooMany);
        }
        let mut counts = vec![0u64; bars + 1];
        self.times(parts, found, |time| {
            let bar = usize::try_from(time.div_euclid(step) - begin).unwrap_or_default();
            if let Some(count) = counts.get_mut(bar) {
                *count += 1;
            }
        })
        .map_err(HistogramError::Search)?;
        let buckets = (begin..)
            .zip(counts)
            .map(|(bar, count)| (Timestamp::from_nanos(bar.saturating_mul(step)), count))
            .collect();
        Ok(Histogram { interval: Duration::from_nanos(step.unsigned_abs()), buckets })
    }

    fn times(
        &self,
        parts: &[Arc<Part>],
        found: &Found,
        mut each: impl FnMut(i64),
    ) -> Result<(), SearchError> {
        found.hot.iter().for_each(|event| each(event.timestamp().as_nanos()));
        for (part, docs) in parts.iter().zip(&found.docs) {
            let Some(segment) = part.segment() else { continue };
            let times = segment.fast_fields().i64(column::TIME).map_err(|e| stored(part, &e))?;
            for (seen, doc) in docs.iter().enumerate() {
                if seen % (16 * CHECK_EVERY) == 0 && self.budget.is_over() {
                    return Err(SearchError::TooLong);
                }
                each(times.first(doc).unwrap_or_default());
            }
        }
        Ok(())
    }

    /// The values of `field` among `found`, and the `top` most frequent ones.
    pub(super) fn values(
        &self,
        parts: &[Arc<Part>],
        found: &Found,
        field: FieldId,
        top: usize,
    ) -> Result<FieldStatistics, SearchError> {
        let mut statistics =
            FieldStatistics { field: field.name().to_owned(), ..Default::default() };
        let mut best = Best::new(top);
        let mut hot = hot_values(&found.hot, field, &mut statistics);

        let schema = EventSchema::get();
        let mut readers = Vec::new();
        for ((index, part), docs) in parts.iter().enumerate().zip(&found.docs) {
            let Some(segment) = part.segment().filter(|_| !docs.is_empty()) else { continue };
            let open = |of: Field| segment.inverted_index(of).map_err(|e| stored(part, &e));
            let having = Docs::none(segment.max_doc());
            readers.push(Reader {
                index,
                part,
                docs,
                having,
                keyword: open(schema.keyword)?,
                long: open(schema.long)?,
            });
        }
        let terms: Vec<_> = readers.iter().map(|reader| Arc::clone(&reader.keyword)).collect();
        let mut walk = Walk::new(&terms, field).map_err(|(at, e)| stored(readers[at].part, &e))?;
        let name_len = field.name().len() + SEPARATOR.len_utf8();
        let mut met = 0;
        let mut key = Vec::new();
        while walk.next(&mut key) {
            met += 1;
            if met % CHECK_EVERY == 0 && self.budget.is_over() {
                return Err(SearchError::TooLong);
            }
            let value = std::str::from_utf8(&key[name_len..]).unwrap_or_default();
            let (mut count, mut place) = (0, None);
            for (at, info) in &walk.here {
                let reader = &mut readers[*at];
                let (more, first) =
                    reader.count(info).map_err(|error| stored(reader.part, &error))?;
                count += more;
                place = place.or(first.map(|doc| Where::Part(reader.index, doc)));
            }
            if let Some((more, original)) = hot.remove(value) {
                count += more;
                place = Some(Where::Known(original));
            }
            if let Some(place) = place {
                statistics.distinct += 1;
                best.offer(count, value, || place);
            }
        }
        for (value, (count, original)) in hot {
            statistics.distinct += 1;
            best.offer(count, &value, || Where::Known(original));
        }
        for reader in &mut readers {
            let longer = reader.longer(field).map_err(|error| stored(reader.part, &error))?;
            statistics.longer += longer.len();
            statistics.events += std::mem::take(&mut reader.having).or(&longer).len();
        }
        statistics.values = self.spelled(parts, field, best)?;
        Ok(statistics)
    }

    /// The values of `best` as an event that has them spells them; terms are folded.
    fn spelled(
        &self,
        parts: &[Arc<Part>],
        field: FieldId,
        best: Best,
    ) -> Result<Vec<(String, u64)>, SearchError> {
        let mut values = Vec::new();
        for (count, folded, place) in best.into_sorted() {
            if self.budget.is_over() {
                return Err(SearchError::TooLong);
            }
            let value = match place {
                Where::Known(original) => original,
                Where::Part(index, doc) => {
                    let part = &parts[index];
                    let Some(segment) = part.segment() else { continue };
                    let event = Events::open(segment, self.decode)
                        .and_then(|mut events| events.get(doc))
                        .map_err(|error| stored(part, &error))?;
                    // A format that changed since decodes it otherwise: then the term stands.
                    values_of(&event, field).find(|text| fold(text) == folded).unwrap_or(folded)
                }
            };
            values.push((value, count));
        }
        Ok(values)
    }
}

/// Why there is no histogram.
pub(super) enum HistogramError {
    /// More bars than [`BUCKETS_MAX`].
    TooMany,
    Search(SearchError),
}

/// About a hundred bars.
fn chosen(span_ns: i64) -> i64 {
    let second = 1_000_000_000;
    let fits = STEPS_S.iter().find(|step| span_ns / (*step * second) < BUCKETS_CHOSEN);
    fits.or(STEPS_S.last()).copied().unwrap_or(1) * second
}

fn values_of(event: &Event, field: FieldId) -> impl Iterator<Item = String> {
    event
        .iter()
        .filter(move |(name, value)| *name == field && *value != ValueRef::Null)
        .map(|(_, value)| value.to_text().into_owned())
}

/// The values of events in memory: how many have each, and how one spells it.
fn hot_values(
    hot: &[Arc<Event>],
    field: FieldId,
    statistics: &mut FieldStatistics,
) -> HashMap<String, (u64, String)> {
    let mut values: HashMap<String, (u64, String)> = HashMap::new();
    let (mut folded, mut seen) = (String::new(), HashSet::new());
    for event in hot {
        seen.clear();
        let (mut has, mut has_longer) = (false, false);
        for text in values_of(event, field) {
            has = true;
            folded.clear();
            fold_into(&text, &mut folded);
            if folded.len() > KEYWORD_BYTES_MAX {
                has_longer = true;
            } else if seen.insert(folded.clone()) {
                values.entry(folded.clone()).or_insert((0, text)).0 += 1;
            }
        }
        statistics.events += u64::from(has);
        statistics.longer += u64::from(has_longer);
    }
    values
}

fn stored(part: &Part, error: &dyn std::fmt::Display) -> SearchError {
    SearchError::Stored(format!("events of {}: {error}", part.commune()))
}

/// One part while its terms are walked.
struct Reader<'a> {
    index: usize,
    part: &'a Part,
    docs: &'a Docs,
    /// Those of `docs` that were met with a value.
    having: Docs,
    keyword: Arc<InvertedIndexReader>,
    long: Arc<InvertedIndexReader>,
}

impl Reader<'_> {
    /// How many of the documents have the term, and the first of them.
    fn count(&mut self, info: &TermInfo) -> tantivy::Result<(u64, Option<u32>)> {
        let mut postings =
            self.keyword.read_block_postings_from_terminfo(info, IndexRecordOption::Basic)?;
        let (mut count, mut first) = (0, None);
        while !postings.docs().is_empty() {
            for doc in postings.docs() {
                if self.docs.contains(*doc) {
                    count += 1;
                    first = first.or(Some(*doc));
                    self.having.insert(*doc);
                }
            }
            postings.advance();
        }
        Ok((count, first))
    }

    /// Those of the documents with a value that is too long to be a term.
    fn longer(&self, field: FieldId) -> tantivy::Result<Docs> {
        let mut found = Docs::none(self.part.segment().map_or(0, |segment| segment.max_doc()));
        Evaluator::add_term(&self.long, field.name().as_bytes(), &mut found)?;
        Ok(found.and(self.docs))
    }
}

/// The terms of a field over several parts, each once, sorted.
struct Walk<'a> {
    streams: Vec<TermStreamer<'a>>,
    /// Where streams stand, the lowest term first.
    at: BinaryHeap<Reverse<(Vec<u8>, usize)>>,
    /// The streams that had the last term, and what they say of it.
    here: Vec<(usize, TermInfo)>,
}

impl<'a> Walk<'a> {
    fn new(
        terms: &'a [Arc<InvertedIndexReader>],
        field: FieldId,
    ) -> Result<Self, (usize, std::io::Error)> {
        let from = format!("{}{SEPARATOR}", field.name());
        let below = format!("{}\u{1}", field.name());
        let (mut streams, mut at) = (Vec::new(), BinaryHeap::new());
        for (index, inverted) in terms.iter().enumerate() {
            let range = inverted.terms().range().ge(from.as_bytes()).lt(below.as_bytes());
            let mut stream = range.into_stream().map_err(|error| (index, error))?;
            if stream.advance() {
                at.push(Reverse((stream.key().to_vec(), index)));
            }
            streams.push(stream);
        }
        Ok(Self { streams, at, here: Vec::new() })
    }

    /// Puts the next term into `key`; false where there is none.
    fn next(&mut self, key: &mut Vec<u8>) -> bool {
        self.here.clear();
        let Some(Reverse((lowest, _))) = self.at.peek() else { return false };
        key.clone_from(lowest);
        while let Some(mut top) = self.at.peek_mut() {
            let Reverse((term, index)) = &mut *top;
            if term != key {
                break;
            }
            let stream = &mut self.streams[*index];
            self.here.push((*index, stream.value().clone()));
            if stream.advance() {
                term.clear();
                term.extend_from_slice(stream.key());
            } else {
                std::collections::binary_heap::PeekMut::pop(top);
            }
        }
        true
    }
}

/// Where a value can be read as it was written.
enum Where {
    Known(String),
    /// Index into the parts, document.
    Part(usize, u32),
}

/// The most frequent values; of equally frequent ones those that sort first.
struct Best {
    limit: usize,
    /// By count, then value from the last: the first is the next to go.
    kept: BTreeMap<(u64, Reverse<String>), Where>,
}

impl Best {
    const fn new(limit: usize) -> Self {
        Self { limit, kept: BTreeMap::new() }
    }

    fn offer(&mut self, count: u64, value: &str, place: impl FnOnce() -> Where) {
        if self.kept.len() >= self.limit {
            let Some(least) = self.kept.first_entry() else { return };
            let (least_count, Reverse(least_value)) = least.key();
            if (count, Reverse(value)) <= (*least_count, Reverse(least_value.as_str())) {
                return;
            }
            least.remove();
        }
        self.kept.insert((count, Reverse(value.to_owned())), place());
    }

    /// The most frequent first.
    fn into_sorted(self) -> impl Iterator<Item = (u64, String, Where)> {
        self.kept.into_iter().rev().map(|((count, Reverse(value)), place)| (count, value, place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_gives_about_a_hundred_bars() {
        let second = 1_000_000_000;
        for (span_s, step_s) in [
            (0, 1),
            (99, 1),
            (100, 5),
            (3_600, 60),
            (86_400, 1_800),
            (7 * 86_400, 10_800),
            (90 * 86_400, 86_400),
        ] {
            assert_eq!(chosen(span_s * second), step_s * second, "{span_s}");
        }
        assert_eq!(chosen(i64::MAX), 31_536_000 * second);
    }

    #[test]
    fn the_best_are_kept_in_a_fixed_order() {
        let mut best = Best::new(3);
        for (count, value) in [(1, "a"), (5, "b"), (2, "c"), (2, "a2"), (5, "a"), (2, "b2")] {
            best.offer(count, value, || Where::Known(value.to_owned()));
        }
        let kept: Vec<_> = best.into_sorted().map(|(count, value, _)| (count, value)).collect();
        assert_eq!(kept, [(5, "a".to_owned()), (5, "b".to_owned()), (2, "a2".to_owned())]);
        let mut none = Best::new(0);
        none.offer(1, "a", || Where::Known("a".to_owned()));
        assert_eq!(none.into_sorted().count(), 0);
    }
}
