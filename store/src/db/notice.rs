//! Whom to tell of which incidents.
//!
//! A notice is made from what changed since a hook last looked, in the transaction that moves it
//! on, so that each is made once; it is kept until it was sent or given up.

use std::{collections::BTreeSet, time::Duration};

use async_trait::async_trait;
use event::{CommuneId, IncidentId, Level, Timestamp};
use serde::{Deserialize, Serialize};

use super::{ClockName, DbError, Incident, IncidentStatus};
use crate::Scope;

/// What a receiver wants to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Its name, which its notices are kept under.
    pub name: String,
    /// Only of these communes; `None` is all.
    pub communes: Option<BTreeSet<CommuneId>>,
    /// Only of incidents at least so severe.
    pub severity_min: Level,
    /// Only of these happenings.
    pub kinds: BTreeSet<NoticeKind>,
    /// After how long a new incident that nobody acknowledged is told of.
    pub unacknowledged_after: Duration,
}

/// What may have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// It was opened, or became severe enough to be told of, or is to be reported under NIS 2.
    Opened,
    /// It became more severe.
    Severity,
    /// Nobody acknowledged it for too long.
    Unacknowledged,
    /// One of its clocks will break before long.
    ClockWarning,
    /// One of its clocks broke.
    ClockBroken,
    /// It was closed.
    Closed,
    /// It was reopened.
    Reopened,
}

impl NoticeKind {
    /// All.
    pub const ALL: [Self; 7] = [
        Self::Opened,
        Self::Severity,
        Self::Unacknowledged,
        Self::ClockWarning,
        Self::ClockBroken,
        Self::Closed,
        Self::Reopened,
    ];

    /// The word used in configuration, JSON and SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Severity => "severity",
            Self::Unacknowledged => "unacknowledged",
            Self::ClockWarning => "clock_warning",
            Self::ClockBroken => "clock_broken",
            Self::Closed => "closed",
            Self::Reopened => "reopened",
        }
    }
}

/// Where a notice stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeState {
    /// To be sent, or sent again.
    Pending,
    /// The receiver has it.
    Sent,
    /// Not worth sending any more.
    Dropped,
    /// Given up.
    Dead,
}

impl NoticeState {
    /// All.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Sent, Self::Dropped, Self::Dead];

    /// The word used in JSON and SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Dropped => "dropped",
            Self::Dead => "dead",
        }
    }
}

/// Something to tell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Notice {
    /// Counts up.
    pub id: u64,
    /// To whom.
    pub hook: String,
    /// Of which incident,
    pub incident: IncidentId,
    /// of which commune,
    pub commune: CommuneId,
    /// with which number.
    pub number: u64,
    /// What happened.
    pub kind: NoticeKind,
    /// Of which of its clocks, where it is of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockName>,
    /// When that clock breaks, or broke; none once it stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_due: Option<Timestamp>,
    /// How severe the incident is now.
    pub severity: Level,
    /// Where work on it stands now.
    pub status: IncidentStatus,
    /// When it was made.
    pub made: Timestamp,
    /// When it is to be sent, or was last tried.
    pub due: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// Where it stands.
    pub state: NoticeState,
    /// Why the last try failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What came of trying to send a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoticeOutcome {
    /// The receiver has it.
    Sent,
    /// Not worth sending any more.
    Dropped,
    /// To be tried again.
    Again {
        /// When.
        due: Timestamp,
        /// Why it failed.
        error: String,
    },
    /// Given up.
    Dead {
        /// Why.
        error: String,
    },
}

