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
/// with other words in its values. Rules for other tools look like this. What a rule filters
/// out stays, as it is the same for all tools. `None` where no word could be replaced, which
/// would be the same rule again.
pub(crate) fn variant(rule: &Rule, text: &str, number: u64) -> Option<String> {
    let mut numbers = Numbers(number);
    let id = format!("id: {:08x}-0000-4000-8000-{number:012x}", numbers.below(1 << 32));
    let mut out = String::with_capacity(text.len());
    let (mut is_detection, mut is_filter, mut replaced) = (false, false, false);
    for line in text.lines() {
        if !line.starts_with([' ', '#', '-']) && !line.is_empty() {
            is_detection = line.starts_with("detection:");
        }
        if line.starts_with("    ") && !line.starts_with("     ") {
            is_filter = line.trim_start().starts_with("filter");
        }
        if line.starts_with("id:") {
            out.push_str(&id);
        } else if is_detection && line.trim_start().starts_with("condition:") {
            is_detection = false;
            out.push_str(line);
        } else if is_detection && !is_filter {
            replaced |= reworded(line, &mut numbers, &mut out);
        } else {
            out.push_str(line);
        }
        out.push('\n');
    }
    debug_assert!(!rule.id().is_empty(), "SigmaHQ's rules have ids");
    replaced.then_some(out)
}

/// The line with the words inside its quotes replaced, letter for letter, and whether there
/// were any. Regular expressions and encoded values are left alone.
fn reworded(line: &str, numbers: &mut Numbers, out: &mut String) -> bool {
    let value = line
        .split_once('\'')
        .and_then(|(head, rest)| rest.rsplit_once('\'').map(|(value, tail)| (head, value, tail)))
        .filter(|(_, value, _)| !value.contains(['(', '[', '{', '|']));
    let Some((head, value, tail)) = value else {
        out.push_str(line);
        return false;
    };
    out.push_str(head);
    out.push('\'');
    let mut replaced = false;
    let mut word = String::new();
    for c in value.chars().chain(['\'']) {
        if c.is_ascii_alphabetic() {
            word.push(c);
            continue;
        }
        if word.len() < 4 || COMMON.contains(&word.to_ascii_lowercase().as_str()) {
            out.push_str(&word);
        } else {
            replaced = true;
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
    replaced
}
