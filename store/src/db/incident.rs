//! The incidents' nouns.

use event::{CommuneId, DetectionId, Entity, IncidentId, Level, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Clock, Nis2Report};

/// Grouped detections that analysts work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// From the detection that opened it.
    pub id: IncidentId,
    /// Counts up within the commune; people say `DIJON-12`.
    pub number: u64,
    /// Whose it is.
    pub commune: CommuneId,
    /// The name of its most severe rule and the entity it is about, for lists.
    pub title: String,
    /// How severe it is: what an analyst said, else the higher of `severity_detected` and what
    /// its risk score comes to.
    pub severity: Level,
    /// Highest level of its detections.
    pub severity_detected: Level,
    /// Who said that it is of another severity, and why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub severity_override: Option<SeverityOverride>,
    /// What its rules and ATT&CK tactics add up to; [`IncidentRisk`] says how.
    pub risk_score: u32,
    /// Where work on it stands.
    pub status: IncidentStatus,
    /// What it turned out to be; always there once closed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verdict: Option<Verdict>,
    /// Who works it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub assignee: Option<String>,
    /// What analysts file it under, sorted.
    pub labels: Vec<String>,
    /// Devices and users it concerns, in the order they came; at most 256.
    pub entities: Vec<Entity>,
    /// ATT&CK tags of its rules (those that begin with `attack.`), sorted.
    pub tags: Vec<String>,
    /// How many detections it holds.
    pub detections: u64,
    /// `@timestamp` of its earliest event.
    pub first_event: Timestamp,
    /// `@timestamp` of its latest event.
    pub last_event: Timestamp,
    /// When it was opened.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
    /// When it first left state new.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub acknowledged: Option<Timestamp>,
    /// When somebody said that it spreads no further.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub contained: Option<Timestamp>,
    /// When the commune became aware that it is one to report under NIS 2.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub nis2_aware: Option<Timestamp>,
    /// How soon it is to be dealt with and reported. Those of before there were clocks have none
    /// until their severity changes.
    #[serde(default)]
    pub clocks: Vec<Clock>,
    /// When the first of its clocks that run breaks, or broke.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub due: Option<Timestamp>,
    /// When it was resolved, or closed without being resolved before; not while it is open.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resolved: Option<Timestamp>,
    /// When it was closed; not while it is not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub closed: Option<Timestamp>,
    /// The incident that it was merged into, which has its detections now.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub merged_into: Option<IncidentId>,
    /// Grows by one with every detection that joins and every change by somebody; for ETags.
    pub version: u64,
}

/// A severity that an analyst set instead of the computed one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeverityOverride {
    /// Why.
    pub reason: String,
    /// Who set it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// Where work on an incident stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentStatus {
    /// Nobody looked yet.
    New,
    /// Somebody saw it.
    Acknowledged,
    /// Being worked.
    InProgress,
    /// Dealt with, not yet reviewed.
    Resolved,
    /// Done; it has a verdict. New detections open another incident.
    Closed,
}

impl IncidentStatus {
    /// All, in order of work.
    pub const ALL: [Self; 5] =
        [Self::New, Self::Acknowledged, Self::InProgress, Self::Resolved, Self::Closed];

    /// The word used in JSON and SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Acknowledged => "acknowledged",
            Self::InProgress => "in_progress",
            Self::Resolved => "resolved",
            Self::Closed => "closed",
        }
    }

    /// Whether new detections may still join.
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Resolved | Self::Closed)
    }
}

/// What an incident turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// An attack or a policy violation.
    TruePositive,
    /// The rule was wrong.
    FalsePositive,
    /// The rule was right and the activity was allowed.
    BenignTruePositive,
    /// Cannot be told.
    Undetermined,
}

impl Verdict {
    /// All.
    pub const ALL: [Self; 4] =
        [Self::TruePositive, Self::FalsePositive, Self::BenignTruePositive, Self::Undetermined];

    /// The word used in JSON and SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TruePositive => "true_positive",
            Self::FalsePositive => "false_positive",
            Self::BenignTruePositive => "benign_true_positive",
            Self::Undetermined => "undetermined",
        }
    }
}

/// Which incidents to list. Everything given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IncidentQuery {
    /// Of this commune only.
    pub commune: Option<CommuneId>,
    /// In one of these states; empty is any.
    pub status: Vec<IncidentStatus>,
    /// At least this severe.
    pub severity_min: Option<Level>,
    /// With one of these verdicts; empty is any or none.
    pub verdict: Vec<Verdict>,
    /// Worked by somebody.
    pub assignee: Option<AssigneeFilter>,
    /// Filed under this label.
    pub label: Option<String>,
    /// This text in its title, entities, labels, tags or `COMMUNE-NUMBER`, whatever the case.
    pub text: Option<String>,
    /// Changed at or after.
    pub updated_since: Option<Timestamp>,
    /// With a clock that runs and breaks, or broke, before.
    pub due_before: Option<Timestamp>,
    /// What the list is ordered by.
    pub sort: IncidentSort,
    /// Smallest first rather than greatest.
    pub ascending: bool,
    /// From a page before.
    pub cursor: Option<String>,
    /// At most so many; 0 means 50, more than 1,000 means 1,000.
    pub limit: usize,
}

/// Whose incidents to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AssigneeFilter {
    /// Nobody's.
    Nobody,
    /// This one's.
    Named(String),
}

