//! Why a rule fires on an event, or why it does not: its text beside what the event has.
//!
//! The tree is that of the document, not of the compiled rule: conditions as they are written,
//! selections by their names, and each line with the values it asks for and those it finds. What
//! holds is decided by the plain evaluator, so an explanation cannot disagree with the rule.

use std::sync::Arc;

use event::{Event, FieldId};

use crate::{
    Rule,
    condition::{self, Named},
    detection::{self, Context},
    eval,
    expr::{Expr, Item, Target},
    logsource::Logsource,
    logsource_tables::{CATEGORIES, PRODUCTS, SERVICES},
    placeholder::Placeholders,
    route,
    rule::{self, with_alternatives},
    taxonomy,
    yaml::{self, Node, Value},
};

/// Values of one field that are shown at most.
const VALUES_MAX: usize = 10;
/// Characters of one value that are shown at most.
const VALUE_CHARS_MAX: usize = 300;

/// What a rule makes of an event, and why.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Whether the rule fires.
    pub fires: bool,
    /// Whether it is offered such events at all.
    pub offered: bool,
    /// The log source it asks for.
    pub asked: Logsource,
    /// What the event belongs to: products, categories, services.
    pub event: [Vec<&'static str>; 3],
    /// The rule's condition, then those of the filters that apply to it; all must hold.
    pub conditions: Vec<Part>,
}

/// A part of a condition.
#[derive(Clone, Debug)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// Whether it holds on the event.
    pub holds: bool,
    /// What it is made of.
    pub parts: Vec<Self>,
}

/// What a part of a condition is.
#[derive(Clone, Debug)]
pub enum PartKind {
    /// A document's condition, as written, and whose it is.
    Condition {
        /// Title of the rule or filter.
        of: String,
        /// As written.
        text: String,
    },
    /// Each of the parts must hold.
    All,
    /// One of the parts must hold.
    Any,
    /// The part must not hold.
    Not,
    /// A selection by its name.
    Selection(String),
    /// A line of a selection.
    Line(Line),
}

/// A line of a selection: a field, or keywords, and what is asked of it.
#[derive(Clone, Debug)]
pub struct Line {
    /// As written, e.g. `Image|endswith`; empty for keywords.
    pub key: String,
    /// The values asked for, as written, and whether each holds by itself.
    pub values: Vec<(String, bool)>,
    /// The event fields that are meant, in order of preference, and the values they have; fields
    /// that the event does not have are last and have none.
    pub fields: Vec<(&'static str, Vec<String>)>,
}

/// Says what `rule`, which was loaded with `placeholders`, makes of `event`. `None` where its own
/// text can't be read again, which does not happen with the same placeholders.
pub fn explain(rule: &Rule, event: &Event, placeholders: &Placeholders) -> Option<Explanation> {
    let logsource = rule.logsource();
    let mut conditions = Vec::new();
    for (place, text) in rule.texts.iter().enumerate() {
        let mut node = yaml::parse(text, 1).ok()??;
        placeholders.fill(&mut node).ok()?;
        let section = node.get(if place == 0 { "detection" } else { "filter" })?;
        let title = rule::optional(&node, "title").ok()?.unwrap_or_default();
        let reserved: &[&str] = if place == 0 { &[] } else { &["rules"] };
        conditions.extend(Explainer { logsource, event }.section(section, reserved, title)?);
    }
    let route = route::of(event);
    let names = |names: Vec<&'static str>, bits: u128| -> Vec<&'static str> {
        let set = |place: usize| bits >> place & 1 == 1;
        names.into_iter().enumerate().filter(|(place, _)| set(*place)).map(|(_, n)| n).collect()
    };
    let offered = eval::is_offered(rule, event);
    Some(Explanation {
        fires: offered && eval::holds(rule, event),
        offered,
        asked: logsource.clone(),
        event: [
            names(PRODUCTS.to_vec(), route.products.into()),
            names(CATEGORIES.to_vec(), route.categories.into()),
            names(SERVICES.iter().map(|(name, _)| *name).collect(), route.services),
        ],
        conditions,
    })
}

struct Explainer<'a> {
    logsource: &'a Logsource,
    event: &'a Event,
}

