//! Analysts' searches.
//!
//! What enters: a query in the language of `docs/hunting.md`, a time range, a [`Scope`]. What
//! leaves: the newest matching events, decoded again from their stored records. A query is
//! parsed (`parse`), given its meaning (`plan`), and answered by the index (`evaluate`) for what
//! is in parts and splits, by looking (`matches`) for what is in memory.

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
mod plan;
mod range;
mod search;

pub(crate) use evaluate::field_names;
pub use hunter::{Hunter, HunterConfig};

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

    /// One event; `None` where it does not exist in `scope`.
    async fn event(&self, scope: &Scope, id: EventId) -> Result<Option<Event>, HuntError>;
}
