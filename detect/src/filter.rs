//! Sigma filters: conditions that are joined to the conditions of other rules.

use std::sync::Arc;

use crate::{
    error::{Problem, Refusal},
    expr::Expr,
    load::Loaded,
    logsource::Logsource,
    rule::{self, Rule, RuleSource},
    yaml::Node,
};

/// A `filter` document.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    title: String,
    id: Option<String>,
    source: RuleSource,
    text: String,
    logsource: Logsource,
    /// Ids or names; `None` for every rule of the log source.
    rules: Option<Vec<String>>,
    section: Node,
    /// The placeholders' values that it holds.
    lists: String,
}

impl Filter {
    pub(crate) fn parse(node: &Node, text: &str, source: RuleSource) -> Result<Self, Problem> {
        let title = rule::optional(node, "title")?
            .ok_or_else(|| Problem::new(node.line, "no title"))?
            .to_owned();
        let logsource = rule::logsource(node)?;
        let Some(section) = node.get("filter") else {
            return Err(Problem::new(node.line, "no filter section"));
        };
        if section.map().is_none() {
            return Err(Problem::new(
                section.line,
                format!("filter must be a map, not {}", section.kind()),
            ));
        }
        let rules = Self::rules(section)?;
        // Refused now rather than per rule where it is wrong in itself.
        rule::parse_filter(section, &logsource)?;
        let id = rule::optional(node, "id")?.map(str::to_owned);
        Ok(Self {
            title,
            id,
            source,
            text: text.to_owned(),
            logsource,
            rules,
            section: section.clone(),
            lists: String::new(),
        })
    }

    /// With the values of its placeholders, by which its version is told.
    pub(crate) fn with_lists(mut self, lists: &str) -> Self {
        lists.clone_into(&mut self.lists);
        self
    }

    fn rules(section: &Node) -> Result<Option<Vec<String>>, Problem> {
        let Some(rules) = section.get("rules") else {
            return Err(Problem::new(
                section.line,
                "filter does not say which rules it is for; list their ids, or write \"rules: any\"",
            ));
        };
        if let Some(text) = rules.text() {
            return Ok((!text.eq_ignore_ascii_case("any")).then(|| vec![text.to_ascii_lowercase()]));
        }
        let Some(items) = rules.list() else {
            return Err(Problem::new(rules.line, "rules must be \"any\" or a list of rule ids"));
        };
        let names = items
            .iter()
            .map(|item| {
                item.text().map(str::to_ascii_lowercase).ok_or_else(|| {
                    Problem::new(item.line, format!("a rule is named by text, not {}", item.kind()))
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        // As in pySigma, an empty list means any.
        Ok((!names.is_empty()).then_some(names))
    }

    pub(crate) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    pub(crate) fn title(&self) -> &str {
        &self.title
    }

    pub(crate) fn line(&self) -> u32 {
        self.source.line
    }

    /// The rules it names, in lower case; none where it is for any.
    pub(crate) fn named(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().flatten().map(String::as_str)
    }

    /// Whether both are the same filter, in whatever version.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.id, &other.id) {
            (Some(own), Some(other)) => own.eq_ignore_ascii_case(other),
            (None, None) => self.title == other.title,
            _ => false,
        }
    }

    /// Whether it names `rule`, or any, and covers its log source.
    pub(crate) fn applies_to(&self, rule: &Rule) -> bool {
        self.names(rule) && self.covers(rule)
    }

    /// What must hold beside the condition of a rule of `logsource`.
    pub(crate) fn condition(&self, logsource: &Logsource) -> Result<Arc<Expr>, Refusal> {
        rule::parse_filter(&self.section, logsource).map_err(|problem| self.about(problem))
    }

    /// A refusal of the whole filter.
    pub(crate) fn refusal(&self, reason: String) -> Refusal {
        self.about(Problem::new(self.source.line, reason))
    }

    /// Whether the filter's log source covers that of `rule`.
    pub(crate) fn covers(&self, rule: &Rule) -> bool {
        let within = |asked: &Option<String>, has: &Option<String>| asked.is_none() || asked == has;
        within(&self.logsource.product, &rule.logsource.product)
            && within(&self.logsource.category, &rule.logsource.category)
            && within(&self.logsource.service, &rule.logsource.service)
    }

    fn names(&self, rule: &Rule) -> bool {
        self.rules.as_ref().is_none_or(|names| names.iter().any(|name| self.means(name, rule)))
    }

    /// Whether `name`, one that the filter names, is the id or name of `rule`.
    pub(crate) fn means(&self, name: &str, rule: &Rule) -> bool {
        name == rule.id || rule.name.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(name))
    }

    fn about(&self, problem: Problem) -> Refusal {
        Refusal {
            path: self.source.path.clone(),
            line: problem.line,
            rule_id: self.id.clone(),
            title: Some(self.title.clone()),
            reason: problem.reason,
        }
    }

    /// Joins the filter to the rules that it names and whose log source it covers.
    pub(crate) fn apply(&self, loaded: &mut Loaded) {
        let mut applied = 0_usize;
        for rule in &mut loaded.rules {
            if !self.applies_to(rule) {
                continue;
            }
            match rule::parse_filter(&self.section, &rule.logsource) {
                Ok(filter) => {
                    rule.filtered(Arc::clone(&filter));
                    rule.texts.push(rule::with_lists(&self.text, &self.lists));
                    rule.version = rule::version_of(&[&rule.version, &self.text, &self.lists]);
                    applied += 1;
                }
                Err(problem) => loaded.refused.push(self.about(problem)),
            }
        }
        if applied == 0 {
            loaded.warnings.push(self.about(Problem::new(
                self.source.line,
                "the filter applies to no loaded rule: none has an id it names and its log source",
            )));
        }
    }
}
