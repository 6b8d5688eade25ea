//! The incidents' nouns.

use event::{CommuneId, DetectionId, Entity, IncidentId, Level, Timestamp};
use serde::{Deserialize, Serialize};

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
    /// Highest level of its detections.
    pub severity: Level,
    /// Where work on it stands.
    pub status: IncidentStatus,
    /// What it turned out to be; always there once closed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verdict: Option<Verdict>,
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
    /// Grows by one with every detection that joins and every change by somebody; for ETags.
    pub version: u64,
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
    /// Changed at or after.
    pub updated_since: Option<Timestamp>,
    /// From a page before.
    pub cursor: Option<String>,
    /// At most so many; 0 means 50, more than 1,000 means 1,000.
    pub limit: usize,
}

/// What an analyst does to an incident.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IncidentChange {
    /// A new state. Any state can follow any other but itself; closing demands a verdict.
    #[serde(default)]
    pub status: Option<IncidentStatus>,
    /// A verdict.
    #[serde(default)]
    pub verdict: Option<Verdict>,
    /// A comment, at most 64 KiB.
    #[serde(default)]
    pub comment: Option<String>,
    /// Refuse unless the incident still has this version (from an ETag).
    #[serde(skip)]
    pub if_version: Option<u64>,
}

/// What an analyst wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// The text as written.
    pub text: String,
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
    /// Somebody commented.
    Comment(Comment),
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
