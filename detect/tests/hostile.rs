//! Rules made to hurt: refused or bounded in time, one by one; and bytes that are no rules at all,
//! on which the loader never panics.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use detect::{Engine, Loaded, Scratch};
use event::{Event, EventBuilder, FieldId, fields};
use proptest::{prelude::*, sample::select};

/// What loading, compiling and matching one rule may take: many times what it does, since tests
/// run beside others and unoptimised, and far below what any unbounded one would.
const TIME_MAX: Duration = Duration::from_secs(120);

fn rule(body: &str) -> String {
    format!("title: t\nlogsource: {{product: windows}}\ndetection:\n{body}")
}

/// An event whose field `F` is `text`.
fn event(text: &str) -> Event {
    let mut b = EventBuilder::new(support::record("windows", "{}".into()), support::event_id(1));
    b.push_str(fields::EVENT_MODULE, "windows");
    b.push_str(FieldId::intern("winlog.event_data.F").unwrap(), text);
    b.build()
}

/// Loads, compiles and matches within the time; `Some` is what the refusal must say.
#[track_caller]
fn bounded(text: &str, refused: Option<&str>) -> Loaded {
    let began = Instant::now();
    let loaded = detect::parse(text, Path::new("hostile.yml"));
    match refused {
        Some(reason) => {
            assert!(loaded.rules.is_empty(), "should be refused for {reason:?}");
            let said = loaded.refused[0].to_string();
            assert!(said.contains(reason), "{reason:?} in {}", &said[..said.len().min(400)]);
        }
        None => assert_eq!(loaded.rules.len(), 1, "{:?}", loaded.refused.first()),
    }
    let engine = Engine::new(loaded.rules.clone());
    let mut out = Vec::new();
    for value in ["", "x", &"a".repeat(20_000), &"xyz".repeat(7_000)] {
        engine.matches(&event(value), &mut Scratch::new(), &mut out);
    }
    let took = began.elapsed();
    assert!(took < TIME_MAX, "took {took:?}");
    loaded
}

#[test]
fn conditions_that_grow() {
    let or = |times: usize| "a or ".repeat(times) + "a";
    bounded(&rule(&format!("  a: {{F: 1}}\n  condition: {}\n", or(13_000))), None);
    bounded(&rule(&format!("  a: {{F: 1}}\n  condition: {}\n", or(20_000))), Some("bytes"));
    let values = vec!["'*x*y*z*'"; 20_000].join(", ");
    let wide = format!("  a: {{F: [{values}]}}\n  condition: {}\n", or(12_000));
    bounded(&rule(&wide), Some("tests or more"));
    let selections: String = (0..1_900).map(|n| format!("  s{n}: {{F: {n}}}\n")).collect();
    let all = format!("{selections}  condition: {}1 of s*\n", "1 of s* and ".repeat(5_000));
    bounded(&rule(&all), Some("come to more than"));
    let none = format!("{selections}  condition: {}1 of s*\n", "not s1 or ".repeat(6_000));
    bounded(&rule(&none), None);
    let many: String = (0..3_000).map(|n| format!("  s{n}: {{F: {n}}}\n")).collect();
    bounded(&rule(&format!("{many}  condition: 1 of s*\n")), Some("selections"));
    let list = vec!["1 of s*"; 30_000].join(", ");
    bounded(&rule(&format!("{selections}  condition: [{list}]\n")), Some("bytes"));
    for deep in [format!("{}a", "not ".repeat(10_000)), format!("{}a", "(".repeat(60_000))] {
        bounded(&rule(&format!("  a: {{F: 1}}\n  condition: {deep}\n")), Some("deeper"));
    }
    // Levels that each name what is beside them again.
    let doubling = format!("{}a{}", "(not (a or ".repeat(30), "))".repeat(30));
    bounded(&rule(&format!("  a: {{F: 1}}\n  condition: {doubling}\n")), None);
}

