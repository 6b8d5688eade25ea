//! Lines of selections: every modifier in every combination that Sigma allows.

use super::{
    dice::Dice,
    families::{FAMILIES, Family},
    values::{Hint, Value, Written, base64, hint, literal, pattern, quoted},
};

/// `Field|modifiers: [values]`.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Empty for keywords.
    pub(crate) field: &'static str,
    pub(crate) modifiers: &'static str,
    pub(crate) values: Vec<String>,
    pub(crate) hints: Vec<Hint>,
    pub(crate) features: Vec<&'static str>,
}

/// Fields that rules name; events have them under their source's namespace.
pub(crate) const FIELDS: &[&str] = &[
    "CommandLine",
    "Image",
    "EventID",
    "Other",
    "process.executable",
    "Count",
    "Rare",
    "When",
    "a.b",
];

/// How many combinations there are.
pub(crate) fn count() -> usize {
    FAMILIES.iter().map(|(_, combinations)| combinations.len()).sum()
}

/// What coverage calls the line with these modifiers.
pub(crate) fn name(line: &Line) -> String {
    let keyword = if line.field.is_empty() { "keywords " } else { "" };
    let kind = line.features.first().filter(|f| f.starts_with("of ")).copied().unwrap_or_default();
    format!("{keyword}|{} {kind}", line.modifiers).trim().to_owned()
}

/// A line of the `number`th combination.
pub(crate) fn line(dice: &mut Dice, number: usize) -> Line {
    let mut number = number % count();
    for (family, combinations) in FAMILIES {
        if let Some(modifiers) = combinations.get(number) {
            return of(dice, *family, modifiers);
        }
        number -= combinations.len();
    }
    unreachable!("the number is below the count")
}

pub(crate) fn any_line(dice: &mut Dice) -> Line {
    let number = dice.below(count());
    line(dice, number)
}

fn of(dice: &mut Dice, family: Family, modifiers: &'static str) -> Line {
    let field = if family == Family::Keyword { "" } else { *dice.pick(FIELDS) };
    let mut line =
        Line { field, modifiers, values: Vec::new(), hints: Vec::new(), features: Vec::new() };
    let single = matches!(family, Family::Exists);
    let several = if single { 1 } else { 1 + dice.below(3) };
    // With `all` the values of one line should have a chance to hold together.
    let has_all = modifiers.split('|').any(|m| m == "all");
    let several = if has_all { several.min(2) } else { several };
    if several > 1 {
        line.features.push("several values");
    }
    for _ in 0..several {
        value(dice, family, &mut line);
    }
    if has_all && line.hints.len() > 1 && modifiers.contains("contains") && dice.chance(2, 3) {
        let joined: String = line.hints.iter().filter_map(text_of).collect::<Vec<_>>().join(" ");
        line.hints = vec![hint(joined)];
    }
    match family {
        Family::Number => line.features.insert(0, "of numbers"),
        Family::Special => line.features.insert(0, "of special values"),
        _ => {}
    }
    line
}

fn text_of(hint: &Hint) -> Option<&str> {
    match hint {
        Hint::Value(Value::Str(text)) => Some(text),
        _ => None,
    }
}

fn value(dice: &mut Dice, family: Family, line: &mut Line) {
    match family {
        Family::Text => {
            let written = pattern(dice);
            take(line, written);
        }
        Family::Windash => windash(dice, line),
        Family::Expand => expand(dice, line),
        Family::Encoded => encoded(dice, line),
        Family::Regex => regex(dice, line),
        Family::Number => number(dice, line),
        Family::Time => time(dice, line),
        Family::Cidr => cidr(dice, line),
        Family::Special => special(dice, line),
        Family::Exists => {
            let wanted = dice.chance(1, 2);
            line.values.push(wanted.to_string());
            let negated = line.modifiers.contains("neq");
            line.hints.push(if wanted != negated { hint("x") } else { Hint::Absent });
        }
        Family::Reference => {
            let other = *dice.pick(FIELDS);
            line.values.push(other.to_owned());
            line.hints.push(Hint::Same(other));
        }
        Family::Keyword => keyword(dice, line),
    }
}

