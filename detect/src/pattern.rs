//! Text with Sigma's wildcards.

use crate::fold::{fold, fold_char};

/// A piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// This text.
    Lit(String),
    /// `?`: any one character.
    One,
    /// `*`: any characters, newlines too, or none.
    Many,
}

/// What a value must look like from its first to its last character.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pattern {
    /// Without two literals or two `Many` side by side; literals folded unless `cased`.
    parts: Vec<Part>,
    cased: bool,
}

/// Reads Sigma's escaping as pySigma does: `\*`, `\?` and `\\` stand for the character after
/// the backslash; any other backslash, a last one too, stands for itself.
pub(crate) fn parse_wildcards(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut lit = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => lit.push(chars.next_if(|c| matches!(c, '*' | '?' | '\\')).unwrap_or('\\')),
            '*' | '?' => {
                if !lit.is_empty() {
                    parts.push(Part::Lit(std::mem::take(&mut lit)));
                }
                parts.push(if c == '*' { Part::Many } else { Part::One });
            }
            c => lit.push(c),
        }
    }
    if !lit.is_empty() {
        parts.push(Part::Lit(lit));
    }
    parts
}

impl Pattern {
    /// From pieces as written.
    pub(crate) fn new(parts: Vec<Part>, cased: bool) -> Self {
        let mut normal: Vec<Part> = Vec::with_capacity(parts.len());
        for part in parts {
            match (normal.last_mut(), part) {
                (Some(Part::Many), Part::Many) => {}
                (_, Part::Lit(text)) if text.is_empty() => {}
                (Some(Part::Lit(last)), Part::Lit(text)) => {
                    last.push_str(&if cased { text } else { fold(&text) });
                }
                (_, Part::Lit(text)) => {
                    normal.push(Part::Lit(if cased { text } else { fold(&text) }));
                }
                (_, part) => normal.push(part),
            }
        }
        Self { parts: normal, cased }
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub(crate) fn cased(&self) -> bool {
        self.cased
    }

    /// Whether `text` matches: the definition, one character at a time. The engine compiles
    /// patterns to something faster and is tested against this.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> =
            text.chars().map(|c| if self.cased { c } else { fold_char(c) }).collect();
        let mut pattern: Vec<Step> = Vec::new();
        for part in &self.parts {
            match part {
                Part::Lit(lit) => pattern.extend(lit.chars().map(Step::Char)),
                Part::One => pattern.push(Step::One),
                Part::Many => pattern.push(Step::Many),
            }
        }
        // `reach[i]` says whether the pattern so far can end before text[i].
        let mut reach = vec![false; text.len() + 1];
        reach[0] = true;
        for step in pattern {
            let mut next = vec![false; text.len() + 1];
            let mut any = false;
            for (i, reached) in reach.iter().enumerate() {
                any |= reached;
                match step {
                    Step::Many => next[i] = any,
                    _ if !reached || i == text.len() => {}
                    Step::One => next[i + 1] = true,
                    Step::Char(c) => next[i + 1] = text[i] == c,
                }
            }
            reach = next;
        }
        reach[text.len()]
    }
}

#[derive(Clone, Copy)]
enum Step {
    Char(char),
    One,
    Many,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::new(parse_wildcards(text), false)
    }

    #[test]
    fn escaping_is_pysigmas() {
        let lit = |text: &str| vec![Part::Lit(text.into())];
        assert_eq!(parse_wildcards(r"C:\Windows\x"), lit(r"C:\Windows\x"));
        assert_eq!(parse_wildcards(r"\\\\server\\share"), lit(r"\\server\share"));
        assert_eq!(parse_wildcards(r"a\*b\?c"), lit("a*b?c"));
        assert_eq!(parse_wildcards(r"a\\*"), [Part::Lit(r"a\".into()), Part::Many]);
        assert_eq!(parse_wildcards(r"a\\\*"), lit(r"a\*"));
        assert_eq!(parse_wildcards(r"end\"), lit(r"end\"));
        assert_eq!(parse_wildcards("?*"), [Part::One, Part::Many]);
    }

    #[test]
    fn wildcards_match_from_end_to_end() {
        for (p, text, expected) in [
            ("*\\cmd.exe", "C:\\Windows\\CMD.EXE", true),
            ("*\\cmd.exe", "C:\\cmd.exe ", false),
            ("a*b?d", "a\n\nbcd", true),
            ("a*b?d", "abbd", true),
            ("*a?b*", "xaab", true),
            ("*a?b*", "xab", false),
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("?", "é", true),
            ("ÉTÉ", "été", true),
        ] {
            assert_eq!(pattern(p).matches(text), expected, "{p} on {text:?}");
        }
    }
}
