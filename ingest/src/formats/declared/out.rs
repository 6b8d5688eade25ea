//! Writing to the event: every target is set once, in the type that ECS gives it.

use std::borrow::Cow;

use event::{FieldId, Timestamp};

use super::catalogue::Type;
use crate::formats::{json::Json, sheet::Sheet, text};

/// A field that a plan fills, with its place among the plan's targets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub(super) field: FieldId,
    pub(super) index: u16,
    pub(super) ty: Type,
    /// Whether it takes every value it is given rather than the first.
    pub(super) many: bool,
}

/// A value that a format's file gives.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Constant {
    Text(Box<str>),
    Whole(i64),
    Bool(bool),
}

/// The event, and which targets have a value.
pub(super) struct Out<'s> {
    pub(super) sheet: &'s mut Sheet,
    pub(super) received: Timestamp,
    filled: Vec<bool>,
    timed: bool,
}

impl<'s> Out<'s> {
    pub(super) fn new(sheet: &'s mut Sheet, received: Timestamp, targets: usize) -> Self {
        Self { sheet, received, filled: vec![false; targets], timed: false }
    }

    /// Which targets have a value, by index.
    pub(super) fn filled(&self) -> &[bool] {
        &self.filled
    }

    /// Whether `target` has a value already.
    pub(super) fn is_filled(&self, target: Target) -> bool {
        self.filled.get(usize::from(target.index)).copied().unwrap_or(true)
    }

    fn fill(&mut self, target: Target) {
        if let Some(filled) = self.filled.get_mut(usize::from(target.index)) {
            *filled = true;
        }
    }

    /// Whether `@timestamp` is set.
    pub(super) fn is_timed(&self) -> bool {
        self.timed
    }

    pub(super) fn set_timestamp(&mut self, time: Timestamp) {
        self.sheet.set_time(Some(time));
        self.timed = true;
    }

    /// Writes text in the target's type; `false` where it says nothing or is not of that type.
    pub(super) fn write(&mut self, target: Target, value: &str) -> bool {
        if !text::is_present(value) {
            return false;
        }
        let written = self.write_typed(target, value);
        if written {
            self.fill(target);
        }
        written
    }

    fn write_typed(&mut self, target: Target, value: &str) -> bool {
        let field = target.field;
        match target.ty {
            Type::Text | Type::AsIs if target.many => self.sheet.add_once(field, value),
            Type::Text | Type::AsIs => self.sheet.add(field, value),
            Type::Ip => match text::ip(value) {
                Some(address) => self.sheet.add_ip(field, address),
                None => return false,
            },
            Type::Int => match text::whole(value).filter(|n| is_in_range(field.name(), *n)) {
                Some(number) => self.sheet.push(field, &Json::Number(&number.to_string())),
                None => return false,
            },
            Type::Float => match value.trim().parse::<f64>() {
                Ok(number) if number.is_finite() => {
                    self.sheet.push(field, &Json::Number(value.trim()));
                }
                _ => return false,
            },
            Type::Bool => match truth(value) {
                Some(value) => self.sheet.push(field, &Json::Bool(value)),
                None => return false,
            },
            Type::Date => match super::time::Clock::Auto.read(value, None, self.received) {
                Some(time) => self.write_time(target, time),
                None => return false,
            },
        }
        true
    }

    /// Writes a time.
    pub(super) fn write_time(&mut self, target: Target, time: Timestamp) {
        self.sheet.add(target.field, &time.to_string());
        self.fill(target);
    }

    /// Writes a scalar that keeps its type, for fields that ECS does not define.
    pub(super) fn write_as_is(&mut self, target: Target, value: &Json<'_>) -> bool {
        let present = match value {
            Json::Str(text) => text::is_present(text),
            Json::Null => false,
            _ => true,
        };
        if present {
            self.sheet.push(target.field, value);
            self.fill(target);
        }
        present
    }

    /// Writes what the file says, unless the target has a value.
    pub(super) fn set(&mut self, target: Target, values: &[Constant]) {
        if self.is_filled(target) {
            return;
        }
        for value in values {
            match value {
                Constant::Text(text) => self.sheet.add(target.field, text),
                Constant::Whole(number) => {
                    self.sheet.push(target.field, &Json::Number(&number.to_string()));
                }
                Constant::Bool(value) => self.sheet.push(target.field, &Json::Bool(*value)),
            }
        }
        self.fill(target);
    }
}

/// Ports end at 65,535 and begin at 1: 0 stands for "none".
fn is_in_range(name: &str, number: i64) -> bool {
    !name.ends_with(".port") || (1..=65_535).contains(&number)
}

fn truth(value: &str) -> Option<bool> {
    let value: Cow<'_, str> = value.trim().to_ascii_lowercase().into();
    match &*value {
        "true" | "yes" | "1" | "on" | "enabled" => Some(true),
        "false" | "no" | "0" | "off" | "disabled" => Some(false),
        _ => None,
    }
}
