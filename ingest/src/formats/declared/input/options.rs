//! Reading `[input]`.

use std::collections::HashMap;

use super::{Input, Syntax, csv::Layout, json::Index, pairs::Style};
use crate::formats::declared::{
    document::{Entry, Problems, meant, nearest, unknown_key},
    record::Keys,
};

const KEYS: &[&str] = &[
    "syntax",
    "header",
    "assign",
    "key_prefixes",
    "separator",
    "columns_by",
    "columns",
    "arrays",
    "embedded",
    "unwrap",
    "pairs_in",
];

const SYNTAXES: &[&str] = &["json", "cef", "leef", "kv", "csv", "text"];

/// Reads the options of `entry`.
pub(in crate::formats::declared) fn read(
    entry: &Entry<'_, '_>,
    input: &mut Input,
    keys: &mut Keys,
    problems: &mut Problems<'_>,
) {
    let mut names = Vec::new();
    let mut style = Style::KEY_VALUE;
    let mut layout = Layout { separator: b',', by: None, columns: HashMap::new() };
    let mut nested = Vec::new();
    for option in entry.node.pairs("input", problems) {
        match option.key {
            "syntax" => {
                for name in option.node.texts("syntax", problems) {
                    if !SYNTAXES.contains(&name.as_str()) {
                        let meant = meant(nearest(&name, SYNTAXES.iter().copied()));
                        problems.add(option.node.at, format!("there is no syntax {name:?}{meant}"));
                    }
                    names.push(name);
                }
            }
            "header" => input.header = option.node.as_bool().unwrap_or(false),
            "assign" => style.assign = byte(&option, problems),
            "separator" => layout.separator = byte(&option, problems),
            "key_prefixes" => {
                let texts = option.node.texts("key_prefixes", problems);
                keys.prefixes = texts.into_iter().map(Into::into).collect();
            }
            "columns_by" => {
                layout.by = option.node.as_i64().and_then(|at| usize::try_from(at).ok());
            }
            "columns" => {
                for row in option.node.pairs("columns", problems) {
                    let names = row.node.texts("columns", problems);
                    let names = names.into_iter().map(Into::into).collect();
                    layout.columns.insert(row.key.to_ascii_lowercase().into(), names);
                }
            }
            "arrays" => arrays(&option, input, problems),
            "embedded" => {
                let texts = option.node.texts("embedded", problems);
                input.shape.embedded = texts.into_iter().map(Into::into).collect();
            }
            "unwrap" => {
                let texts = option.node.texts("unwrap", problems);
                input.shape.unwrap = texts.into_iter().map(Into::into).collect();
            }
            "pairs_in" => nested = option.node.texts("pairs_in", problems),
            _ => unknown_key(&option, "[input]", KEYS, problems),
        }
    }
    if names.is_empty() {
        problems.add(entry.at, format!("[input] has a syntax: {}", SYNTAXES.join(", ")));
    }
    let mut layout = Some(layout);
    input.syntaxes = names
        .iter()
        .filter_map(|name| {
            Some(match name.as_str() {
                "json" => Syntax::Json,
                "cef" => Syntax::Cef,
                "leef" => Syntax::Leef,
                "kv" => Syntax::Pairs(style),
                "csv" => Syntax::Csv(layout.take()?),
                "text" => Syntax::Text,
                _ => return None,
            })
        })
        .collect();
    input.nested_pairs = nested.iter().filter_map(|name| Some((keys.slot(name)?, style))).collect();
}

fn byte(option: &Entry<'_, '_>, problems: &mut Problems<'_>) -> u8 {
    match option.node.text(option.key, problems).as_bytes() {
        [byte] => *byte,
        _ => {
            problems.add(option.node.at, format!("{} takes one ASCII character", option.key));
            b' '
        }
    }
}

/// `arrays = { "a.b" = "kind" }`, or `{ by = "name", value = "value" }` for pairs.
fn arrays(option: &Entry<'_, '_>, input: &mut Input, problems: &mut Problems<'_>) {
    for array in option.node.pairs("arrays", problems) {
        let (mut by, mut value) = (String::new(), None);
        match array.node.table() {
            None => by = array.node.text("arrays", problems),
            Some(parts) => {
                for part in parts {
                    match part.key {
                        "by" => by = part.node.text("by", problems),
                        "value" => value = Some(part.node.text("value", problems).into()),
                        _ => unknown_key(&part, "an array", &["by", "value"], problems),
                    }
                }
            }
        }
        if by.is_empty() {
            problems.add(array.at, "an array has `by`: the member that names its elements");
        }
        input.shape.arrays.insert(array.key.into(), Index { by: by.into(), value });
    }
}
