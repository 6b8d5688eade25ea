//! Regular expressions as Sigma writes them, in the syntax that the `regex` crate reads.
//!
//! Sigma's flavour is a part of PCRE. The two agree on it but for a few spellings, which the
//! crate would refuse or, worse, read as something else: a `[` within a class begins a class in
//! the class, `&&`, `--` and `~~` there are operations on sets, `\<` is the beginning of a word,
//! and `a++` repeats a repetition. What PCRE has and Sigma has not (look-around,
//! back-references and so on) the crate refuses itself.

use std::{iter::Peekable, str::Chars};

use crate::pattern::Part;

/// `text` with the same meaning for the crate.
pub(crate) fn translate(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len() + 8);
    let mut chars = text.chars().peekable();
    // Whether a quantifier stands directly before.
    let mut quantified = false;
    while let Some(c) = chars.next() {
        let was_quantified = std::mem::take(&mut quantified);
        match c {
            '\\' => escape(&mut chars, &mut out),
            '[' => class(&mut chars, &mut out),
            '{' if !is_repetition(&chars) => out.push_str("\\{"),
            '*' | '+' if was_quantified => {
                return Err(format!(
                    "{c} behind a quantifier (a possessive or doubled one) is not in Sigma's flavour"
                ));
            }
            '*' | '+' => {
                out.push(c);
                quantified = true;
            }
            // Behind a quantifier it makes that one lazy, and no further one may follow.
            '?' => {
                out.push(c);
                quantified = true;
            }
            '}' => {
                out.push(c);
                quantified = true;
            }
            '(' if chars.peek() == Some(&'?') && is_recursion(&chars) => {
                return Err("(?R), a recursion, is not in Sigma's flavour".to_owned());
            }
            '(' => {
                out.push(c);
                // The ? of (?: and the like quantifies nothing.
                if let Some(mark) = chars.next_if_eq(&'?') {
                    out.push(mark);
                }
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

fn is_recursion(rest: &Peekable<Chars<'_>>) -> bool {
    let mut rest = rest.clone();
    rest.next();
    rest.next() == Some('R')
}

/// Whether what follows an opening brace makes it a repetition: `2}`, `2,}`, `2,5}`, `,5}`.
fn is_repetition(rest: &Peekable<Chars<'_>>) -> bool {
    let inside: String = rest.clone().take_while(|c| *c != '}').take(16).collect();
    let closed = rest.clone().nth(inside.chars().count()) == Some('}');
    let (from, to) = inside.split_once(',').unwrap_or((&inside, "0"));
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    closed && number(from) && number(to) && !(from.is_empty() && (to.is_empty() || to == "0"))
}

/// What follows a backslash outside a class.
fn escape(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    match chars.next() {
        // For the crate these are the edges of a word.
        Some(c @ ('<' | '>')) => out.push(c),
        // `\b{start}` is the crate's own; the brace is a literal or quantifies nothing.
        Some(c @ ('b' | 'B')) if chars.peek() == Some(&'{') => {
            out.push_str("(?:\\");
            out.push(c);
            out.push(')');
        }
        Some(c) if !c.is_ascii() => out.push(c),
        Some(c @ ('x' | 'p' | 'P' | 'u' | 'U')) if chars.peek() == Some(&'{') => {
            out.push('\\');
            out.push(c);
            for inner in chars.by_ref() {
                out.push(inner);
                if inner == '}' {
                    break;
                }
            }
        }
        Some(c) => {
            out.push('\\');
            out.push(c);
        }
        None => out.push('\\'),
    }
}

/// A class from behind its `[` to its `]`.
fn class(chars: &mut Peekable<Chars<'_>>, out: &mut String) {
    out.push('[');
    if let Some(not) = chars.next_if_eq(&'^') {
        out.push(not);
    }
    // A range needs a character before its `-`: whether there is one, and whether one is open.
    let (mut may_begin, mut is_open) = (false, false);
    let mut is_first = true;
    while let Some(c) = chars.next() {
        let mut is_character = true;
        match c {
            ']' if !is_first => {
                out.push(c);
                return;
            }
            ']' => out.push_str("\\]"),
            '-' if may_begin && !is_open && chars.peek() != Some(&']') => {
                out.push(c);
                is_open = true;
                is_first = false;
                continue;
            }
            '[' if chars.peek() == Some(&':') && posix(chars, out) => is_character = false,
            '[' | '-' | '&' | '~' => {
                out.push('\\');
                out.push(c);
            }
            '\\' => is_character = escape_in_class(chars, out),
            c => out.push(c),
        }
        may_begin = is_character && !is_open;
        is_open = false;
        is_first = false;
    }
}

/// Copies `:alpha:]` and says whether it was one.
fn posix(chars: &mut Peekable<Chars<'_>>, out: &mut String) -> bool {
    let name: String = chars.clone().skip(1).take_while(|c| *c != ':').take(16).collect();
    let text = format!(":{name}:]");
    let is_one = name.bytes().all(|b| b.is_ascii_alphabetic() || b == b'^')
        && chars.clone().take(text.len()).eq(text.chars());
    if is_one {
        out.push('[');
        out.push_str(&text);
        chars.nth(text.len() - 1);
    }
    is_one
}

/// What follows a backslash in a class; whether it is one character, which may begin a range.
fn escape_in_class(chars: &mut Peekable<Chars<'_>>, out: &mut String) -> bool {
    match chars.next() {
        Some(c @ ('<' | '>')) => out.push(c),
        Some('b') => out.push_str("\\x08"),
        Some(c) if !c.is_ascii() => out.push(c),
        Some(c) => {
            out.push('\\');
            out.push(c);
            return !matches!(c, 'd' | 'D' | 's' | 'S' | 'w' | 'W' | 'p' | 'P');
        }
        None => out.push('\\'),
    }
    true
}

/// Text with Sigma's wildcards as a regular expression, for a list's values within one.
pub(crate) fn of_wildcards(parts: &[Part]) -> String {
    let mut out = String::new();
    for part in parts {
        match part {
            Part::Lit(text) => out.push_str(&regex::escape(text)),
            Part::One => out.push('.'),
            Part::Many => out.push_str(".*"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_that_the_crate_reads_otherwise_are_translated() {
        for (pcre, text, expected) in [
            (r"\<script\>", "<script>", true),
            (r"\<script\>", "script", false),
            (r"^[a[b]c]$", "[c]", true),
            (r"^[[:digit:]x]+$", "1x2", true),
            (r"^[a&&b]+$", "&", true),
            (r"^[a&&b]+$", "ab&", true),
            (r"^[+--]+$", "+,-", true),
            (r"^[--/]$", ".", true),
            (r"^[\w-.]+$", "a-.", true),
            (r"^[]a]+$", "]a", true),
            (r"^[^]a]$", "]", false),
            (r"^[a-]+$", "a-", true),
            (r"^[~~]$", "~", true),
            (r"^\{foo}$", "{foo}", true),
            (r"^{foo}$", "{foo}", true),
            (r"^a{2,3}$", "aa", true),
            (r"^a{2}$", "aaa", false),
            (r"^a{b}$", "a{b}", true),
            (r"^${x}$", "${x}", false),
            (r"\x{41}", "A", true),
            (r"a\/b\-c", "a/b-c", true),
            (r"\é", "é", true),
            (r"(?:ab)+?c", "ababc", true),
            (r"(?i)A", "a", true),
            (r"[\]]", "]", true),
            (r"[\b]", "\u{8}", true),
        ] {
            let rust = translate(pcre).unwrap();
            let regex = regex::Regex::new(&rust).unwrap_or_else(|e| panic!("{pcre} {rust}: {e}"));
            assert_eq!(regex.is_match(text), expected, "{pcre} as {rust} on {text:?}");
        }
    }

    #[test]
    fn what_pcre_means_otherwise_is_refused() {
        for pcre in ["a++", "a*+", "a?+", "a{2}+", "a**", "a+?+", "(?R)"] {
            assert!(translate(pcre).is_err(), "{pcre}");
        }
        for pcre in ["(?=a)", "(?<!a)", r"(a)\1", "(?>a)", r"\Qa\E", "(*FAIL)", "(?#c)", r"a\Z"] {
            let rust = translate(pcre);
            assert!(rust.is_err() || regex::Regex::new(&rust.unwrap()).is_err(), "{pcre}");
        }
    }
}
