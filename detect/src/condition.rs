//! The condition language: `selection and not 1 of filter_*`.
//!
//! `not` binds tighter than `and`, `and` tighter than `or`; operators are words in any case.

use std::sync::Arc;

use crate::expr::{Expr, join};

/// Bytes of one condition.
const CONDITION_BYTES_MAX: usize = 64 << 10;
/// Levels of parentheses and `not`.
const DEPTH_MAX: usize = 100;
/// Selections that the patterns of one condition may come to.
const PICKED_MAX: usize = 100_000;

/// A selection by its name.
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) expr: Arc<Expr>,
}

/// What `text` says about `selections`, and which of them it uses, by their place.
pub(crate) fn parse(
    text: &str,
    selections: &[Named],
    used: &mut [bool],
) -> Result<Arc<Expr>, String> {
    if text.len() > CONDITION_BYTES_MAX {
        return Err(format!("the condition is longer than {CONDITION_BYTES_MAX} bytes"));
    }
    if text.contains('|') {
        return Err(
            "aggregations behind | (count, near and the like) are not part of Sigma 2; write a correlation rule"
                .to_owned(),
        );
    }
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, selections, used, room: PICKED_MAX };
    let expr = parser.or(0)?;
    match parser.peek() {
        None => Ok(expr),
        Some(token) => Err(format!("the condition should end before {token:?}")),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '*' | '.' | '?' | '$')
}

fn tokens(text: &str) -> Result<Vec<&str>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(c) = rest.chars().next() {
        let len = if matches!(c, '(' | ')') {
            1
        } else {
            rest.find(|c: char| !is_word(c)).unwrap_or(rest.len())
        };
        if len == 0 {
            return Err(format!("the condition has {c:?}, which means nothing there"));
        }
        let (token, behind) = rest.split_at(len);
        tokens.push(token);
        rest = behind.trim_start();
    }
    Ok(tokens)
}

struct Parser<'c> {
    tokens: &'c [&'c str],
    at: usize,
    selections: &'c [Named],
    used: &'c mut [bool],
    /// Of [`PICKED_MAX`].
    room: usize,
}

impl<'c> Parser<'c> {
    fn peek(&self) -> Option<&'c str> {
        self.tokens.get(self.at).copied()
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn or(&mut self, depth: usize) -> Result<Arc<Expr>, String> {
        let mut parts = vec![self.and(depth)?];
        while self.take("or") {
            parts.push(self.and(depth)?);
        }
        Ok(join(parts, false))
    }

    fn and(&mut self, depth: usize) -> Result<Arc<Expr>, String> {
        let mut parts = vec![self.not(depth)?];
        while self.take("and") {
            parts.push(self.not(depth)?);
        }
        Ok(join(parts, true))
    }

    fn not(&mut self, depth: usize) -> Result<Arc<Expr>, String> {
        if depth > DEPTH_MAX {
            return Err(format!("the condition nests deeper than {DEPTH_MAX} levels"));
        }
        if self.take("not") {
            return Ok(Arc::new(Expr::Not(self.not(depth + 1)?)));
        }
        if self.take("(") {
            let inner = self.or(depth + 1)?;
            return if self.take(")") {
                Ok(inner)
            } else {
                Err("the condition lacks a closing parenthesis".to_owned())
            };
        }
        self.operand()
    }

    fn operand(&mut self) -> Result<Arc<Expr>, String> {
        let Some(token) = self.peek() else {
            return Err("the condition ends where a selection should stand".to_owned());
        };
        let of = self.tokens.get(self.at + 1).is_some_and(|next| next.eq_ignore_ascii_case("of"));
        if of && !self.selections.iter().any(|s| s.name == token) {
            return self.quantified(token);
        }
        self.at += 1;
        match self.selections.iter().position(|s| s.name == token) {
            Some(place) => {
                self.used[place] = true;
                Ok(Arc::clone(&self.selections[place].expr))
            }
            None => Err(format!(
                "the condition names {token:?}, which is no selection of this rule; it has {}",
                names(self.selections)
            )),
        }
    }

