//! An event laid out for matching: the values that rules read, by field, texts folded once.

use std::fmt::Write as _;

use event::{Event, FieldId, ValueRef, fields};

use crate::fold::fold_into;

/// No value.
const NONE: u32 = u32::MAX;

/// Fields that rules read, numbered densely, so that an event's other fields cost a look at
/// one table and nothing more.
#[derive(Debug, Default)]
pub(super) struct Columns {
    /// By field: its column, counted from 1; 0 for a field that no rule reads.
    by_field: Box<[u16]>,
    count: usize,
    /// Members of the event that some rule reads as fields.
    members: Vec<FieldId>,
}

/// The number of a field that rules read.
pub(super) type Column = u16;

impl Columns {
    /// For these fields; there are fewer than 2¹⁶, as there are names.
    pub(super) fn new(read: impl Iterator<Item = FieldId> + Clone) -> Self {
        let size = read.clone().map(|field| field.index() + 1).max().unwrap_or(0);
        let mut columns = Self { by_field: vec![0; size].into(), ..Self::default() };
        for field in read {
            let column = &mut columns.by_field[field.index()];
            if *column == 0 {
                columns.count += 1;
                *column = u16::try_from(columns.count).unwrap_or(0);
                if [fields::TIMESTAMP, fields::EVENT_INGESTED, fields::EVENT_ORIGINAL]
                    .contains(&field)
                {
                    columns.members.push(field);
                }
            }
        }
        columns
    }

    /// The column of a field that some rule reads.
    pub(super) fn of(&self, field: FieldId) -> Option<Column> {
        self.by_field.get(field.index()).and_then(|column| column.checked_sub(1))
    }

    pub(super) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.by_field)
    }
}

/// The values of a field, in a chain.
#[derive(Clone, Copy, Debug, Default)]
struct Chain {
    /// The event it is about; of an older one, it is empty.
    generation: u32,
    first: u32,
    last: u32,
}

/// What is known about the text of a value.
#[derive(Clone, Copy, Debug)]
enum Form {
    Unknown,
    /// ASCII, so it is searched as it is.
    Ascii,
    /// Folded at this place.
    Folded(u32, u32),
}

/// Memory that is reused from event to event. One per thread; any engine may use it.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Counts events. What is marked with an older number is forgotten, so nothing has to be
    /// cleared in between.
    generation: u32,
    chains: Vec<Chain>,
    /// By value: the next value of the same field.
    nexts: Vec<u32>,
    forms: Vec<Form>,
    folded: String,
    /// Kept empty between events, for its allocation.
    values: Vec<ValueRef<'static>>,
    fields: Vec<FieldId>,
    /// By item: the generation it was answered in, doubled, and the answer in the last bit.
    memo: Vec<u32>,
    pub(super) marks: Marks,
}

/// The rules that may hold.
#[derive(Debug, Default)]
pub(super) struct Marks {
    generation: u32,
    /// By rule: the generation in which it became a candidate.
    seen: Vec<u32>,
    pub(super) candidates: Vec<u32>,
}

impl Marks {
    /// Makes a rule a candidate, once.
    pub(super) fn add(&mut self, rule: u32) {
        if let Some(seen) = self.seen.get_mut(rule as usize)
            && *seen != self.generation
        {
            *seen = self.generation;
            self.candidates.push(rule);
        }
    }
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
    /// Where all the event's entries begin among the values, once something asked for them.
    everything: Option<usize>,
}

/// How large the tables of a [`Scratch`] must be for an engine.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sizes {
    pub(super) items: usize,
    pub(super) rules: usize,
}