/// Enters a text, within more text where the modifiers leave room for it.
fn take(line: &mut Line, written: Written) {
    let Written { yaml, hit, features } = written;
    line.values.push(yaml);
    line.features.extend(features);
    let has = |name: &str| line.modifiers.split('|').any(|m| m == name);
    line.hints.push(hint(if has("contains") {
        format!("x{hit}y")
    } else if has("startswith") {
        format!("{hit}y")
    } else if has("endswith") {
        format!("x{hit}")
    } else {
        hit
    }));
}

fn windash(dice: &mut Dice, line: &mut Line) {
    let (text, hit) = *dice.pick(&[
        ("-a", "/a"),
        (" -enc", " –ENC"),
        ("/b -c", "-b ―c"),
        ("x-y", "x-y"),
        ("a - b", "a - b"),
        ("-é", "—É"),
        ("*-a?", "zz/ab"),
        ("-", "-"),
    ]);
    take(line, Written { yaml: quoted(text), hit: hit.into(), features: vec!["dash"] });
}

fn expand(dice: &mut Dice, line: &mut Line) {
    let (text, hit) = *dice.pick(&[
        ("%Admins%", "adm_x"),
        ("%Admins%", "root"),
        ("x%Servers%", "xsrv1"),
        ("%Admins%@%Servers%", "root@srv2"),
        ("\\%%Admins%", "%root"),
        ("50%", "50%"),
        ("C:\\\\%Admins%", "C:\\root"),
    ]);
    take(line, Written { yaml: quoted(text), hit: hit.into(), features: vec!["placeholder"] });
}

fn encoded(dice: &mut Dice, line: &mut Line) {
    let modifiers = line.modifiers;
    let has = |name: &str| modifiers.contains(name);
    let ascii = !has("base64") || !dice.chance(1, 4);
    let text = literal(dice, ascii);
    let escaped = text.replace('\\', "\\\\").replace('*', "\\*").replace('?', "\\?");
    let mut forms = vec![text.into_bytes()];
    for step in modifiers.split('|') {
        let wide = |bytes: &[u8], of: fn(u16) -> [u8; 2]| -> Vec<u8> {
            String::from_utf8_lossy(bytes).encode_utf16().flat_map(of).collect()
        };
        forms = forms
            .into_iter()
            .map(|form| match step {
                "wide" | "utf16le" => wide(&form, u16::to_le_bytes),
                "utf16be" => wide(&form, u16::to_be_bytes),
                "utf16" => [vec![0xff, 0xfe], wide(&form, u16::to_le_bytes)].concat(),
                "base64" => base64(&form).into_bytes(),
                // The form alone leaves no room for what surrounds it.
                "base64offset" if !has("contains") => {
                    let whole = base64(&form);
                    whole.as_bytes()[..whole.len() - [0, 3, 2][form.len() % 3]].to_vec()
                }
                "base64offset" => {
                    let mut bytes = "z".repeat(dice.below(4)).into_bytes();
                    bytes.extend(form);
                    base64(&bytes).into_bytes()
                }
                _ => form,
            })
            .collect();
    }
    let hit = String::from_utf8_lossy(&forms[0]).into_owned();
    take(line, Written { yaml: quoted(&escaped), hit, features: vec!["encoded"] });
}

fn regex(dice: &mut Dice, line: &mut Line) {
    let (text, hit) = *dice.pick(&[
        ("a.B", "xaéBx"),
        ("^cmd", "cmd.exe"),
        ("e$", "cmd.exe"),
        ("(a|é)+", "éa"),
        ("\\\\", "C:\\x"),
        ("\\d{2,}", "4688"),
        ("^$", ""),
        ("^B", "a\nB"),
        ("a.b", "a\nb"),
        ("[^a]\\n?K", "b\nK"),
        ("[a[&&-]", "&"),
        ("\\<x\\>", "<x>"),
        ("x|y|Σ", "ς"),
        ("{a}", "{a}"),
        (".*", ""),
        ("%Admins%", "adm_1"),
        ("(?i)CMD", "xcmdx"),
    ]);
    take(line, Written { yaml: quoted(text), hit: hit.into(), features: vec!["expression"] });
}

