//! Placeholders: names in rules that stand for lists of an installation's own values.
//!
//! `User|expand: '%Administrators%'` asks for any value of the list. A value may have wildcards
//! and escapes as in a rule. `\%` is a percent sign.

use std::collections::BTreeMap;

use crate::{
    error::Problem,
    yaml::{Node, Scalar, Value},
};

/// Lists of values by the name that rules write between percent signs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placeholders {
    lists: BTreeMap<String, Vec<String>>,
}

/// Why a list was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceholderError {
    /// The name could not stand between percent signs.
    #[error("the placeholder's name {0:?} must be of letters, digits, _, - and . only")]
    Name(String),
    /// There is nothing in the list.
    #[error("the placeholder {0:?} has no values; rules that use it could never match")]
    Empty(String),
    /// The list is too long.
    #[error("the placeholder {0:?} has more than {VALUES_MAX} values")]
    TooMany(String),
}

/// Values of one list.
const VALUES_MAX: usize = 50_000;
/// Texts that one value of a rule may become.
const FORMS_MAX: usize = 50_000;

/// A value of a rule with its placeholders filled in: any of the forms is meant.
pub(crate) type Forms = Vec<Vec<Piece>>;

/// A part of a filled value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// As the rule wrote it.
    Own(String),
    /// As the list has it.
    Listed(String),
}

impl Placeholders {
    /// No lists: every rule with a placeholder is refused.
    pub fn new() -> Self {
        Self::default()
    }

    /// Enters the list `name`, in place of an earlier one.
    pub fn insert(&mut self, name: &str, values: Vec<String>) -> Result<(), PlaceholderError> {
        if !is_name(name) {
            return Err(PlaceholderError::Name(name.to_owned()));
        }
        if values.is_empty() {
            return Err(PlaceholderError::Empty(name.to_owned()));
        }
        if values.len() > VALUES_MAX {
            return Err(PlaceholderError::TooMany(name.to_owned()));
        }
        self.lists.insert(name.to_owned(), values);
        Ok(())
    }

    /// The values in `text`, one a line; empty lines and those that begin with `#` are none.
    pub fn lines(text: &str) -> Vec<String> {
        text.trim_start_matches('\u{feff}')
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(str::to_owned)
            .collect()
    }

    /// The names, sorted, with how many values each has.
    pub fn iter(&self) -> impl Iterator<Item = (&str, usize)> {
        self.lists.iter().map(|(name, values)| (name.as_str(), values.len()))
    }

    /// Fills in what stands under keys with `expand` in the sections of a rule or filter.
    /// Returns the lists used, as text: with other values it is another rule.
    pub(crate) fn fill(&self, document: &mut Node) -> Result<String, Problem> {
        let mut used = BTreeMap::new();
        if let Value::Map(pairs) = &mut document.value {
            for (key, section) in pairs {
                if matches!(key.as_str(), "detection" | "filter") {
                    self.walk(section, &mut used)?;
                }
            }
        }
        Ok(used
            .into_iter()
            .map(|(name, values)| format!("%{name}%\n{}\n", values.join("\n")))
            .collect())
    }

