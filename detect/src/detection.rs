//! The `detection` section: selections and conditions to one expression.

use std::{cell::Cell, collections::HashSet, sync::Arc};

use crate::{
    condition::{self, Named},
    error::Problem,
    expr::{Expr, Item, Target, join},
    modifier::Modifiers,
    test::Test,
    yaml::{Node, Value},
};

/// Tests that one rule may come to once its condition is written out.
const TESTS_MAX: usize = 100_000;
/// Selections of one rule.
const SELECTIONS_MAX: usize = 2_000;
/// Different fields that one rule may name; each takes a place in the table of all names.
const FIELDS_MAX: usize = 1_000;
/// Bytes of all conditions of one rule.
const CONDITIONS_BYTES_MAX: usize = 64 << 10;
/// Mebibytes that the compiled regular expressions of one rule may take; each counts for one or more.
const REGEX_MIB_MAX: usize = 256;
/// Bytes of all texts of one rule, with all that modifiers make of them.
const TEXT_BYTES_MAX: usize = 32 << 20;

/// Gives the event fields of a rule's field.
pub(crate) type Resolve<'r> = dyn Fn(&str) -> Target + 'r;

/// What reading a value needs besides it: the meaning of fields, and what the rule may still
/// take, so that a hostile one stays bounded however it is cut up.
pub(crate) struct Context<'r> {
    pub(crate) resolve: &'r Resolve<'r>,
    regex_mib_left: Cell<usize>,
    text_bytes_left: Cell<usize>,
}

impl<'r> Context<'r> {
    /// Of a rule that has taken nothing yet.
    pub(crate) fn new(resolve: &'r Resolve<'r>) -> Self {
        Self {
            resolve,
            regex_mib_left: Cell::new(REGEX_MIB_MAX),
            text_bytes_left: Cell::new(TEXT_BYTES_MAX),
        }
    }

    /// Takes room for a regular expression, or for more of one, from what is left.
    pub(crate) fn take_regex(&self, mebibytes: usize) -> Result<(), String> {
        let left = self.regex_mib_left.get().checked_sub(mebibytes);
        self.regex_mib_left.set(left.ok_or_else(|| {
            format!(
                "the regular expressions of a rule take more than {REGEX_MIB_MAX} MiB, each at \
                 least one; join or split them, and use smaller repetitions"
            )
        })?);
        Ok(())
    }

    /// Takes a text of `bytes` from what is left.
    pub(crate) fn take_text(&self, bytes: usize) -> Result<(), String> {
        let left = self.text_bytes_left.get().checked_sub(bytes);
        self.text_bytes_left.set(left.ok_or_else(|| {
            format!("the texts of a rule come to more than {TEXT_BYTES_MAX} bytes; split it")
        })?);
        Ok(())
    }
}

/// What a `detection` (or `filter`) section says.
pub(crate) struct Detection {
    pub(crate) expr: Arc<Expr>,
    /// Selections that no condition uses, with their lines.
    pub(crate) unused: Vec<(String, u32)>,
}

/// Reads a section; keys in `reserved` are not selections.
pub(crate) fn parse(
    section: &Node,
    reserved: &[&str],
    resolve: &Resolve<'_>,
) -> Result<Detection, Problem> {
    let Some(pairs) = section.map() else {
        return Err(Problem::new(
            section.line,
            format!("detection must be a map, not {}", section.kind()),
        ));
    };
    if pairs.len() > SELECTIONS_MAX {
        return Err(Problem::new(
            section.line,
            format!("detection has more than {SELECTIONS_MAX} selections"),
        ));
    }
    let mut fields = HashSet::new();
    count_fields(section, &mut fields)?;
    let context = &Context::new(resolve);
    let mut selections = Vec::new();
    let mut lines = Vec::new();
    for (name, node) in pairs {
        if name == "condition" || reserved.contains(&name.as_str()) {
            continue;
        }
        if name == "timeframe" {
            return Err(Problem::new(
                node.line,
                "timeframe belongs to aggregations, which are not part of Sigma 2; write a correlation rule",
            ));
        }
        selections.push(Named { name: name.clone(), expr: selection(name, node, context)? });
        lines.push(node.line);
    }
    let Some(condition) = section.get("condition") else {
        return Err(Problem::new(section.line, "detection has no condition"));
    };
    let mut used = vec![false; selections.len()];
    let mut parts = Vec::new();
    let texts = condition.list().unwrap_or(std::slice::from_ref(condition));
    let bytes: usize = texts.iter().filter_map(Node::text).map(str::len).sum();
    if bytes > CONDITIONS_BYTES_MAX {
        return Err(Problem::new(
            condition.line,
            format!("the condition is longer than {CONDITIONS_BYTES_MAX} bytes"),
        ));
    }
    for node in texts {
        let Some(text) = node.text() else {
            return Err(Problem::new(
                node.line,
                format!("a condition must be text, not {}", node.kind()),
            ));
        };
        let expr = condition::parse(text, &selections, &mut used)
            .map_err(|reason| Problem::new(node.line, reason))?;
        parts.push(expr);
    }
    if parts.is_empty() {
        return Err(Problem::new(condition.line, "the list of conditions is empty"));
    }
    let expr = join(parts, false);
    if expr.weight(TESTS_MAX) >= TESTS_MAX {
        return Err(Problem::new(
            condition.line,
            format!("the condition comes to {TESTS_MAX} tests or more"),
        ));
    }
    let unused = selections
        .into_iter()
        .zip(lines)
        .zip(used)
        .filter(|((selection, _), used)| !used && !selection.name.starts_with('_'))
        .map(|((selection, line), _)| (selection.name, line))
        .collect();
    Ok(Detection { expr, unused })
}