impl<'e, 's> View<'e, 's> {
    /// Lays `event` out: the values of all fields that have a column.
    pub(super) fn new(
        event: &'e Event,
        scratch: &'s mut Scratch,
        columns: &Columns,
        sizes: Sizes,
    ) -> Self {
        // Doubled in `memo`, so half of the range; then everything is forgotten once.
        if scratch.generation >= u32::MAX / 2 - 1 {
            *scratch = Scratch::default();
        }
        scratch.generation += 1;
        scratch.marks.generation = scratch.generation;
        grow(&mut scratch.chains, columns.count);
        grow(&mut scratch.memo, sizes.items);
        grow(&mut scratch.marks.seen, sizes.rules);
        scratch.marks.candidates.clear();
        scratch.folded.clear();
        scratch.fields.clear();
        scratch.nexts.clear();
        scratch.forms.clear();
        let values = recycle(std::mem::take(&mut scratch.values));
        let mut view = View { event, scratch, values, everything: None };
        for member in &columns.members {
            if let (Some(value), Some(column)) = (event.get(*member), columns.of(*member)) {
                view.push(*member, column, value);
            }
        }
        for (field, value) in event.iter() {
            if let Some(column) = columns.of(field) {
                view.push(field, column, value);
            }
        }
        view
    }

    fn push(&mut self, field: FieldId, column: Column, value: ValueRef<'e>) {
        let Scratch { generation, chains, nexts, forms, fields, .. } = &mut *self.scratch;
        let Some(chain) = chains.get_mut(usize::from(column)) else { return };
        let index = u32::try_from(self.values.len()).unwrap_or(NONE);
        if chain.generation == *generation {
            nexts[chain.last as usize] = index;
            chain.last = index;
        } else {
            *chain = Chain { generation: *generation, first: index, last: index };
        }
        nexts.push(NONE);
        forms.push(Form::Unknown);
        fields.push(field);
        self.values.push(value);
    }

    /// Gives the allocations back.
    pub(super) fn finish(self) {
        self.scratch.values = recycle(self.values);
    }

    /// The places of all the event's entries, whatever their field.
    pub(super) fn everything(&mut self) -> std::ops::Range<usize> {
        let from = *self.everything.get_or_insert_with(|| {
            let from = self.values.len();
            for (field, value) in self.event.iter() {
                self.scratch.nexts.push(NONE);
                self.scratch.forms.push(Form::Unknown);
                self.scratch.fields.push(field);
                self.values.push(value);
            }
            from
        });
        from..self.values.len()
    }

    pub(super) fn first(&self, column: Column) -> Option<usize> {
        match self.scratch.chains.get(usize::from(column)) {
            Some(chain) if chain.generation == self.scratch.generation => {
                Some(chain.first as usize)
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

    /// The text of a value as needles are searched in it, and where candidates are put.
    pub(super) fn searched(&mut self, index: usize) -> (&[u8], &mut Marks) {
        if let ValueRef::Str(text) = self.values[index] {
            let form = &mut self.scratch.forms[index];
            if matches!(form, Form::Unknown) && text.is_ascii() {
                *form = Form::Ascii;
            }
            if matches!(form, Form::Ascii) {
                return (text.as_bytes(), &mut self.scratch.marks);
            }
        }
        let (from, to) = self.fold(index);
        let Scratch { folded, marks, .. } = &mut *self.scratch;
        (&folded.as_bytes()[from..to], marks)
    }

    /// The folded text of a value, made on first use.
    pub(super) fn folded(&mut self, index: usize) -> &str {
        let (from, to) = self.fold(index);
        self.scratch.folded.get(from..to).unwrap_or_default()
    }

    fn fold(&mut self, index: usize) -> (usize, usize) {
        if let Form::Folded(from, to) = self.scratch.forms[index] {
            return (from as usize, to as usize);
        }
        let out = &mut self.scratch.folded;
        let from = out.len();
        // Written as `ValueRef::to_text` writes them, without an allocation of its own; writing
        // to a String cannot fail.
        let _ = match self.values[index] {
            ValueRef::Str(text) => {
                fold_into(text, out);
                Ok(())
            }
            ValueRef::I64(n) => write!(out, "{n}"),
            ValueRef::U64(n) => write!(out, "{n}"),
            value => {
                fold_into(&value.to_text(), out);
                Ok(())
            }
        };
        let to = out.len();
        self.scratch.forms[index] =
            Form::Folded(u32::try_from(from).unwrap_or(NONE), u32::try_from(to).unwrap_or(NONE));
        (from, to)
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

fn grow<T: Clone + Default>(table: &mut Vec<T>, size: usize) {
    if table.len() < size {
        table.resize(size, T::default());
    }
}
