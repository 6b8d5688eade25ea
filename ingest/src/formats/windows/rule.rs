//! What is known of one event id.

use crate::formats::{mapping::Table, sheet::Sheet};

/// An event id of one family of channels: its meaning in ECS and its mappings.
pub(super) struct Rule {
    pub(super) code: u32,
    /// Its name in Microsoft's documentation.
    pub(super) title: &'static str,
    /// `event.action`.
    pub(super) action: &'static str,
    /// `event.kind`.
    pub(super) kind: &'static str,
    pub(super) category: &'static [&'static str],
    pub(super) types: &'static [&'static str],
    /// Mappings that come before those of the family.
    pub(super) tables: &'static [Table],
    /// What is left to do when all values are there.
    pub(super) finish: Option<fn(&mut Sheet)>,
}

impl Rule {
    pub(super) const fn new(code: u32, title: &'static str, action: &'static str) -> Self {
        Self {
            code,
            title,
            action,
            kind: "event",
            category: &[],
            types: &[],
            tables: &[],
            finish: None,
        }
    }

    pub(super) const fn is(
        mut self,
        category: &'static [&'static str],
        types: &'static [&'static str],
    ) -> Self {
        self.category = category;
        self.types = types;
        self
    }

    pub(super) const fn maps(mut self, tables: &'static [Table]) -> Self {
        self.tables = tables;
        self
    }

    pub(super) const fn then(mut self, finish: fn(&mut Sheet)) -> Self {
        self.finish = Some(finish);
        self
    }

    /// It is a verdict of the vendor's own.
    pub(super) const fn alert(mut self) -> Self {
        self.kind = "alert";
        self
    }
}
