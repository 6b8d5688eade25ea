//! Whether an event answers a plan, by looking at it. For events that are in memory, and for
//! candidates that the index cannot decide.

use event::{Event, FieldId, ValueRef, fields};

use super::{
    glob::Glob,
    plan::{Leaf, Plan, is_text},
};
use crate::index::fold::{Words, fold_into};

/// Looks at events; reuses its buffers.
#[derive(Default)]
pub(crate) struct Matcher {
    folded: String,
    word: String,
}

impl Matcher {
    pub(crate) fn matches(&mut self, plan: &Plan, event: &Event) -> bool {
        match plan {
            Plan::All => true,
            Plan::Nothing => false,
            Plan::And(all) => all.iter().all(|plan| self.matches(plan, event)),
            Plan::Or(any) => any.iter().any(|plan| self.matches(plan, event)),
            Plan::Not(plan) => !self.matches(plan, event),
            Plan::Leaf(leaf) => self.leaf(leaf, event),
        }
    }

    pub(crate) fn leaf(&mut self, leaf: &Leaf, event: &Event) -> bool {
        match leaf {
            Leaf::Whole { field, folded } => {
                self.any_value(event, *field, |_, value| value == folded)
            }
            Leaf::Words { field, words } => {
                self.any_text(event, *field, |m, text| m.has(text, words))
            }
            Leaf::Fits { field, glob } => {
                self.any_value(event, *field, |_, value| glob.matches(value))
                    || is_text(*field)
                        && glob.is_word()
                        && self.any_text(event, *field, |m, text| m.word_fits(text, glob))
            }
            Leaf::Matches { field, regex } => {
                self.any_value(event, *field, |_, value| regex.matches(value))
            }
            Leaf::Exists { field: fields::EVENT_ORIGINAL } => true,
            Leaf::Exists { field } => self.any_value(event, *field, |_, _| true),
            Leaf::Within { field, bounds } => {
                self.any_value(event, *field, |_, value| bounds.hold(value))
            }
            Leaf::Time { field, from, to } => {
                let time =
                    if *field == fields::TIMESTAMP { event.timestamp() } else { event.received() };
                (*from..=*to).contains(&time.as_nanos())
            }
            Leaf::Id(id) => event.id() == *id,
            Leaf::Anywhere { words, folded } => {
                self.any_pair(event, |m, field, text| {
                    is_text(field) && m.has(text, words) || m.fold(text) == folded
                }) || self.any_text(event, fields::EVENT_ORIGINAL, |m, text| m.has(text, words))
            }
            Leaf::FitsAnywhere { glob } => {
                let word = glob.is_word();
                self.any_pair(event, |m, field, text| {
                    glob.matches(m.fold(text)) || word && is_text(field) && m.word_fits(text, glob)
                }) || word
                    && self
                        .any_text(event, fields::EVENT_ORIGINAL, |m, text| m.word_fits(text, glob))
            }
        }
    }

    fn fold(&mut self, text: &str) -> &str {
        self.folded.clear();
        fold_into(text, &mut self.folded);
        &self.folded
    }

    /// Whether any value of `field`, folded, passes.
    fn any_value(
        &mut self,
        event: &Event,
        field: FieldId,
        mut test: impl FnMut(&mut String, &str) -> bool,
    ) -> bool {
        event.iter().any(|(name, value)| {
            name == field && value != ValueRef::Null && {
                self.folded.clear();
                fold_into(&value.to_text(), &mut self.folded);
                test(&mut self.word, &self.folded)
            }
        })
    }

    /// Whether any text of `field`, as it is, passes; of `event.original` only where the record
    /// could not be decoded.
    fn any_text(
        &mut self,
        event: &Event,
        field: FieldId,
        mut test: impl FnMut(&mut Self, &str) -> bool,
    ) -> bool {
        if field == fields::EVENT_ORIGINAL {
            return event.is_pipeline_error() && test(self, &event.original_text());
        }
        event.iter().any(|(name, value)| {
            name == field && value != ValueRef::Null && test(self, &value.to_text())
        })
    }

    fn any_pair(
        &mut self,
        event: &Event,
        mut test: impl FnMut(&mut Self, FieldId, &str) -> bool,
    ) -> bool {
        event
            .iter()
            .any(|(name, value)| value != ValueRef::Null && test(self, name, &value.to_text()))
    }

    /// Whether `wanted` (not empty) stand one after another among the words of `text`.
    fn has(&mut self, text: &str, wanted: &[String]) -> bool {
        let mut from = Words::new(text);
        while from.next_into(&mut self.word).is_some() {
            if Some(&self.word) != wanted.first() {
                continue;
            }
            let mut ahead = from.clone();
            if wanted[1..]
                .iter()
                .all(|word| ahead.next_into(&mut self.word).is_some() && self.word == *word)
            {
                return true;
            }
        }
        false
    }

    fn word_fits(&mut self, text: &str, glob: &Glob) -> bool {
        let mut words = Words::new(text);
        while words.next_into(&mut self.word).is_some() {
            if glob.matches(&self.word) {
                return true;
            }
        }
        false
    }
}