/// Whom to tell of which incidents. Hooks are the operator's, so what makes and sends notices works
/// before any scope.
///
/// Contract as of [`Database`](super::Database), whose part it is.
#[async_trait]
pub trait Notices: Send + Sync {
    /// Makes the notices that `hook` is due of what changed since it last looked, and moves it
    /// on, in one transaction; how many, and whether there may be more. A hook that never looked
    /// begins with what changes from then on.
    async fn make_notices(&self, hook: &Hook, now: Timestamp) -> Result<(u64, bool), DbError>;
    /// The pending notices of a hook whose time has come, the longest due first, with their
    /// incidents as they are now.
    async fn due_notices(
        &self,
        hook: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Notice>, DbError>;
    /// Keeps what came of trying to send a notice. Missing where it is not pending.
    async fn settle_notice(
        &self,
        id: u64,
        outcome: NoticeOutcome,
        now: Timestamp,
    ) -> Result<(), DbError>;
    /// The notices in scope, the latest first, in one of `states` where any is given, before the
    /// notice `before`; at most `limit`.
    async fn notices(
        &self,
        scope: &Scope,
        states: &[NoticeState],
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Notice>, DbError>;
    /// Makes a notice that was given up pending again. Missing where it does not exist in scope;
    /// Refused where it was not given up.
    async fn retry_notice(&self, scope: &Scope, id: u64, now: Timestamp)
    -> Result<Notice, DbError>;
}

/// What a hook was told of an incident, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) severity: Level,
    pub(super) closed: bool,
}

/// What `hook` is to be told of `incident`, of which it knows `told`, each with how long to wait;
/// and what it then knows. `None` where the incident is none of its.
pub(super) fn news(
    hook: &Hook,
    incident: &Incident,
    told: Option<Told>,
) -> Option<(Vec<(NoticeKind, Duration)>, Told)> {
    let of_its = hook.communes.as_ref().is_none_or(|these| these.contains(&incident.commune));
    let closed = incident.status == IncidentStatus::Closed;
    let now = Told { severity: incident.severity, closed };
    let mut kinds = Vec::new();
    match told {
        None => {
            // What the law wants reported is told of however severe it is, and though it is closed.
            let is_reported = incident.nis2_aware.is_some();
            let is_open = incident.status.is_open();
            let is_severe = incident.severity >= hook.severity_min;
            if !of_its || !(is_reported || is_severe && is_open) {
                return None;
            }
            if is_open {
                kinds.push((NoticeKind::Opened, Duration::ZERO));
            }
            if incident.status == IncidentStatus::New {
                kinds.push((NoticeKind::Unacknowledged, hook.unacknowledged_after));
            }
        }
        Some(told) => {
            if closed && !told.closed {
                kinds.push((NoticeKind::Closed, Duration::ZERO));
            } else if !closed && told.closed {
                kinds.push((NoticeKind::Reopened, Duration::ZERO));
            }
            if !closed && incident.severity > told.severity {
                kinds.push((NoticeKind::Severity, Duration::ZERO));
            }
        }
    }
    kinds.retain(|(kind, _)| hook.kinds.contains(kind));
    Some((kinds, now))
}

/// When `hook` is to be told of the clocks of `incident` that run, as things stand at `now`: of one
/// that is broken already no warning is made.
pub(super) fn alarms(
    hook: &Hook,
    incident: &Incident,
    now: Timestamp,
) -> Vec<(NoticeKind, ClockName, Timestamp)> {
    let mut alarms = Vec::new();
    for clock in incident.clocks.iter().filter(|clock| clock.met.is_none()) {
        if clock.due > now {
            alarms.push((NoticeKind::ClockWarning, clock.name, clock.warning()));
        }
        alarms.push((NoticeKind::ClockBroken, clock.name, clock.due));
    }
    alarms.retain(|(kind, ..)| hook.kinds.contains(kind));
    alarms
}

/// What is to be done about an alarm that `hook` has had already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rearm {
    /// It stands as it is.
    Keep,
    /// It comes at another time.
    Move,
    /// It was told, and there is cause to tell again.
    Anew,
}

/// An alarm as it was made.
pub(super) struct Alarm {
    pub(super) state: NoticeState,
    pub(super) attempts: u32,
    pub(super) made: Timestamp,
    pub(super) due: Timestamp,
}

impl Alarm {
    /// Whether it is to come at `at` instead, for a clock that runs since `started`.
    pub(super) fn rearm(&self, started: Timestamp, at: Timestamp, now: Timestamp) -> Rearm {
        match self.state {
            // One that is being tried has its time already.
            NoticeState::Pending if self.attempts > 0 || self.due == at => Rearm::Keep,
            NoticeState::Pending => Rearm::Move,
            // Told of a run of the clock that is over, or of an end that was put off.
            _ if self.made < started || at > now => Rearm::Anew,
            _ => Rearm::Keep,
        }
    }
}
