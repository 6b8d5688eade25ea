//! What was likely meant by a word that is not known.

/// Longer words are no misspelling of ours.
const WORD_CHARS_MAX: usize = 64;

/// The one of `known` that `word` is most likely a misspelling of.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.chars().nth(WORD_CHARS_MAX).is_some() {
        return None;
    }
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// ` (did you mean "x"?)`, or what there is to choose from.
pub(crate) fn hint(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean {near:?}?"),
        None if known.is_empty() => "it takes none".to_owned(),
        None => format!("it takes {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposes_what_is_near_and_nothing_else() {
        let known = ["commune", "status", "severity_min"];
        assert_eq!(nearest("comune", known), Some("commune"));
        assert_eq!(nearest("stauts", known), Some("status"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
        assert_eq!(hint("x", &[]), "it takes none");
    }
}