fn number(dice: &mut Dice, line: &mut Line) {
    let (text, near) = *dice.pick(&[
        ("0", 0.0),
        ("1", 1.0),
        ("-1", -1.0),
        ("7", 7.0),
        ("1.5", 1.5),
        ("4688", 4688.0),
        ("0x1", 1.0),
        ("007", 7.0),
        ("0o10", 8.0),
        ("1e300", 1e300),
        ("9007199254740993", 9_007_199_254_740_992.0),
        ("+3", 3.0),
    ]);
    line.values.push(text.to_owned());
    let whole = near + f64::from(u8::try_from(dice.below(3)).unwrap()) - 1.0;
    line.hints.push(Hint::Value(match dice.below(5) {
        0 => Value::F64(near),
        1 => Value::Str(text.to_owned()),
        2 => Value::Str(format!("{near}")),
        3 if whole.abs() < 1e6 => Value::I64(format!("{}", whole.trunc()).parse().unwrap()),
        _ => Value::F64(whole),
    }));
}

fn time(dice: &mut Dice, line: &mut Line) {
    let (stamp, parts): (&str, [u16; 6]) = *dice.pick(&[
        ("2026-03-03T08:07:06Z", [7, 8, 3, 10, 3, 2026]),
        ("2025-12-29 23:59:00.5", [59, 23, 29, 1, 12, 2025]),
        ("1767225600", [0, 0, 1, 1, 1, 2026]),
        ("2024-02-29T00:00:00+02:00", [0, 22, 28, 9, 2, 2024]),
    ]);
    let names = ["minute", "hour", "day", "week", "month", "year"];
    let part = names.iter().position(|name| line.modifiers.contains(name)).unwrap();
    let wanted = parts[part];
    line.values.push(wanted.to_string());
    line.hints.push(match dice.below(4) {
        0 => hint("2026-03-04T09:08:07Z"),
        1 => hint("2020-01-06T01:01:01Z"),
        _ => hint(stamp),
    });
}

fn cidr(dice: &mut Dice, line: &mut Line) {
    let (text, hit) = *dice.pick(&[
        ("10.0.0.0/8", "10.0.0.1"),
        ("10.0.0.0/8", "::ffff:10.1.2.3"),
        ("192.168.7.7", "192.168.7.7"),
        ("fe80::/10", "fe80::1%3"),
        ("2001:db8::/32", "2001:DB8::5"),
        ("0.0.0.0/0", "8.8.8.8"),
        ("::/0", "::1"),
    ]);
    let text = if line.modifiers.contains("expand") && dice.chance(1, 2) { "%Nets%" } else { text };
    line.values.push(quoted(text));
    line.hints.push(hint(hit));
}

fn special(dice: &mut Dice, line: &mut Line) {
    let choices = [
        ("null", Hint::Absent, "null"),
        ("null", Hint::Value(Value::Null), "null"),
        ("~", Hint::Absent, "null"),
        ("true", Hint::Value(Value::Bool(true)), "truth value"),
        ("false", Hint::Value(Value::Str(String::from("False"))), "truth value"),
        ("''", Hint::Value(Value::Str(String::new())), "empty"),
        ("'*'", Hint::Value(Value::I64(1)), "many"),
        ("'?*'", Hint::Value(Value::Bool(false)), "many"),
        ("yes", Hint::Value(Value::Str(String::from("YES"))), "word"),
    ];
    let (text, hit, feature) = dice.pick(&choices);
    line.values.push((*text).to_owned());
    line.hints.push(hit.clone());
    line.features.push(feature);
}

fn keyword(dice: &mut Dice, line: &mut Line) {
    let (text, hit) = match line.modifiers {
        "cidr" => ("10.0.0.0/8", "10.9.8.7"),
        "re" | "re|i" => *dice.pick(&[("c.d", "cmd"), ("^x{2}$", "xx"), ("É", "É")]),
        "windash" => ("-k", "/k"),
        "base64offset|contains" => ("val", "dmFs"),
        "wide" => ("ab", "a\0b\0"),
        "expand" => ("%Admins%", "root"),
        _ => *dice.pick(&[
            ("cmd", "xCMDx"),
            ("a*b", "a--b"),
            ("É", "é"),
            ("1", "1"),
            ("k", "k"),
            ("\\*", "*"),
        ]),
    };
    line.values.push(quoted(text));
    line.hints.push(hint(hit));
}

impl Line {
    /// As YAML within a map.
    pub(crate) fn yaml(&self) -> String {
        let bar = if self.modifiers.is_empty() { "" } else { "|" };
        let key = quoted(&format!("{}{bar}{}", self.field, self.modifiers));
        match self.values.as_slice() {
            [one] => format!("{key}: {one}"),
            many => format!("{key}: [{}]", many.join(", ")),
        }
    }
}
