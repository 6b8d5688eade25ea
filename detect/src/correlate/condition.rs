//! When a correlation holds: a comparison, or words that join its rules.

use crate::{error::Problem, yaml::Node};

/// Levels of parentheses and `not`.
const DEPTH_MAX: usize = 50;
/// Bytes of an extended condition.
const EXPRESSION_BYTES_MAX: usize = 16 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Gt,
    Gte,
    Lt,
    Lte,
    Eq,
    Neq,
}

impl Op {
    const ALL: [(&'static str, Self); 6] = [
        ("gt", Self::Gt),
        ("gte", Self::Gte),
        ("lt", Self::Lt),
        ("lte", Self::Lte),
        ("eq", Self::Eq),
        ("neq", Self::Neq),
    ];

    const fn word(self) -> &'static str {
        match self {
            Self::Gt => "gt",
            Self::Gte => "gte",
            Self::Lt => "lt",
            Self::Lte => "lte",
            Self::Eq => "eq",
            Self::Neq => "neq",
        }
    }

    #[expect(clippy::float_cmp, reason = "eq and neq ask for the very number that is written")]
    fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Gt => value > bound,
            Self::Gte => value >= bound,
            Self::Lt => value < bound,
            Self::Lte => value <= bound,
            Self::Eq => value == bound,
            Self::Neq => value != bound,
        }
    }
}

/// `gte: 5`, or several that must all hold: a range.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Compare(pub(super) Vec<(Op, f64)>);

impl Compare {
    pub(super) fn holds(&self, value: f64) -> bool {
        self.0.iter().all(|(op, bound)| op.holds(value, *bound))
    }

    /// The least whole number that is enough, where every larger one is enough too.
    pub(super) fn at_least(&self) -> Option<f64> {
        self.0.iter().try_fold(f64::NEG_INFINITY, |least, (op, bound)| match op {
            Op::Gt => Some(least.max(bound.floor() + 1.0)),
            Op::Gte => Some(least.max(bound.ceil())),
            _ => None,
        })
    }

    /// Whether no count from 1 on can satisfy it.
    fn is_never_of_counts(&self) -> bool {
        let bounds = self.0.iter().map(|(_, bound)| *bound);
        // What holds of any count holds of one of these: the bounds and their neighbours.
        !bounds
            .flat_map(|bound| [bound.floor() - 1.0, bound.floor(), bound.floor() + 1.0, 1.0])
            .any(|count| count >= 1.0 && self.holds(count))
    }
}

impl std::fmt::Display for Compare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (place, (op, bound)) in self.0.iter().enumerate() {
            write!(f, "{}{} {bound}", if place == 0 { "" } else { " and " }, op.word())?;
        }
        Ok(())
    }
}

/// A `condition` map.
pub(super) struct Written {
    pub(super) compare: Compare,
    pub(super) fields: Vec<String>,
    pub(super) percentile: Option<f64>,
}

/// Reads a `condition` map; `counts` where it is about a number of things.
pub(super) fn map(node: &Node, counts: bool) -> Result<Written, Problem> {
    let pairs = node.map().unwrap_or_default();
    let mut written =
        Written { compare: Compare(Vec::new()), fields: Vec::new(), percentile: None };
    for (key, value) in pairs {
        let number = || {
            value.text().and_then(|text| text.trim().parse::<f64>().ok()).filter(|n| n.is_finite())
        };
        if let Some((_, op)) = Op::ALL.iter().find(|(word, _)| word == key) {
            let bound = number().ok_or_else(|| {
                Problem::new(value.line, format!("condition {key} must be a number"))
            })?;
            written.compare.0.push((*op, bound));
        } else if key == "field" {
            let items = value.list().unwrap_or(std::slice::from_ref(value));
            for item in items {
                let text = item.text().map(str::trim).filter(|text| !text.is_empty());
                let text = text.ok_or_else(|| {
                    Problem::new(
                        item.line,
                        "condition field must be a field's name or a list of them",
                    )
                })?;
                written.fields.push(text.to_owned());
            }
        } else if key == "percentile" {
            let percentile = number().filter(|n| (0.0..=100.0).contains(n)).ok_or_else(|| {
                Problem::new(value.line, "condition percentile must be a number from 0 to 100")
            })?;
            written.percentile = Some(percentile);
        } else {
            return Err(Problem::new(
                value.line,
                format!(
                    "condition has {key:?}, which means nothing there; it takes gt, gte, lt, lte, eq, neq, field and percentile"
                ),
            ));
        }
    }
    if written.compare.0.is_empty() {
        return Err(Problem::new(
            node.line,
            "condition compares with nothing; give it one of gt, gte, lt, lte, eq and neq",
        ));
    }
    if counts && written.compare.is_never_of_counts() {
        return Err(Problem::new(
            node.line,
            format!(
                "condition \"{}\" can never hold: it is looked at when an event comes, so the count is 1 or more",
                written.compare
            ),
        ));
    }
    Ok(written)
}

/// An extended condition over the correlation's rules, by their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expr {
    Rule(usize),
    Not(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
}

