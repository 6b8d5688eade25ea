//! The shared nouns of Jacquemart, and nothing that does I/O.
//!
//! What enters: raw bytes that a collector framed ([`Record`]). What leaves: the
//! normalised [`Event`] with its ECS fields and the [`Detection`]s that rules made of
//! it, plus the ids and names that every room shares. Deliberately absent: sockets,
//! files, SQL, rules and rights (a caller's `Scope` lives in `store`, beside the only
//! code that can make one).

mod commune;
mod decode;
mod detection;
mod event;
mod feed;
mod field;
mod ids;
mod indicator;
mod json;
mod level;
mod record;
mod signal;
mod time;

pub use commune::Commune;
pub use decode::Decode;
pub use detection::{
    ContributingRule, Correlated, Detection, Entity, EntityKind, MatchedField, RuleRef,
};
pub use event::{Event, EventBuilder, ValueRef};
pub use feed::Feed;
pub use field::{FIELDS_MAX, FieldId, Namespace, fields};
pub use ids::{
    BusId, CommuneId, DetectionId, EventId, FeedId, FormatName, IncidentId, InvalidId, SplitId,
};
pub use indicator::{Indicator, IndicatorRef, IndicatorType, Tlp};
pub use level::Level;
pub use record::{Record, RecordError};
pub use signal::{Contribution, Signal};
pub use time::Timestamp;
