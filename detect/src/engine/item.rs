//! Items compiled: one answer per event, however many rules ask.

use event::{FieldId, ValueRef};
use regex::Regex;
use std::sync::Arc;

use super::{matcher::Matcher, view::View};
use crate::{
    eval,
    expr::{Item, Target},
    test::{FieldRef, Test},
};

/// An item with its tests in their fastest form.
#[derive(Debug)]
pub(super) struct Compiled {
    /// `None` for keywords.
    fields: Option<Box<[FieldId]>>,
    tests: Box<[Probe]>,
}

#[derive(Debug)]
enum Probe {
    /// On the folded text.
    Folded(Matcher),
    /// On the text as it is.
    Cased(Matcher),
    Regex(Arc<Regex>),
    /// Number, truth value, network, comparison, time: the same code as the plain evaluator.
    Typed(Test),
    Null,
    Exists(bool),
    FieldRef(FieldRef),
}

/// Where an item held, for the record of the detection.
pub(super) enum Place {
    /// A value of the event.
    Value(usize),
    /// The record as it came.
    Original,
    /// Nothing was there, which is what the item asked.
    Absent,
}

impl Compiled {
    pub(super) fn new(item: &Item) -> Self {
        let fields = match &item.target {
            Target::Everything => None,
            Target::Fields { ids, .. } => Some(ids.clone().into_boxed_slice()),
        };
        let tests = item
            .tests
            .iter()
            .map(|test| match test {
                Test::Text(pattern) if pattern.cased() => Probe::Cased(Matcher::new(pattern)),
                Test::Text(pattern) => Probe::Folded(Matcher::new(pattern)),
                Test::Regex(regex) => Probe::Regex(Arc::clone(regex)),
                Test::Null => Probe::Null,
                Test::Exists(wanted) => Probe::Exists(*wanted),
                Test::FieldRef(reference) => Probe::FieldRef(reference.clone()),
                typed => Probe::Typed(typed.clone()),
            })
            .collect();
        Self { fields, tests }
    }

    pub(super) fn fields(&self) -> &[FieldId] {
        self.fields.as_deref().unwrap_or_default()
    }

    /// Fields that its tests read besides.
    pub(super) fn referred(&self) -> impl Iterator<Item = FieldId> {
        self.tests
            .iter()
            .flat_map(|probe| match probe {
                Probe::FieldRef(reference) => reference.fields.as_slice(),
                _ => &[],
            })
            .copied()
    }

    pub(super) fn holds(&self, view: &mut View<'_, '_>) -> bool {
        self.find(view).is_some()
    }

    /// The first place where the item holds.
    pub(super) fn find(&self, view: &mut View<'_, '_>) -> Option<Place> {
        match &self.fields {
            None => self.find_everywhere(view),
            Some(fields) => self.find_in(fields, view),
        }
    }

    fn find_in(&self, fields: &[FieldId], view: &mut View<'_, '_>) -> Option<Place> {
        let mut last: Option<ValueRef<'_>> = None;
        let (mut present, mut has_value) = (false, None);
        for field in fields {
            let mut at = view.first(*field);
            while let Some(index) = at {
                at = view.next(index);
                let value = view.value(index);
                present = true;
                if value == ValueRef::Null {
                    continue;
                }
                has_value = has_value.or(Some(index));
                // Invariant: the answer depends on the value alone, so an ECS copy that
                // shares the bytes of the original need not be asked again.
                if last.is_some_and(|last| same_bytes(last, value)) {
                    continue;
                }
                if self.tests.iter().any(|probe| probe.holds(view, index)) {
                    return Some(Place::Value(index));
                }
                last = Some(value);
            }
        }
        self.tests.iter().find_map(|probe| match probe {
            Probe::Null if has_value.is_none() => Some(Place::Absent),
            Probe::Exists(wanted) if *wanted == present => {
                Some(has_value.map_or(Place::Absent, Place::Value))
            }
            _ => None,
        })
    }

    fn find_everywhere(&self, view: &mut View<'_, '_>) -> Option<Place> {
        for index in 0..view.entries() {
            if self.tests.iter().any(|probe| probe.holds(view, index)) {
                return Some(Place::Value(index));
            }
        }
        let event = view.event;
        let original = event.original_text();
        self.tests.iter().any(|probe| probe.holds_text(&original)).then_some(Place::Original)
    }
}

fn same_bytes(a: ValueRef<'_>, b: ValueRef<'_>) -> bool {
    match (a, b) {
        (ValueRef::Str(a), ValueRef::Str(b)) => std::ptr::eq(a, b),
        _ => false,
    }
}

impl Probe {
    fn holds(&self, view: &mut View<'_, '_>, index: usize) -> bool {
        let value = view.value(index);
        if value == ValueRef::Null {
            return false;
        }
        match self {
            Self::Folded(matcher) => matcher.matches(view.folded(index)),
            Self::Cased(matcher) => matcher.matches(&value.to_text()),
            Self::Regex(regex) => regex.is_match(&value.to_text()),
            Self::Typed(test) => test.matches_typed(value),
            Self::FieldRef(reference) => eval::refers(reference, value, view.event),
            Self::Null | Self::Exists(_) => false,
        }
    }

    /// On the record as it came.
    fn holds_text(&self, text: &str) -> bool {
        match self {
            Self::Folded(matcher) => matcher.matches(&crate::fold::fold(text)),
            Self::Cased(matcher) => matcher.matches(text),
            Self::Regex(regex) => regex.is_match(text),
            Self::Typed(test) => test.matches_typed(ValueRef::Str(text)),
            Self::FieldRef(_) | Self::Null | Self::Exists(_) => false,
        }
    }
}