impl Expr {
    pub(super) fn holds(&self, present: &impl Fn(usize) -> bool) -> bool {
        match self {
            Self::Rule(place) => present(*place),
            Self::Not(inner) => !inner.holds(present),
            Self::And(parts) => parts.iter().all(|part| part.holds(present)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(present)),
        }
    }
}

/// Reads an extended condition. Names are looked up in, or added to, `names`.
pub(super) fn expression(
    text: &str,
    names: &mut Vec<String>,
    may_add: bool,
) -> Result<Expr, String> {
    if text.len() > EXPRESSION_BYTES_MAX {
        return Err(format!("the condition is longer than {EXPRESSION_BYTES_MAX} bytes"));
    }
    let mut parser = Parser { rest: text.trim_start(), names, may_add };
    let expr = parser.or(0)?;
    match parser.peek() {
        None => Ok(expr),
        Some(token) => Err(format!("the condition should end before {token:?}")),
    }
}

struct Parser<'t> {
    rest: &'t str,
    names: &'t mut Vec<String>,
    may_add: bool,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<&'t str> {
        let c = self.rest.chars().next()?;
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let len = match c {
            c if is_word(c) => self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len()),
            c => c.len_utf8(),
        };
        Some(&self.rest[..len])
    }

    fn take(&mut self, word: &str) -> bool {
        match self.peek() {
            Some(token) if token.eq_ignore_ascii_case(word) => {
                self.rest = self.rest[token.len()..].trim_start();
                true
            }
            _ => false,
        }
    }

    fn or(&mut self, depth: usize) -> Result<Expr, String> {
        let mut parts = vec![self.and(depth)?];
        while self.take("or") {
            parts.push(self.and(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expr::Or(parts) })
    }

    fn and(&mut self, depth: usize) -> Result<Expr, String> {
        let mut parts = vec![self.not(depth)?];
        while self.take("and") {
            parts.push(self.not(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expr::And(parts) })
    }

    fn not(&mut self, depth: usize) -> Result<Expr, String> {
        if depth > DEPTH_MAX {
            return Err(format!("the condition nests deeper than {DEPTH_MAX} levels"));
        }
        if self.take("not") {
            return Ok(Expr::Not(Box::new(self.not(depth + 1)?)));
        }
        if self.take("(") {
            let inner = self.or(depth + 1)?;
            return if self.take(")") {
                Ok(inner)
            } else {
                Err("the condition lacks a closing parenthesis".to_owned())
            };
        }
        let Some(name) = self.peek() else {
            return Err("the condition ends where a rule should stand".to_owned());
        };
        if !name.starts_with(|c: char| c.is_alphanumeric() || c == '_')
            || ["and", "or"].iter().any(|word| name.eq_ignore_ascii_case(word))
        {
            return Err(format!("the condition has {name:?} where a rule should stand"));
        }
        self.rest = self.rest[name.len()..].trim_start();
        if let Some(place) = self.names.iter().position(|known| known == name) {
            return Ok(Expr::Rule(place));
        }
        if !self.may_add {
            return Err(format!(
                "the condition names {name:?}, which is not among the correlation's rules: {}",
                self.names.join(", ")
            ));
        }
        self.names.push(name.to_owned());
        Ok(Expr::Rule(self.names.len() - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Expr, String> {
        expression(text, &mut vec!["a".into(), "b".into(), "c-1".into()], false)
    }

    #[test]
    fn words_join_rules() {
        use Expr::{And, Not, Or, Rule};
        assert_eq!(
            parsed("a or b AND not c-1"),
            Ok(Or(vec![Rule(0), And(vec![Rule(1), Not(Box::new(Rule(2)))])]))
        );
        assert_eq!(parsed("(a or b) and c-1").unwrap(), {
            And(vec![Or(vec![Rule(0), Rule(1)]), Rule(2)])
        });
        for (text, reason) in [
            ("a and", "ends where"),
            ("d", "not among"),
            ("a b", "should end"),
            ("(a", "closing"),
            ("a and or b", "should stand"),
            ("a && b", "should end"),
        ] {
            assert!(parsed(text).unwrap_err().contains(reason), "{text}: {:?}", parsed(text));
        }
        assert!(parsed(&"not ".repeat(1_000)).unwrap_err().contains("deeper"));
    }

    #[test]
    fn ranges_know_what_is_enough_and_what_never_is() {
        let of = |ops: &[(Op, f64)]| Compare(ops.to_vec());
        assert_eq!(of(&[(Op::Gt, 4.0)]).at_least(), Some(5.0));
        assert_eq!(of(&[(Op::Gte, 4.5)]).at_least(), Some(5.0));
        assert_eq!(of(&[(Op::Gt, 4.0), (Op::Lt, 9.0)]).at_least(), None);
        assert!(of(&[(Op::Lt, 1.0)]).is_never_of_counts());
        assert!(of(&[(Op::Gt, 5.0), (Op::Lt, 6.0)]).is_never_of_counts());
        assert!(!of(&[(Op::Gt, 5.0), (Op::Lte, 6.0)]).is_never_of_counts());
        assert!(!of(&[(Op::Neq, 1.0)]).is_never_of_counts());
        assert_eq!(of(&[(Op::Gt, 4.0), (Op::Lte, 9.5)]).to_string(), "gt 4 and lte 9.5");
    }
}