/// What a list of incidents may be ordered by; ties by id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IncidentSort {
    /// When it last changed.
    #[default]
    Updated,
    /// When it was opened.
    Created,
    /// How severe it is.
    Severity,
    /// Its risk score.
    RiskScore,
    /// When the first of its clocks that run breaks; those without are not in the list.
    Due,
}

impl IncidentSort {
    /// All.
    pub const ALL: [Self; 5] =
        [Self::Updated, Self::Created, Self::Severity, Self::RiskScore, Self::Due];

    /// The word used in URLs and SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Updated => "updated",
            Self::Created => "created",
            Self::Severity => "severity",
            Self::RiskScore => "risk_score",
            Self::Due => "due",
        }
    }
}

/// What an analyst does to an incident.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IncidentChange {
    /// A new state. Any state can follow any other but itself; closing demands a verdict.
    pub status: Option<IncidentStatus>,
    /// A verdict.
    pub verdict: Option<Verdict>,
    /// Who works it from now on; the inner `None` is nobody.
    pub assignee: Option<Option<String>>,
    /// How severe it is, whatever was computed; the inner `None` goes back to what is. Demands a
    /// reason.
    pub severity: Option<Option<Level>>,
    /// Whether it spreads no further.
    pub contained: Option<bool>,
    /// Since when the commune knows that it is to be reported under NIS 2; the inner `None` says
    /// that it is not, and demands a reason.
    pub nis2_aware: Option<Option<Timestamp>>,
    /// What was sent to the authority.
    pub nis2_report: Option<Nis2Report>,
    /// Why its severity is another, or why it need not be reported after all.
    pub reason: Option<String>,
    /// All labels it has from now on.
    pub labels: Option<Vec<String>>,
    /// A comment, at most 64 KiB.
    pub comment: Option<String>,
    /// Who may see the comment; `None` is the SOC alone where somebody of the SOC writes it, and
    /// the commune where the commune does.
    pub visibility: Option<Visibility>,
    /// Refuse unless the incident still has this version (from an ETag).
    pub if_version: Option<u64>,
}

/// Who may see a comment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Whoever sees all communes.
    Soc,
    /// The incident's commune too.
    #[default]
    Shared,
}

/// What an analyst wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// The text as written.
    pub text: String,
    /// Who may see it. Comments of before this could be said were seen by all.
    #[serde(default)]
    pub visibility: Visibility,
}

/// Something that happened to an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// When.
    pub at: Timestamp,
    /// Who: a caller's name, or `jacquemart`.
    pub by: String,
    /// What.
    #[serde(flatten)]
    pub kind: TimelineKind,
}

/// What can happen to an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TimelineKind {
    /// A detection opened it.
    Opened {
        /// Which.
        detection: DetectionId,
        /// Its rule's name.
        rule: String,
    },
    /// A detection joined it.
    Joined {
        /// Which.
        detection: DetectionId,
        /// Its rule's name.
        rule: String,
    },
    /// Its state changed.
    Status {
        /// Before.
        from: IncidentStatus,
        /// After.
        to: IncidentStatus,
    },
    /// Its verdict changed.
    Verdict {
        /// After.
        to: Verdict,
    },
    /// Somebody else works it.
    Assignee {
        /// Before.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        from: Option<String>,
        /// After.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        to: Option<String>,
    },
    /// Somebody set its severity, or gave it back to what is computed.
    Severity {
        /// Before.
        from: Level,
        /// After.
        to: Level,
        /// Why.
        reason: String,
        /// Whether it is computed again.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        computed: bool,
    },
    /// It spreads no further, or it does after all.
    Contained {
        /// Whether.
        contained: bool,
    },
    /// It is to be reported under NIS 2.
    Nis2Aware {
        /// Since when that is known.
        aware: Timestamp,
    },
    /// It need not be reported after all.
    Nis2Withdrawn {
        /// Why.
        reason: String,
    },
    /// A report of it was sent to the authority.
    Nis2Reported {
        /// Which.
        report: Nis2Report,
    },
    /// It was merged into another, which has its detections now.
    MergedInto {
        /// Which.
        incident: IncidentId,
    },
    /// Another was merged into it.
    Absorbed {
        /// Which.
        incident: IncidentId,
        /// How many detections came with it.
        detections: u64,
    },
    /// Its labels changed.
    Labels {
        /// Those it has now and did not.
        added: Vec<String>,
        /// Those it has no more.
        removed: Vec<String>,
    },
    /// Somebody commented.
    Comment(Comment),
}

/// An incident that has something in common with another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SimilarIncident {
    /// The other one.
    #[serde(flatten)]
    pub incident: Incident,
    /// What they have in common.
    pub common: Common,
}

/// What two incidents have in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Common {
    /// Ids of rules that fired in both.
    pub rules: Vec<String>,
    /// Devices and users of both, in one commune.
    pub entities: Vec<Entity>,
    /// How alike they are, 0 to 1: of the rules of both the share that is common, and the same of
    /// the entities, the rules counting three times as much.
    pub likeness: f64,
}

/// Incidents that changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Changes {
    /// Each with the number of its last change.
    pub incidents: Vec<(u64, Incident)>,
    /// After which change to go on.
    pub next: u64,
}

/// What raising did with one detection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raised {
    /// The detection.
    pub detection: DetectionId,
    /// Its incident; `None` for rules of level informational, which are kept but raise nothing.
    pub incident: Option<IncidentId>,
    /// What happened.
    pub kind: RaisedKind,
}

/// What can happen to a detection that is raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaisedKind {
    /// It opened an incident.
    Opened,
    /// It joined an open one.
    Joined,
    /// It was raised before.
    Known,
    /// Kept without incident.
    Kept,
}
