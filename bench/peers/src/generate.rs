//! Rules that resemble SigmaHQ's, as many as wanted.

use detect::Rule;

/// Words that most Windows rules have in common and that a new rule would have too.
const COMMON: &[&str] = &[
    "windows",
    "system",
    "system32",
    "syswow64",
    "users",
    "user",
    "program",
    "files",
    "appdata",
    "local",
    "roaming",
    "temp",
    "microsoft",
    "software",
    "currentversion",
    "currentcontrolset",
    "services",
    "service",
    "powershell",
    "explorer",
    "rundll32",
    "regsvr32",
    "image",
    "commandline",
    "parentimage",
    "true",
    "false",
    "http",
    "https",
    "hklm",
    "registry",
    "machine",
    "device",
];

/// A small generator of numbers, so that every run measures the same rules.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// The `number`th rule made from `text`: the same log source, fields, modifiers and condition,
/// with other words in its values. Rules for other tools look like this.
pub(crate) fn variant(rule: &Rule, text: &str, number: u64) -> String {
    let mut numbers = Numbers(number);
    let id = format!("id: {:08x}-0000-4000-8000-{number:012x}", numbers.below(1 << 32));
    let mut out = String::with_capacity(text.len());
    let mut is_detection = false;
    for line in text.lines() {
        if !line.starts_with([' ', '#', '-']) && !line.is_empty() {
            is_detection = line.starts_with("detection:");
        }
        if line.starts_with("id:") {
            out.push_str(&id);
        } else if is_detection && line.trim_start().starts_with("condition:") {
            is_detection = false;
            out.push_str(line);
        } else if is_detection {
            reworded(line, &mut numbers, &mut out);
        } else {
            out.push_str(line);
        }
        out.push('\n');
    }
    debug_assert!(!rule.id().is_empty(), "SigmaHQ's rules have ids");
    out
}

/// The line with the words inside its quotes replaced, letter for letter. Regular expressions
/// and encoded values are left alone.
fn reworded(line: &str, numbers: &mut Numbers, out: &mut String) {
    let Some((head, rest)) = line.split_once('\'') else { return out.push_str(line) };
    let Some((value, tail)) = rest.rsplit_once('\'') else { return out.push_str(line) };
    if value.contains(['(', '[', '{', '|']) {
        return out.push_str(line);
    }
    out.push_str(head);
    out.push('\'');
    let mut word = String::new();
    for c in value.chars().chain(['\'']) {
        if c.is_ascii_alphabetic() {
            word.push(c);
            continue;
        }
        if word.len() < 4 || COMMON.contains(&word.to_ascii_lowercase().as_str()) {
            out.push_str(&word);
        } else {
            for (place, letter) in word.chars().enumerate() {
                let from: &[u8] = if place % 2 == 0 { b"bcdfghjklmnprstvwz" } else { b"aeiou" };
                let letter_new = char::from(
                    from[usize::try_from(numbers.below(from.len() as u64)).unwrap_or(0)],
                );
                out.push(if letter.is_ascii_uppercase() {
                    letter_new.to_ascii_uppercase()
                } else {
                    letter_new
                });
            }
        }
        word.clear();
        out.push(c);
    }
    out.push_str(tail);
}