#[test]
fn documents_that_grow() {
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for i in 1..12 {
        let refs = vec![format!("*a{}", i - 1); 10].join(",");
        bomb.push_str(&format!("a{i}: &a{i} [{refs}]\n"));
    }
    bounded(&bomb, Some("nodes"));
    let long = "x".repeat(60_000);
    let text = format!("  a: {{F: &v '{long}', G: [{}]}}\n", vec!["*v"; 50_000].join(", "));
    bounded(&rule(&format!("{text}  condition: a\n")), Some("bytes of text"));
    bounded(&format!("a: {}", "{b: ".repeat(50_000)), Some("deeper"));
    bounded(&format!("a: {}", "[".repeat(200_000)), Some("recursion"));
    bounded(&format!("a: {}{}", "[".repeat(100), "]".repeat(100)), Some("deeper"));
    let keys: String = (0..40_000).map(|n| format!("    F{n}: 1\n")).collect();
    bounded(&rule(&format!("  a:\n{keys}  condition: a\n")), Some("fields"));
    let merged: String = (0..8_000).map(|n| format!("k{n}: 1, ")).collect();
    bounded(&format!("a: &a {{{merged}}}\nb: {{<<: [*a, *a]}}\ntitle: t\n"), Some("logsource"));
    let documents = "---\n[\n".repeat(20_000);
    let loaded = detect::parse(&documents, Path::new("hostile.yml"));
    assert_eq!(loaded.refused.len(), 20_000);
}

#[test]
fn values_that_grow() {
    let one = |line: &str| rule(&format!("  a:\n    {line}\n  condition: a\n"));
    bounded(&one(&format!("F: '{}'", "?*".repeat(2_000))), Some("wildcards"));
    bounded(&one(&format!("F: '{}'", "*a".repeat(120))), None);
    bounded(&one(&format!("F|contains: '{}'", "a?".repeat(120))), None);
    bounded(&one(&format!("F: '{}'", "a".repeat(70_000))), Some("longer"));
    let dashed = vec![format!("' -a -b -c{}'", "x".repeat(8_000)); 1_000].join(", ");
    bounded(&one(&format!("F|windash: [{dashed}]")), Some("come to more than"));
    bounded(&one("F|windash: '-a -b -c -d -e'"), Some("at most 3"));
    let nested = "base64offset|".repeat(30);
    bounded(&one(&format!("F|{nested}contains: abc")), Some("encodings"));
    let list = (0..10_000).map(|n| format!("v{n}")).collect::<Vec<_>>().join(", ");
    bounded(&one(&format!("F|contains: [{list}]")), None);
}

#[test]
fn expressions_that_grow() {
    let one = |text: &str| rule(&format!("  a:\n    F|re: '{text}'\n  condition: a\n"));
    bounded(&one("((a{1,99}){1,99}){1,99}"), Some("compiled"));
    bounded(&one(r"\w{1000}\w{1000}"), Some("compiled"));
    bounded(&one(&"(".repeat(5_000)), Some("regular expression"));
    bounded(&one(&format!("{}a{}", "(".repeat(100), ")".repeat(100))), Some("regular expression"));
    // Exponential elsewhere, linear here.
    bounded(&one("^(a+)+$"), None);
    bounded(&one("(x+x+)+y"), None);
    bounded(&one("(.*)(.*)(.*)(.*)(.*)b"), None);
    let words = (0..4_000).map(|n| format!("word{n}")).collect::<Vec<_>>().join("|");
    bounded(&one(&words), None);
    let huge = (0..12_000).map(|n| format!("w{n}")).collect::<Vec<_>>().join("|");
    let loaded = detect::parse(&one(&huge), Path::new("hostile.yml"));
    assert_eq!(loaded.rules.len() + loaded.refused.len(), 1);
    let many = (0..300).map(|n| format!("'a{n}'")).collect::<Vec<_>>().join(", ");
    let many = rule(&format!("  a:\n    F|re: [{many}]\n  condition: a\n"));
    bounded(&many, Some("regular expressions"));
}

/// A rule of 256 of the costliest expressions that one may have.
#[test]
fn many_costly_expressions_stay_bounded() {
    let costly = (0..256).map(|n| format!(r"'\w{{10}}{n}'")).collect::<Vec<_>>().join(", ");
    bounded(&rule(&format!("  a:\n    F|re: [{costly}]\n  condition: a\n")), None);
}

