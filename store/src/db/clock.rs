//! How soon incidents are to be dealt with, and which of their clocks run.
//!
//! An incident's clocks are of what it is alone, once it was told its targets: a backend looks the
//! targets up where an incident opens, becomes of another severity or is reopened, and otherwise
//! calls [`tend`] without. What was promised when an incident opened holds for it, whatever is
//! promised later.

use std::time::Duration;

use async_trait::async_trait;
use event::{CommuneId, Level, Timestamp};
use serde::{Deserialize, Serialize};

use super::{DbError, Incident};
use crate::Scope;

/// The longest target: a year.
pub const TARGET_MIN_MAX: u32 = 366 * 24 * 60;

/// What a clock counts down to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockName {
    /// That somebody looked.
    Acknowledge,
    /// That it spreads no further.
    Contain,
    /// That it was dealt with.
    Resolve,
    /// The early warning of NIS 2, article 23(4)(a): 24 hours after becoming aware.
    Nis2EarlyWarning,
    /// The incident notification, (b): 72 hours after becoming aware.
    Nis2Notification,
    /// The final report, (d): one month after the notification.
    Nis2FinalReport,
}

impl ClockName {
    /// All.
    pub const ALL: [Self; 6] = [
        Self::Acknowledge,
        Self::Contain,
        Self::Resolve,
        Self::Nis2EarlyWarning,
        Self::Nis2Notification,
        Self::Nis2FinalReport,
    ];

    /// Those that were promised to the commune.
    pub const SERVICE: [Self; 3] = [Self::Acknowledge, Self::Contain, Self::Resolve];

    /// The word used in JSON and SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledge",
            Self::Contain => "contain",
            Self::Resolve => "resolve",
            Self::Nis2EarlyWarning => "nis2_early_warning",
            Self::Nis2Notification => "nis2_notification",
            Self::Nis2FinalReport => "nis2_final_report",
        }
    }

    /// The report that stops it, where it is one of the law.
    pub const fn report(self) -> Option<Nis2Report> {
        match self {
            Self::Nis2EarlyWarning => Some(Nis2Report::EarlyWarning),
            Self::Nis2Notification => Some(Nis2Report::Notification),
            Self::Nis2FinalReport => Some(Nis2Report::FinalReport),
            _ => None,
        }
    }
}

/// One clock of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// What it counts down to.
    pub name: ClockName,
    /// Since when it runs.
    pub started: Timestamp,
    /// When it is broken.
    pub due: Timestamp,
    /// When what it counts down to was done, in time or not; it runs while that is not there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub met: Option<Timestamp>,
}

impl Clock {
    /// When to warn that it will break: after three quarters of its time.
    pub fn warning(&self) -> Timestamp {
        self.due.minus(self.due.since(self.started) / 4)
    }
}

/// What is reported to the authority (the CSIRT, in France CERT-FR) of a significant incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nis2Report {
    /// Within 24 hours.
    EarlyWarning,
    /// Within 72 hours.
    Notification,
    /// Within a month.
    FinalReport,
}

impl Nis2Report {
    /// All.
    pub const ALL: [Self; 3] = [Self::EarlyWarning, Self::Notification, Self::FinalReport];

    /// The word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EarlyWarning => "early_warning",
            Self::Notification => "notification",
            Self::FinalReport => "final_report",
        }
    }
}

/// What NIS 2 takes a commune for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Regime {
    /// An essential entity.
    Essential,
    /// An important entity.
    Important,
}

impl Regime {
    /// All.
    pub const ALL: [Self; 2] = [Self::Essential, Self::Important];

    /// The word used in JSON and SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Essential => "essential",
            Self::Important => "important",
        }
    }
}

/// In how many minutes an incident of one severity is to be dealt with; `None` is no clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Targets {
    /// To be looked at.
    pub acknowledge_min: Option<u32>,
    /// To be contained.
    pub contain_min: Option<u32>,
    /// To be resolved.
    pub resolve_min: Option<u32>,
}

/// What somebody set instead: `None` leaves the wider target, 0 is no clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnTargets {
    /// To be looked at.
    pub acknowledge_min: Option<u32>,
    /// To be contained.
    pub contain_min: Option<u32>,
    /// To be resolved.
    pub resolve_min: Option<u32>,
}

/// Targets that were set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetTargets {
    /// For whose incidents; `None` is all that have no own.
    pub commune: Option<CommuneId>,
    /// Of which severity.
    pub severity: Level,
    /// Which.
    pub own: OwnTargets,
}

impl Targets {
    /// Where nobody set any.
    pub const fn built_in(severity: Level) -> Self {
        const HOUR: u32 = 60;
        const DAY: u32 = 24 * HOUR;
        let (acknowledge, contain, resolve) = match severity {
            Level::Critical => (Some(15), Some(4 * HOUR), Some(DAY)),
            Level::High => (Some(30), Some(8 * HOUR), Some(3 * DAY)),
            Level::Medium => (Some(4 * HOUR), Some(2 * DAY), Some(7 * DAY)),
            Level::Low => (Some(DAY), None, Some(30 * DAY)),
            Level::Informational => (None, None, None),
        };
        Self { acknowledge_min: acknowledge, contain_min: contain, resolve_min: resolve }
    }

    /// What holds for an incident of `severity` of `commune`, of all that was `set`.
    pub fn of(set: &[SetTargets], commune: Option<&CommuneId>, severity: Level) -> Self {
        let own = |of: Option<&CommuneId>| {
            let found =
                set.iter().find(|set| set.commune.as_ref() == of && set.severity == severity);
            found.map_or_else(OwnTargets::default, |set| set.own)
        };
        let wide = Self::built_in(severity).with(own(None));
        match commune {
            None => wide,
            commune => wide.with(own(commune)),
        }
    }

