//! Sigma's correlation rules: matches of rules in, detections of correlations out.
//!
//! What enters: documents with a `correlation` section, tied to the rules loaded with them
//! ([`Correlations::link`]), and each match of a rule that one of them refers to, as an
//! [`event::Contribution`] ([`Correlator::push`]). What leaves: detections. Time is what the
//! matches say and what [`Correlator::tick`] is told; nothing here reads a clock.
//!
//! What a correlation means, whatever order matches come in within the allowed lateness:
//!
//! - Matches are taken in the order in which they happened (ties by event, then by rule).
//! - Each belongs to the group that its values in `group-by` name, case aside, within its own
//!   commune unless the correlation spans communes. One without such a value belongs to none.
//! - At each match of a group the condition is asked of the window that ends with it: the
//!   matches of the group later than `timespan` before it. Where it holds, the correlation fires,
//!   and not again in this group before a `timespan` has passed, so a storm fires once a window.
//! - A correlation that fires is itself a match, at that moment, with the values of the match
//!   that completed it, to the correlations that refer to it.
//!
//! `document` and `parts` read, `link` resolves references, `compile` and `order` prepare; `hold`
//! puts matches in order, `groups` and `state` keep what is needed of them, `correlator` joins
//! these, `fired` makes the detection, `snapshot` writes the state down and reads it back, and
//! `account` tells people what a correlation sees.

mod account;
mod compile;
mod condition;
mod correlator;
mod document;
mod fired;
mod groups;
mod hold;
mod limits;
mod link;
mod order;
mod origin;
mod parts;
mod snapshot;
mod state;
mod timespan;

pub(crate) use link::about;

pub use account::{Account, Group, Seen};
pub use compile::Correlations;
pub use correlator::{Adopted, Correlator};
pub use document::Correlation;
pub use limits::{Limits, Stats};
pub use link::Linked;
pub use snapshot::{Restored, SnapshotError};