const WORDS: &[&str] = &[
    "title: t\n",
    "logsource: {product: windows}\n",
    "detection:\n",
    "  s:\n",
    "    F: 1\n",
    "    F|contains|all: [a, b]\n",
    "  condition: s\n",
    "  condition: 1 of s*\n",
    "id: ",
    "level: high\n",
    "correlation:\n",
    "filter:\n",
    "rules: any\n",
    "---\n",
    "...\n",
    "&a ",
    "*a",
    "<<: ",
    "[",
    "]",
    "{",
    "}",
    "- ",
    ": ",
    ", ",
    "'",
    "\"",
    "|",
    ">\n",
    "!!str ",
    "!x ",
    "%",
    "#",
    "\t",
    "  ",
    "\n",
    "null",
    "~",
    "0x1",
    "é",
    "\u{feff}",
    "\\",
    "re",
    "|re: '('\n",
    "expand",
    "%a%",
    "cidr: 1/2\n",
    "? ",
    "@",
    "`",
    "\u{0}",
    "\u{85}",
    "name: x\n",
    "taxonomy: y\n",
    "action: global\n",
    "  - - \n",
    "not not (",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..Default::default() })]

    /// Words of rules in any order: what comes of them has its line, and nothing panics.
    #[test]
    fn words_in_any_order_never_panic(words in prop::collection::vec(select(WORDS), 0..60)) {
        let text = words.concat();
        let loaded = detect::parse(&text, Path::new("fuzz.yml"));
        for refusal in &loaded.refused {
            prop_assert!(refusal.line > 0 && !refusal.reason.is_empty(), "{refusal}");
        }
        Engine::new(loaded.rules);
    }

    /// A rule with some of its bytes changed.
    #[test]
    fn a_damaged_rule_never_panics(
        cuts in prop::collection::vec((0..400_usize, 0..12_usize, select(WORDS)), 1..5),
    ) {
        let mut text = "title: Fuzz\nid: 0a1b2c3d-0000-4000-8000-000000000001\nlevel: high\nlogsource: {product: windows, category: process_creation}\ndetection:\n  s:\n    Image|endswith: ['\\a.exe', '*b?']\n    CommandLine|re|i: 'a+b'\n    Hashes|contains|windash: -x\n  k: [word, 'a*']\n  n:\n    - F: null\n    - G|cidr: 10.0.0.0/8\n  condition: s and not 1 of k* or (n)\n".to_owned();
        for (at, len, word) in cuts {
            let start = (0..=at.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap();
            let wanted = (start + len).min(text.len());
            let end = (wanted..=text.len()).find(|i| text.is_char_boundary(*i)).unwrap();
            text.replace_range(start..end, word);
        }
        let loaded = detect::parse(&text, Path::new("fuzz.yml"));
        let engine = Engine::new(loaded.rules);
        engine.matches(&event("a -x b"), &mut Scratch::new(), &mut Vec::new());
    }

    /// Any characters as a value under any modifiers.
    #[test]
    fn any_value_under_any_modifiers_never_panics(
        value in "\\PC{0,40}|[-%*?\\\\/(){}\\[\\]|a0.]{0,20}",
        names in prop::collection::vec(select(&[
            "all", "neq", "exists", "cased", "exact", "contains", "startswith", "endswith",
            "windash", "re", "i", "m", "s", "base64", "base64offset", "wide", "utf16", "utf16be",
            "cidr", "lt", "gte", "minute", "year", "expand", "fieldref",
        ][..]), 0..4),
    ) {
        let value = serde_json::to_string(&value).unwrap();
        let key = ["F"].iter().chain(&names).copied().collect::<Vec<_>>().join("|");
        let text = rule(&format!("  s:\n    \"{key}\": {value}\n  condition: s\n"));
        let loaded = detect::parse(&text, Path::new("fuzz.yml"));
        prop_assert_eq!(loaded.rules.len() + loaded.refused.len(), 1);
        let engine = Engine::new(loaded.rules);
        engine.matches(&event("a -x b"), &mut Scratch::new(), &mut Vec::new());
    }
}

/// Bytes of any kind in a file, also ones that are no text.
#[test]
fn files_of_any_bytes_never_panic() {
    let folder = std::env::temp_dir().join(format!("detect-hostile-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut state = 1_u64;
    for number in 0..200 {
        let bytes: Vec<u8> = (0..number * 7)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        std::fs::write(folder.join(format!("{number}.yml")), bytes).unwrap();
    }
    let loaded = detect::load(std::slice::from_ref(&folder));
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(loaded.rules.is_empty());
    assert!(loaded.refused.len() > 150, "{}", loaded.refused.len());
}
