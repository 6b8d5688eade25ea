//! Regular expressions over folded text.

use regex::{Regex, RegexBuilder};

/// Characters of an expression at most.
const CHARS_MAX: usize = 1_024;
/// Bytes that one may be compiled to: what `.{1000}` takes of Unicode is refused, not waited for.
const COMPILED_BYTES_MAX: usize = 1 << 20;
/// Groups in groups.
const DEPTH_MAX: u32 = 32;

/// A compiled expression. It takes time that grows with the text alone, whatever it is.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Pattern {
    /// What is wrong with it where it cannot be used.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let chars = text.chars().count();
        if chars > CHARS_MAX {
            return Err(format!("the expression has {chars} characters, more than {CHARS_MAX}"));
        }
        let built = RegexBuilder::new(text)
            .case_insensitive(true)
            .size_limit(COMPILED_BYTES_MAX)
            .dfa_size_limit(COMPILED_BYTES_MAX)
            .nest_limit(DEPTH_MAX)
            .build();
        built.map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                "the expression repeats too much; write smaller counts".to_owned()
            }
            // Its last line says what is wrong; those before show where, which is the column's.
            error => {
                let text = error.to_string();
                let reason = text.lines().last().unwrap_or_default();
                format!("no regular expression: {}", reason.trim_start_matches("error: "))
            }
        })
    }

    /// Whether a part of `folded` matches.
    pub(crate) fn matches(&self, folded: &str) -> bool {
        self.0.is_match(folded)
    }
}
