//! The rules in force, as the API shows and changes them.

use std::sync::Arc;

use api::{
    CheckedFilter, Reload, RuleDetail, RuleInCommune, RuleLogsource, RuleRefusal, RuleSummary,
    RulesStatus,
};
use async_trait::async_trait;
use detect::{Entry, Kept, Ruleset, Selector};
use event::CommuneId;
use store::db::RuleCause;

use crate::rules::{self, Keeper};

/// A view of the rules in force, by id.
pub(crate) struct RuleBook {
    keeper: Arc<Keeper>,
}

impl RuleBook {
    pub(crate) fn new(keeper: Arc<Keeper>) -> Self {
        Self { keeper }
    }

    fn now(&self) -> Arc<Ruleset> {
        self.keeper.in_force().now()
    }
}

#[async_trait]
impl api::Rules for RuleBook {
    fn list(&self) -> Vec<RuleSummary> {
        let ruleset = self.now();
        ruleset.entries().into_iter().map(|entry| summary(entry, ruleset.kept())).collect()
    }

    fn get(&self, id: &str) -> Option<RuleDetail> {
        let ruleset = self.now();
        ruleset.entry(id).map(|entry| detail(entry, ruleset.kept()))
    }

    fn count(&self) -> usize {
        self.now().entries().len()
    }

    fn status(&self) -> RulesStatus {
        self.keeper.status()
    }

    async fn reload(&self, by: &str) -> Result<Reload, String> {
        let done = self.keeper.reload(RuleCause::Api, by).await;
        done.map_err(|error| format!("failed to read the rules anew: {error:#}"))
    }

    async fn policies_changed(&self) -> Result<(), String> {
        self.keeper.refresh_policies().await.map_err(|error| format!("{error:#}"))
    }

    fn in_commune(&self, id: &str, commune: &CommuneId) -> Option<RuleInCommune> {
        let ruleset = self.now();
        let rule = ruleset.entry(id)?;
        let policies = ruleset.policies();
        Some(RuleInCommune {
            enabled: policies.is_enabled(commune, rule),
            level: policies.level(commune, rule),
        })
    }

    fn check_selector(&self, selector: &str) -> Result<(String, usize), String> {
        let selector: Selector = selector.parse().map_err(|error| format!("{error}"))?;
        let ruleset = self.now();
        let count = ruleset.entries().into_iter().filter(|entry| selector.names(*entry)).count();
        match &selector {
            Selector::Rule(id) if count == 0 => Err(format!("no rule in force has the id {id:?}")),
            selector => Ok((selector.to_string(), count)),
        }
    }

    fn check_filter(&self, filter: &str) -> Result<CheckedFilter, RuleRefusal> {
        let ruleset = self.now();
        match detect::check_exception(filter, ruleset.rules()) {
            Ok(checked) => Ok(CheckedFilter { title: checked.title, rules: checked.rules }),
            Err(refusal) => Err(rules::about(&refusal)),
        }
    }
}

fn summary(rule: Entry<'_>, kept: &[Kept]) -> RuleSummary {
    let logsource = rule.logsource().cloned().unwrap_or_default();
    let kept = kept.iter().find(|kept| kept.id.as_deref() == Some(rule.id()));
    RuleSummary {
        id: rule.id().to_owned(),
        title: rule.title().to_owned(),
        level: rule.level(),
        status: rule.status().map(str::to_owned),
        tags: rule.tags().to_vec(),
        logsource: RuleLogsource {
            product: logsource.product,
            category: logsource.category,
            service: logsource.service,
        },
        version: rule.version().to_owned(),
        kept: kept.map(|kept| kept.because.reason.clone()),
    }
}

fn detail(rule: Entry<'_>, kept: &[Kept]) -> RuleDetail {
    RuleDetail {
        summary: summary(rule, kept),
        description: rule.description().map(str::to_owned),
        false_positives: rule.false_positives().to_vec(),
        references: rule.references().to_vec(),
        author: rule.author().map(str::to_owned),
        text: rule.text(),
    }
}
