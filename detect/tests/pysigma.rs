//! pySigma as an oracle: what it makes of generated rules, read by a small evaluator of its
//! condition trees, against ours.
//!
//! Needs Python with pySigma: `TEST_PYSIGMA` names the interpreter, `python3` where it is
//! not set. Each difference is one of [`KNOWN`] or of [`is_told_apart`], which
//! `docs/sigma-conformance.md` explains.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod generate;
mod support;

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    path::Path,
    process::Command,
};

use detect::{Placeholders, Rule, eval};
use event::{Event, FieldId, Timestamp, ValueRef};
use generate::{
    dice::Dice,
    events,
    rules::{self, Made},
};
use serde_json::Value;

const RULES: usize = 1_200;
const EVENTS: usize = 50;

/// Errors of pySigma on what is taken here: part of its message, and why.
const KNOWN: &[(&str, &str)] = &[
    ("Unknown modifier 'exact'", "exact"),
    ("Unknown modifier 'utf16le'", "pySigma knows it as wide only"),
    ("SigmaContainsModifier incompatible", "contains of a number is of its text"),
    ("SigmaStartswithModifier incompatible", "startswith of a number is of its text"),
    ("SigmaCaseSensitiveModifier incompatible", "cased with numbers, re and fieldref"),
    ("SigmaExpandModifier incompatible", "expand behind cidr"),
    ("CIDR expression modifier only applicable", "all and expand before cidr"),
    ("Regular expression modifier only applicable", "all before re"),
    ("Exists modifier only applicable", "neq before exists"),
    ("Field references must not contain wildcards", "contains and the like before fieldref"),
    ("SigmaTimestampHourModifier incompatible", "a comparison before a time part"),
    ("incompatible to value type of 'True'", "a truth value is text too"),
    ("incompatible to value type of 'False'", "a truth value is text too"),
    ("Wide modifier only allowed for ascii", "UTF-16 before base64 may be of any text"),
    ("UTF-16BE modifier only allowed", "UTF-16 before base64 may be of any text"),
    ("UTF-16 modifier only allowed", "UTF-16 before base64 may be of any text"),
    ("Placeholder replacement variable '%Admins'", "a percent sign is none"),
    ("a placeholder was left", "pySigma fills none in what windash expands to"),
    ("conditions", "words of conditions in any case"),
    ("Expected", "words of conditions in any case"),
];

/// Spellings that the two read differently, by YAML 1.1 and 1.2, or mean differently.
fn is_told_apart(made: &Made) -> bool {
    let values = made.lines.iter().flat_map(|line| {
        line.values.iter().map(move |value| (line.modifiers, value.trim_matches('"')))
    });
    values.into_iter().any(|(modifiers, value)| {
        let has = |name: &str| modifiers.split('|').any(|m| m == name);
        let yaml = matches!(value, "0x1" | "007" | "0o10" | "1e300" | "yes");
        // Its numbers are doubles.
        let large = value == "9007199254740993";
        // It compares the whole value where a time part has an operator.
        let operator = ["lt", "lte", "gt", "gte"].iter().any(|op| has(op));
        let part = ["minute", "hour", "day", "week", "month", "year"].iter().any(|part| has(part));
        // The backslash of `\%`, any of a list under `all`, networks, and the ends of an expression.
        let expand = has("expand")
            && (value.contains("\\\\%") || ["all", "re", "cidr"].iter().any(|m| has(m)));
        let anchored = has("re") && (has("startswith") || has("endswith") || has("contains"));
        // Python's set operations and flags in the middle; UTF-16 marks as text.
        let regex = has("re") && (value.contains("[&&") || value.contains("\\\\<"));
        yaml || large || (operator && part) || expand || anchored || regex
    })
}

fn lists() -> (Placeholders, Value) {
    let json = serde_json::json!({"Admins": ["adm_*", "root"], "Servers": ["srv?"], "Nets": ["10.0.0.0/8"]});
    let mut lists = Placeholders::new();
    for (name, values) in json.as_object().unwrap() {
        let values = values.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned());
        lists.insert(name, values.collect()).unwrap();
    }
    (lists, json)
}