    fn walk<'p>(
        &'p self,
        node: &mut Node,
        used: &mut BTreeMap<&'p str, &'p [String]>,
    ) -> Result<(), Problem> {
        match &mut node.value {
            Value::Scalar(_) => Ok(()),
            Value::List(items) => items.iter_mut().try_for_each(|item| self.walk(item, used)),
            Value::Map(pairs) => pairs.iter_mut().try_for_each(|(key, value)| {
                if key.split('|').skip(1).any(|name| name.trim() == "expand") {
                    self.expand(value, used)
                } else {
                    self.walk(value, used)
                }
            }),
        }
    }

    fn expand<'p>(
        &'p self,
        node: &mut Node,
        used: &mut BTreeMap<&'p str, &'p [String]>,
    ) -> Result<(), Problem> {
        let line = node.line;
        match &mut node.value {
            Value::Scalar(scalar) => {
                scalar.forms = Some(self.forms(scalar, line, used)?);
                Ok(())
            }
            Value::List(items) => items.iter_mut().try_for_each(|item| self.expand(item, used)),
            Value::Map(_) => Ok(()),
        }
    }

    fn forms<'p>(
        &'p self,
        scalar: &Scalar,
        line: u32,
        used: &mut BTreeMap<&'p str, &'p [String]>,
    ) -> Result<Forms, Problem> {
        let mut forms: Forms = vec![Vec::new()];
        for piece in pieces(&scalar.text) {
            match piece {
                Piece::Own(text) => {
                    forms.iter_mut().for_each(|form| form.push(Piece::Own(text.clone())));
                }
                Piece::Listed(name) => {
                    let Some((name, values)) = self.lists.get_key_value(&name) else {
                        return Err(Problem::new(line, self.unknown(&name)));
                    };
                    used.insert(name, values);
                    if forms.len() * values.len() > FORMS_MAX {
                        return Err(Problem::new(
                            line,
                            format!(
                                "the placeholders of one value come to more than {FORMS_MAX} texts; use two values or two fields"
                            ),
                        ));
                    }
                    forms = forms
                        .iter()
                        .flat_map(|form| {
                            values.iter().map(|value| {
                                let mut form = form.clone();
                                form.push(Piece::Listed(value.clone()));
                                form
                            })
                        })
                        .collect();
                }
            }
        }
        Ok(forms)
    }

    fn unknown(&self, name: &str) -> String {
        let known = match self.lists.len() {
            0 => "none is configured".to_owned(),
            _ => {
                format!(
                    "known are {}",
                    self.lists.keys().take(12).cloned().collect::<Vec<_>>().join(", ")
                )
            }
        };
        format!(
            "the placeholder %{name}% has no values here ({known}); write them, one a line, into {name}.txt in the folder that rules.placeholders of the configuration names, or into the rule"
        )
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// `text` cut at its placeholders, whose names stand as [`Piece::Listed`].
fn pieces(text: &str) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut own = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['%', '\\']) {
        own.push_str(&rest[..at]);
        let tail = &rest[at..];
        if let Some(behind) = tail.strip_prefix("\\%") {
            own.push('%');
            rest = behind;
        } else if let Some(behind) = tail.strip_prefix('\\') {
            // With what it escapes, so that the second of two backslashes escapes nothing.
            let len = behind.chars().next().map_or(0, char::len_utf8);
            own.push_str(&tail[..1 + len]);
            rest = &behind[len..];
        } else {
            let name = tail[1..].find('%').map(|end| &tail[1..=end]).filter(|name| is_name(name));
            match name {
                Some(name) => {
                    if !own.is_empty() {
                        out.push(Piece::Own(std::mem::take(&mut own)));
                    }
                    out.push(Piece::Listed(name.to_owned()));
                    rest = &tail[name.len() + 2..];
                }
                None => {
                    own.push('%');
                    rest = &tail[1..];
                }
            }
        }
    }
    own.push_str(rest);
    if !own.is_empty() || out.is_empty() {
        out.push(Piece::Own(own));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        pieces(text)
            .into_iter()
            .map(|piece| match piece {
                Piece::Own(text) => text,
                Piece::Listed(name) => format!("<{name}>"),
            })
            .collect()
    }

    #[test]
    fn a_text_is_cut_at_its_placeholders() {
        for (text, expected) in [
            ("%a%", "<a>"),
            ("x%a%y%b_1%", "x<a>y<b_1>"),
            (r"\%plain%name%", "%plain<name>"),
            (r"C:\\%a%", r"C:\\<a>"),
            (r"C:\Users\\%a%\x", r"C:\Users\\<a>\x"),
            ("100% of 5%", "100% of 5%"),
            ("%%", "%%"),
            ("%a", "%a"),
            ("%a%%b%", "<a><b>"),
            ("", ""),
            ("%é%", "<é>"),
            (r"end\", r"end\"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn lists_are_checked() {
        let mut lists = Placeholders::new();
        assert!(lists.insert("a b", vec!["x".into()]).is_err());
        assert!(lists.insert("a", vec![]).is_err());
        assert!(lists.insert("a", vec!["x".into()]).is_ok());
        assert_eq!(lists.iter().collect::<Vec<_>>(), [("a", 1)]);
        assert_eq!(Placeholders::lines("# c\n\n adm* \r\nroot\n"), ["adm*", "root"]);
    }
}
