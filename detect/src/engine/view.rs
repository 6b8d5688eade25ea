//! An event laid out for matching: values found by field, texts folded once.

use event::{Event, FieldId, ValueRef, fields};

use crate::fold::fold_into;

/// No value.
const NONE: u32 = u32::MAX;

/// Memory that is reused from event to event. One per thread; any engine may use it.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Counts events. What is marked with an older number is forgotten, so nothing has to be
    /// cleared in between.
    pub(super) generation: u32,
    /// By field: the generation and the first value.
    heads: Vec<(u32, u32)>,
    /// By value: the next value of the same field.
    nexts: Vec<u32>,
    /// By value: where its folded text is in `folded`.
    spans: Vec<(u32, u32)>,
    folded: String,
    /// Kept empty between events, for its allocation.
    values: Vec<ValueRef<'static>>,
    fields: Vec<FieldId>,
    /// By item: the generation it was answered in, doubled, and the answer in the last bit.
    memo: Vec<u32>,
    /// By rule: the generation in which it became a candidate.
    pub(super) seen: Vec<u32>,
    pub(super) candidates: Vec<u32>,
    /// Rules found in one value.
    pub(super) found: Vec<u32>,
}

impl Scratch {
    /// Empty memory; it grows to what the first events need.
    pub fn new() -> Self {
        Self::default()
    }
}

/// Gives `values` another lifetime; the allocation stays.
fn recycle<'b>(mut values: Vec<ValueRef<'_>>) -> Vec<ValueRef<'b>> {
    values.clear();
    // Collecting from the vector's own iterator into one of the same layout is done in place.
    values.into_iter().map(|_| ValueRef::Null).collect()
}

/// One event in a [`Scratch`].
pub(super) struct View<'e, 's> {
    pub(super) event: &'e Event,
    pub(super) scratch: &'s mut Scratch,
    values: Vec<ValueRef<'e>>,
}

impl<'e, 's> View<'e, 's> {
    /// Lays `event` out. Fields from `fields_max` on are in no rule and are left out of the
    /// index; `original` says whether some rule reads `event.original` as a field.
    pub(super) fn new(event: &'e Event, scratch: &'s mut Scratch, sizes: &Sizes) -> Self {
        // Doubled in `memo`, so half of the range; then everything is forgotten once.
        if scratch.generation >= u32::MAX / 2 - 1 {
            *scratch = Scratch::default();
        }
        scratch.generation += 1;
        scratch.heads.resize(scratch.heads.len().max(sizes.fields), (0, NONE));
        scratch.memo.resize(scratch.memo.len().max(sizes.items), 0);
        scratch.seen.resize(scratch.seen.len().max(sizes.rules), 0);
        scratch.candidates.clear();
        scratch.folded.clear();
        scratch.fields.clear();
        let mut values = recycle(std::mem::take(&mut scratch.values));
        for (field, value) in event.iter() {
            scratch.fields.push(field);
            values.push(value);
        }
        let members = [fields::TIMESTAMP, fields::EVENT_INGESTED, fields::EVENT_ORIGINAL];
        for field in &members[..if sizes.reads_original { 3 } else { 2 }] {
            if let Some(value) = event.get(*field) {
                scratch.fields.push(*field);
                values.push(value);
            }
        }
        scratch.spans.clear();
        scratch.spans.resize(values.len(), (NONE, 0));
        scratch.nexts.clear();
        scratch.nexts.resize(values.len(), NONE);
        // From the last to the first, so that each chain begins with the first value.
        for index in (0..values.len()).rev() {
            let Some(head) = scratch.heads.get_mut(scratch.fields[index].index()) else { continue };
            if head.0 == scratch.generation {
                scratch.nexts[index] = head.1;
            }
            *head = (scratch.generation, u32::try_from(index).unwrap_or(NONE));
        }
        View { event, scratch, values }
    }

    /// Gives the allocations back.
    pub(super) fn finish(self) {
        self.scratch.values = recycle(self.values);
    }

    /// How many of the values are entries of the event; the others are its members.
    pub(super) fn entries(&self) -> usize {
        self.event.iter().len()
    }

    pub(super) fn first(&self, field: FieldId) -> Option<usize> {
        match self.scratch.heads.get(field.index()) {
            Some((generation, head)) if *generation == self.scratch.generation && *head != NONE => {
                Some(*head as usize)
            }
            _ => None,
        }
    }

    pub(super) fn next(&self, index: usize) -> Option<usize> {
        match self.scratch.nexts.get(index) {
            Some(next) if *next != NONE => Some(*next as usize),
            _ => None,
        }
    }

    pub(super) fn value(&self, index: usize) -> ValueRef<'e> {
        self.values[index]
    }

    pub(super) fn field(&self, index: usize) -> FieldId {
        self.scratch.fields[index]
    }

    /// The folded text of a value, made on first use.
    pub(super) fn folded(&mut self, index: usize) -> &str {
        let (start, len) = match self.scratch.spans[index] {
            (NONE, _) => {
                let out = &mut self.scratch.folded;
                let start = out.len();
                match self.values[index] {
                    ValueRef::Str(text) => fold_into(text, out),
                    value => fold_into(&value.to_text(), out),
                }
                let span = (
                    u32::try_from(start).unwrap_or(NONE),
                    u32::try_from(out.len() - start).unwrap_or(0),
                );
                self.scratch.spans[index] = span;
                span
            }
            span => span,
        };
        self.scratch.folded.get(start as usize..(start + len) as usize).unwrap_or_default()
    }

    /// An answer given before on this event.
    pub(super) fn answer(&self, item: usize) -> Option<bool> {
        let memo = self.scratch.memo[item];
        (memo >> 1 == self.scratch.generation).then_some(memo & 1 == 1)
    }

    pub(super) fn remember(&mut self, item: usize, answer: bool) {
        self.scratch.memo[item] = self.scratch.generation << 1 | u32::from(answer);
    }
}

/// How large the tables of a [`Scratch`] must be for an engine.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sizes {
    /// Fields that rules read have an index below this.
    pub(super) fields: usize,
    pub(super) items: usize,
    pub(super) rules: usize,
    pub(super) reads_original: bool,
}
