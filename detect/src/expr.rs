//! A rule's detection as a tree of questions about fields.

use std::sync::Arc;

use event::FieldId;

use crate::test::Test;

/// When a rule fires. Shared parts are shared, so a selection that a condition names often
/// costs its size once.
#[derive(Clone, Debug)]
pub(crate) enum Expr {
    And(Vec<Arc<Self>>),
    Or(Vec<Arc<Self>>),
    Not(Arc<Self>),
    Item(Item),
}

/// One line of a selection: a field (or, for keywords, everything) and what is asked of it.
/// It holds where any of its tests does.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) target: Target,
    pub(crate) tests: Vec<Test>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    /// A rule's field and the event fields that it means, in order of preference; a test is
    /// met where any of their values meets it.
    Fields {
        /// As the rule names it.
        name: String,
        /// As events do.
        ids: Vec<FieldId>,
    },
    /// Every value of the event, and the record as it came.
    Everything,
}

impl Expr {
    /// Items in the tree, a shared part counted each time, up to `max`.
    pub(crate) fn weight(&self, max: usize) -> usize {
        match self {
            Self::And(parts) | Self::Or(parts) => {
                let mut sum = 1;
                for part in parts {
                    sum += part.weight(max - sum);
                    if sum >= max {
                        return max;
                    }
                }
                sum
            }
            Self::Not(inner) => (1 + inner.weight(max)).min(max),
            Self::Item(item) => item.tests.len().clamp(1, max.max(1)),
        }
    }
}

/// `parts` joined, a single one as it is.
pub(crate) fn join(mut parts: Vec<Arc<Expr>>, all: bool) -> Arc<Expr> {
    match parts.len() {
        1 => parts.remove(0),
        _ if all => Arc::new(Expr::And(parts)),
        _ => Arc::new(Expr::Or(parts)),
    }
}

impl Item {
    /// The event fields alone, which is what tells two items apart.
    pub(crate) fn target_key(&self) -> Option<&[FieldId]> {
        match &self.target {
            Target::Fields { ids, .. } => Some(ids),
            Target::Everything => None,
        }
    }
}
