//! All rules of some log sources as one search for their witnesses.

use std::collections::BTreeMap;

use event::FieldId;

use super::{
    slot::Slot,
    view::{Column, Columns, View},
    witness::{Choice, Kind, Witness},
};

/// Texts to look for, how each must stand, and the rules that it makes candidates.
type Texts = BTreeMap<(Kind, String), Vec<u32>>;

/// The search for candidates among some rules.
#[derive(Debug, Default)]
pub(super) struct Program {
    slots: Vec<Slot>,
    /// By column: where its slots begin in `slots_of`; one more at the end. Empty where no
    /// slot is about a field.
    starts: Box<[u16]>,
    /// Numbers of slots, column by column.
    slots_of: Box<[u16]>,
    /// What is looked for in every value and the record itself.
    anywhere: Vec<Slot>,
    /// Rules without a witness, which are candidates on every event.
    always: Vec<u32>,
}

impl Program {
    /// Compiles rules, each by its place and with its witnesses, if it has any.
    pub(super) fn new<'r>(
        rules: impl Iterator<Item = (u32, Option<&'r Choice>)>,
        columns: &Columns,
    ) -> Self {
        let mut program = Self::default();
        let mut by_fields: BTreeMap<&[FieldId], Texts> = BTreeMap::new();
        for (place, choice) in rules {
            let Some(choice) = choice else {
                program.always.push(place);
                continue;
            };
            for Witness { fields, kind, text } in &choice.witnesses {
                let texts = by_fields.entry(fields.as_slice()).or_default();
                let places = texts.entry((*kind, text.clone())).or_default();
                if places.last() != Some(&place) {
                    places.push(place);
                }
            }
        }
        let mut pairs: Vec<(Column, u16)> = Vec::new();
        for (fields, texts) in by_fields {
            let number = u16::try_from(program.slots.len());
            match number {
                Ok(number) if !fields.is_empty() => {
                    let columns = fields.iter().filter_map(|field| columns.of(*field));
                    pairs.extend(columns.map(|column| (column, number)));
                    program.slots.push(Slot::new(texts));
                }
                Ok(_) => program.anywhere.push(Slot::new(texts)),
                // More slots than numbers cost speed, not matches.
                Err(_) => program.always.extend(texts.into_values().flatten()),
            }
        }
        program.index(pairs);
        program.always.sort_unstable();
        program.always.dedup();
        program
    }

    fn index(&mut self, mut pairs: Vec<(Column, u16)>) {
        pairs.sort_unstable();
        let columns = pairs.last().map_or(0, |(column, _)| usize::from(*column) + 1);
        // What lies beyond 2¹⁶ is kept from the table and looked for on every event.
        let late = pairs.split_off(pairs.len().min(usize::from(u16::MAX)));
        for (_, slot) in late {
            self.always.extend(self.slots[usize::from(slot)].rules());
        }
        let mut starts = Vec::with_capacity(columns + 1);
        for column in 0..=columns {
            let before = pairs.partition_point(|(other, _)| usize::from(*other) < column);
            starts.push(u16::try_from(before).unwrap_or(u16::MAX));
        }
        self.starts = starts.into();
        self.slots_of = pairs.into_iter().map(|(_, slot)| slot).collect();
    }

    /// Adds every rule that may hold on the event to the candidates, each once.
    pub(super) fn candidates(&self, view: &mut View<'_, '_>) {
        for place in &self.always {
            view.scratch.marks.add(*place);
        }
        view.scratch.marks.begin(self.slots.len());
        for index in 0..view.read() {
            let column = usize::from(view.column(index));
            let Some([from, to]) = self.starts.get(column..column + 2) else { continue };
            let slots = &self.slots_of[usize::from(*from)..usize::from(*to)];
            if slots.is_empty() {
                continue;
            }
            let (text, marks) = view.searched(index);
            for number in slots {
                let number = usize::from(*number);
                let slot = &self.slots[number];
                slot.found_present(marks);
                if marks.is_new(number, text) {
                    slot.search(text, marks);
                }
            }
        }
        for slot in &self.anywhere {
            slot.candidates_anywhere(view);
        }
    }

    /// How many rules have no witness.
    pub(super) fn always(&self) -> usize {
        self.always.len()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let slots = self.slots.iter().chain(&self.anywhere);
        slots.map(Slot::memory_bytes).sum::<usize>()
            + self.always.capacity() * 4
            + size_of_val(&*self.starts)
            + size_of_val(&*self.slots_of)
    }
}