/// The interpreter, where it has pySigma.
fn python() -> Option<String> {
    let python = std::env::var("TEST_PYSIGMA").unwrap_or_else(|_| "python3".to_owned());
    let has = Command::new(&python).args(["-c", "import sigma, yaml"]).output();
    if has.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    eprintln!("skipped: no pySigma in {python} (TEST_PYSIGMA)");
    None
}

/// pySigma's line for each rule of `text`, by id.
fn dump(python: &str, text: &str, lists: &Value) -> BTreeMap<String, Value> {
    let folder = std::env::temp_dir().join(format!("detect-pysigma-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("rules.yml"), text).unwrap();
    std::fs::write(folder.join("lists.json"), lists.to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pysigma/dump.py");
    let output = Command::new(python)
        .arg(script)
        .args([folder.join("rules.yml"), folder.join("lists.json")])
        .output()
        .unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| (line["id"].as_str().unwrap().to_owned(), line))
        .collect()
}

#[test]
fn pysigma_means_the_same() {
    let Some(python) = python() else { return };
    let (lists, json) = lists();
    let mut dice = Dice::new(11);
    // Of the Security log, under which no field but EventID has another meaning than its own.
    let made: Vec<Made> = (0..RULES)
        .map(|n| match n % 3 {
            0 => rules::several(&mut dice, n, &[3]),
            _ => rules::single(&mut dice, n, &[3]),
        })
        .collect();
    let text: String = made
        .iter()
        .zip(0..)
        .map(|(rule, n)| format!("---\ntitle: r{n}\nid: {}\n{}", rules::id(n), rule.yaml))
        .collect();
    let loaded = detect::parse_with(&text, Path::new("generated.yml"), &lists);
    let theirs = dump(&python, &text, &json);
    let ours: BTreeMap<&str, &Rule> = loaded.rules.iter().map(|rule| (rule.id(), rule)).collect();
    let mut differing = Vec::new();
    let (mut pairs, mut held, mut known, mut both_refuse) = (0, 0, BTreeMap::new(), 0);
    for (rule, number) in made.iter().zip(0..) {
        let line = &theirs[&rules::id(number)];
        let told_apart = is_told_apart(rule);
        match (ours.get(rules::id(number).as_str()), &line["error"]) {
            (None, Value::String(_)) => both_refuse += 1,
            (None, _) if told_apart => *known.entry("told apart").or_insert(0) += 1,
            (None, _) => differing.push(format!("only we refuse\n{}", rule.yaml)),
            (Some(_), Value::String(error)) => {
                match KNOWN.iter().find(|(part, _)| error.contains(part)) {
                    Some((_, why)) => *known.entry(*why).or_insert(0) += 1,
                    None if told_apart => *known.entry("told apart").or_insert(0) += 1,
                    None => differing.push(format!("only pySigma refuses: {error}\n{}", rule.yaml)),
                }
            }
            (Some(_), _) if told_apart => *known.entry("told apart").or_insert(0) += 1,
            (Some(our_rule), _) => {
                for place in 0..EVENTS as u64 {
                    let lines: Vec<_> = rule.lines.iter().collect();
                    let event = events::sketch(&mut dice, &[0], &lines).build(place);
                    let meant = tree(&line["tree"], &event);
                    pairs += 1;
                    held += usize::from(meant);
                    if eval::holds(our_rule, &event) != meant {
                        differing.push(format!(
                            "pySigma {meant}\n{}\n{}\n{event:?}\n{}",
                            rule.yaml,
                            line["tree"],
                            event.original_text()
                        ));
                        break;
                    }
                }
            }
        }
    }
    println!(
        "{pairs} pairs, {held} hold; {both_refuse} refused by both; known differences {known:?}"
    );
    assert!(
        differing.is_empty(),
        "{} differ, first:\n{}",
        differing.len(),
        differing[..differing.len().min(4)].join("\n\n")
    );
    assert!(pairs > RULES * EVENTS / 3 && held > pairs / 50, "{pairs} {held}");
}

fn tree(node: &Value, event: &Event) -> bool {
    if let Some(parts) = node["and"].as_array() {
        return parts.iter().all(|part| tree(part, event));
    }
    if let Some(parts) = node["or"].as_array() {
        return parts.iter().any(|part| tree(part, event));
    }
    if !node["not"].is_null() {
        return !tree(&node["not"], event);
    }
    leaf(node["field"].as_str(), &node["value"], event)
}

/// The values of a rule's field in an event of the Security log.
fn values<'e>(field: &str, event: &'e Event) -> Vec<ValueRef<'e>> {
    let mut names = vec![format!("winlog.event_data.{field}")];
    if field == "EventID" {
        names.push("event.code".to_owned());
    }
    if field.contains('.') {
        names.push(field.to_owned());
    }
    let ids: Vec<FieldId> = names.iter().filter_map(|name| FieldId::lookup(name)).collect();
    ids.iter().flat_map(|id| event.get_all(*id)).collect()
}

