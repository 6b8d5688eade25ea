//! What a record says: its pairs in order, and quick access to those that a plan reads.

use std::{borrow::Cow, collections::HashMap};

use event::{FieldId, Namespace};

use super::{catalogue::Type, out::Out, plan::Plan};
use crate::formats::{json::Json, sheet::Sheet, text};

/// The place of a key that a plan reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(pub(super) u16);

/// Keys that one plan may read.
pub(super) const SLOTS_MAX: usize = 4_096;

/// No pair.
const NONE: u32 = u32::MAX;

/// The keys that a plan reads, by name.
#[derive(Default)]
pub(super) struct Keys {
    slots: HashMap<Box<str>, Slot, foldhash::fast::RandomState>,
    /// The names, by slot.
    names: Vec<Box<str>>,
    /// Prefixes that vendors put before some of their keys, e.g. `FTNTFGT`.
    pub(super) prefixes: Vec<Box<str>>,
}

impl Keys {
    /// The slot of `name`, which is new where it was not asked for before; `None` where
    /// there are too many.
    pub(super) fn slot(&mut self, name: &str) -> Option<Slot> {
        if let Some(slot) = self.slots.get(name) {
            return Some(*slot);
        }
        if self.slots.len() >= SLOTS_MAX {
            return None;
        }
        let slot = Slot(u16::try_from(self.slots.len()).ok()?);
        self.slots.insert(name.into(), slot);
        self.names.push(name.into());
        Some(slot)
    }

    pub(super) fn find(&self, name: &str) -> Option<Slot> {
        self.slots.get(name).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The name of `slot`.
    fn name(&self, slot: Slot) -> &str {
        self.names.get(usize::from(slot.0)).map_or("", AsRef::as_ref)
    }

    /// `key` without a vendor's prefix.
    fn trim<'k>(&self, key: &'k str) -> &'k str {
        for prefix in &self.prefixes {
            if let Some(rest) = key.strip_prefix(&**prefix)
                && !rest.is_empty()
            {
                return rest;
            }
        }
        key
    }
}

/// Where a format keeps the values of the original.
pub(super) struct Space {
    namespace: Namespace,
    /// The field of each slot of the plan, so that most values need no look-up of a name.
    kept: Vec<Option<FieldId>>,
}

impl Space {
    /// The space under `prefix`, once all slots are known. The prefix lives as long as the
    /// process, as formats do.
    pub(super) fn new(prefix: &str, keys: &Keys) -> Self {
        let namespace = Namespace::new(Box::leak(prefix.into()));
        let kept = keys.names.iter().map(|name| namespace.field(name)).collect();
        Self { namespace, kept }
    }
}

#[derive(Clone, Copy)]
enum Name {
    Slot(Slot),
    /// A part of [`Record::names`].
    Other {
        start: u32,
        len: u32,
    },
}

struct Pair<'t> {
    name: Name,
    value: Json<'t>,
    /// The next pair of the same slot.
    next: u32,
    /// Whether it is kept under the vendor's namespace; a second name of a value is not.
    kept: bool,
}

/// A record's pairs. Values are scalars; a [`Json::Deep`] is text.
pub(super) struct Record<'p, 't> {
    keys: &'p Keys,
    pairs: Vec<Pair<'t>>,
    heads: Vec<u32>,
    tails: Vec<u32>,
    names: String,
}

/// Pairs that one record has at most; what is beyond makes it an error, so memory is bounded.
pub(super) const PAIRS_MAX: usize = 1 << 20;

impl<'p, 't> Record<'p, 't> {
    pub(super) fn new(keys: &'p Keys) -> Self {
        let heads = vec![NONE; keys.len()];
        Self {
            keys,
            pairs: Vec::with_capacity(64),
            tails: heads.clone(),
            heads,
            names: String::new(),
        }
    }

