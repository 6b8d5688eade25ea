//! Sigma rules in, detections out.
//!
//! What enters: files of Sigma rules ([`load`]) and normalised events. What leaves: what was
//! loaded and what was refused and why ([`Loaded`]), and for each event the rules that fire
//! ([`Engine::matches`]) or the [`event::Detection`]s to raise ([`Engine::detect`]). Deliberately
//! absent: state (correlations come later and are refused when loaded), clocks (time is an
//! argument) and I/O other than reading rules.
//!
//! `yaml` keeps lines and spelling, `modifier`, `detection` and `condition` turn a document into
//! an expression, `taxonomy` turns Sigma's field names into the event's, `route` says which log
//! sources an event belongs to. `eval` is the meaning of a rule, written plainly; `engine` is the
//! same for all rules at once. `ruleset` is what a running centre exchanges as a whole.

mod condition;
mod detection;
mod encode;
mod engine;
mod entities;
mod error;
pub mod eval;
mod expr;
mod filter;
mod fold;
pub mod indicators;
mod load;
mod logsource;
mod logsource_tables;
mod modifier;
mod pattern;
mod pcre;
mod placeholder;
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

pub use engine::{Engine, Match, Scratch};
pub use entities::entities;
pub use error::Refusal;
pub use load::{Loaded, load, load_with, parse, parse_with};
pub use logsource::Logsource;
pub use placeholder::{PlaceholderError, Placeholders};
pub use rule::{Rule, RuleSource};
pub use ruleset::{Found, Ruleset};
