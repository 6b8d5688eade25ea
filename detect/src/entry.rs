//! Rules of both kinds, seen as one.

use event::Level;

use crate::{Correlation, Logsource, Rule, RuleSource};

/// A detection rule or a correlation that is in force.
#[derive(Clone, Copy, Debug)]
pub enum Entry<'r> {
    /// A detection rule.
    Rule(&'r Rule),
    /// A correlation, tied to its rules.
    Correlation(&'r Correlation),
}

/// Both have them under the same name.
macro_rules! of_both {
    ($($(#[$doc:meta])* $name:ident -> $type:ty;)*) => {
        impl<'r> Entry<'r> {
            $($(#[$doc])*
            pub fn $name(&self) -> $type {
                match self {
                    Self::Rule(rule) => rule.$name(),
                    Self::Correlation(correlation) => correlation.$name(),
                }
            })*
        }
    };
}

of_both! {
    /// Its id, as detections name it.
    id -> &'r str;
    /// Its title.
    title -> &'r str;
    /// Its level.
    level -> Level;
    /// Its status, e.g. `stable`.
    status -> Option<&'r str>;
    /// Its tags, e.g. `attack.t1003.001`.
    tags -> &'r [String];
    /// Its description.
    description -> Option<&'r str>;
    /// Its false positives.
    false_positives -> &'r [String];
    /// Its references.
    references -> &'r [String];
    /// Its author.
    author -> Option<&'r str>;
    /// Names its exact text, as detections do.
    version -> &'r str;
    /// Where it was read.
    source -> &'r RuleSource;
    /// Its exact text.
    text -> String;
}

impl<'r> Entry<'r> {
    /// The log source of a detection rule.
    pub fn logsource(&self) -> Option<&'r Logsource> {
        match self {
            Self::Rule(rule) => Some(rule.logsource()),
            Self::Correlation(_) => None,
        }
    }
}
