//! Reading a TOML document so that every mistake is told with its line.

use std::{borrow::Cow, fmt};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A mistake in a format's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong and how to mend it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

/// Collects mistakes, so that all are told at once.
pub(super) struct Problems<'t> {
    text: &'t str,
    found: Vec<Problem>,
}

impl<'t> Problems<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, found: Vec::new() }
    }

    /// Notes a mistake at byte `at`.
    pub(super) fn add(&mut self, at: usize, message: impl Into<String>) {
        let before = self.text.as_bytes().get(..at).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        self.found.push(Problem { line, message: message.into() });
    }

    /// The mistakes, in the order of their lines.
    pub(super) fn into_found(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|problem| problem.line);
        self.found
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }
}

/// The candidate that resembles `name` most, where one resembles it enough to be meant.
pub(super) fn nearest<'c>(
    name: &str,
    candidates: impl Iterator<Item = &'c str>,
) -> Option<&'c str> {
    candidates
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, candidate)| candidate)
}

/// `; did you mean X?` or nothing.
pub(super) fn meant(name: Option<&str>) -> String {
    name.map_or_else(String::new, |name| format!("; did you mean {name:?}?"))
}

/// A value with its place.
#[derive(Clone, Copy)]
pub(super) struct Node<'d, 't> {
    pub(super) at: usize,
    value: &'d DeValue<'t>,
}

/// A key with its place and value.
pub(super) struct Entry<'d, 't> {
    pub(super) key: &'d str,
    pub(super) at: usize,
    pub(super) node: Node<'d, 't>,
}

/// The entries of `table` in the order of the file.
pub(super) fn entries<'d, 't>(table: &'d DeTable<'t>) -> Vec<Entry<'d, 't>> {
    let mut entries: Vec<_> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().as_ref(),
            at: key.span().start,
            node: Node::new(value),
        })
        .collect();
    entries.sort_by_key(|entry| entry.at);
    entries
}

impl<'d, 't> Node<'d, 't> {
    pub(super) fn new(value: &'d Spanned<DeValue<'t>>) -> Self {
        Self { at: value.span().start, value: value.get_ref() }
    }

    pub(super) fn kind(self) -> &'static str {
        self.value.type_str()
    }

    pub(super) fn as_str(self) -> Option<&'d str> {
        self.value.as_str()
    }

    pub(super) fn as_bool(self) -> Option<bool> {
        self.value.as_bool()
    }

    pub(super) fn as_i64(self) -> Option<i64> {
        let number = self.value.as_integer()?;
        i64::from_str_radix(number.as_str(), number.radix()).ok()
    }

    /// A scalar as text: `200` and `"200"` are the same to a table or a condition.
    pub(super) fn as_text(self) -> Option<Cow<'d, str>> {
        match self.value {
            DeValue::String(text) => Some(Cow::Borrowed(text.as_ref())),
            DeValue::Boolean(true) => Some(Cow::Borrowed("true")),
            DeValue::Boolean(false) => Some(Cow::Borrowed("false")),
            DeValue::Integer(_) => self.as_i64().map(|number| Cow::Owned(number.to_string())),
            _ => None,
        }
    }

    pub(super) fn table(self) -> Option<Vec<Entry<'d, 't>>> {
        self.value.as_table().map(entries)
    }

    pub(super) fn array(self) -> Option<Vec<Node<'d, 't>>> {
        Some(self.value.as_array()?.iter().map(Node::new).collect())
    }

    /// The members of an array, or the one value.
    pub(super) fn list(self) -> Vec<Node<'d, 't>> {
        self.array().unwrap_or_else(|| vec![self])
    }

    /// One text or an array of them; anything else is a problem.
    pub(super) fn texts(self, what: &str, problems: &mut Problems<'_>) -> Vec<String> {
        let mut texts = Vec::new();
        for item in self.list() {
            match item.as_text() {
                Some(text) => texts.push(text.into_owned()),
                None => problems.add(item.at, format!("{what} takes text, not {}", item.kind())),
            }
        }
        texts
    }

    /// A text; anything else is a problem.
    pub(super) fn text(self, what: &str, problems: &mut Problems<'_>) -> String {
        match self.as_text() {
            Some(text) => text.into_owned(),
            None => {
                problems.add(self.at, format!("{what} takes text, not {}", self.kind()));
                String::new()
            }
        }
    }

    /// A table's entries; anything else is a problem.
    pub(super) fn pairs(self, what: &str, problems: &mut Problems<'_>) -> Vec<Entry<'d, 't>> {
        self.table().unwrap_or_else(|| {
            problems.add(self.at, format!("{what} is a table, not {}", self.kind()));
            Vec::new()
        })
    }
}

/// Tells of a key that a table does not have.
pub(super) fn unknown_key(
    entry: &Entry<'_, '_>,
    place: &str,
    known: &[&str],
    problems: &mut Problems<'_>,
) {
    let meant = meant(nearest(entry.key, known.iter().copied()));
    problems.add(
        entry.at,
        format!("{place} has no key {:?}{meant} (known are {})", entry.key, known.join(", ")),
    );
}
