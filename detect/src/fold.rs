//! Case folding as Sigma's default comparison needs it.

/// The folded form of `c`: two characters match without regard to case exactly where their
/// folded forms are equal. This is Unicode's simple case folding up to the choice of the
/// representative, built from the standard library's mappings: upper, then lower, each where
/// it is a single character. So `ς`, `σ` and `Σ` agree, and so do `K` (kelvin) and `k`, while
/// `ß` and `ss` do not, and the Turkish `ı` and `İ` are letters of their own.
pub(crate) fn fold_char(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    if matches!(c, 'ı' | 'İ') {
        return c;
    }
    single(single(c, char::to_uppercase), char::to_lowercase)
}

fn single<I: Iterator<Item = char>>(c: char, map: impl Fn(char) -> I) -> char {
    let mut mapped = map(c);
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

/// How many bytes at the beginning are ASCII.
fn ascii_run(bytes: &[u8]) -> usize {
    if bytes.is_ascii() {
        return bytes.len();
    }
    bytes.iter().position(|byte| !byte.is_ascii()).unwrap_or(bytes.len())
}

/// Appends the folded form of `text` to `out`.
///
/// Invariant: folding goes character by character, so runs of ASCII, which stay within
/// themselves, may be folded as wholes.
pub(crate) fn fold_into(text: &str, out: &mut String) {
    let mut rest = text;
    loop {
        let ascii = ascii_run(rest.as_bytes());
        let start = out.len();
        out.push_str(&rest[..ascii]);
        if let Some(tail) = out.get_mut(start..) {
            tail.make_ascii_lowercase();
        }
        let mut chars = rest[ascii..].chars();
        match chars.next() {
            Some(c) => out.push(fold_char(c)),
            None => return,
        }
        rest = chars.as_str();
    }
}

/// The folded form of `text`.
pub(crate) fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    fold_into(text, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_unicode_simple_folding() {
        // The regex crate carries Unicode's own table: `(?i)` matches exactly what folds
        // alike. What it does not know as assigned is of a newer Unicode than its own.
        let assigned = regex::Regex::new(r"^\P{Cn}$").unwrap();
        let mut differing = Vec::new();
        for c in (0x80..=0x2200).chain(0xff00..=0xffff).filter_map(char::from_u32) {
            let variants: Vec<char> = c.to_uppercase().chain(c.to_lowercase()).collect();
            if variants == [c, c] || !assigned.is_match(&c.to_string()) {
                continue;
            }
            let re = regex::Regex::new(&format!("^(?i:\\x{{{:x}}})$", u32::from(c))).unwrap();
            if !re.is_match(&fold_char(c).to_string()) {
                differing.push((c, fold_char(c)));
            }
            // A full mapping to several characters is no simple one.
            for variant in variants.iter().filter(|_| variants.len() == 2) {
                if re.is_match(&variant.to_string()) && fold_char(*variant) != fold_char(c) {
                    differing.push((c, *variant));
                }
            }
        }
        assert_eq!(differing, []);
    }

    #[test]
    fn folding_a_whole_is_folding_its_characters() {
        assert_eq!(fold("ÉTÉ Straße ΣΊΣΥΦΟΣ"), "été straße σίσυφοσ");
        assert_eq!(fold("C:\\Windows"), "c:\\windows");
    }
}