    /// With what somebody set instead.
    #[must_use]
    pub fn with(self, own: OwnTargets) -> Self {
        let pick = |own: Option<u32>, wide| match own {
            None => wide,
            Some(minutes) => Some(minutes).filter(|minutes| *minutes > 0),
        };
        Self {
            acknowledge_min: pick(own.acknowledge_min, self.acknowledge_min),
            contain_min: pick(own.contain_min, self.contain_min),
            resolve_min: pick(own.resolve_min, self.resolve_min),
        }
    }

    fn target(&self, name: ClockName) -> Option<Duration> {
        let minutes = match name {
            ClockName::Acknowledge => self.acknowledge_min,
            ClockName::Contain => self.contain_min,
            ClockName::Resolve => self.resolve_min,
            _ => None,
        };
        minutes.map(|minutes| Duration::from_secs(u64::from(minutes) * 60))
    }
}

/// How soon incidents are to be dealt with.
///
/// Contract as of [`Database`](super::Database), whose part it is.
#[async_trait]
pub trait Clocks: Send + Sync {
    /// Sets the targets of incidents of one severity, of one commune or of all that have no own,
    /// for those that open from now on. All `None` takes them back. Missing: a commune that was
    /// not added. Refused: severity informational, more than [`TARGET_MIN_MAX`].
    async fn set_targets(&self, set: SetTargets) -> Result<(), DbError>;
    /// The targets that were set for all communes, and for those in scope.
    async fn targets(&self, scope: &Scope) -> Result<Vec<SetTargets>, DbError>;
    /// Says what NIS 2 takes a commune for; `None` is nothing. Missing: one that was not added.
    async fn set_regime(&self, commune: &CommuneId, regime: Option<Regime>) -> Result<(), DbError>;
    /// The communes in scope that are under NIS 2.
    async fn regimes(&self, scope: &Scope) -> Result<Vec<(CommuneId, Regime)>, DbError>;
}

/// Refuses targets that nobody could mean.
pub(super) fn check(set: &SetTargets) -> Result<(), DbError> {
    if set.severity == Level::Informational {
        return Err(DbError::Refused(
            "no incident is informational; set targets for low, medium, high or critical".into(),
        ));
    }
    let OwnTargets { acknowledge_min, contain_min, resolve_min } = set.own;
    for (what, minutes) in [
        ("acknowledge_min", acknowledge_min),
        ("contain_min", contain_min),
        ("resolve_min", resolve_min),
    ] {
        if let Some(minutes) = minutes.filter(|minutes| *minutes > TARGET_MIN_MAX) {
            return Err(DbError::Refused(format!(
                "{what} is {minutes}; use at most {TARGET_MIN_MAX} minutes, which is a year"
            )));
        }
    }
    Ok(())
}

/// Brings the clocks of `incident` to what it is at `now`; where `targets` are given they are those
/// of its severity. `reopened` starts those anew that had stopped.
pub(super) fn tend(
    incident: &mut Incident,
    targets: Option<&Targets>,
    reopened: bool,
    now: Timestamp,
) {
    for name in ClockName::SERVICE {
        let met = match name {
            ClockName::Acknowledge => incident.acknowledged,
            ClockName::Contain => incident.contained.or(incident.resolved),
            _ => incident.resolved,
        };
        let target = targets.map(|targets| targets.target(name));
        let found = incident.clocks.iter().position(|clock| clock.name == name);
        match (found, target) {
            (Some(place), _) if met.is_some() => incident.clocks[place].met = met,
            (Some(place), Some(None)) => drop(incident.clocks.remove(place)),
            (Some(place), Some(Some(target))) => {
                let clock = &mut incident.clocks[place];
                if clock.met.take().is_some() && reopened {
                    (clock.started, clock.due) = (now, now.plus(target));
                } else {
                    // More severe than it was: a whole target from now, but no later than it was.
                    let at_most = clock.due.min(now.plus(target));
                    clock.due = clock.started.plus(target).max(at_most);
                }
            }
            (Some(place), None) => incident.clocks[place].met = None,
            (None, Some(Some(target))) => {
                let due = now.plus(target);
                incident.clocks.push(Clock { name, started: now, due, met });
            }
            (None, _) => {}
        }
    }
    tend_nis2(incident);
    incident.clocks.sort_unstable_by_key(|clock| clock.name);
    incident.due =
        incident.clocks.iter().filter(|clock| clock.met.is_none()).map(|clock| clock.due).min();
}

fn tend_nis2(incident: &mut Incident) {
    let Some(aware) = incident.nis2_aware else {
        incident.clocks.retain(|clock| clock.name.report().is_none() || clock.met.is_some());
        return;
    };
    let hours = |hours| aware.plus(Duration::from_hours(hours));
    for name in ClockName::ALL.into_iter().filter(|name| name.report().is_some()) {
        let notified = incident
            .clocks
            .iter()
            .find(|clock| clock.name == ClockName::Nis2Notification)
            .and_then(|clock| clock.met);
        let due = match name {
            ClockName::Nis2EarlyWarning => hours(24),
            ClockName::Nis2Notification => hours(72),
            _ => notified.unwrap_or(aware).next_month(),
        };
        match incident.clocks.iter_mut().find(|clock| clock.name == name) {
            Some(clock) => (clock.started, clock.due) = (aware, due),
            None => incident.clocks.push(Clock { name, started: aware, due, met: None }),
        }
    }
}

impl Incident {
    /// Its clock of this name.
    pub fn clock(&self, name: ClockName) -> Option<&Clock> {
        self.clocks.iter().find(|clock| clock.name == name)
    }
}
