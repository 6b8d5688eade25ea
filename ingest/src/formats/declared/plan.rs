//! What is done with a record's pairs: steps in their order, each filling what is still empty.

use std::collections::HashMap;

use event::fields;

use super::{
    catalogue,
    condition::Condition,
    mapping::Put,
    out::{Constant, Out, Target},
    record::{Record, Slot, Space, text_of},
};

/// A constant for a field.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) target: Target,
    pub(super) values: Box<[Constant]>,
}

/// One step.
#[derive(Debug)]
pub(super) enum Step {
    /// Under a condition.
    Case { when: Condition, set: Box<[Set]>, map: Box<[Put]> },
    /// By a table over the values of some keys.
    Classify(Classify),
}

/// Constants by the values of some keys.
#[derive(Debug)]
pub(super) struct Classify {
    pub(super) on: Box<[Slot]>,
    /// By the values, lower case and joined by `/`.
    pub(super) rows: HashMap<Box<str>, Box<[Set]>, foldhash::fast::RandomState>,
    /// Rows that end in `*`, the longest first.
    pub(super) prefixes: Vec<(Box<str>, Box<[Set]>)>,
}

impl Classify {
    fn run(&self, record: &Record<'_, '_>, out: &mut Out<'_>) {
        let mut key = String::new();
        for (index, slot) in self.on.iter().enumerate() {
            if index > 0 {
                key.push('/');
            }
            key.push_str(record.present(*slot).and_then(text_of).unwrap_or_default().trim());
        }
        key.make_ascii_lowercase();
        let row = self.rows.get(key.as_str()).or_else(|| {
            let fits = |(prefix, _): &&(Box<str>, Box<[Set]>)| key.starts_with(&**prefix);
            self.prefixes.iter().find(fits).map(|(_, row)| row)
        });
        row.into_iter().flatten().for_each(|set| out.set(set.target, &set.values));
    }
}

/// A format's steps, compiled.
#[derive(Default)]
pub(super) struct Plan {
    /// What a record must be like to be of this format, and what to say where it is not.
    pub(super) accept: Option<(Condition, String)>,
    /// Constants of each pattern, by its place.
    pub(super) patterns: Vec<Box<[Set]>>,
    pub(super) steps: Vec<Step>,
    pub(super) map: Box<[Put]>,
    pub(super) set: Box<[Set]>,
    /// Where values are kept; the first whose condition holds, then the last.
    pub(super) spaces: Vec<(Option<Condition>, Space)>,
    /// Whether fields of ECS that the record names itself are taken as they are.
    pub(super) ecs: bool,
    /// Fields that the plan may fill, by name.
    pub(super) targets: HashMap<String, Target>,
    /// Rust functions that run before `map`.
    pub(super) escapes: Vec<super::escapes::Escape>,
}

impl Plan {
    /// Whether a field is the event's own, which no record can set.
    pub(super) fn is_own(name: &str) -> bool {
        let own = [
            fields::TIMESTAMP,
            fields::EVENT_ID,
            fields::EVENT_INGESTED,
            fields::EVENT_ORIGINAL,
            fields::ORGANIZATION_ID,
        ];
        own.iter().any(|field| field.name() == name) || name.starts_with("jacquemart.")
    }

    /// The field of ECS, or of ours, that a record names itself; not those that are the
    /// event's own.
    pub(super) fn own_target(&self, name: &str) -> Option<Target> {
        if Self::is_own(name) {
            return None;
        }
        let known = catalogue::find(name)?;
        let field = event::FieldId::intern(name)?;
        let index = self.targets.get(name).map_or(u16::MAX, |target| target.index);
        Some(Target { field, index, ty: known.ty, many: false })
    }

    /// Fills the event from `record`; the reason where the record is of no such format.
    pub(super) fn run(
        &self,
        record: &Record<'_, '_>,
        matched: &[usize],
        out: &mut Out<'_>,
    ) -> Result<(), String> {
        if let Some((accept, hint)) = &self.accept
            && !accept.holds(record)
        {
            return Err(hint.clone());
        }
        let fits = |(when, _): &&(Option<Condition>, Space)| {
            when.as_ref().is_none_or(|when| when.holds(record))
        };
        let space = self.spaces.iter().find(fits).map(|(_, space)| space);
        if let (false, Some(space)) = (self.ecs, space) {
            record.keep(out.sheet, space);
        }
        let sets = matched.iter().filter_map(|index| self.patterns.get(*index)).flatten();
        sets.for_each(|set| out.set(set.target, &set.values));
        for step in &self.steps {
            match step {
                Step::Classify(classify) => classify.run(record, out),
                Step::Case { when, set, map } => {
                    if when.holds(record) {
                        set.iter().for_each(|set| out.set(set.target, &set.values));
                        map.iter().for_each(|put| put.run(record, out));
                    }
                }
            }
        }
        if let (true, Some(space)) = (self.ecs, space) {
            record.pass(out, self, space);
        }
        self.escapes.iter().for_each(|escape| escape(record, out));
        self.map.iter().for_each(|put| put.run(record, out));
        self.set.iter().for_each(|set| out.set(set.target, &set.values));
        Ok(())
    }
}
