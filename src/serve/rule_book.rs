//! The rules in use, as the API shows them.

use api::{RuleDetail, RuleLogsource, RuleSummary};
use detect::{Engine, Rule};

/// A view of the engine's rules, in the engine's order.
pub(crate) struct RuleBook(Vec<RuleDetail>);

impl RuleBook {
    pub(crate) fn new(engine: &Engine) -> Self {
        Self(engine.rules().iter().map(|rule| detail(rule)).collect())
    }
}

impl api::Rules for RuleBook {
    fn list(&self) -> Vec<RuleSummary> {
        self.0.iter().map(|detail| detail.summary.clone()).collect()
    }

    fn get(&self, id: &str) -> Option<RuleDetail> {
        self.0.iter().find(|detail| detail.summary.id == id).cloned()
    }

    fn count(&self) -> usize {
        self.0.len()
    }
}

fn detail(rule: &Rule) -> RuleDetail {
    let logsource = rule.logsource();
    RuleDetail {
        summary: RuleSummary {
            id: rule.id().to_owned(),
            title: rule.title().to_owned(),
            level: rule.level(),
            status: rule.status().map(str::to_owned),
            tags: rule.tags().to_vec(),
            logsource: RuleLogsource {
                product: logsource.product.clone(),
                category: logsource.category.clone(),
                service: logsource.service.clone(),
            },
            version: rule.version().to_owned(),
        },
        description: rule.description().map(str::to_owned),
        false_positives: rule.false_positives().to_vec(),
        references: rule.references().to_vec(),
        author: rule.author().map(str::to_owned),
    }
}
