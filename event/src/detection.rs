//! What a rule makes of an event.

use serde::{Deserialize, Serialize};

use crate::{CommuneId, DetectionId, EventId, FeedId, FormatName, IndicatorRef, Level, Timestamp};

/// The rule that fired, as it was when it fired. ECS `rule.*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRef {
    /// The Sigma rule's `id`, or a UUID derived from its title where it has none.
    pub id: String,
    /// The Sigma rule's `title`.
    pub name: String,
    /// The Sigma rule's `level`; `informational` where it has none.
    pub level: Level,
    /// First 12 hex digits of the SHA-256 of the rule's text: names its exact version.
    pub version: String,
    /// The Sigma rule's `tags`, e.g. `attack.t1003.001`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// A field that the rule looked at and the value that satisfied it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MatchedField {
    /// The event's field, dotted ECS name; `event.original` for a keyword.
    pub field: String,
    /// The value in the event, as text, at most 1,024 characters of it.
    pub value: String,
}

/// What sort of thing an incident is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntityKind {
    /// A computer, ECS `host`.
    Host,
    /// A phone or tablet, ECS `device`.
    Device,
    /// A person's account, ECS `user`.
    User,
}

impl EntityKind {
    /// The lower-case word used in JSON and SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Device => "device",
            Self::User => "user",
        }
    }
}

/// A device or user that a detection concerns. Detections that share one join one incident.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entity {
    /// What it is.
    pub kind: EntityKind,
    /// Its name folded to lower case, so that `PC-01` and `pc-01` are one.
    pub name: String,
}

/// A rule of ours fired on an event. Everything needed to judge it travels with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// From rule and event, so that matching again adds none.
    pub id: DetectionId,
    /// Whose event it was.
    pub commune: CommuneId,
    /// The feed that the event came by.
    pub feed: FeedId,
    /// The event's format.
    pub format: FormatName,
    /// The rule.
    pub rule: RuleRef,
    /// The event.
    pub event_id: EventId,
    /// When the event happened, by its own account.
    pub timestamp: Timestamp,
    /// When the event was received.
    pub received: Timestamp,
    /// When the rule was evaluated.
    pub detected: Timestamp,
    /// The devices and users concerned, sorted, without duplicates.
    pub entities: Vec<Entity>,
    /// What satisfied the rule, sorted.
    pub matched: Vec<MatchedField>,
    /// The indicator of compromise that the event carries, where it is one that fired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub indicator: Option<IndicatorRef>,
    /// The normalised event as it was, `event.original` included.
    pub event: serde_json::Value,
    /// The values that correlations read, under the names they use; empty where none reads
    /// this rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<MatchedField>,
    /// What a correlation saw, where the rule is one; `event` is then the one that completed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Box<Correlated>>,
}

/// What a correlation saw when it fired: everything needed to judge it without its state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Correlated {
    /// Sigma's `type`, e.g. `event_count`.
    pub kind: String,
    /// The `group-by` fields (or aliases) and the values that the group has in common.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group: Vec<MatchedField>,
    /// Begin of the window: events at this very moment are not in it.
    pub from: Timestamp,
    /// End of the window: the event that completed it.
    pub to: Timestamp,
    /// Sigma's `timespan` in seconds.
    pub timespan_s: u64,
    /// The condition that holds, e.g. `gte 5` or `a and not b`.
    pub condition: String,
    /// What was counted, summed or averaged; for temporal correlations how many rules matched.
    pub value: f64,
    /// The rules that contributed, with how many of their matches were in the window.
    pub rules: Vec<ContributingRule>,
    /// The events that contributed, oldest first, at most 100 of them, the newest.
    pub events: Vec<EventId>,
    /// How many contributed in all.
    pub events_total: u64,
    /// The communes that they came from, where the correlation spans communes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub communes: Vec<CommuneId>,
}

/// A rule that contributed to a correlation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContributingRule {
    /// Its id.
    pub id: String,
    /// Its title.
    pub name: String,
    /// Its matches in the window.
    pub matches: u64,
}

/// The number of the ATT&CK technique that a Sigma tag names: `1003.001` of `attack.t1003.001`.
pub fn technique_of(tag: &str) -> Option<&str> {
    let number = tag.strip_prefix("attack.t")?;
    let is_number =
        number.len() >= 4 && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_number.then_some(number)
}
