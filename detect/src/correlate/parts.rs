//! The type, the rules and the condition of a correlation.

use super::{
    condition::{self, Compare, Expr},
    document::{Condition, Kind, Named},
};
use crate::{
    error::Problem,
    rule::{line_of, optional},
    yaml::Node,
};

/// Rules that one correlation refers to at most.
const RULES_MAX: usize = 64;
/// The largest count that a condition may ask for: so many events a group may have to be kept.
const COUNT_MAX: f64 = 1_000_000.0;

/// The type, the rules and the condition, which depend on each other.
pub(super) struct Parts {
    pub(super) kind: Kind,
    pub(super) rules: Vec<Named>,
    pub(super) condition: Condition,
    pub(super) fields: Vec<String>,
    pub(super) percentile: f64,
}

impl Parts {
    pub(super) fn read(section: &Node, oddities: &mut Vec<Problem>) -> Result<Self, Problem> {
        let word = optional(section, "type")?
            .ok_or_else(|| Problem::new(section.line, "correlation has no type"))?;
        let kind = Kind::ALL.iter().find(|(known, _)| known.eq_ignore_ascii_case(word));
        let Some((_, kind)) = kind else {
            let known: Vec<&str> = Kind::ALL.iter().map(|(known, _)| *known).collect();
            return Err(Problem::new(
                line_of(section, "type"),
                format!("correlation type {word:?} is none; it is one of {}", known.join(", ")),
            ));
        };
        let rules = named(section, "rules")?;
        let mut parts = Self {
            kind: *kind,
            rules,
            condition: Condition::Compare(Compare(Vec::new())),
            fields: Vec::new(),
            percentile: 95.0,
        };
        match section.get("condition").filter(|node| !node.is_null()) {
            Some(node) if node.map().is_some() => parts.compare(node, oddities)?,
            Some(node) if node.text().is_some() => parts.words(node)?,
            Some(node) => {
                return Err(Problem::new(
                    node.line,
                    "condition must be a map such as {gte: 5}, or text such as \"a and b\"",
                ));
            }
            None if kind.is_temporal() => {
                #[expect(clippy::cast_precision_loss, reason = "at most 64")]
                let all = parts.rules.len() as f64;
                parts.condition = Condition::Compare(Compare(vec![(condition::Op::Gte, all)]));
            }
            None => return Err(Problem::new(section.line, "correlation has no condition")),
        }
        if parts.rules.is_empty() {
            return Err(Problem::new(section.line, "correlation refers to no rules"));
        }
        if parts.rules.len() > RULES_MAX {
            return Err(Problem::new(
                line_of(section, "rules"),
                format!("correlation refers to more than {RULES_MAX} rules"),
            ));
        }
        Ok(parts)
    }

    fn compare(&mut self, node: &Node, oddities: &mut Vec<Problem>) -> Result<(), Problem> {
        let kind = self.kind;
        let written = condition::map(node, kind.counts())?;
        let takes_field = kind == Kind::ValueCount || kind.is_numeric();
        if takes_field && written.fields.is_empty() {
            return Err(Problem::new(
                node.line,
                format!(
                    "{} needs the field whose values it looks at, as condition.field",
                    kind.word()
                ),
            ));
        }
        if !takes_field && !written.fields.is_empty() {
            return Err(Problem::new(
                node.line,
                format!(
                    "{} looks at no field; leave condition.field out, or use value_count",
                    kind.word()
                ),
            ));
        }
        if kind.is_numeric() && written.fields.len() > 1 {
            return Err(Problem::new(
                node.line,
                format!("{} looks at one field, not at a list", kind.word()),
            ));
        }
        match written.percentile {
            Some(percentile) if kind == Kind::ValuePercentile => self.percentile = percentile,
            Some(_) => {
                return Err(Problem::new(
                    node.line,
                    format!("{} has no percentile; use value_percentile", kind.word()),
                ));
            }
            None if kind == Kind::ValuePercentile => oddities.push(Problem::new(
                node.line,
                "condition names no percentile; 95 is taken, as pySigma does",
            )),
            None => {}
        }
        if kind.counts() && written.compare.0.iter().any(|(_, bound)| *bound > COUNT_MAX) {
            return Err(Problem::new(
                node.line,
                format!("condition counts beyond {COUNT_MAX}, more than is kept of one group"),
            ));
        }
        self.fields = written.fields;
        self.condition = Condition::Compare(written.compare);
        Ok(())
    }

    fn words(&mut self, node: &Node) -> Result<(), Problem> {
        let text = node.text().unwrap_or_default();
        if !self.kind.is_temporal() {
            return Err(Problem::new(
                node.line,
                format!(
                    "{} takes a comparison such as {{gte: 5}}; only temporal and temporal_ordered join rules by words",
                    self.kind.word()
                ),
            ));
        }
        let mut names: Vec<String> = self.rules.iter().map(|rule| rule.text.clone()).collect();
        let may_add = names.is_empty();
        let expr = condition::expression(text, &mut names, may_add)
            .map_err(|reason| Problem::new(node.line, reason))?;
        if may_add {
            self.rules =
                names.iter().map(|name| Named { text: name.clone(), line: node.line }).collect();
        }
        let mut used = vec![false; names.len()];
        mark(&expr, &mut used);
        if let Some(place) = used.iter().position(|used| !used) {
            return Err(Problem::new(
                self.rules[place].line,
                format!(
                    "rule {:?} is not in the condition; name it there or leave it out",
                    names[place]
                ),
            ));
        }
        self.condition =
            Condition::Words(expr, text.split_whitespace().collect::<Vec<_>>().join(" "));
        Ok(())
    }
}

fn mark(expr: &Expr, used: &mut [bool]) {
    match expr {
        Expr::Rule(place) => used[*place] = true,
        Expr::Not(inner) => mark(inner, used),
        Expr::And(parts) | Expr::Or(parts) => parts.iter().for_each(|part| mark(part, used)),
    }
}

/// A text or a list of texts, none of them twice.
pub(super) fn named(section: &Node, key: &str) -> Result<Vec<Named>, Problem> {
    let Some(node) = section.get(key).filter(|node| !node.is_null()) else { return Ok(Vec::new()) };
    let items = node.list().unwrap_or(std::slice::from_ref(node));
    let mut names: Vec<Named> = Vec::new();
    for item in items {
        let Some(text) = item.text().map(str::trim).filter(|text| !text.is_empty()) else {
            return Err(Problem::new(
                item.line,
                format!("{key} must be a list of texts, not of {}", item.kind()),
            ));
        };
        if names.iter().any(|known| known.text == text) {
            return Err(Problem::new(item.line, format!("{key} names {text:?} twice")));
        }
        names.push(Named { text: text.to_owned(), line: item.line });
    }
    Ok(names)
}
