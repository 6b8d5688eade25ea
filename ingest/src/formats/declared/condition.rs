//! Conditions on what a record says.

use regex::Regex;

use super::{
    document::{Entry, Node, Problems, unknown_key},
    record::{Keys, Record, Slot, text_of},
};
use crate::formats::text;

/// A condition, compiled.
#[derive(Debug)]
pub(super) enum Condition {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Test(Slot, Test),
}

/// What one key is asked. A key with several values passes where one of them does.
#[derive(Debug)]
pub(super) enum Test {
    /// Is there and says something.
    Exists,
    /// One of these, whatever the case of ASCII letters.
    Equals(Vec<Box<str>>),
    Starts(Vec<Box<str>>),
    Ends(Vec<Box<str>>),
    Contains(Vec<Box<str>>),
    Matches(Regex),
    Above(i64),
    Below(i64),
}

const TESTS: &[&str] =
    &["equals", "not", "exists", "starts", "ends", "contains", "matches", "above", "below"];

impl Condition {
    /// Reads a table of keys and what they shall be; all must hold.
    pub(super) fn read(node: Node<'_, '_>, keys: &mut Keys, problems: &mut Problems<'_>) -> Self {
        let mut all = Vec::new();
        for entry in node.pairs("a condition", problems) {
            let parts = |keys: &mut Keys, problems: &mut Problems<'_>| {
                entry.node.list().into_iter().map(|part| Self::read(part, keys, problems)).collect()
            };
            match entry.key {
                "any-of" => all.push(Self::Any(parts(keys, problems))),
                "all-of" => all.push(Self::All(parts(keys, problems))),
                "none-of" => all.push(Self::Not(Box::new(Self::Any(parts(keys, problems))))),
                _ => Self::key(&entry, keys, problems, &mut all),
            }
        }
        if all.len() == 1 { all.pop().unwrap_or(Self::All(Vec::new())) } else { Self::All(all) }
    }

    fn key(
        entry: &Entry<'_, '_>,
        keys: &mut Keys,
        problems: &mut Problems<'_>,
        all: &mut Vec<Self>,
    ) {
        let Some(slot) = keys.slot(entry.key) else {
            return problems.add(entry.at, "the format reads too many keys");
        };
        let Some(tests) = entry.node.table() else {
            let values = boxed(entry.node.texts("a condition", problems));
            return all.push(Self::Test(slot, Test::Equals(values)));
        };
        for test in tests {
            let texts = |problems: &mut Problems<'_>| boxed(test.node.texts(test.key, problems));
            let number = |problems: &mut Problems<'_>| {
                test.node.as_i64().unwrap_or_else(|| {
                    problems.add(test.at, format!("{} takes a whole number", test.key));
                    0
                })
            };
            let compiled = match test.key {
                "equals" => Test::Equals(texts(problems)),
                "not" => {
                    let test = Self::Test(slot, Test::Equals(texts(problems)));
                    all.push(Self::Not(Box::new(test)));
                    continue;
                }
                "exists" if test.node.as_bool() == Some(false) => {
                    all.push(Self::Not(Box::new(Self::Test(slot, Test::Exists))));
                    continue;
                }
                "exists" => Test::Exists,
                "starts" => Test::Starts(texts(problems)),
                "ends" => Test::Ends(texts(problems)),
                "contains" => Test::Contains(texts(problems)),
                "matches" => match Regex::new(&test.node.text("matches", problems)) {
                    Ok(regex) => Test::Matches(regex),
                    Err(error) => {
                        problems.add(test.at, format!("the regular expression is bad: {error}"));
                        continue;
                    }
                },
                "above" => Test::Above(number(problems)),
                "below" => Test::Below(number(problems)),
                _ => {
                    unknown_key(&test, "a condition on one key", TESTS, problems);
                    continue;
                }
            };
            all.push(Self::Test(slot, compiled));
        }
    }

    /// Whether `record` is so.
    pub(super) fn holds(&self, record: &Record<'_, '_>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(record)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(record)),
            Self::Not(part) => !part.holds(record),
            Self::Test(slot, test) => {
                record.all(*slot).filter_map(text_of).any(|value| test.passes(value))
            }
        }
    }
}

fn boxed(texts: Vec<String>) -> Vec<Box<str>> {
    texts.into_iter().map(Into::into).collect()
}

impl Test {
    fn passes(&self, value: &str) -> bool {
        let starts = |with: &str| {
            value.get(..with.len()).is_some_and(|head| head.eq_ignore_ascii_case(with))
        };
        match self {
            Self::Exists => text::is_present(value),
            Self::Equals(texts) => texts.iter().any(|text| value.eq_ignore_ascii_case(text)),
            Self::Starts(texts) => texts.iter().any(|text| starts(text)),
            Self::Ends(texts) => texts.iter().any(|text| {
                let at = value.len().checked_sub(text.len());
                at.and_then(|at| value.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(text))
            }),
            Self::Contains(texts) => {
                let value = value.to_ascii_lowercase();
                texts.iter().any(|text| value.contains(&text.to_ascii_lowercase()))
            }
            Self::Matches(regex) => regex.is_match(value),
            Self::Above(limit) => text::whole(value).is_some_and(|number| number > *limit),
            Self::Below(limit) => text::whole(value).is_some_and(|number| number < *limit),
        }
    }
}
