//! Which rules were in force when.

use async_trait::async_trait;
use event::{Level, Timestamp};
use serde::{Deserialize, Serialize};

use super::DbError;
use crate::Scope;

/// A rule's exact text, as it is put in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleText {
    /// Its id, as detections name it.
    pub id: String,
    /// Names this text, as detections do.
    pub version: String,
    /// Its title.
    pub title: String,
    /// Its level.
    pub level: Level,
    /// The document, and those of the filters that apply to it.
    pub text: String,
    /// The file that it was read from.
    pub path: String,
}

/// Why the rules in force changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleCause {
    /// The centre started.
    Start,
    /// A file changed.
    File,
    /// The process was told by SIGHUP.
    Signal,
    /// Somebody asked the API.
    Api,
}

impl RuleCause {
    /// All.
    pub const ALL: [Self; 4] = [Self::Start, Self::File, Self::Signal, Self::Api];

    /// The word used in JSON and SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::File => "file",
            Self::Signal => "signal",
            Self::Api => "api",
        }
    }
}

/// A beginning or an end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleChange {
    /// When.
    pub at: Timestamp,
    /// What made it so.
    pub cause: RuleCause,
    /// Who, e.g. `token:soc`, `operator`, or the part of the centre that saw it.
    pub by: String,
}

/// A span of time in which one version of a rule was in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleActivation {
    /// The rule.
    pub id: String,
    /// Names its text.
    pub version: String,
    /// Its title then.
    pub title: String,
    /// Its level then.
    pub level: Level,
    /// From when, inclusive.
    pub began: RuleChange,
    /// Until when, exclusive; `None` while it is in force.
    pub ended: Option<RuleChange>,
}

/// An activation and the text that was in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleVersion {
    /// When it was in force.
    #[serde(flatten)]
    pub activation: RuleActivation,
    /// The rule's document, and those of the filters that applied to it.
    pub text: String,
}

/// How [`activate_rules`](super::Database::activate_rules) changed what is in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activated {
    /// Versions that began.
    pub began: usize,
    /// Versions that ended.
    pub ended: usize,
}

/// Which rules were in force when.
///
/// Contract as of [`Database`](super::Database), whose part it is.
#[async_trait]
pub trait RuleHistory: Send + Sync {
    /// Puts exactly `rules` in force from `now` on: what was and is not among them ends, what is
    /// among them and was not begins, in one transaction. The same again changes nothing. A
    /// `now` before the last change counts as the moment of that change. A rule whose path alone
    /// is another does not begin anew. Refused: two rules of one id.
    async fn activate_rules(
        &self,
        rules: Vec<RuleText>,
        cause: RuleCause,
        by: &str,
        now: Timestamp,
    ) -> Result<Activated, DbError>;
    /// The rules that were in force at `at`, by id. Rules are the same for every commune; the
    /// scope only shows that somebody was let in.
    async fn rules_at(&self, scope: &Scope, at: Timestamp) -> Result<Vec<RuleActivation>, DbError>;
    /// The rules in force, by id, with what is needed to go on with them where their files became
    /// bad while the centre was down.
    async fn rules_in_force(&self) -> Result<Vec<RuleText>, DbError>;
    /// The last 1,000 times that rule `id` was in force, latest first, each with its text.
    async fn rule_versions(&self, scope: &Scope, id: &str) -> Result<Vec<RuleVersion>, DbError>;
}
