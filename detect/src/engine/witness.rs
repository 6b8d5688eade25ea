//! A rule's witness: texts of which at least one is in every event that the rule fires on.
//!
//! Invariant: whenever an expression holds on an event, at least one of the witnesses that
//! [`choose`] gives for it is found, by its kind, in the folded text of a value of its fields.
//! So a rule none of whose witnesses is found need not be looked at. By induction: an item
//! holds only if one of its tests does, so it needs one text per test; `or` needs those of all
//! its parts, `and` those of any one; `not` has none.

use event::{FieldId, fields};

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

/// Witnesses in one choice; more are not worth their automaton.
const WITNESSES_MAX: usize = 2_000;

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
        let texts = match test {
            Test::Text(pattern) => vec![of_pattern(pattern)?],
            Test::Number(number) if number.is_spelled() => {
                // A double has two zeros.
                let zero = (number.texts[0] == "0").then(|| (Kind::Whole, "-0".to_owned()));
                number.texts.iter().map(|text| (Kind::Whole, text.clone())).chain(zero).collect()
            }
            Test::Bool(b) => vec![(Kind::Whole, b.to_string())],
            _ => return None,
        };
        for (kind, text) in texts {
            choice.cost += frequency(fields, kind, &text);
            choice.witnesses.push(Witness { fields: fields.to_vec(), kind, text });
        }
        if choice.witnesses.len() > WITNESSES_MAX {
            return None;
        }
    }
    (!choice.witnesses.is_empty()).then_some(choice)
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

/// Texts that are in most events of an ordinary Windows machine.
const COMMON: &[&str] = &[
    "c:\\windows\\",
    "c:\\windows\\system32\\",
    "\\windows\\system32\\",
    "\\windows\\",
    "\\system32\\",
    "c:\\",
    ".exe",
    ".dll",
    "svchost.exe",
    "\\users\\",
    "c:\\users\\",
    "microsoft",
    "windows",
    "software\\microsoft\\windows\\currentversion",
    "\\software\\microsoft\\",
    "hklm\\",
    "hku\\",
    "c:\\program files",
    "\\appdata\\local\\",
    "\\appdata\\",
    "system",
    "true",
    "false",
    "http",
    "\\currentversion\\",
    "\\currentcontrolset\\services\\",
    "\\device\\",
    "\\lsass.exe",
    "lsass.exe",
    "\\microsoft\\",
    "powershell",
    "-",
    "",
];

/// How often a value of the fields has the text, roughly: between 0 and 1. Only the order
/// matters, and only for speed.
fn frequency(fields: &[FieldId], kind: Kind, text: &str) -> f64 {
    let code = fields.contains(&fields::EVENT_CODE);
    let chars = text.len();
    let base = match kind {
        Kind::Whole if code => 0.08,
        Kind::Whole | Kind::LastPart => 0.004,
        Kind::Prefix | Kind::Suffix => by_length(chars) * 0.5,
        Kind::Within => by_length(chars),
    };
    let common = if COMMON.contains(&text) { 40.0 } else { 1.0 };
    // A keyword makes every value of the event be searched.
    let everywhere = if fields.is_empty() { 4.0 } else { 1.0 };
    let long = if fields.iter().any(|field| is_long(*field)) { 2.5 } else { 1.0 };
    (base * common * everywhere * long).min(1.0)
}

fn by_length(chars: usize) -> f64 {
    match chars {
        0 | 1 => 0.9,
        2 => 0.5,
        3 => 0.25,
        4 => 0.1,
        5 => 0.05,
        6 | 7 => 0.02,
        8..=11 => 0.008,
        12..=19 => 0.003,
        _ => 0.001,
    }
}

/// Fields whose values are long, so that searching them costs.
fn is_long(field: FieldId) -> bool {
    matches!(
        field.name(),
        "message"
            | "powershell.file.script_block_text"
            | "winlog.event_data.ScriptBlockText"
            | "winlog.event_data.Payload"
            | "winlog.event_data.ContextInfo"
            | "winlog.event_data.CallTrace"
            | "winlog.event_data.Data"
    )
}
