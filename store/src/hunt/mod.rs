//! Analysts' searches.
//!
//! What enters: a query in the language of `docs/hunting.md`, a time range, a [`Scope`]. What
//! leaves: the newest matching events, decoded again from their stored records. A query is
//! parsed (`parse`), given its meaning (`plan`), and answered by the index (`evaluate`) for what
//! is in parts and splits, by looking (`matches`) for what is in memory.

use std::time::Duration;

use async_trait::async_trait;
use event::{Event, EventId, Timestamp};

use crate::Scope;

mod ast;
mod budget;
mod docs;
mod evaluate;
mod glob;
mod hunter;
mod matches;
mod page;
mod parse;
mod pattern;
mod plan;
mod range;
mod search;
mod select;
mod statistics;
mod stored;

pub(crate) use docs::Docs;
pub(crate) use evaluate::field_names;
pub use hunter::{Hunter, HunterConfig};
pub(crate) use select::Selector;
pub(crate) use stored::Originals;

/// What to search.
#[derive(Clone, Debug)]
pub struct HuntRequest {
    /// The query, e.g. `process.command_line:mimikatz and not host.name:pc-1`; empty is everything.
    pub query: String,
    /// `@timestamp` at or after.
    pub from: Timestamp,
    /// `@timestamp` at or before.
    pub to: Timestamp,
    /// From a page before.
    pub cursor: Option<String>,
    /// At most so many events; 0 means 100, more than 1,000 means 1,000.
    pub limit: usize,
}

/// What was found: newest first, by `@timestamp` then event id.
#[derive(Clone, Debug)]
pub struct HuntAnswer {
    /// The events.
    pub events: Vec<Event>,
    /// Opaque; `None` where there is nothing more.
    pub next_cursor: Option<String>,
    /// How many events match in all, where it was counted.
    pub total: u64,
    /// How many splits were looked into.
    pub splits: usize,
    /// What the caller should know: splits that could not be read, fields that no event has.
    pub warnings: Vec<String>,
}

/// What to count.
#[derive(Clone, Debug)]
pub struct StatisticsRequest {
    /// As [`HuntRequest::query`].
    pub query: String,
    /// `@timestamp` at or after.
    pub from: Timestamp,
    /// `@timestamp` at or before.
    pub to: Timestamp,
    /// The fields whose values are counted.
    pub fields: Vec<String>,
    /// The most frequent values of each that are told, at most 1,000.
    pub top: usize,
    /// How wide the bars of the histogram are; none is drawn where it is absent.
    pub interval: Option<Interval>,
}

/// How wide bars are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// So that there are about a hundred.
    Chosen,
    /// So wide.
    Every(Duration),
}

/// What the matching events have in common. All counts are exact, but for what `warnings` say.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    /// The matching events.
    pub total: u64,
    /// The earliest and the latest `@timestamp` among them.
    pub extent: Option<(Timestamp, Timestamp)>,
    /// How many there are when.
    pub histogram: Option<Histogram>,
    /// The values of the fields asked for, in that order.
    pub fields: Vec<FieldStatistics>,
    /// As [`HuntAnswer::warnings`].
    pub warnings: Vec<String>,
}

/// How many events there are when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// How wide each bar is.
    pub interval: Duration,
    /// Where each bar begins, a multiple of `interval` since 1970, and its events; none is left out
    /// between the first and the last.
    pub buckets: Vec<(Timestamp, u64)>,
}

/// The values of one field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldStatistics {
    /// Its name.
    pub field: String,
    /// The most frequent values and the events with each, the most frequent first. Values that differ
    /// in case alone are one, written as one event has it.
    pub values: Vec<(String, u64)>,
    /// Different values.
    pub distinct: u64,
    /// Events that have the field.
    pub events: u64,
    /// Events with a value of more than 1,024 bytes, which are counted together.
    pub longer: u64,
}

/// Why a hunt was refused or failed. The texts complete "failed to hunt: …".
#[derive(Debug, thiserror::Error)]
pub enum HuntError {
    /// The query does not parse.
    #[error("column {column}: {reason}")]
    Query {
        /// Where, in characters from 1.
        column: usize,
        /// What is wrong and, where it is near, what was likely meant.
        reason: String,
    },
    /// A field that cannot be counted.
    #[error("{name}: {reason}")]
    Field {
        /// As it was asked for.
        name: String,
        /// What is wrong and, where it is near, what was likely meant.
        reason: String,
    },
    /// A histogram of too many bars.
    #[error("the histogram would have more than {0} bars; take wider ones, or a shorter time")]
    Bars(usize),
    /// A page cursor that this server did not give out.
    #[error("the cursor is not one that this server gave out")]
    Cursor,
    /// It took longer than its limit.
    #[error("the hunt took longer than {0} s; narrow the time range or the query")]
    TooLong(u64),
    /// A split could not be read.
    #[error("{0}")]
    Storage(String),
}

/// Answers hunts over everything that is searchable now: sealed splits and what is not sealed
/// yet, each acknowledged event exactly once.
#[async_trait]
pub trait Hunt: Send + Sync + 'static {
    /// The newest matching events in `scope`.
    async fn hunt(&self, scope: &Scope, request: HuntRequest) -> Result<HuntAnswer, HuntError>;

    /// What the matching events in `scope` have in common.
    async fn statistics(
        &self,
        scope: &Scope,
        request: StatisticsRequest,
    ) -> Result<Statistics, HuntError>;

    /// One event; `None` where it does not exist in `scope`.
    async fn event(&self, scope: &Scope, id: EventId) -> Result<Option<Event>, HuntError>;
}
