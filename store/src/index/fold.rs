//! How text is compared: folded values, and the words in them.
//!
//! Folding lowers the case, character by character, and takes a run of backslashes for one, so
//! that a path is found however its backslashes were escaped on their way. Words are runs of
//! letters and digits; everything else parts them.

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

/// Characters that a word has at most; longer runs count as several words.
const WORD_CHARS_MAX: usize = 512;

/// Appends `text`, folded, to `out`.
pub(crate) fn fold_into(text: &str, out: &mut String) {
    out.reserve(text.len());
    for c in text.chars() {
        if c == '\\' && out.ends_with('\\') {
            continue;
        }
        lower_into(c, out);
    }
}

/// `text`, folded.
pub(crate) fn fold(text: &str) -> String {
    let mut out = String::new();
    fold_into(text, &mut out);
    out
}

#[inline]
fn lower_into(c: char, out: &mut String) {
    if c.is_ascii() {
        out.push(c.to_ascii_lowercase());
    } else {
        out.extend(c.to_lowercase());
    }
}

/// The words of a text, lowered, one after another.
#[derive(Clone)]
pub(crate) struct Words<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Words<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Puts the next word into `word` and says where it stands, in bytes.
    pub(crate) fn next_into(&mut self, word: &mut String) -> Option<(usize, usize)> {
        word.clear();
        let rest = &self.text[self.at..];
        let start = self.at + rest.find(char::is_alphanumeric)?;
        let mut end = self.text.len();
        for (count, (index, c)) in self.text[start..].char_indices().enumerate() {
            if count == WORD_CHARS_MAX || !c.is_alphanumeric() {
                end = start + index;
                break;
            }
            lower_into(c, word);
        }
        self.at = end;
        Some((start, end))
    }
}

/// Whether `text` has a run of letters and digits that is cut into several words.
pub(crate) fn has_cut_word(text: &str) -> bool {
    text.len() > WORD_CHARS_MAX
        && text
            .split(|c: char| !c.is_alphanumeric())
            .any(|run| run.len() > WORD_CHARS_MAX && run.chars().count() > WORD_CHARS_MAX)
}

/// The words of `text`.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut reader = Words::new(text);
    let mut word = String::new();
    while reader.next_into(&mut word).is_some() {
        all.push(word.clone());
    }
    all
}

/// [`Words`] for tantivy.
#[derive(Clone, Default)]
pub(crate) struct WordTokenizer {
    token: Token,
}

pub(crate) struct WordStream<'a> {
    words: Words<'a>,
    token: &'a mut Token,
}

impl Tokenizer for WordTokenizer {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        self.token.reset();
        WordStream { words: Words::new(text), token: &mut self.token }
    }
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        let Some((from, to)) = self.words.next_into(&mut self.token.text) else { return false };
        self.token.offset_from = from;
        self.token.offset_to = to;
        self.token.position = self.token.position.wrapping_add(1);
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_case_and_backslashes() {
        assert_eq!(fold(r"C:\\Windows\\\System32"), r"c:\windows\system32");
        assert_eq!(fold("ÉTÉ"), "été");
    }

    #[test]
    fn words_are_letters_and_digits() {
        assert_eq!(
            words(r#""C:\lsass_dump.exe" -enc été::1"#),
            ["c", "lsass", "dump", "exe", "enc", "été", "1"]
        );
        assert_eq!(words("--"), [""; 0]);
        let long = "a".repeat(WORD_CHARS_MAX + 3);
        assert_eq!(words(&long), ["a".repeat(WORD_CHARS_MAX), "aaa".to_owned()]);
    }
}
