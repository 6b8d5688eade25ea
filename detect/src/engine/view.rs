//! An event laid out for matching: the values that rules read, by field, texts folded once.

use std::{cell::RefCell, fmt::Write as _};

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

/// A value of the event with what is known about it.
#[derive(Clone, Copy, Debug)]
struct Cell<'e> {
    value: ValueRef<'e>,
    field: FieldId,
    column: Column,
    form: Form,
    /// The next value of the same field.
    next: u32,
}

/// Memory that is reused from event to event. One per thread; any engine may use it.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Counts events. What is marked with an older number is forgotten, so nothing has to be
    /// cleared in between.
    generation: u32,
    chains: Vec<Chain>,
    folded: String,
    /// For texts that are folded to be searched once.
    pub(super) spare: String,
    /// Kept empty between events, for its allocation.
    cells: Vec<Cell<'static>>,
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
    /// By slot of the program that is being run: the run, and where the text is that was
    /// searched last.
    searched: Vec<(u64, usize, usize)>,
    run: u64,
}

impl Marks {
    /// Begins to run a program of so many slots.
    pub(super) fn begin(&mut self, slots: usize) {
        self.run += 1;
        grow(&mut self.searched, slots);
    }

    /// Whether the slot has not just searched this very text.
    ///
    /// Invariant: the same bytes hold the same witnesses, so an ECS copy that shares the
    /// bytes of the original need not be searched again.
    #[inline]
    pub(super) fn is_new(&mut self, slot: usize, text: &[u8]) -> bool {
        let now = (self.run, text.as_ptr().addr(), text.len());
        self.searched.get_mut(slot).is_none_or(|last| std::mem::replace(last, now) != now)
    }

    /// Makes a rule a candidate, once.
    #[inline]
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

    /// Runs `run` with this thread's own memory, which lasts as long as the thread: batches are
    /// split into more tasks than there are threads, and none has to begin with empty tables.
    pub fn of_thread<R>(run: impl FnOnce(&mut Self) -> R) -> R {
        thread_local! {
            static OF_THREAD: RefCell<Scratch> = RefCell::default();
        }
        OF_THREAD.with(|scratch| match scratch.try_borrow_mut() {
            Ok(mut scratch) => run(&mut scratch),
            // Only where `run` comes here again.
            Err(_) => run(&mut Self::new()),
        })
    }
}

/// Gives `cells` another lifetime; the allocation stays.
fn recycle<'b>(mut cells: Vec<Cell<'_>>) -> Vec<Cell<'b>> {
    cells.clear();
    // Collecting from the vector's own iterator into one of the same layout is done in place.
    cells.into_iter().map(|cell| Cell { value: ValueRef::Null, ..cell }).collect()
}

/// One event in a [`Scratch`].
pub(super) struct View<'e, 's> {
    pub(super) event: &'e Event,
    pub(super) scratch: &'s mut Scratch,
    cells: Vec<Cell<'e>>,
    /// How many of the cells are of fields that have a column.
    read: usize,
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
        let cells = recycle(std::mem::take(&mut scratch.cells));
        let mut view = View { event, scratch, cells, read: 0 };
        for member in &columns.members {
            if let (Some(value), Some(column)) = (event.get(*member), columns.of(*member)) {
                view.push(*member, column, value);
            }
        }
        for (index, field) in event.fields().iter().enumerate() {
            if let Some(column) = columns.of(*field)
                && let Some(value) = event.value_at(index)
            {
                view.push(*field, column, value);
            }
        }
        view.read = view.cells.len();
        view
    }

    fn push(&mut self, field: FieldId, column: Column, value: ValueRef<'e>) {
        let generation = self.scratch.generation;
        let Some(chain) = self.scratch.chains.get_mut(usize::from(column)) else { return };
        let index = u32::try_from(self.cells.len()).unwrap_or(NONE);
        if chain.generation == generation {
            self.cells[chain.last as usize].next = index;
            chain.last = index;
        } else {
            *chain = Chain { generation, first: index, last: index };
        }
        self.cells.push(Cell { value, field, column, form: Form::Unknown, next: NONE });
    }

    /// Gives the allocations back.
    pub(super) fn finish(self) {
        self.scratch.cells = recycle(self.cells);
    }

    /// How many values of fields there are that rules read.
    pub(super) fn read(&self) -> usize {
        self.read
    }

    /// The places of all the event's entries, whatever their field.
    pub(super) fn everything(&mut self) -> std::ops::Range<usize> {
        if self.cells.len() == self.read {
            self.cells.extend(self.event.iter().map(|(field, value)| Cell {
                value,
                field,
                column: 0,
                form: Form::Unknown,
                next: NONE,
            }));
        }
        self.read..self.cells.len()
    }

    #[inline]
    pub(super) fn column(&self, index: usize) -> Column {
        self.cells[index].column
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
        match self.cells.get(index) {
            Some(cell) if cell.next != NONE => Some(cell.next as usize),
            _ => None,
        }
    }

    #[inline]
    pub(super) fn value(&self, index: usize) -> ValueRef<'e> {
        self.cells[index].value
    }

    pub(super) fn field(&self, index: usize) -> FieldId {
        self.cells[index].field
    }

    /// The text of a value as needles are searched in it, and where candidates are put.
    pub(super) fn searched(&mut self, index: usize) -> (&[u8], &mut Marks) {
        let cell = &mut self.cells[index];
        if let ValueRef::Str(text) = cell.value {
            if matches!(cell.form, Form::Unknown) && text.is_ascii() {
                cell.form = Form::Ascii;
            }
            if matches!(cell.form, Form::Ascii) {
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
        if let Form::Folded(from, to) = self.cells[index].form {
            return (from as usize, to as usize);
        }
        let out = &mut self.scratch.folded;
        let from = out.len();
        // Written as `ValueRef::to_text` writes them, without an allocation of its own; writing
        // to a String cannot fail.
        let _ = match self.cells[index].value {
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
        self.cells[index].form =
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
