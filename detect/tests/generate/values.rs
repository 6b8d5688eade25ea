//! Values of events and texts of rules, with what would match them.

use super::dice::Dice;

/// A value of an event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    I64(i64),
    F64(f64),
    Str(String),
}

/// What an event should have for a line of a rule to hold, more or less: the test compares what
/// engine and evaluator make of it, so a hint may be wrong.
#[derive(Clone, Debug)]
pub(crate) enum Hint {
    Value(Value),
    /// The same value as another field.
    Same(&'static str),
    Absent,
}

pub(crate) fn hint(text: impl Into<String>) -> Hint {
    Hint::Value(Value::Str(text.into()))
}

/// A value in a rule: as YAML, what would match, and what is special about it.
pub(crate) struct Written {
    pub(crate) yaml: String,
    pub(crate) hit: String,
    pub(crate) features: Vec<&'static str>,
}

/// Few enough to meet often, and each there for a trap: case beyond ASCII, characters that
/// fold to another length, backslashes, dashes, line breaks, NULs.
const ATOMS: &[&str] = &[
    "a",
    "B",
    "cmd",
    "CMD.exe",
    "-",
    "/",
    "–",
    " ",
    "é",
    "É",
    "ß",
    "ẞ",
    "K",
    "k",
    "Σ",
    "ς",
    "ı",
    "İ",
    "ﬀ",
    "\n",
    "1",
    "0",
    "true",
    "YQ==",
    "dmFs",
    "a\0b\0",
    "%",
    "null",
    "x",
    "C:\\Windows\\",
    "-a",
    " /b",
    "4688",
    "😀",
    "\u{301}",
];

/// Wholes that rules and events share.
const WHOLES: &[&str] = &["cmd", "C:\\Windows\\cmd.exe", "ÉTÉ", "été", "straße", "K", "", "1", "-"];

pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// Text with wildcards and escapes.
pub(crate) fn pattern(dice: &mut Dice) -> Written {
    if dice.chance(1, 4) {
        let whole = *dice.pick(WHOLES);
        let features = if whole.is_empty() { vec!["empty"] } else { vec!["plain"] };
        return Written { yaml: quoted(whole), hit: whole.to_owned(), features };
    }
    let (mut source, mut hit, mut features) = (String::new(), String::new(), Vec::new());
    for _ in 0..=dice.below(4) {
        let (written, met, feature) = match dice.below(12) {
            0 => ("*", *dice.pick(&["", "a", "\n\n", "xyz"]), "many"),
            1 => ("?", *dice.pick(&["a", "é", "\n", "😀"]), "one"),
            2 => ("\\*", "*", "escaped many"),
            3 => ("\\?", "?", "escaped one"),
            4 => ("\\\\", "\\", "escaped backslash"),
            5 => ("\\w", "\\w", "bare backslash"),
            6 => ("\\\\*", "\\zz", "backslash before many"),
            _ => {
                let atom = *dice.pick(ATOMS);
                (atom, atom, if atom.is_ascii() { "plain" } else { "unicode" })
            }
        };
        source.push_str(written);
        hit.push_str(met);
        features.push(feature);
    }
    Written { yaml: quoted(&source), hit: recased(dice, &hit), features }
}

/// Text without wildcards, as encodings need it.
pub(crate) fn literal(dice: &mut Dice, ascii: bool) -> String {
    let mut text = String::new();
    for _ in 0..=dice.below(3) {
        let atom = *dice.pick(ATOMS);
        if atom.is_ascii() || !ascii {
            text.push_str(atom);
        }
    }
    text + *dice.pick(&["v", "ab", "cmd"])
}

/// The same but for case, now and then.
fn recased(dice: &mut Dice, text: &str) -> String {
    match dice.below(4) {
        0 => text.to_uppercase(),
        1 => text.to_lowercase(),
        _ => text.to_owned(),
    }
}

/// Something that is matched by chance only.
pub(crate) fn any_value(dice: &mut Dice) -> Value {
    match dice.below(16) {
        0 => Value::Null,
        1 => Value::Bool(dice.chance(1, 2)),
        2 | 3 => Value::I64(*dice.pick(&[0, 1, -1, 7, 4688, 10, i64::MAX, i64::MIN])),
        4 => Value::F64(*dice.pick(&[0.0, -0.0, 1.0, 1.5, -7.25, 4688.0, 1e300])),
        5 => Value::Str(
            (*dice.pick(&["10.0.0.1", "::ffff:10.1.2.3", "fe80::1%3", "2001:db8::5", "-"])).into(),
        ),
        6 => Value::Str(
            (*dice.pick(&["2026-03-03T08:07:06Z", "2025-12-29 23:59:00.5", "1767225600"])).into(),
        ),
        7 => Value::Str((*dice.pick(WHOLES)).into()),
        _ => {
            let mut text = String::new();
            for _ in 0..dice.below(5) {
                text.push_str(dice.pick::<&str>(ATOMS));
            }
            Value::Str(text)
        }
    }
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().chain([&0, &0]).take(3).fold(0_usize, |n, b| n << 8 | usize::from(*b));
        for place in 0..4 {
            let letter = ALPHABET[bits >> (18 - 6 * place) & 63];
            out.push(if place <= chunk.len() { letter.into() } else { '=' });
        }
    }
    out
}
