//! Sigma rules in, detections out.
//!
//! What enters: files of Sigma rules ([`load`]) and normalised events. What leaves: what was
//! loaded and what was refused and why ([`Loaded`]), and for each event the rules that fire
//! ([`Engine::matches`]) or the [`event::Detection`]s to raise ([`Ruleset::detect`]), and of many
//! matches those that correlations make ([`Correlator`]), the only state here. Deliberately absent:
//! clocks (time is an argument) and I/O other than reading rules.
//!
//! `yaml` keeps lines and spelling, `modifier`, `detection` and `condition` turn a document into
//! an expression, `taxonomy` turns Sigma's field names into the event's, `route` says which log
//! sources an event belongs to. `eval` is the meaning of a rule, written plainly; `engine` is the
//! same for all rules at once, `correlate` what follows from many matches. `ruleset` is what a running centre exchanges as a whole.

pub mod attack;
mod condition;
mod correlate;
mod detection;
mod encode;
mod engine;
mod entities;
mod entry;
mod error;
pub mod eval;
mod explain;
mod expr;
mod feeding;
mod files;
mod filter;
mod fold;
pub mod indicators;
mod lint;
mod load;
mod logsource;
mod logsource_tables;
mod modifier;
mod observed;
mod pattern;
mod pcre;
mod placeholder;
mod policy;
mod route;
mod route_feeds;
mod route_vendors;
mod rule;
mod ruleset;
mod taxonomy;
mod taxonomy_tables;
mod taxonomy_vendors;
mod test;
mod value;
mod yaml;

pub use correlate::{
    Account, Adopted, Correlation, Correlations, Correlator, Group, Limits, Linked, Restored, Seen,
    SnapshotError, Stats,
};
pub use engine::{Engine, Match, Memory, Scratch};
pub use entities::entities;
pub use entry::Entry;
pub use error::Refusal;
pub use explain::{Explanation, Line, Part, PartKind, explain};
pub use feeding::Feeding;
pub use files::{Kept, RuleFiles};
pub use lint::lint;
pub use load::{Loaded, files, load, load_with, parse, parse_with};
pub use logsource::Logsource;
pub use observed::Observed;
pub use placeholder::{PlaceholderError, Placeholders};
pub use policy::{
    CheckedException, Effect, ExceptionSource, Judgement, Policies, PolicySource, Selector,
    SelectorError, Unusable, check_exception,
};
pub use rule::{Rule, RuleSource};
pub use ruleset::{Found, Ruleset, Suppression};
