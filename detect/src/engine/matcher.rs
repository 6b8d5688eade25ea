//! Patterns compiled to byte comparisons.

use memchr::memmem::Finder;

use crate::pattern::{Part, Pattern};

/// A pattern in its fastest form. It is given the folded text unless the pattern is cased.
#[derive(Clone, Debug)]
pub(super) enum Matcher {
    Any,
    Exact(Box<str>),
    Prefix(Box<str>),
    Suffix(Box<str>),
    Contains(Box<Finder<'static>>),
    Glob(Box<Glob>),
}

/// A pattern in general: segments between the `*`.
#[derive(Clone, Debug)]
pub(super) struct Glob {
    /// Without a `*` before it, so at the very beginning.
    first: Segment,
    /// In this order, each anywhere behind the one before.
    middle: Vec<Segment>,
    /// Without a `*` behind it; `None` where there is no `*` at all.
    last: Option<Segment>,
}

/// Text of a fixed number of characters: literals and `?`.
#[derive(Clone, Debug, Default)]
struct Segment {
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
enum Step {
    Lit(Box<str>),
    One,
}

impl Matcher {
    pub(super) fn new(pattern: &Pattern) -> Self {
        use Part::{Lit, Many};
        let boxed = |text: &String| text.clone().into_boxed_str();
        match pattern.parts() {
            [] => Self::Exact("".into()),
            [Many] => Self::Any,
            [Lit(text)] => Self::Exact(boxed(text)),
            [Lit(text), Many] => Self::Prefix(boxed(text)),
            [Many, Lit(text)] => Self::Suffix(boxed(text)),
            [Many, Lit(text), Many] => {
                Self::Contains(Box::new(Finder::new(text.as_bytes()).into_owned()))
            }
            parts => Self::Glob(Box::new(Glob::new(parts))),
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        match self {
            Self::Any => 0,
            Self::Exact(lit) | Self::Prefix(lit) | Self::Suffix(lit) => lit.len(),
            Self::Contains(finder) => size_of::<Finder<'_>>() + finder.needle().len(),
            Self::Glob(glob) => {
                let segments = glob.middle.iter().chain(&glob.last).chain([&glob.first]);
                size_of::<Glob>() + segments.map(Segment::memory_bytes).sum::<usize>()
            }
        }
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(lit) => text.len() == lit.len() && same(text.as_bytes(), lit.as_bytes()),
            Self::Prefix(lit) => {
                text.as_bytes().get(..lit.len()).is_some_and(|part| same(part, lit.as_bytes()))
            }
            Self::Suffix(lit) => {
                let from = text.len().checked_sub(lit.len());
                let part = from.and_then(|from| text.as_bytes().get(from..));
                part.is_some_and(|part| same(part, lit.as_bytes()))
            }
            Self::Contains(finder) => finder.find(text.as_bytes()).is_some(),
            Self::Glob(glob) => glob.matches(text),
        }
    }
}

/// Whether two slices of one length are equal. Most differ within eight bytes, which takes less
/// than calling a comparison of memory does.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    match (a.first_chunk::<8>(), b.first_chunk::<8>()) {
        (Some(a_word), Some(b_word)) => a_word == b_word && a == b,
        _ => a == b,
    }
}

impl Glob {
    fn new(parts: &[Part]) -> Self {
        let mut segments: Vec<Segment> = vec![Segment::default()];
        for part in parts {
            let step = match part {
                Part::Many => {
                    segments.push(Segment::default());
                    continue;
                }
                Part::Lit(text) => Step::Lit(text.as_str().into()),
                Part::One => Step::One,
            };
            if let Some(segment) = segments.last_mut() {
                segment.steps.push(step);
            }
        }
        let mut segments = segments.into_iter();
        let first = segments.next().unwrap_or_default();
        let mut middle: Vec<Segment> = segments.collect();
        let last = middle.pop();
        Self { first, middle, last }
    }

    /// Each middle segment is taken at its first place. Invariant: a segment spans a fixed
    /// number of characters, so its first place also ends first, and whatever matches behind
    /// a later place matches behind this one.
    fn matches(&self, text: &str) -> bool {
        let Some(mut rest) = self.first.strip(text) else { return false };
        let Some(last) = &self.last else { return rest.is_empty() };
        for segment in &self.middle {
            match segment.find(rest) {
                Some(behind) => rest = behind,
                None => return false,
            }
        }
        last.ends(rest)
    }
}

impl Segment {
    fn memory_bytes(&self) -> usize {
        let text = |step: &Step| match step {
            Step::Lit(lit) => lit.len(),
            Step::One => 0,
        };
        size_of::<Self>()
            + self.steps.iter().map(|step| size_of::<Step>() + text(step)).sum::<usize>()
    }

    /// What follows the segment where `text` begins with it.
    fn strip<'t>(&self, text: &'t str) -> Option<&'t str> {
        let mut rest = text;
        for step in &self.steps {
            rest = match step {
                Step::Lit(lit) => rest.strip_prefix(&**lit)?,
                Step::One => {
                    let mut chars = rest.chars();
                    chars.next()?;
                    chars.as_str()
                }
            };
        }
        Some(rest)
    }

    /// What follows the first place where the segment stands in `text`.
    fn find<'t>(&self, text: &'t str) -> Option<&'t str> {
        let mut rest = text;
        loop {
            // The literal that begins the segment, if one does, leads to the next place.
            if let Some(Step::Lit(lit)) = self.steps.first() {
                rest = &rest[rest.find(&**lit)?..];
            }
            if let Some(behind) = self.strip(rest) {
                return Some(behind);
            }
            let mut chars = rest.chars();
            chars.next()?;
            rest = chars.as_str();
        }
    }

    /// Whether `text` ends with the segment.
    fn ends(&self, text: &str) -> bool {
        let mut rest = text;
        for step in self.steps.iter().rev() {
            let before = match step {
                Step::Lit(lit) => rest.strip_suffix(&**lit),
                Step::One => {
                    let mut chars = rest.chars();
                    chars.next_back().map(|_| chars.as_str())
                }
            };
            match before {
                Some(before) => rest = before,
                None => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{fold::fold, pattern::parse_wildcards};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn agrees_with_the_definition(
            pattern in r"[abéΣ*?\\]{0,9}",
            text in r"[abéσς\n*\\]{0,12}",
            cased: bool,
        ) {
            let pattern = Pattern::new(parse_wildcards(&pattern), cased);
            let given = if cased { text.clone() } else { fold(&text) };
            prop_assert_eq!(Matcher::new(&pattern).matches(&given), pattern.matches(&text));
        }
    }
}
