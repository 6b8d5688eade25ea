//! Known-bad values of any number of sources, compared with every event.
//!
//! What enters: [`event::Indicator`]s, each under the [`Source`] whose word it is, and events.
//! What leaves: an [`IndicatorHit`] for each indicator and source that an event carries, which is
//! a detection like any rule's. `canonical` gives each value one spelling, `keys` finds it among
//! millions, `fields` says where in an event to look, `set` holds what is known beside the value,
//! `matching` brings them together, and `allow` keeps silent what is nobody's fault.
//! Deliberately absent: how indicators are fetched and kept, and clocks.

mod allow;
mod canonical;
mod fields;
mod keys;
mod matching;
mod set;

pub use allow::AllowList;
pub use fields::fields_of;
pub(crate) use matching::in_order;
pub use matching::{IndicatorHit, IndicatorScratch, LeftOut};
pub use set::{IndicatorSet, IndicatorSetBuilder, Source, SourceId, Unusable, level_of};
