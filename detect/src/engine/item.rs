//! Items compiled: one answer per event, however many rules ask.

use event::{Event, FieldId, ValueRef};
use regex::Regex;
use std::sync::Arc;

use super::{
    matcher::Matcher,
    network::Networks,
    view::{Column, Columns, View},
};
use crate::{
    eval,
    expr::{Item, Target},
    test::{Anchor, FieldRef, Test},
};

/// An item with its tests in their fastest form.
#[derive(Debug)]
pub(super) struct Compiled {
    /// `None` for keywords.
    fields: Option<Box<[FieldId]>>,
    /// The columns of the fields.
    columns: Box<[Column]>,
    tests: Box<[Probe]>,
}

#[derive(Debug)]
enum Probe {
    /// On the folded text.
    Folded(Matcher),
    /// On the text as it is.
    Cased(Matcher),
    Regex(Arc<Regex>),
    /// All networks of the item.
    Networks(Networks<()>),
    /// Number, truth value, comparison, time: the same code as the plain evaluator.
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
    pub(super) fn new(item: &Item, columns: &Columns) -> Self {
        let fields = match &item.target {
            Target::Everything => None,
            Target::Fields { ids, .. } => Some(ids.clone().into_boxed_slice()),
        };
        let networks: Vec<_> = item
            .tests
            .iter()
            .filter_map(|test| match test {
                Test::Cidr(network) => Some((*network, ())),
                _ => None,
            })
            .collect();
        let networks = (!networks.is_empty()).then(|| Probe::Networks(Networks::new(networks)));
        // One of the tests must hold, whichever, so those of networks may be asked together.
        let tests = item
            .tests
            .iter()
            .filter(|test| !matches!(test, Test::Cidr(_)))
            .map(|test| match test {
                Test::Text(pattern) if pattern.cased() => Probe::Cased(Matcher::new(pattern)),
                Test::Text(pattern) => Probe::Folded(Matcher::new(pattern)),
                Test::Regex(regex) => Probe::Regex(Arc::clone(regex)),
                Test::Null => Probe::Null,
                Test::Exists(wanted) => Probe::Exists(*wanted),
                Test::FieldRef(reference) => Probe::FieldRef(reference.clone()),
                typed => Probe::Typed(typed.clone()),
            })
            .chain(networks)
            .collect();
        let columns = fields.iter().flatten().filter_map(|field| columns.of(*field)).collect();
        Self { fields, columns, tests }
    }

    pub(super) fn fields(&self) -> &[FieldId] {
        self.fields.as_deref().unwrap_or_default()
    }

    pub(super) fn holds(&self, view: &mut View<'_, '_>) -> bool {
        self.find(view).is_some()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + size_of_val(self.fields())
            + size_of_val(&*self.columns)
            + self.tests.iter().map(Probe::memory_bytes).sum::<usize>()
    }

    /// The first place where the item holds.
    pub(super) fn find(&self, view: &mut View<'_, '_>) -> Option<Place> {
        match &self.fields {
            None => self.find_everywhere(view),
            Some(_) => self.find_in_columns(view),
        }
    }

    fn find_in_columns(&self, view: &mut View<'_, '_>) -> Option<Place> {
        let mut last: Option<ValueRef<'_>> = None;
        let (mut present, mut has_value) = (false, None);
        for column in &self.columns {
            let mut at = view.first(*column);
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
        for index in view.everything() {
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

/// What [`eval::refers`] says, without allocating for values of ASCII and whole numbers.
///
/// Invariant: folding ASCII is lowering its letters, and whole numbers are written alike if and
/// only if they are equal.
fn refers(reference: &FieldRef, value: ValueRef<'_>, event: &Event) -> bool {
    for field in &reference.fields {
        for other in event.get_all(*field) {
            match refers_to(reference, value, other) {
                Some(false) => {}
                Some(true) => return true,
                None => return eval::refers(reference, value, event),
            }
        }
    }
    false
}

/// The same for one value of the other field; `None` where it is not so simple.
fn refers_to(reference: &FieldRef, own: ValueRef<'_>, other: ValueRef<'_>) -> Option<bool> {
    let (own, other) = match (own, other) {
        (ValueRef::Null, _) | (_, ValueRef::Null) => return Some(false),
        (ValueRef::Str(own), ValueRef::Str(other)) if own.is_ascii() && other.is_ascii() => {
            (own.as_bytes(), other.as_bytes())
        }
        (ValueRef::I64(own), ValueRef::I64(other)) => {
            return matches!(reference.anchor, Anchor::Whole).then_some(own == other);
        }
        _ => return None,
    };
    let part = match reference.anchor {
        Anchor::Whole => Some(own),
        Anchor::Starts => own.get(..other.len()),
        Anchor::Ends => own.len().checked_sub(other.len()).and_then(|from| own.get(from..)),
        Anchor::Contains => return None,
    };
    Some(part.is_some_and(|part| match reference.cased {
        true => part == other,
        false => part.eq_ignore_ascii_case(other),
    }))
}

impl Probe {
    /// Without what it shares with the rule.
    fn memory_bytes(&self) -> usize {
        let inner = match self {
            Self::Folded(matcher) | Self::Cased(matcher) => matcher.memory_bytes(),
            Self::Networks(networks) => networks.memory_bytes(),
            _ => 0,
        };
        size_of::<Self>() + inner
    }

    fn holds(&self, view: &mut View<'_, '_>, index: usize) -> bool {
        let value = view.value(index);
        if value == ValueRef::Null {
            return false;
        }
        match self {
            Self::Folded(matcher) => matcher.matches(view.folded(index)),
            Self::Cased(matcher) => matcher.matches(&value.to_text()),
            Self::Regex(regex) => regex.is_match(&value.to_text()),
            Self::Networks(networks) => value.as_str().is_some_and(|text| networks.contains(text)),
            Self::Typed(test) => test.matches_typed(value),
            Self::FieldRef(reference) => refers(reference, value, view.event),
            Self::Null | Self::Exists(_) => false,
        }
    }

    /// On the record as it came.
    fn holds_text(&self, text: &str) -> bool {
        match self {
            Self::Folded(matcher) => matcher.matches(&crate::fold::fold(text)),
            Self::Cased(matcher) => matcher.matches(text),
            Self::Regex(regex) => regex.is_match(text),
            Self::Networks(networks) => networks.contains(text),
            Self::Typed(test) => test.matches_typed(ValueRef::Str(text)),
            Self::FieldRef(_) | Self::Null | Self::Exists(_) => false,
        }
    }
}