/// Collects the names of fields that keys have.
fn count_fields<'n>(node: &'n Node, fields: &mut HashSet<&'n str>) -> Result<(), Problem> {
    match &node.value {
        Value::Scalar(_) => Ok(()),
        Value::List(items) => items.iter().try_for_each(|item| count_fields(item, fields)),
        Value::Map(pairs) => pairs.iter().try_for_each(|(key, value)| {
            fields.insert(key.split('|').next().unwrap_or_default());
            if fields.len() > FIELDS_MAX + SELECTIONS_MAX {
                return Err(Problem::new(
                    value.line,
                    format!("a rule names more than {FIELDS_MAX} fields"),
                ));
            }
            count_fields(value, fields)
        }),
    }
}

/// A map (all lines must hold), a value or a list of values (keywords), or a list of these
/// (any must hold).
fn selection(name: &str, node: &Node, context: &Context<'_>) -> Result<Arc<Expr>, Problem> {
    match &node.value {
        Value::Map(pairs) if pairs.is_empty() => {
            Err(Problem::new(node.line, format!("selection {name:?} is empty")))
        }
        Value::Map(pairs) => {
            let mut parts = Vec::with_capacity(pairs.len());
            for (key, value) in pairs {
                parts.push(line(key, value, context)?);
            }
            Ok(join(parts, true))
        }
        Value::Scalar(_) => keywords(std::slice::from_ref(node), context),
        Value::List(items) if items.is_empty() => {
            Err(Problem::new(node.line, format!("selection {name:?} is empty")))
        }
        Value::List(items) if items.iter().all(|item| item.scalar().is_some()) => {
            keywords(items, context)
        }
        Value::List(items) => {
            let mut parts = Vec::with_capacity(items.len());
            for item in items {
                parts.push(selection(name, item, context)?);
            }
            Ok(join(parts, false))
        }
    }
}

pub(crate) fn keywords(values: &[Node], context: &Context<'_>) -> Result<Arc<Expr>, Problem> {
    item(&Target::Everything, &Modifiers::default(), values, context)
}

/// `Field|modifier|…: value or list of values`.
pub(crate) fn line(key: &str, value: &Node, context: &Context<'_>) -> Result<Arc<Expr>, Problem> {
    let mut names = key.split('|');
    let field = names.next().unwrap_or_default().trim();
    let modifiers = Modifiers::parse(names.map(str::trim), value.line)
        .map_err(|problem| Problem::new(problem.line, format!("{key:?}: {}", problem.reason)))?;
    let target = if field.is_empty() {
        modifiers.check_keyword(value.line)?;
        Target::Everything
    } else {
        (context.resolve)(field)
    };
    let values = match &value.value {
        Value::Scalar(_) => std::slice::from_ref(value),
        Value::List(values) => values,
        Value::Map(_) => {
            return Err(Problem::new(
                value.line,
                format!(
                    "{key:?} must have a value or a list of values, not a map; write nested fields with dots"
                ),
            ));
        }
    };
    if values.is_empty() {
        return Err(Problem::new(
            value.line,
            format!(
                "{key:?} has an empty list, which nothing could match; write null for a missing field"
            ),
        ));
    }
    item(&target, &modifiers, values, context)
        .map_err(|problem| Problem::new(problem.line, format!("{key:?}: {}", problem.reason)))
}

fn item(
    target: &Target,
    modifiers: &Modifiers,
    values: &[Node],
    context: &Context<'_>,
) -> Result<Arc<Expr>, Problem> {
    let keyword = *target == Target::Everything;
    let mut groups: Vec<Vec<Test>> = Vec::with_capacity(values.len());
    for value in values {
        groups.push(modifiers.apply(value, keyword, context)?);
    }
    if !modifiers.all {
        groups = vec![groups.into_iter().flatten().collect()];
    }
    let items = groups
        .into_iter()
        .map(|tests| Arc::new(Expr::Item(Item { target: target.clone(), tests })))
        .collect();
    let expr = join(items, true);
    Ok(if modifiers.neq { Arc::new(Expr::Not(expr)) } else { expr })
}
