//! Patterns of textual lines: literal text with `{names}` in it, or regular expressions.

use std::borrow::Cow;

use regex::Regex;

use crate::formats::{
    declared::record::{Record, Slot},
    json::Json,
};

/// A pattern, compiled.
#[derive(Debug)]
pub(in crate::formats::declared) struct Pattern {
    pub(in crate::formats::declared) regex: Regex,
    /// The key whose text it reads.
    pub(in crate::formats::declared) from: Slot,
}

/// The classes that a name in a pattern may have, and what they match.
const CLASSES: &[(&str, &str)] = &[
    ("word", r"\S+"),
    ("any", r".*?"),
    ("rest", r".*"),
    ("int", r"-?\d+"),
    ("hex", r"(?:0x)?[0-9A-Fa-f]+"),
    ("ip", r"[0-9A-Fa-f.:%]+"),
    ("name", r"[\w.\-]+"),
    ("maybe", r"\S*"),
];

/// The regular expression of a pattern such as `Accepted {method} for {user} from {ip:ip}`. A
/// run of spaces matches any run of spaces; `{name}` is a word and `{}` a word without a name.
pub(in crate::formats::declared) fn regex_of(like: &str) -> Result<String, String> {
    let mut out = String::from("^");
    let mut rest = like;
    while let Some(open) = rest.find('{') {
        literal(&rest[..open], &mut out);
        let len = rest[open..].find('}').ok_or("a `{` in the pattern has no `}`")?;
        let inside = &rest[open + 1..open + len];
        let (name, class) = inside.split_once(':').unwrap_or((inside, "word"));
        let class = match CLASSES.iter().find(|(known, _)| *known == class) {
            Some((_, class)) => *class,
            None => {
                let known: Vec<&str> = CLASSES.iter().map(|(name, _)| *name).collect();
                return Err(format!(
                    "there is no class {class:?} (known are {})",
                    known.join(", ")
                ));
            }
        };
        match name {
            "" => out.push_str(&format!("(?:{class})")),
            name if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => {
                out.push_str(&format!("(?<{name}>{class})"));
            }
            name => return Err(format!("{name:?} is no name: use letters, digits and _")),
        }
        rest = &rest[open + len + 1..];
    }
    literal(rest, &mut out);
    out.push('$');
    Ok(out)
}

fn literal(text: &str, out: &mut String) {
    let mut words = text.split(' ').peekable();
    while let Some(word) = words.next() {
        out.push_str(&regex::escape(word));
        if words.peek().is_some() && !out.ends_with(r"\s+") {
            out.push_str(r"\s+");
        }
    }
}

/// Tries `patterns` in their order; the first of each key that matches adds what it names.
/// What is named `_…` is seen by the plan only, and not kept.
/// Gives the places of those that matched.
pub(super) fn run(patterns: &[Pattern], record: &mut Record<'_, '_>) -> Vec<usize> {
    let mut matched: Vec<usize> = Vec::new();
    for (index, pattern) in patterns.iter().enumerate() {
        if matched.iter().any(|done| patterns[*done].from == pattern.from) {
            continue;
        }
        let Some(text) = record.present(pattern.from).and_then(super::text_of) else { continue };
        let Some(captures) = pattern.regex.captures(text.trim()) else { continue };
        let found: Vec<(String, String)> = pattern
            .regex
            .capture_names()
            .flatten()
            .filter_map(|name| Some((name.to_owned(), captures.name(name)?.as_str().to_owned())))
            .collect();
        for (name, value) in found {
            let value = Json::Str(Cow::Owned(value));
            match name.starts_with('_') {
                true => record.add_alias(&name, value),
                false => record.add(&name, value),
            }
        }
        matched.push(index);
    }
    matched
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_become_expressions() {
        let regex =
            Regex::new(&regex_of("from {ip:ip} port {port:int} ({why:any})").unwrap()).unwrap();
        let captures = regex.captures("from 192.0.2.1  port 22 (a (b))").unwrap();
        assert_eq!(
            (&captures["ip"], &captures["port"], &captures["why"]),
            ("192.0.2.1", "22", "a (b)")
        );
        assert!(!regex.is_match("from nowhere port 22 ()"));
        assert!(regex_of("{a").is_err());
        assert!(regex_of("{a:float}").unwrap_err().contains("known are word"));
        assert!(regex_of("{a b}").is_err());
    }
}
