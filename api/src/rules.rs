//! `/api/v1/rules`: the rules in use. They are the same for every commune.

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use event::Level;
use serde::Serialize;

use crate::{App, ask::Ask, page, problem::Problem};

/// The rules in use; the binary implements it over the engine. Must not block.
pub trait Rules: Send + Sync + 'static {
    /// All, in a stable order.
    fn list(&self) -> Vec<RuleSummary>;
    /// The one of this id.
    fn get(&self, id: &str) -> Option<RuleDetail>;
    /// How many there are.
    fn count(&self) -> usize {
        self.list().len()
    }
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
}

/// All rules.
pub(crate) async fn list(app: App, _: Ask) -> Result<Response, Problem> {
    Ok(page::whole(app.rules.list()))
}

/// One rule.
pub(crate) async fn get(app: App, ask: Ask) -> Result<Response, Problem> {
    match app.rules.get(ask.id_text()) {
        Some(rule) => Ok(Json(rule).into_response()),
        None => Err(Problem::not_found("rule", ask.id_text())),
    }
}
