//! Exceptions: Sigma filters that hold in one commune, for a time.

use std::{collections::HashMap, path::Path, sync::Arc};

use event::{Event, Timestamp};

use super::ExceptionSource;
use crate::{Refusal, Rule, eval, expr::Expr, filter::Filter, load, logsource::Logsource};

/// What an exception's text came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedException {
    /// The filter's title.
    pub title: String,
    /// Ids of the rules that it is joined to.
    pub rules: Vec<String>,
}

/// Reads a filter that is to be an exception from `rules`. Refused where it is no filter, names
/// a rule that is not there or that has another log source, or applies to none.
pub fn check_exception(filter: &str, rules: &[Arc<Rule>]) -> Result<CheckedException, Refusal> {
    let filter = load::one_filter(filter, Path::new("filter"))?;
    for name in filter.named() {
        let Some(rule) = rules.iter().find(|rule| filter.means(name, rule)) else {
            return Err(filter.refusal(format!("there is no rule {name:?} in force")));
        };
        if !filter.covers(rule) {
            return Err(filter.refusal(format!(
                "the filter's log source does not cover {name:?}, which is of {}",
                rule.logsource()
            )));
        }
    }
    let mut ids = Vec::new();
    for rule in rules.iter().filter(|rule| filter.applies_to(rule)) {
        filter.condition(rule.logsource())?;
        ids.push(rule.id().to_owned());
    }
    if ids.is_empty() {
        return Err(filter.refusal("no rule in force has the filter's log source".to_owned()));
    }
    Ok(CheckedException { title: filter.title().to_owned(), rules: ids })
}

/// An exception, ready to be applied.
#[derive(Debug)]
pub(super) struct Exception {
    id: String,
    expires: Timestamp,
    filter: Filter,
    /// What must hold for a match to stand, by the rule's log source.
    conditions: HashMap<Logsource, Arc<Expr>>,
}

impl Exception {
    pub(super) fn compile(source: &ExceptionSource, rules: &[Arc<Rule>]) -> Result<Self, Refusal> {
        let filter = load::one_filter(&source.filter, Path::new("filter"))?;
        let mut conditions = HashMap::new();
        for rule in rules.iter().filter(|rule| filter.applies_to(rule)) {
            if !conditions.contains_key(rule.logsource()) {
                let condition = filter.condition(rule.logsource())?;
                conditions.insert(rule.logsource().clone(), condition);
            }
        }
        if conditions.is_empty() {
            return Err(filter.refusal("it applies to no rule in force any more".to_owned()));
        }
        Ok(Self { id: source.id.clone(), expires: source.expires, filter, conditions })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Whether it takes a match of `rule` on `event` away. A filter is joined to a rule with
    /// `and`, so it does where its condition does not hold.
    pub(super) fn holds(&self, rule: &Rule, event: &Event, now: Timestamp) -> bool {
        now < self.expires
            && self.filter.applies_to(rule)
            && self
                .conditions
                .get(rule.logsource())
                .is_some_and(|condition| !eval::expr(condition, event))
    }
}
