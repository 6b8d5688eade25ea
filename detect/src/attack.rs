//! ATT&CK as rules' tags spell it.

pub use event::TACTICS;

/// Whether `name` is a technique's id as tags have it: `t1059`, `t1059.001`.
pub fn is_technique(name: &str) -> bool {
    let Some(rest) = name.strip_prefix('t') else { return false };
    match rest.split_once('.') {
        None => is_digits(rest, 4),
        Some((technique, sub)) => is_digits(technique, 4) && is_digits(sub, 3),
    }
}

/// Whether `name` is the id of anything in ATT&CK: of a technique, group (`g0001`), software
/// (`s0001`), and the rarer kinds: data sources, mitigations, campaigns, detection strategies.
pub fn is_id(name: &str) -> bool {
    let Some(kind) = name.chars().next() else { return false };
    let rest = &name[kind.len_utf8()..];
    match kind {
        't' => is_technique(name),
        'g' | 's' | 'm' | 'c' => is_digits(rest, 4),
        'd' => rest.strip_prefix('s').or(rest.strip_prefix("et")).is_some_and(|r| is_digits(r, 4)),
        _ => false,
    }
}

fn is_digits(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
}