impl Explainer<'_> {
    /// The conditions of a section; of several, one must hold.
    fn section(&self, section: &Node, reserved: &[&str], title: &str) -> Option<Option<Part>> {
        // A stand-in for each selection, known again by its place in memory.
        let mut stand_ins = Vec::new();
        let mut parts = Vec::new();
        for (name, node) in section.map()? {
            if name == "condition" || reserved.contains(&name.as_str()) {
                continue;
            }
            let empty = Item { target: Target::Everything, tests: Vec::new() };
            stand_ins.push(Named { name: name.clone(), expr: Arc::new(Expr::Item(empty)) });
            let inner = self.selection(node)?;
            let (kind, holds) = (PartKind::Selection(name.clone()), inner.holds);
            let inner = match inner.kind {
                PartKind::All => inner.parts,
                _ => vec![inner],
            };
            parts.push(Part { kind, holds, parts: inner });
        }
        let condition = section.get("condition")?;
        let texts = condition.list().unwrap_or(std::slice::from_ref(condition));
        let mut conditions = Vec::new();
        for node in texts {
            let text = node.text()?;
            let mut used = vec![false; stand_ins.len()];
            let expr = condition::parse(text, &stand_ins, &mut used).ok()?;
            let part = combine(&expr, &stand_ins, &parts)?;
            let kind = PartKind::Condition { of: title.to_owned(), text: text.to_owned() };
            conditions.push(Part { kind, holds: part.holds, parts: vec![part] });
        }
        Some(joined(conditions, false))
    }

    fn selection(&self, node: &Node) -> Option<Part> {
        match &node.value {
            Value::Map(pairs) => {
                let lines: Option<Vec<Part>> =
                    pairs.iter().map(|(key, value)| self.line(key, value)).collect();
                let lines = lines?;
                let holds = lines.iter().all(|line| line.holds);
                Some(Part { kind: PartKind::All, holds, parts: lines })
            }
            Value::List(items) if !items.iter().all(|item| item.scalar().is_some()) => {
                let parts: Option<Vec<Part>> =
                    items.iter().map(|item| self.selection(item)).collect();
                joined(parts?, false)
            }
            _ => self.line("", node),
        }
    }

    /// Whether `key: value` holds, asked as the rule itself asks it.
    fn holds(&self, key: &str, value: &Node) -> Option<bool> {
        let resolve = |field: &str| Target::Fields {
            name: field.to_owned(),
            ids: taxonomy::resolve(self.logsource, field).fields,
        };
        let expr = if key.is_empty() {
            let values = value.list().unwrap_or(std::slice::from_ref(value));
            detection::keywords(values, &Context::new(&resolve)).ok()?
        } else {
            detection::line(key, value, &Context::new(&resolve)).ok()?
        };
        Some(eval::expr(&with_alternatives(&expr, self.logsource), self.event))
    }

    fn line(&self, key: &str, value: &Node) -> Option<Part> {
        let holds = self.holds(key, value)?;
        let values = value.list().unwrap_or(std::slice::from_ref(value));
        let values = values
            .iter()
            .map(|one| (shown_node(one), self.holds(key, one).unwrap_or(holds)))
            .collect();
        let field = key.split('|').next().unwrap_or_default().trim();
        let ids: Vec<FieldId> = match field {
            "" => Vec::new(),
            field => taxonomy::resolve(self.logsource, field).fields,
        };
        let mut fields: Vec<_> = ids.iter().map(|id| (id.name(), self.values(*id))).collect();
        fields.sort_by_key(|(_, values)| values.is_empty());
        let line = Line { key: key.to_owned(), values, fields };
        Some(Part { kind: PartKind::Line(line), holds, parts: Vec::new() })
    }

    fn values(&self, field: FieldId) -> Vec<String> {
        let text = |value: event::ValueRef<'_>| shown(&value.to_text());
        self.event.get_all(field).take(VALUES_MAX).map(text).collect()
    }
}

fn combine(expr: &Arc<Expr>, stand_ins: &[Named], parts: &[Part]) -> Option<Part> {
    if let Some(place) = stand_ins.iter().position(|named| Arc::ptr_eq(&named.expr, expr)) {
        return parts.get(place).cloned();
    }
    let all = |inner: &[Arc<Expr>]| -> Option<Vec<Part>> {
        inner.iter().map(|one| combine(one, stand_ins, parts)).collect()
    };
    match &**expr {
        Expr::And(inner) => joined(all(inner)?, true),
        Expr::Or(inner) => joined(all(inner)?, false),
        Expr::Not(inner) => {
            let inner = combine(inner, stand_ins, parts)?;
            Some(Part { kind: PartKind::Not, holds: !inner.holds, parts: vec![inner] })
        }
        Expr::Item(_) => None,
    }
}

/// `parts` joined, a single one as it is.
fn joined(mut parts: Vec<Part>, all: bool) -> Option<Part> {
    match (parts.len(), all) {
        (0, _) => None,
        (1, _) => parts.pop(),
        (_, true) => {
            let holds = parts.iter().all(|part| part.holds);
            Some(Part { kind: PartKind::All, holds, parts })
        }
        (_, false) => {
            let holds = parts.iter().any(|part| part.holds);
            Some(Part { kind: PartKind::Any, holds, parts })
        }
    }
}

fn shown_node(node: &Node) -> String {
    node.scalar().map_or_else(|| node.kind().to_owned(), |scalar| shown(&scalar.text))
}

fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(VALUE_CHARS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
