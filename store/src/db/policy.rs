//! What a commune chose about the rules, and what may be chosen.

use async_trait::async_trait;
use event::{CommuneId, Level, Timestamp};
use serde::{Deserialize, Serialize};

use super::DbError;
use crate::Scope;

/// Choices in force that one commune may have.
pub const CHOICES_MAX: usize = 10_000;
/// Exceptions that one commune may have beside those taken back.
pub const EXCEPTIONS_MAX: usize = 1_000;

const SELECTOR_BYTES_MAX: usize = 300;
const FILTER_BYTES_MAX: usize = 64 << 10;
pub(super) const REASON_CHARS_MAX: usize = 2_000;
const NAME_CHARS_MAX: usize = 200;

/// What a choice does with the rules that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleEffect {
    /// They count, though a wider choice turned them off.
    Enable,
    /// Their matches count for nothing.
    Disable,
    /// Their detections have this level.
    Level(Level),
}

/// Which of two things a choice is about; of each kind a commune has one choice a selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChoiceKind {
    /// On or off.
    State,
    /// Another level.
    Level,
}

impl ChoiceKind {
    /// The word used in JSON and SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Level => "level",
        }
    }
}

impl RuleEffect {
    /// What it is about.
    pub const fn kind(self) -> ChoiceKind {
        match self {
            Self::Enable | Self::Disable => ChoiceKind::State,
            Self::Level(_) => ChoiceKind::Level,
        }
    }
}

/// Who did it and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// When.
    pub at: Timestamp,
    /// Who, e.g. `token:soc-night`.
    pub by: String,
}

/// A choice as it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewChoice {
    /// Which rules, e.g. `id:…` or `tag:attack.t1059`; the database does not read it.
    pub selector: String,
    /// What with them.
    pub effect: RuleEffect,
    /// Why.
    pub reason: String,
}

/// A choice as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleChoice {
    /// Whose.
    pub commune: CommuneId,
    /// Which rules.
    pub selector: String,
    /// What with them.
    pub effect: RuleEffect,
    /// Why.
    pub reason: String,
    /// Since when and by whom.
    pub began: Mark,
    /// Taken back or replaced; `None` while it holds.
    pub ended: Option<Mark>,
}

/// An exception as it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewException {
    /// What people call it.
    pub title: String,
    /// The Sigma filter, a YAML document; the database does not read it.
    pub filter: String,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// When it stops applying.
    pub expires: Timestamp,
}

/// An exception as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleException {
    /// Derived from commune, filter and time.
    pub id: String,
    /// Whose.
    pub commune: CommuneId,
    /// What people call it.
    pub title: String,
    /// The Sigma filter.
    pub filter: String,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// When it stops applying.
    pub expires: Timestamp,
    /// Since when and by whom.
    pub began: Mark,
    /// Taken back; `None` while it stands, expired or not.
    pub ended: Option<Mark>,
}

/// All that a commune chose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulePolicy {
    /// Whose.
    pub commune: CommuneId,
    /// In the order they were made.
    pub choices: Vec<RuleChoice>,
    /// In the order they were made, expired ones included.
    pub exceptions: Vec<RuleException>,
}

/// What communes chose about the rules. Nothing is forgotten: what is replaced or taken back ends,
/// and can be asked for as it was at any moment.
///
/// Contract as of [`Database`](super::Database), whose part it is.
#[async_trait]
pub trait RulePolicies: Send + Sync {
    /// Makes a choice for the rules that its selector names, instead of the one of its kind
    /// that `commune` has for that selector. Missing: a commune that is not there or not in
    /// scope. Refused: a selector or reason that is empty or too long, more than
    /// [`CHOICES_MAX`] choices.
    async fn choose_rules(
        &self,
        scope: &Scope,
        commune: &CommuneId,
        choice: NewChoice,
        by: &str,
        now: Timestamp,
    ) -> Result<RuleChoice, DbError>;
    /// Takes a choice back. Missing where there is none, or the commune is not in scope.
    async fn unchoose_rules(
        &self,
        scope: &Scope,
        commune: &CommuneId,
        selector: &str,
        kind: ChoiceKind,
        by: &str,
        now: Timestamp,
    ) -> Result<(), DbError>;
    /// Adds an exception. Missing as [`choose_rules`](Self::choose_rules). Refused: an owner,
    /// reason, title or filter that is empty or too long, an end that is not after `now`, more
    /// than [`EXCEPTIONS_MAX`] exceptions.
    async fn except_rules(
        &self,
        scope: &Scope,
        commune: &CommuneId,
        exception: NewException,
        by: &str,
        now: Timestamp,
    ) -> Result<RuleException, DbError>;
    /// Takes an exception back, whether it expired or not; what it was.
    async fn unexcept_rules(
        &self,
        scope: &Scope,
        id: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<RuleException, DbError>;
    /// What `commune` had chosen at `at`.
    async fn rule_policy(
        &self,
        scope: &Scope,
        commune: &CommuneId,
        at: Timestamp,
    ) -> Result<RulePolicy, DbError>;
    /// What all communes have chosen, by commune, for the detect stage, which works before any
    /// scope. Communes that chose nothing are left out.
    async fn rule_policies(&self) -> Result<Vec<RulePolicy>, DbError>;
}

/// Refuses a choice that nobody could account for.
pub(super) fn check_choice(choice: &NewChoice) -> Result<(), DbError> {
    let bytes = choice.selector.len();
    if bytes == 0 || bytes > SELECTOR_BYTES_MAX {
        return refuse(format!(
            "the selector has {bytes} bytes; use at least 1 and at most {SELECTOR_BYTES_MAX}"
        ));
    }
    check_text("reason", &choice.reason, REASON_CHARS_MAX)
}

/// Refuses an exception that nobody could account for or that would never apply.
pub(super) fn check_exception(exception: &NewException, now: Timestamp) -> Result<(), DbError> {
    check_text("title", &exception.title, NAME_CHARS_MAX)?;
    check_text("owner", &exception.owner, NAME_CHARS_MAX)?;
    check_text("reason", &exception.reason, REASON_CHARS_MAX)?;
    if exception.filter.trim().is_empty() {
        return refuse("the filter is empty".to_owned());
    }
    if exception.filter.len() > FILTER_BYTES_MAX {
        return refuse(format!(
            "the filter has {} bytes; use at most {FILTER_BYTES_MAX}",
            exception.filter.len()
        ));
    }
    if exception.expires <= now {
        return refuse(format!(
            "the exception would expire at {}, which has passed; give it an end to come",
            exception.expires
        ));
    }
    Ok(())
}

pub(super) fn check_text(what: &str, text: &str, chars_max: usize) -> Result<(), DbError> {
    let chars = text.chars().count();
    if text.trim().is_empty() {
        refuse(format!("the {what} is empty"))
    } else if chars > chars_max {
        refuse(format!("the {what} has {chars} characters; use at most {chars_max}"))
    } else if text.chars().any(|c| c.is_control() && c != '\n') {
        refuse(format!("the {what} has control characters; leave them out"))
    } else {
        Ok(())
    }
}

fn refuse(reason: String) -> Result<(), DbError> {
    Err(DbError::Refused(reason))
}
