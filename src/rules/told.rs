//! What is told about rules, in the API's words.

use api::{RuleKept, RuleRefusal, RuleTouched, RulesStatus};
use detect::{Entry, Kept, Refusal, Ruleset};

/// A refusal as the API tells it.
pub(crate) fn about(refusal: &Refusal) -> RuleRefusal {
    RuleRefusal {
        path: refusal.path.display().to_string(),
        line: refusal.line,
        rule: refusal.rule_id.clone(),
        title: refusal.title.clone(),
        reason: refusal.reason.clone(),
    }
}

/// A kept rule as the API tells it.
fn kept(kept: &Kept) -> RuleKept {
    RuleKept {
        id: kept.id.clone(),
        title: kept.title.clone(),
        path: kept.path.display().to_string(),
        because: about(&kept.because),
    }
}

/// What of the files is not in force as it stands there.
pub(super) fn status(ruleset: &Ruleset) -> RulesStatus {
    RulesStatus {
        loaded: ruleset.entries().len(),
        refused: ruleset.refused().iter().map(about).collect(),
        kept: ruleset.kept().iter().map(kept).collect(),
    }
}

/// How two rulesets differ.
#[derive(Debug, Default)]
pub(super) struct Difference {
    pub(super) added: Vec<RuleTouched>,
    pub(super) changed: Vec<RuleTouched>,
    pub(super) removed: Vec<RuleTouched>,
    /// Whether a rule is read from another place, which policies may speak of.
    pub(super) moved: bool,
}

impl Difference {
    /// Both have their entries sorted by id, so one pass over the two finds it.
    pub(super) fn between(old: &Ruleset, new: &Ruleset) -> Self {
        let mut found = Self::default();
        let (old, new) = (old.entries(), new.entries());
        let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
        loop {
            match (old.peek(), new.peek()) {
                (None, None) => return found,
                (Some(before), after) if after.is_none_or(|after| before.id() < after.id()) => {
                    found.removed.push(touched(before, None));
                    old.next();
                }
                (before, Some(after)) if before.is_none_or(|before| before.id() > after.id()) => {
                    found.added.push(touched(after, None));
                    new.next();
                }
                (Some(before), Some(after)) => {
                    if before.version() != after.version() {
                        found.changed.push(touched(after, Some(before.version().to_owned())));
                    }
                    found.moved |= before.source() != after.source();
                    old.next();
                    new.next();
                }
                // The two guards leave no other case: one of the two sides is there.
                (Some(_), None) | (None, Some(_)) => return found,
            }
        }
    }

    /// Whether the same rules are in force in the same versions.
    pub(super) fn is_none(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

fn touched(rule: &Entry<'_>, was: Option<String>) -> RuleTouched {
    RuleTouched {
        id: rule.id().to_owned(),
        title: rule.title().to_owned(),
        version: rule.version().to_owned(),
        was,
    }
}
