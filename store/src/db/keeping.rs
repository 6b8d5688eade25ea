//! How long events are kept, what is kept longer, and what is removed on demand.

use async_trait::async_trait;
use event::{CommuneId, FeedId, Owner, SplitId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    DbError, Mark,
    policy::{REASON_CHARS_MAX, check_text},
};
use crate::Scope;

/// The longest that events are kept, without a hold: ten years.
pub const RETENTION_DAYS_MAX: u32 = 3_650;
/// The longest query of a purge.
pub const PURGE_QUERY_BYTES_MAX: usize = 16 << 10;

/// A hold as it is placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewHold {
    /// Whose events are kept.
    pub commune: CommuneId,
    /// Those of one feed alone.
    pub feed: Option<FeedId>,
    /// Those with an `@timestamp` at or after.
    pub from: Option<Timestamp>,
    /// Those with an `@timestamp` at or before.
    pub to: Option<Timestamp>,
    /// Why.
    pub reason: String,
}

/// A hold: what it covers is neither dropped nor purged while it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Derived from what it covers and when it was placed.
    pub id: String,
    /// Whose events are kept.
    pub commune: CommuneId,
    /// Those of one feed alone.
    pub feed: Option<FeedId>,
    /// Those with an `@timestamp` at or after.
    pub from: Option<Timestamp>,
    /// Those with an `@timestamp` at or before.
    pub to: Option<Timestamp>,
    /// Why.
    pub reason: String,
    /// Since when and by whom.
    pub began: Mark,
    /// Released; `None` while it stands.
    pub ended: Option<Mark>,
}

impl Hold {
    /// Whether it may cover an event of `commune` between `from` and `to`.
    pub fn touches(&self, commune: &CommuneId, from: Timestamp, to: Timestamp) -> bool {
        self.commune == *commune
            && self.from.is_none_or(|begin| begin <= to)
            && self.to.is_none_or(|end| end >= from)
    }
}

/// A purge as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPurge {
    /// Whose events go.
    pub commune: CommuneId,
    /// Which: a query as hunts have them. The database does not read it.
    pub query: String,
    /// Those with an `@timestamp` at or after.
    pub from: Option<Timestamp>,
    /// Those with an `@timestamp` at or before.
    pub to: Option<Timestamp>,
    /// Why.
    pub reason: String,
}

/// A purge: what matched when it was asked for is removed from what is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purge {
    /// Derived from what it removes and when it was asked for.
    pub id: String,
    /// Whose events go.
    pub commune: CommuneId,
    /// Which.
    pub query: String,
    /// Those with an `@timestamp` at or after.
    pub from: Option<Timestamp>,
    /// Those with an `@timestamp` at or before.
    pub to: Option<Timestamp>,
    /// Why.
    pub reason: String,
    /// When and by whom; what was received later stays.
    pub asked: Mark,
    /// Events removed so far.
    pub events: u64,
    /// Splits that they were in.
    pub splits: u64,
    /// Events that matched and stay, as a hold covers them.
    pub held: u64,
    /// When the last of them was gone; `None` while it is under way.
    pub done: Option<Timestamp>,
    /// Why it goes on no further, where that is so; it is tried again.
    pub trouble: Option<String>,
}

/// A split that is no longer registered, whose object may still be there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CondemnedSplit {
    /// Its id.
    pub id: SplitId,
    /// Its commune.
    pub commune: CommuneId,
    /// The checksum of its object.
    pub crc32c: u32,
}

/// What is kept and for how long.
///
/// Contract as of [`Database`](super::Database), whose part it is.
#[async_trait]
pub trait Keeping: Send + Sync {
    /// Sets how many days a commune's or a feed's events are kept; `None` takes its own days away.
    /// Missing: one that was not added. Refused: none, or more than [`RETENTION_DAYS_MAX`].
    async fn set_retention(&self, of: &Owner, days: Option<u32>) -> Result<(), DbError>;
    /// The days of the communes in scope and of their feeds, where they have their own.
    async fn retentions(&self, scope: &Scope) -> Result<Vec<(Owner, u32)>, DbError>;
    /// All of them with the commune, for the stage that drops what is old and shows it to nobody.
    async fn all_retentions(&self) -> Result<Vec<(CommuneId, Owner, u32)>, DbError>;