    /// `1 of them`, `all of selection_*`.
    fn quantified(&mut self, quantifier: &str) -> Result<Arc<Expr>, String> {
        let all = match quantifier.to_ascii_lowercase().as_str() {
            "1" | "any" => false,
            "all" => true,
            _ => return Err(format!("{quantifier:?} of is not in Sigma; use 1, any or all")),
        };
        self.at += 2;
        let Some(pattern) = self.peek() else {
            return Err(format!("the condition ends behind \"{quantifier} of\""));
        };
        self.at += 1;
        let them = pattern.eq_ignore_ascii_case("them");
        let mut parts = Vec::new();
        for (place, selection) in self.selections.iter().enumerate() {
            // A leading underscore hides a selection from every pattern that lacks one.
            let hidden = selection.name.starts_with('_') && !pattern.starts_with('_');
            if !hidden && (them || like(pattern, &selection.name)) {
                self.used[place] = true;
                parts.push(Arc::clone(&selection.expr));
            }
        }
        if parts.is_empty() {
            return Err(format!(
                "\"{quantifier} of {pattern}\" fits no selection of this rule; it has {}",
                names(self.selections)
            ));
        }
        self.room = self.room.checked_sub(parts.len()).ok_or_else(|| {
            format!("the patterns of the condition come to more than {PICKED_MAX} selections")
        })?;
        Ok(join(parts, all))
    }
}

fn names(selections: &[Named]) -> String {
    const SHOWN: usize = 12;
    let mut text =
        selections.iter().take(SHOWN).map(|s| s.name.as_str()).collect::<Vec<_>>().join(", ");
    if selections.len() > SHOWN {
        text.push_str(", …");
    }
    text
}

/// Whether `name` fits `pattern`, in which `*` stands for anything.
fn like(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = pattern.rsplit_once('*').map(|(_, last)| last) else {
        return rest.is_empty();
    };
    let middle: Vec<&str> = parts.collect();
    for part in &middle[..middle.len().saturating_sub(1)] {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::{Item, Target};

    fn show(expr: &Expr, names: &[Named]) -> String {
        if let Some(named) = names.iter().find(|n| std::ptr::eq(&*n.expr, expr)) {
            return named.name.clone();
        }
        match expr {
            Expr::And(parts) => {
                format!(
                    "({})",
                    parts.iter().map(|p| show(p, names)).collect::<Vec<_>>().join(" & ")
                )
            }
            Expr::Or(parts) => {
                format!(
                    "({})",
                    parts.iter().map(|p| show(p, names)).collect::<Vec<_>>().join(" | ")
                )
            }
            Expr::Not(inner) => format!("!{}", show(inner, names)),
            Expr::Item(_) => "?".into(),
        }
    }

    fn parsed(text: &str) -> Result<String, String> {
        let named: Vec<Named> = ["sel_a", "sel_b", "_hidden", "not_this", "filter-x", "of"]
            .iter()
            .map(|name| Named {
                name: (*name).into(),
                expr: Arc::new(Expr::Item(Item { target: Target::Everything, tests: vec![] })),
            })
            .collect();
        let mut used = vec![false; named.len()];
        parse(text, &named, &mut used).map(|expr| show(&expr, &named))
    }

    #[test]
    fn precedence_and_patterns() {
        for (text, expected) in [
            ("sel_a or sel_b and not filter-x", "(sel_a | (sel_b & !filter-x))"),
            ("not (sel_a OR sel_b) AND not_this", "(!(sel_a | sel_b) & not_this)"),
            ("1 of sel_*", "(sel_a | sel_b)"),
            ("any of sel_*", "(sel_a | sel_b)"),
            ("all of them", "(sel_a & sel_b & not_this & filter-x & of)"),
            ("1 of *_a", "sel_a"),
            ("1 of _*", "_hidden"),
            ("all of s*l_*b", "sel_b"),
            ("not not sel_a", "!!sel_a"),
            ("_hidden", "_hidden"),
        ] {
            assert_eq!(parsed(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, reason) in [
            ("sel_a | count() by x > 3", "correlation"),
            ("sel_c", "no selection"),
            ("1 of nothing*", "fits no selection"),
            ("2 of sel_*", "not in Sigma"),
            ("(sel_a", "closing"),
            ("sel_a sel_b", "should end"),
            ("sel_a and", "ends where"),
            ("", "ends where"),
            ("sel_a && sel_b", "means nothing"),
        ] {
            assert!(parsed(text).unwrap_err().contains(reason), "{text}: {:?}", parsed(text));
        }
        assert!(parsed(&format!("{}sel_a", "not ".repeat(5_000))).unwrap_err().contains("deeper"));
        assert!(parsed(&format!("{}sel_a", "(".repeat(50_000))).unwrap_err().contains("deeper"));
    }
}
