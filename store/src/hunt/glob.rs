//! Wildcard patterns over folded text.

use super::ast::{Piece, Value};
use crate::index::fold::fold_into;

/// Characters that a stretch with `?` in it has at most: it is compared place by place.
const MIXED_CHARS_MAX: usize = 256;

/// A folded pattern: stretches with anything between them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Glob {
    stretches: Vec<Stretch>,
    open_start: bool,
    open_end: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Stretch {
    Text(String),
    /// `None` is any one character.
    Mixed(Vec<Option<char>>),
}

impl Stretch {
    /// Where it ends, if it stands at `at`.
    fn end_at(&self, text: &str, at: usize) -> Option<usize> {
        let rest = &text[at..];
        match self {
            Self::Text(wanted) => rest.starts_with(wanted.as_str()).then_some(at + wanted.len()),
            Self::Mixed(wanted) => {
                let mut chars = rest.chars();
                let mut end = at;
                for wanted in wanted {
                    let c = chars.next()?;
                    if wanted.is_some_and(|wanted| wanted != c) {
                        return None;
                    }
                    end += c.len_utf8();
                }
                Some(end)
            }
        }
    }

    /// Where it first ends, at or after `from`.
    fn find(&self, text: &str, from: usize) -> Option<usize> {
        match self {
            Self::Text(wanted) => {
                let rest = &text.as_bytes()[from..];
                memchr::memmem::find(rest, wanted.as_bytes()).map(|at| from + at + wanted.len())
            }
            Self::Mixed(_) => text[from..]
                .char_indices()
                .map(|(index, _)| from + index)
                .find_map(|at| self.end_at(text, at)),
        }
    }

    /// Where it begins, if it ends the text, not before `from`.
    fn ends(&self, text: &str, from: usize) -> bool {
        match self {
            Self::Text(wanted) => {
                text.len() >= from + wanted.len() && text.ends_with(wanted.as_str())
            }
            Self::Mixed(wanted) => {
                let mut start = text.len();
                for c in text[from..].chars().rev().take(wanted.len()) {
                    start -= c.len_utf8();
                }
                self.end_at(text, start) == Some(text.len())
            }
        }
    }
}

impl Glob {
    /// The pattern of `value`. `Err` says why there is none.
    pub(crate) fn new(value: &Value) -> Result<Self, String> {
        let mut stretches = Vec::new();
        let mut current: Vec<Option<char>> = Vec::new();
        let mut folded = String::new();
        for piece in &value.pieces {
            match piece {
                Piece::One => current.push(None),
                Piece::Many => {
                    if !current.is_empty() {
                        stretches.push(stretch(std::mem::take(&mut current))?);
                    }
                }
                Piece::Text(text) => {
                    folded.clear();
                    fold_into(text, &mut folded);
                    for c in folded.chars() {
                        // Pieces that meet without a wildcard fold as one text.
                        if c != '\\' || current.last() != Some(&Some('\\')) {
                            current.push(Some(c));
                        }
                    }
                }
            }
        }
        if !current.is_empty() {
            stretches.push(stretch(current)?);
        }
        Ok(Self {
            stretches,
            open_start: value.pieces.first() == Some(&Piece::Many),
            open_end: value.pieces.last() == Some(&Piece::Many),
        })
    }

    /// The pattern of what contains `folded`.
    pub(crate) fn containing(folded: &str) -> Self {
        Self { stretches: vec![Stretch::Text(folded.to_owned())], open_start: true, open_end: true }
    }

    /// Whether the whole of `text`, which is folded, fits.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let mut from = 0;
        let mut middle = &self.stretches[..];
        if !self.open_start {
            let Some((first, rest)) = middle.split_first() else { return text.is_empty() };
            let Some(end) = first.end_at(text, 0) else { return false };
            from = end;
            middle = rest;
            if middle.is_empty() && !self.open_end {
                return from == text.len();
            }
        }
        let last = if self.open_end { None } else { middle.split_last() };
        if let Some((_, rest)) = last {
            middle = rest;
        }
        for stretch in middle {
            let Some(end) = stretch.find(text, from) else { return false };
            from = end;
        }
        last.is_none_or(|(last, _)| last.ends(text, from))
    }

    /// What every match begins with.
    pub(crate) fn prefix(&self) -> &str {
        match self.stretches.first() {
            Some(Stretch::Text(text)) if !self.open_start => text,
            _ => "",
        }
    }

    /// Whether it could be one word: its text is letters and digits.
    pub(crate) fn is_word(&self) -> bool {
        self.stretches.iter().all(|stretch| match stretch {
            Stretch::Text(text) => text.chars().all(char::is_alphanumeric),
            Stretch::Mixed(chars) => chars.iter().flatten().all(|c| c.is_alphanumeric()),
        })
    }

    /// Patterns of words that every text which contains a match has: from each stretch of plain
    /// text its words, open at the ends of the stretch where the word may go on there.
    pub(crate) fn required_words(&self) -> Vec<Glob> {
        let mut required = Vec::new();
        for stretch in &self.stretches {
            let Stretch::Text(text) = stretch else { continue };
            let mut at = 0;
            for word in text.split(|c: char| !c.is_alphanumeric()) {
                let (start, end) = (at, at + word.len());
                at = text[end..].chars().next().map_or(end, |c| end + c.len_utf8());
                // A run that is cut into pieces has no pattern as a whole.
                if word.is_empty() || word.chars().count() > 64 {
                    continue;
                }
                required.push(Self {
                    stretches: vec![Stretch::Text(word.to_owned())],
                    open_start: start == 0,
                    open_end: end == text.len(),
                });
            }
        }
        required
    }
}

fn stretch(chars: Vec<Option<char>>) -> Result<Stretch, String> {
    if chars.iter().all(Option::is_some) {
        return Ok(Stretch::Text(chars.into_iter().flatten().collect()));
    }
    if chars.len() > MIXED_CHARS_MAX {
        return Err(format!(
            "a pattern with ? has at most {MIXED_CHARS_MAX} characters between two *, this one {}",
            chars.len()
        ));
    }
    Ok(Stretch::Mixed(chars))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn glob(pattern: &str) -> Glob {
        let mut value = Value::default();
        for c in pattern.chars() {
            match c {
                '*' => value.pieces.push(Piece::Many),
                '?' => value.pieces.push(Piece::One),
                c => value.push(c),
            }
        }
        Glob::new(&value).unwrap()
    }

    fn naive(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), _) => {
                naive(rest, text) || !text.is_empty() && naive(pattern, &text[1..])
            }
            (Some(('?', rest)), Some((_, left))) => naive(rest, left),
            (Some((c, rest)), Some((d, left))) => c == d && naive(rest, left),
            _ => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn fits_as_the_naive_matcher_says(pattern in "[aé*?]{0,7}", text in "[aéb]{0,8}") {
            let chars = |t: &str| t.chars().collect::<Vec<_>>();
            prop_assert_eq!(glob(&pattern).matches(&text), naive(&chars(&pattern), &chars(&text)));
        }
    }

    #[test]
    fn says_which_words_a_match_needs() {
        let words: Vec<_> = glob("*ab cd ef*").required_words();
        assert!(words[0].matches("xab") && !words[0].matches("abx"));
        assert!(words[1].matches("cd") && !words[1].matches("xcd"));
        assert!(words[2].matches("efx") && !words[2].matches("xef"));
    }
}