    /// Places a hold. Missing: a commune that is not there or not in scope, a feed that is not the
    /// commune's. Refused: an end before the beginning, a reason that is empty or too long.
    async fn place_hold(
        &self,
        scope: &Scope,
        hold: NewHold,
        by: &str,
        now: Timestamp,
    ) -> Result<Hold, DbError>;
    /// Releases a hold; as it is then. Missing where none in scope stands under this id.
    async fn release_hold(
        &self,
        scope: &Scope,
        id: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<Hold, DbError>;
    /// The holds in scope, released ones included, the latest first.
    async fn holds(&self, scope: &Scope) -> Result<Vec<Hold>, DbError>;
    /// The holds that stand, for the stage that drops what is old.
    async fn holds_in_force(&self) -> Result<Vec<Hold>, DbError>;

    /// Writes a purge down, to be done soon. Missing: a commune that is not there or not in scope.
    /// Refused: an end before the beginning, a query or reason that is empty or too long.
    async fn ask_purge(
        &self,
        scope: &Scope,
        purge: NewPurge,
        by: &str,
        now: Timestamp,
    ) -> Result<Purge, DbError>;
    /// The purges in scope, the latest first.
    async fn purges(&self, scope: &Scope) -> Result<Vec<Purge>, DbError>;
    /// One purge.
    async fn purge(&self, scope: &Scope, id: &str) -> Result<Option<Purge>, DbError>;
    /// The purges that are not done, the first asked first, for the stage that does them.
    async fn pending_purges(&self) -> Result<Vec<Purge>, DbError>;
    /// A purge is done, `held` events stay. Missing where it is not pending.
    async fn finish_purge(&self, id: &str, held: u64, now: Timestamp) -> Result<(), DbError>;
    /// A purge goes on no further for now. Missing where it is not pending.
    async fn trouble_purge(&self, id: &str, trouble: &str) -> Result<(), DbError>;

    /// The splits that [`Database::publish`](super::Database::publish) removed and whose objects
    /// were not told to be gone.
    async fn condemned_splits(&self) -> Result<Vec<CondemnedSplit>, DbError>;
    /// The objects of these are gone.
    async fn forget_splits(&self, gone: Vec<CondemnedSplit>) -> Result<(), DbError>;
}

/// Refuses days that are none or too many.
pub(super) fn check_days(days: Option<u32>) -> Result<(), DbError> {
    match days {
        Some(days) if !(1..=RETENTION_DAYS_MAX).contains(&days) => Err(DbError::Refused(format!(
            "{days} days; use 1 to {RETENTION_DAYS_MAX}, or a hold for what must be kept longer"
        ))),
        _ => Ok(()),
    }
}

/// Refuses a hold that nobody could account for or that covers nothing.
pub(super) fn check_hold(hold: &NewHold) -> Result<(), DbError> {
    check_times(hold.from, hold.to)?;
    check_text("reason", &hold.reason, REASON_CHARS_MAX)
}

/// Refuses a purge that nobody could account for or that removes nothing.
pub(super) fn check_purge(purge: &NewPurge) -> Result<(), DbError> {
    check_times(purge.from, purge.to)?;
    check_text("reason", &purge.reason, REASON_CHARS_MAX)?;
    let bytes = purge.query.len();
    if purge.query.trim().is_empty() {
        return Err(DbError::Refused(
            "the query is empty; say which events go, * for all of the commune".to_owned(),
        ));
    }
    if bytes > PURGE_QUERY_BYTES_MAX {
        return Err(DbError::Refused(format!(
            "the query has {bytes} bytes; use at most {PURGE_QUERY_BYTES_MAX}"
        )));
    }
    Ok(())
}

fn check_times(from: Option<Timestamp>, to: Option<Timestamp>) -> Result<(), DbError> {
    match (from, to) {
        (Some(from), Some(to)) if from > to => {
            Err(DbError::Refused(format!("it would end at {to}, before it begins at {from}")))
        }
        _ => Ok(()),
    }
}
