//! What a commune makes of a match: rules turned off and on, exceptions, other levels.
//!
//! Judged after matching, on the few events that match at all, so that the engine stays one for
//! all communes and a changed policy compiles nothing but its exceptions.

mod exception;
mod selector;

use std::{collections::HashMap, sync::Arc};

use event::{CommuneId, Event, Level, Timestamp};

pub use exception::{CheckedException, check_exception};
pub use selector::{Selector, SelectorError};

use self::exception::Exception;
use crate::{Entry, Refusal, Rule};

/// What a choice does with the rules that its selector names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// They count, though a wider choice turned them off.
    Enable,
    /// Their matches count for nothing.
    Disable,
    /// Their detections have this level.
    Level(Level),
}

/// What one commune chose, to be compiled.
#[derive(Clone, Debug)]
pub struct PolicySource {
    /// Whose.
    pub commune: CommuneId,
    /// Which rules, and what with them.
    pub choices: Vec<(Selector, Effect)>,
    /// Its exceptions.
    pub exceptions: Vec<ExceptionSource>,
}

/// An exception, to be compiled.
#[derive(Clone, Debug)]
pub struct ExceptionSource {
    /// Names it.
    pub id: String,
    /// A Sigma filter, as YAML.
    pub filter: String,
    /// When it stops applying.
    pub expires: Timestamp,
}

/// The policies of all communes. Immutable.
#[derive(Debug, Default)]
pub struct Policies {
    by_commune: HashMap<CommuneId, Policy>,
}

#[derive(Debug, Default)]
struct Policy {
    /// Choices that name one rule, by its id; most are such.
    of_rules: HashMap<String, Vec<Effect>>,
    others: Vec<(Selector, Effect)>,
    exceptions: Vec<Exception>,
}

/// What becomes of a match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It is a detection, of this level.
    Stands(Level),
    /// The commune turned the rule off.
    Disabled,
    /// An exception of this id holds.
    Excepted(String),
}

/// An exception that cannot be applied any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// Whose.
    pub commune: CommuneId,
    /// Its id.
    pub exception: String,
    /// Why.
    pub because: Refusal,
}

impl Policies {
    /// Compiles `sources` against `rules`. What cannot be used is left out and returned: a
    /// policy never stands in the way of the others.
    pub fn compile(sources: Vec<PolicySource>, rules: &[Arc<Rule>]) -> (Self, Vec<Unusable>) {
        let mut unusable = Vec::new();
        let mut by_commune = HashMap::new();
        for source in sources {
            let mut policy = Policy::default();
            for (selector, effect) in source.choices {
                match selector {
                    Selector::Rule(id) => policy.of_rules.entry(id).or_default().push(effect),
                    selector => policy.others.push((selector, effect)),
                }
            }
            for exception in source.exceptions {
                match Exception::compile(&exception, rules) {
                    Ok(compiled) => policy.exceptions.push(compiled),
                    Err(because) => unusable.push(Unusable {
                        commune: source.commune.clone(),
                        exception: exception.id,
                        because,
                    }),
                }
            }
            by_commune.insert(source.commune, policy);
        }
        (Self { by_commune }, unusable)
    }

    /// What becomes of a match of `rule` on `event` at `now`.
    pub fn judge(&self, rule: &Rule, event: &Event, now: Timestamp) -> Judgement {
        let Some(policy) = self.by_commune.get(event.commune()) else {
            return Judgement::Stands(rule.level());
        };
        if !policy.is_enabled(Entry::Rule(rule)) {
            return Judgement::Disabled;
        }
        let excepted = policy.exceptions.iter().find(|exception| exception.holds(rule, event, now));
        match excepted {
            Some(exception) => Judgement::Excepted(exception.id().to_owned()),
            None => Judgement::Stands(policy.level(Entry::Rule(rule))),
        }
    }

    /// Whether `entry` counts in `commune` at all, whatever exceptions say.
    pub fn is_enabled(&self, commune: &CommuneId, entry: Entry<'_>) -> bool {
        self.by_commune.get(commune).is_none_or(|policy| policy.is_enabled(entry))
    }

    /// The level of `entry` in `commune`.
    pub fn level(&self, commune: &CommuneId, entry: Entry<'_>) -> Level {
        self.by_commune.get(commune).map_or(entry.level(), |policy| policy.level(entry))
    }
}

impl Policy {
    /// The narrowest choice decides; of two as narrow, the one that turns the rule off.
    fn is_enabled(&self, entry: Entry<'_>) -> bool {
        self.narrowest(entry, |effect| match effect {
            Effect::Enable => Some(true),
            Effect::Disable => Some(false),
            Effect::Level(_) => None,
        })
        .into_iter()
        .min()
        .unwrap_or(true)
    }

    /// The narrowest choice decides; of two as narrow, the more serious level.
    fn level(&self, entry: Entry<'_>) -> Level {
        self.narrowest(entry, |effect| match effect {
            Effect::Level(level) => Some(level),
            Effect::Enable | Effect::Disable => None,
        })
        .into_iter()
        .max()
        .unwrap_or(entry.level())
    }

    /// What the narrowest choices about `entry` say, of those that `read` has an answer for.
    fn narrowest<T>(&self, entry: Entry<'_>, read: impl Fn(Effect) -> Option<T>) -> Vec<T> {
        let own = self.of_rules.get(entry.id()).into_iter().flatten();
        let own: Vec<T> = own.filter_map(|effect| read(*effect)).collect();
        if !own.is_empty() {
            return own;
        }
        let mut narrowest = 0;
        let mut found = Vec::new();
        for (selector, effect) in &self.others {
            let Some(answer) = read(*effect) else { continue };
            if selector.precision() < narrowest || !selector.names(entry) {
                continue;
            }
            if selector.precision() > narrowest {
                narrowest = selector.precision();
                found.clear();
            }
            found.push(answer);
        }
        found
    }
}