fn leaf(field: Option<&str>, value: &Value, event: &Event) -> bool {
    if let Some(values) = value["any"].as_array() {
        return values.iter().any(|value| leaf(field, value, event));
    }
    let Some(field) = field else {
        let original = event.original_text();
        return event.iter().any(|(_, found)| keyword(value, found))
            || keyword(value, ValueRef::Str(&original));
    };
    let found = values(field, event);
    if value["null"] == true {
        return found.iter().all(|found| *found == ValueRef::Null);
    }
    if let Some(wanted) = value["exists"].as_bool() {
        return found.is_empty() != wanted;
    }
    if let Some(reference) = value["fieldref"].as_array() {
        let (starts, ends) = (reference[1] == true, reference[2] == true);
        let others = values(reference[0].as_str().unwrap(), event);
        return found
            .iter()
            .any(|own| others.iter().any(|other| refers(*own, *other, starts, ends)));
    }
    found.iter().any(|found| meets(value, *found))
}

fn refers(own: ValueRef<'_>, other: ValueRef<'_>, starts: bool, ends: bool) -> bool {
    if own == ValueRef::Null || other == ValueRef::Null {
        return false;
    }
    let other = regex::escape(&other.to_text());
    let (before, behind) = (if ends { ".*" } else { "" }, if starts { ".*" } else { "" });
    expression(&format!("(?is)^{before}{other}{behind}$")).is_match(&own.to_text())
}

