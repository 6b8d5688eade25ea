//! `/api/v1/rules`: the rules in force, now and then. They are the same for every commune; what a
//! commune makes of them is in `policy`.

use async_trait::async_trait;
use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use event::{CommuneId, Level, Timestamp};
use serde::Serialize;
use serde_json::json;

use crate::{App, ask::Ask, page, problem::Problem};

/// The rules in force; the binary implements it. What is not `async` must not block.
#[async_trait]
pub trait Rules: Send + Sync + 'static {
    /// All, in a stable order.
    fn list(&self) -> Vec<RuleSummary>;
    /// The one of this id.
    fn get(&self, id: &str) -> Option<RuleDetail>;
    /// How many there are.
    fn count(&self) -> usize {
        self.list().len()
    }
    /// What of the rule files is not in force as it stands there.
    fn status(&self) -> RulesStatus;
    /// Reads the rule files anew on behalf of `by` and puts in force what they hold. Returns why
    /// it could not, in which case nothing has changed.
    async fn reload(&self, by: &str) -> Result<Reload, String>;
    /// Called after a commune chose something about the rules: what is matched once this returned
    /// is judged by it.
    async fn policies_changed(&self) -> Result<(), String>;
    /// What `commune` makes of the rule of this id; `None` where there is none.
    fn in_commune(&self, id: &str, commune: &CommuneId) -> Option<RuleInCommune>;
    /// The usual form of a selector, and how many rules it names. Returns what is wrong with it.
    fn check_selector(&self, selector: &str) -> Result<(String, usize), String>;
    /// Reads a Sigma filter that is to be an exception. Returns what is wrong with it.
    fn check_filter(&self, filter: &str) -> Result<CheckedFilter, RuleRefusal>;
}

/// A rule as it is listed. Names and values are Sigma's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleSummary {
    /// Its id, as in a detection's `rule.id`.
    pub id: String,
    /// Its title.
    pub title: String,
    /// How serious its match is.
    pub level: Level,
    /// E.g. `stable`, `test`, `experimental`.
    pub status: Option<String>,
    /// E.g. `attack.t1003.001`.
    pub tags: Vec<String>,
    /// Which events it looks at.
    pub logsource: RuleLogsource,
    /// Names its exact text, as in a detection's `rule.version`.
    pub version: String,
    /// Why it stands as it was read earlier, where its file became bad.
    pub kept: Option<String>,
}

/// Which events a rule looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RuleLogsource {
    /// E.g. `windows`.
    pub product: Option<String>,
    /// E.g. `process_creation`.
    pub category: Option<String>,
    /// E.g. `security`.
    pub service: Option<String>,
}

/// A rule with what an analyst needs to judge its detections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleDetail {
    /// What lists show.
    #[serde(flatten)]
    pub summary: RuleSummary,
    /// What it means and how to go on.
    pub description: Option<String>,
    /// What is harmless and fires it all the same.
    #[serde(rename = "falsepositives")]
    pub false_positives: Vec<String>,
    /// Where to read more.
    pub references: Vec<String>,
    /// Who wrote it.
    pub author: Option<String>,
    /// Its document and those of the filters that apply to it.
    pub text: String,
}

/// What a commune makes of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RuleInCommune {
    /// Whether its matches count.
    pub enabled: bool,
    /// The level of its detections.
    pub level: Level,
}

/// A rule, filter or file that could not be used, as `file:line: reason`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleRefusal {
    /// The file.
    pub path: String,
    /// The line in it, from 1; 0 where the whole file is meant.
    pub line: u32,
    /// The rule's id, where it could be read.
    pub rule: Option<String>,
    /// The rule's title, where it could be read.
    pub title: Option<String>,
    /// What is wrong and how to mend it.
    pub reason: String,
}

/// A rule or filter that stands as it was read earlier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleKept {
    /// Its id; filters may have none.
    pub id: Option<String>,
    /// Its title.
    pub title: String,
    /// The file it was read from.
    pub path: String,
    /// What is wrong with that file.
    pub because: RuleRefusal,
}

/// What of the rule files is not in force as it stands there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RulesStatus {
    /// How many rules are in force.
    pub loaded: usize,
    /// What did not load.
    pub refused: Vec<RuleRefusal>,
    /// What stands as it was read earlier.
    pub kept: Vec<RuleKept>,
}

/// A rule that a reload touched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleTouched {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// The version in force now; of a removed rule, the last one.
    pub version: String,
    /// Of a changed rule, the version before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
}

/// What came of reading the rule files anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reload {
    /// When.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Rules that were not in force before.
    pub added: Vec<RuleTouched>,
    /// Rules in force in another version.
    pub changed: Vec<RuleTouched>,
    /// Rules that are in force no longer.
    pub removed: Vec<RuleTouched>,
    /// What is not in force as it stands in the files.
    #[serde(flatten)]
    pub status: RulesStatus,
}

/// A filter that may be an exception.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedFilter {
    /// Its title.
    pub title: String,
    /// Ids of the rules that it is joined to.
    pub rules: Vec<String>,
}

/// All rules in force now or, with `at`, then.
pub(crate) async fn list(app: App, ask: Ask) -> Result<Response, Problem> {
    match ask.params.time("at")? {
        None => Ok(page::whole(app.rules.list())),
        Some(at) => {
            let then = app.db.rules_at(ask.scope(), at).await.map_err(Problem::of_db)?;
            Ok(page::whole(then))
        }
    }
}

/// One rule, and what the communes that the caller may read make of it where that is not what it
/// says itself.
pub(crate) async fn get(app: App, ask: Ask) -> Result<Response, Problem> {
    let id = ask.id_text();
    let rule = app.rules.get(id).ok_or_else(|| Problem::not_found("rule", id))?;
    let mut communes = Vec::new();
    for commune in app.db.communes(ask.scope()).await.map_err(Problem::of_db)? {
        if let Some(there) = app.rules.in_commune(id, &commune.id)
            && (!there.enabled || there.level != rule.summary.level)
        {
            communes.push(json!({
                "commune": commune.id, "enabled": there.enabled, "level": there.level,
            }));
        }
    }
    let mut answer = json!(rule);
    answer["communes"] = communes.into();
    Ok(Json(answer).into_response())
}

/// Every time that one rule was in force, latest first, with its text.
pub(crate) async fn versions(app: App, ask: Ask) -> Result<Response, Problem> {
    let id = ask.id_text();
    let versions = app.db.rule_versions(ask.scope(), id).await.map_err(Problem::of_db)?;
    if versions.is_empty() && app.rules.get(id).is_none() {
        return Err(Problem::not_found("rule", id));
    }
    Ok(page::whole(versions))
}

/// What of the rule files is not in force as it stands there.
pub(crate) async fn status(app: App, _: Ask) -> Result<Response, Problem> {
    Ok(Json(app.rules.status()).into_response())
}

/// Reads the rule files anew.
pub(crate) async fn reload(app: App, ask: Ask) -> Result<Response, Problem> {
    let done = app.rules.reload(&ask.caller().name).await.map_err(Problem::internal)?;
    Ok(Json(done).into_response())
}