    pub(super) fn keys(&self) -> &'p Keys {
        self.keys
    }

    pub(super) fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Adds a pair; beyond [`PAIRS_MAX`] it is left out.
    pub(super) fn add(&mut self, key: &str, value: Json<'t>) {
        let key = self.keys.trim(key);
        let name = match self.keys.find(key) {
            Some(slot) => Name::Slot(slot),
            None => {
                let start = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
                self.names.push_str(key);
                Name::Other { start, len: u32::try_from(key.len()).unwrap_or(0) }
            }
        };
        self.push(name, value, true);
    }

    /// Adds text.
    pub(super) fn add_text(&mut self, key: &str, value: &'t str) {
        self.add(key, Json::Str(Cow::Borrowed(value)));
    }

    /// Gives a value a second name, which only the plan sees.
    pub(super) fn add_alias(&mut self, key: &str, value: Json<'t>) {
        if let Some(slot) = self.keys.find(key) {
            self.push(Name::Slot(slot), value, false);
        }
    }

    fn push(&mut self, name: Name, value: Json<'t>, kept: bool) {
        if self.pairs.len() >= PAIRS_MAX {
            return;
        }
        let index = u32::try_from(self.pairs.len()).unwrap_or(NONE);
        if let Name::Slot(Slot(slot)) = name {
            let slot = usize::from(slot);
            match self.heads[slot] {
                NONE => self.heads[slot] = index,
                _ => self.pairs[self.tails[slot] as usize].next = index,
            }
            self.tails[slot] = index;
        }
        self.pairs.push(Pair { name, value, next: NONE, kept });
    }

    /// Every value of `slot`.
    pub(super) fn all(&self, slot: Slot) -> impl Iterator<Item = &Json<'t>> {
        let mut at = self.heads[usize::from(slot.0)];
        std::iter::from_fn(move || {
            let pair = self.pairs.get(at as usize)?;
            at = pair.next;
            Some(&pair.value)
        })
    }

    /// Whether `slot` has a value, of whatever kind.
    pub(super) fn has(&self, slot: Slot) -> bool {
        self.heads[usize::from(slot.0)] != NONE
    }

    /// The first value of `slot` that says something.
    pub(super) fn present(&self, slot: Slot) -> Option<&Json<'t>> {
        self.all(slot).find(|value| text_of(value).is_some_and(text::is_present))
    }

    /// The name and text of every pair that is kept.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        let kept = self.pairs.iter().filter(|pair| pair.kept);
        kept.filter_map(|pair| Some((self.name(pair.name), text_of(&pair.value)?)))
    }

    fn name(&self, name: Name) -> &str {
        match name {
            Name::Slot(slot) => self.keys.name(slot),
            Name::Other { start, len } => {
                self.names.get(start as usize..start as usize + len as usize).unwrap_or_default()
            }
        }
    }

    /// Keeps every pair in `space`.
    pub(super) fn keep(&self, sheet: &mut Sheet, space: &Space) {
        for pair in self.pairs.iter().filter(|pair| pair.kept) {
            let known = match pair.name {
                Name::Slot(slot) => space.kept.get(usize::from(slot.0)).copied().flatten(),
                Name::Other { .. } => None,
            };
            match known {
                Some(field) => sheet.push(field, &pair.value),
                None => {
                    let name = self.name(pair.name);
                    sheet.keep(&space.namespace, name, &pair.value, &mut |_, _, _| {});
                }
            }
        }
    }

    /// Fills the fields of ECS that the record names itself, and keeps the rest in `space`.
    /// A field that the plan has filled before, or a value that is not of the field's type, is
    /// kept too.
    pub(super) fn pass(&self, out: &mut Out<'_>, plan: &Plan, space: &Space) {
        let filled = out.filled().to_vec();
        for pair in self.pairs.iter().filter(|pair| pair.kept) {
            let name = self.name(pair.name);
            if let Some(target) = plan.own_target(name)
                && !filled.get(usize::from(target.index)).copied().unwrap_or(false)
            {
                let written = match target.ty {
                    Type::AsIs => out.write_as_is(target, &pair.value),
                    _ => text_of(&pair.value).is_some_and(|text| out.write(target, text)),
                };
                if written {
                    continue;
                }
            }
            // What the event says of itself (its id, its tenant) stays apart from what it was.
            match Plan::is_own(name) {
                true => {
                    let name = format!("upstream.{name}");
                    out.sheet.keep(&space.namespace, &name, &pair.value, &mut |_, _, _| {});
                }
                false => out.sheet.keep(&space.namespace, name, &pair.value, &mut |_, _, _| {}),
            }
        }
    }

    /// Shows the plan values under the labels that CEF gives them: `cs1Label=Rule Name cs1=x`
    /// is `Rule Name` too. `first` is the first pair that is looked at.
    pub(super) fn add_labelled(&mut self, first: usize) {
        let mut aliases = Vec::new();
        for pair in self.pairs.get(first..).unwrap_or_default() {
            let (Some(base), Some(label)) =
                (self.name(pair.name).strip_suffix("Label"), text_of(&pair.value))
            else {
                continue;
            };
            let Some(slot) = self.keys.find(label) else { continue };
            let labelled = self.pairs.iter().find(|pair| self.name(pair.name) == base);
            aliases.extend(labelled.map(|pair| (slot, pair.value.clone())));
        }
        for (slot, value) in aliases {
            self.push(Name::Slot(slot), value, false);
        }
    }

    /// Adds the pairs of `other`, their values copied.
    pub(super) fn append_text(&mut self, other: &Record<'_, '_>) {
        for pair in &other.pairs {
            let text = text_of(&pair.value).unwrap_or_default().to_owned();
            self.add(other.name(pair.name), Json::Str(Cow::Owned(text)));
        }
    }

    /// The names that no slot has, in their order and once each, with a value of each.
    pub(super) fn unread(&self) -> Vec<(&str, &Json<'t>)> {
        let mut seen = std::collections::HashSet::new();
        let unread = self.pairs.iter().filter(|pair| matches!(pair.name, Name::Other { .. }));
        unread
            .map(|pair| (self.name(pair.name), &pair.value))
            .filter(|(name, _)| seen.insert(*name))
            .collect()
    }
}

/// A scalar's text; `None` for null.
pub(super) fn text_of<'v>(value: &'v Json<'_>) -> Option<&'v str> {
    match value {
        Json::Deep(text) => Some(text),
        other => other.text(),
    }
}