/// Compiled once, since compiling takes longer than all the rest.
fn expression(text: &str) -> regex::Regex {
    thread_local! {
        static KNOWN: RefCell<HashMap<String, regex::Regex>> = RefCell::default();
    }
    KNOWN.with_borrow_mut(|known| {
        if let Some(known) = known.get(text) {
            return known.clone();
        }
        let new = regex::Regex::new(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        known.insert(text.to_owned(), new.clone());
        new
    })
}

/// A keyword may stand anywhere unless it says where.
fn keyword(value: &Value, found: ValueRef<'_>) -> bool {
    let loose = |pieces: &Value| {
        let mut pieces = pieces.as_array().unwrap().clone();
        pieces.insert(0, 0.into());
        pieces.push(0.into());
        Value::Array(pieces)
    };
    // startswith and endswith have left their wildcard; plain ones have none at either end.
    let tied = |pieces: &Value| {
        let pieces = pieces.as_array().unwrap();
        pieces.first() == Some(&0.into()) || pieces.last() == Some(&0.into())
    };
    for kind in ["text", "cased"] {
        if !value[kind].is_null() && !tied(&value[kind]) {
            return meets(&serde_json::json!({ kind: loose(&value[kind]) }), found);
        }
    }
    meets(value, found)
}

fn meets(value: &Value, found: ValueRef<'_>) -> bool {
    if found == ValueRef::Null {
        return false;
    }
    let text = found.to_text();
    let (kind, asked) = value.as_object().unwrap().iter().next().unwrap();
    match kind.as_str() {
        "text" => expression(&format!("(?is)^{}$", pieces(asked))).is_match(&text),
        "cased" => expression(&format!("(?s)^{}$", pieces(asked))).is_match(&text),
        "re" => {
            let flags: String = asked[1]
                .as_array()
                .unwrap()
                .iter()
                .map(|flag| match flag.as_str().unwrap() {
                    "ignorecase" => "(?i)",
                    "multiline" => "(?m)",
                    _ => "(?s)",
                })
                .collect();
            // Python's braces that repeat nothing are literal.
            let own = asked[0].as_str().unwrap().replace("{a}", "\\{a\\}");
            expression(&format!("{flags}{own}")).is_match(&text)
        }
        "number" => number(found) == asked.as_f64(),
        "truth" => text.eq_ignore_ascii_case(&asked.to_string()),
        "cidr" => within(asked.as_str().unwrap(), &text),
        "compare" => {
            let (Some(own), Some(than)) = (number(found), asked[1].as_f64()) else { return false };
            match asked[0].as_str().unwrap() {
                "lt" => own < than,
                "lte" => own <= than,
                "gt" => own > than,
                _ => own >= than,
            }
        }
        "time" => part(asked[0].as_str().unwrap(), found) == asked[1].as_i64(),
        other => panic!("{other}"),
    }
}

fn pieces(asked: &Value) -> String {
    let piece = |piece: &Value| match piece.as_str() {
        Some(text) => regex::escape(text),
        None if *piece == 0 => ".*".to_owned(),
        None => ".".to_owned(),
    };
    asked.as_array().unwrap().iter().map(piece).collect()
}

fn number(found: ValueRef<'_>) -> Option<f64> {
    match found {
        ValueRef::Bool(_) | ValueRef::Null => None,
        found => {
            let text = found.to_text().trim().to_owned();
            let sane = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
            text.parse().ok().filter(|n: &f64| sane && n.is_finite())
        }
    }
}

fn within(network: &str, text: &str) -> bool {
    let (base, bits) = network.split_once('/').unwrap_or((network, ""));
    let base: IpAddr = base.parse().unwrap();
    let Ok(address) = text.trim().split('%').next().unwrap().parse::<IpAddr>() else {
        return false;
    };
    let number = |address: IpAddr| match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    };
    let address = if base.is_ipv4() { address.to_canonical() } else { address };
    let width = if base.is_ipv4() { 32 } else { 128 };
    let bits: u32 = bits.parse().unwrap_or(width);
    let differing = number(base) ^ number(address);
    address.is_ipv4() == base.is_ipv4() && (bits == 0 || differing >> (128 - bits) == 0)
}

fn part(part: &str, found: ValueRef<'_>) -> Option<i64> {
    let stamp = match found {
        ValueRef::I64(n) => epoch(n),
        ValueRef::Str(text) => match text.parse::<i64>() {
            Ok(n) if text.len() >= 9 && !text.starts_with(['+', '-']) => epoch(n),
            _ => Timestamp::parse(text)?,
        },
        _ => return None,
    };
    let at = jiff::Timestamp::from_nanosecond(stamp.as_nanos().into()).ok()?;
    let at = at.to_zoned(jiff::tz::TimeZone::UTC);
    at.strftime(match part {
        "minute" => "%M",
        "hour" => "%H",
        "day" => "%d",
        "week" => "%V",
        "month" => "%m",
        _ => "%Y",
    })
    .to_string()
    .parse()
    .ok()
}

fn epoch(n: i64) -> Timestamp {
    if n.unsigned_abs() >= 100_000_000_000 {
        Timestamp::from_millis(n)
    } else {
        Timestamp::from_secs(n)
    }
}
