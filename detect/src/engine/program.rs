//! All rules of some log sources as one search for their witnesses.

use std::collections::BTreeMap;

use event::FieldId;

use super::{
    slot::Slot,
    view::{Columns, View},
    witness::{Choice, Kind, Witness},
};

/// Texts to look for, how each must stand, and the rules that it makes candidates.
type Texts = BTreeMap<(Kind, String), Vec<u32>>;

/// The search for candidates among some rules.
#[derive(Debug, Default)]
pub(super) struct Program {
    slots: Vec<Slot>,
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
        for (fields, texts) in by_fields {
            let columns = fields.iter().filter_map(|field| columns.of(*field)).collect();
            program.slots.push(Slot::new(columns, texts));
        }
        program
    }

    /// Adds every rule that may hold on the event to the candidates, each once.
    pub(super) fn candidates(&self, view: &mut View<'_, '_>) {
        for place in &self.always {
            view.scratch.marks.add(*place);
        }
        for slot in &self.slots {
            slot.candidates(view);
        }
    }

    /// How many rules have no witness.
    pub(super) fn always(&self) -> usize {
        self.always.len()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.slots.iter().map(Slot::memory_bytes).sum::<usize>() + self.always.capacity() * 4
    }
}
