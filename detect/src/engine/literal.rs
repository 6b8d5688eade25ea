//! Texts without which a regular expression cannot match.

use regex_syntax::hir::{Class, Hir, HirKind};

use crate::fold::fold_char;

/// Alternatives that are followed at most; more are not worth their search.
const TEXTS_MAX: usize = 64;

/// Folded texts of which at least one is in the folded form of everything that `regex`
/// matches in; `None` where there are none.
///
/// Invariant, by induction: a sequence needs what any of its parts needs, and characters in a
/// row that each fold to one are a text; alternatives need one text each; what is repeated at
/// least once is needed. Folding goes character by character, so a text in what is matched is
/// in folded form in its folded form.
pub(super) fn required(regex: &str) -> Option<Vec<String>> {
    let hir = regex_syntax::parse(regex).ok()?;
    let texts = of(&hir)?;
    texts.iter().all(|text| !text.is_empty()).then_some(texts)
}

fn of(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Literal(_) | HirKind::Class(_) => {
            let mut run = String::new();
            push(hir, &mut run).then(|| vec![run])
        }
        HirKind::Concat(parts) => of_sequence(parts),
        HirKind::Alternation(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(of(part)?);
                if all.len() > TEXTS_MAX {
                    return None;
                }
            }
            Some(all)
        }
        HirKind::Capture(capture) => of(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => of(&repetition.sub),
        HirKind::Repetition(_) | HirKind::Look(_) | HirKind::Empty => None,
    }
}

/// Of all parts, and of the runs of single characters among them, the best.
fn of_sequence(parts: &[Hir]) -> Option<Vec<String>> {
    let mut best: Option<Vec<String>> = None;
    let mut consider = |texts: Vec<String>| {
        let worth = |texts: &[String]| texts.iter().map(String::len).min().unwrap_or(0);
        if worth(&texts) > best.as_deref().map_or(0, worth) {
            best = Some(texts);
        }
    };
    let mut run = String::new();
    for part in parts {
        if push(part, &mut run) || matches!(part.kind(), HirKind::Look(_) | HirKind::Empty) {
            continue;
        }
        consider(vec![std::mem::take(&mut run)]);
        if let Some(texts) = of(part) {
            consider(texts);
        }
    }
    consider(vec![run]);
    best
}

/// Appends the folded form of a part that always is one text up to case.
fn push(hir: &Hir, run: &mut String) -> bool {
    match hir.kind() {
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(text) => {
                run.extend(text.chars().map(fold_char));
                true
            }
            Err(_) => false,
        },
        HirKind::Class(Class::Unicode(class)) => {
            // A letter in both cases, and what else folds to it.
            let few = class.ranges().iter().map(|range| range.len()).sum::<usize>() <= 4;
            let mut folded = class
                .ranges()
                .iter()
                .filter(|_| few)
                .flat_map(|range| range.start()..=range.end())
                .map(fold_char);
            match folded.next() {
                Some(first) if folded.all(|other| other == first) => {
                    run.push(first);
                    true
                }
                _ => false,
            }
        }
        HirKind::Capture(capture) => push(&capture.sub, run),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;
    use crate::fold::fold;

    #[test]
    fn finds_what_is_needed() {
        for (regex, texts) in [
            ("cmd.*(?i)PowerShell", Some(vec!["powershell"])),
            ("a+(foo|Bar)?x{2,}", Some(vec!["a"])),
            ("(?:one|three)$", Some(vec!["one", "three"])),
            ("[a-z]+", None),
            ("(?i)k", Some(vec!["k"])),
            ("", None),
            ("(abc)?", None),
        ] {
            let meant = texts.map(|texts| texts.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(required(regex), meant, "{regex}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3_000))]

        #[test]
        fn nothing_matches_without_them(
            regex in r"(\(\?i\))?([abKé.]|\(a\|b\)|\(ab\|É\)|a\+|b\?|\[ab\]|\^|\$){1,7}",
            text in "[abABkK\u{212a}éÉ]{0,10}",
        ) {
            let Ok(compiled) = Regex::new(&regex) else { return Ok(()) };
            if let Some(texts) = required(&regex)
                && compiled.is_match(&text)
            {
                let folded = fold(&text);
                prop_assert!(texts.iter().any(|t| folded.contains(t.as_str())), "{:?}", texts);
            }
        }
    }
}
