//! The shared nouns of Jacquemart, and nothing that does I/O.
//!
//! What enters: raw bytes that a collector framed ([`Record`]). What leaves: the
//! normalised [`Event`] with its ECS fields and the [`Detection`]s that rules made of
//! it, plus the ids and names that every room shares. Deliberately absent: sockets,
//! files, SQL, rules and rights (a caller's `Scope` lives in `store`, beside the only
//! code that can make one).

mod activity;
mod attack;
mod batch;
mod builder;
mod commune;
mod context;
mod decode;
mod detection;
mod event;
mod feed;
mod field;
mod ids;
mod indicator;
mod json;
mod level;
mod namespace;
mod owner;
mod quota;
mod record;
mod signal;
mod space;
mod time;
mod value;

pub use activity::{SLOTS_A_DAY, SLOTS_KEPT, Slots, slot_of};
pub use attack::TACTICS;
pub use batch::{BatchMark, BatchState};
pub use builder::EventBuilder;
pub use commune::Commune;
pub use context::Context;
pub use decode::Decode;
pub use detection::{
    ContributingRule, Correlated, Detection, Entity, EntityKind, MatchedField, RuleRef,
    technique_of,
};
pub use event::Event;
pub use feed::Feed;
pub use field::{FEED_FIELDS_MAX, FIELDS_MAX, FieldId, fields};
pub use ids::{
    BusId, CommuneId, DetectionId, EventId, FeedId, FormatName, IncidentId, IndicatorSourceId,
    InvalidId, SplitId,
};
pub use indicator::{Indicator, IndicatorRef, IndicatorType, Tlp};
pub use level::Level;
pub use namespace::{Names, Namespace};
pub use owner::Owner;
pub use quota::Quota;
pub use record::{Record, RecordError};
pub use signal::{Contribution, Signal};
pub use space::{Lent, Space, Unescaped};
pub use time::Timestamp;
pub use value::ValueRef;
