//! The rules in use, as the API shows them.

use std::sync::Arc;

use api::{RuleDetail, RuleLogsource, RuleSummary};
use detect::Rule;

use crate::rules::InForce;

/// A view of the rules in force, by id.
pub(crate) struct RuleBook {
    in_force: Arc<InForce>,
}

impl RuleBook {
    pub(crate) fn new(in_force: Arc<InForce>) -> Self {
        Self { in_force }
    }
}

impl api::Rules for RuleBook {
    fn list(&self) -> Vec<RuleSummary> {
        self.in_force.now().rules().iter().map(|rule| summary(rule)).collect()
    }

    fn get(&self, id: &str) -> Option<RuleDetail> {
        let ruleset = self.in_force.now();
        let rules = ruleset.rules();
        let place = rules.binary_search_by(|rule| rule.id().cmp(id)).ok()?;
        rules.get(place).map(|rule| detail(rule))
    }

    fn count(&self) -> usize {
        self.in_force.now().rules().len()
    }
}

fn summary(rule: &Rule) -> RuleSummary {
    let logsource = rule.logsource();
    RuleSummary {
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
    }
}

fn detail(rule: &Rule) -> RuleDetail {
    RuleDetail {
        summary: summary(rule),
        description: rule.description().map(str::to_owned),
        false_positives: rule.false_positives().to_vec(),
        references: rule.references().to_vec(),
        author: rule.author().map(str::to_owned),
    }
}
