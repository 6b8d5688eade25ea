//! A rule's witness: texts of which at least one is in every event that the rule fires on.
//!
//! Invariant: whenever an expression holds on an event, at least one of the witnesses that
//! [`choose`] gives for it is found, by its kind, in the folded text of a value of its fields.
//! So a rule none of whose witnesses is found need not be looked at. By induction: an item
//! holds only if one of its tests does, so it needs one text per test; `or` needs those of all
//! its parts, `and` those of any one; `not` has none. A regular expression needs the texts that
//! everything it matches has; a test that no text decides needs a value to be there.

use event::FieldId;

use super::{frequency::frequency, literal, slot};
use crate::{
    expr::{Expr, Item, Target},
    fold::fold,
    pattern::{Part, Pattern},
    test::Test,
};

/// How a witness stands in the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    /// It is the value.
    Whole,
    /// It is what follows the last backslash of the value, and something does precede it.
    LastPart,
    Prefix,
    Suffix,
    Within,
    /// It is an address in the network that the text names.
    Network,
    /// The field is there, whatever its value; the text is empty.
    Present,
}

/// A text to look for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Witness {
    /// Empty for every value and the record itself.
    pub(super) fields: Vec<FieldId>,
    pub(super) kind: Kind,
    /// Folded; for `LastPart` without the backslash.
    pub(super) text: String,
}

/// Witnesses and how often, roughly, an event of the rule's log source has one.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub(super) witnesses: Vec<Witness>,
    cost: f64,
}

impl Choice {
    /// Whether one of them may be in any value.
    pub(super) fn is_anywhere(&self) -> bool {
        self.witnesses.iter().any(|witness| witness.fields.is_empty())
    }
}

/// Witnesses in one choice; more are not worth their automaton.
const WITNESSES_MAX: usize = 100_000;

/// The cheapest witnesses of `expr`; `None` where it has none.
pub(super) fn choose(expr: &Expr) -> Option<Choice> {
    match expr {
        Expr::Not(_) => None,
        Expr::And(parts) => {
            parts.iter().filter_map(|part| choose(part)).min_by(|a, b| a.cost.total_cmp(&b.cost))
        }
        Expr::Or(parts) => {
            let mut all = Choice { witnesses: Vec::new(), cost: 0.0 };
            for part in parts {
                let choice = choose(part)?;
                all.witnesses.extend(choice.witnesses);
                all.cost += choice.cost;
                if all.witnesses.len() > WITNESSES_MAX {
                    return None;
                }
            }
            Some(all)
        }
        Expr::Item(item) => of_item(item),
    }
}

fn of_item(item: &Item) -> Option<Choice> {
    let fields: &[FieldId] = match &item.target {
        Target::Everything => &[],
        Target::Fields { ids, .. } => ids,
    };
    let mut choice = Choice { witnesses: Vec::new(), cost: 0.0 };
    for test in &item.tests {
        for (kind, mut text) in of_test(test)? {
            if kind == Kind::Present && fields.is_empty() {
                return None;
            }
            if kind == Kind::Within && fields.is_empty() {
                text = plain_part(text);
            }
            choice.cost += frequency(fields, kind, &text);
            choice.witnesses.push(Witness { fields: fields.to_vec(), kind, text });
        }
        if choice.witnesses.len() > WITNESSES_MAX {
            return None;
        }
    }
    (!choice.witnesses.is_empty()).then_some(choice)
}

/// Characters that the plain part of a text must have to stand for it.
const PLAIN_CHARS_MIN: usize = 6;

/// What is looked for in the whole text: the longest part without characters that need escapes,
/// as less has to be searched for such parts; the text itself where that part is too short.
///
/// Invariant: whatever has the text has the part.
fn plain_part(text: String) -> String {
    let parts = text.split(|c: char| c.is_ascii() && !slot::is_plain(&[c as u8]));
    match parts.max_by_key(|part| part.len()) {
        Some(part) if part.chars().count() >= PLAIN_CHARS_MIN => part.to_owned(),
        _ => text,
    }
}

/// The texts of which one must be there for the test to hold; `None` where it may hold
/// without a value. A kind of test that is not known here has none, which is always right.
fn of_test(test: &Test) -> Option<Vec<(Kind, String)>> {
    let present = || vec![(Kind::Present, String::new())];
    Some(match test {
        Test::Text(pattern) => of_pattern(pattern).map_or_else(present, |text| vec![text]),
        Test::Number(number) if number.is_spelled() => {
            // A double has two zeros.
            let zero = (number.texts[0] == "0").then(|| (Kind::Whole, "-0".to_owned()));
            number.texts.iter().map(|text| (Kind::Whole, text.clone())).chain(zero).collect()
        }
        Test::Cidr(network) => vec![(Kind::Network, network.to_string())],
        Test::Bool(b) => vec![(Kind::Whole, b.to_string())],
        Test::Regex(regex) => literal::required(regex.as_str()).map_or_else(present, |texts| {
            texts.into_iter().map(|text| (Kind::Within, text)).collect()
        }),
        Test::Number(_)
        | Test::Compare(..)
        | Test::Time(..)
        | Test::FieldRef(_)
        | Test::Exists(true) => present(),
        _ => return None,
    })
}

/// The longest literal of a pattern and how it stands there. Folding it is right for cased
/// patterns too: text that holds the literal holds its folded form when folded.
fn of_pattern(pattern: &Pattern) -> Option<(Kind, String)> {
    let parts = pattern.parts();
    let (at, literal) = parts
        .iter()
        .enumerate()
        .filter_map(|(at, part)| match part {
            Part::Lit(text) => Some((at, text)),
            _ => None,
        })
        .max_by_key(|(_, text)| text.len())
        .or_else(|| parts.is_empty().then_some((0, EMPTY)))?;
    let text = fold(literal);
    let kind = match (at == 0, at + 1 >= parts.len()) {
        (true, true) => Kind::Whole,
        (true, false) => Kind::Prefix,
        (false, true) => Kind::Suffix,
        (false, false) => Kind::Within,
    };
    // A suffix whose only backslash is its first character is the whole last part of the
    // path: the value's last backslash is that one.
    if kind == Kind::Suffix
        && let Some(name) = text.strip_prefix('\\')
        && !name.contains('\\')
    {
        return Some((Kind::LastPart, name.to_owned()));
    }
    Some((kind, text))
}

static EMPTY: &String = &String::new();
