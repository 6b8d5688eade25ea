//! The engine against the plain evaluator, on generated rules and events.
//!
//! `DETECT_PAIRS` says how many pairs of rule and event to try, 100,000 where it is not set.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{collections::BTreeMap, path::Path};

use detect::{Engine, Scratch, eval};
use event::{Event, EventBuilder, FieldId, ValueRef, fields};
use proptest::{
    prelude::*,
    sample::select,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

/// Rules and events of one round; every rule meets every event.
const RULES: usize = 24;
const EVENTS: usize = 24;

/// Few enough to meet often, and each there for a trap: case beyond ASCII, characters that
/// fold to another length, backslashes, wildcards, dashes, line breaks, NULs.
const ATOMS: &[&str] = &[
    "a",
    "B",
    "cmd",
    "CMD.exe",
    "\\",
    "\\\\",
    "-",
    "/",
    "–",
    " ",
    "é",
    "É",
    "ß",
    "K",
    "k",
    "Σ",
    "ς",
    "\n",
    "*",
    "?",
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
    "4688",
];

const FIELDS: &[&str] =
    &["CommandLine", "Image", "EventID", "Other", "process.executable", "Count", "Absent", "When"];

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(select(ATOMS), 0..5).prop_map(|atoms| atoms.concat())
}

#[derive(Clone, Debug)]
enum Value {
    Null,
    Bool(bool),
    I64(i64),
    F64(f64),
    Str(String),
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::Bool),
        2 => select(&[0_i64, 1, -1, 7, 4688, 10, i64::MAX][..]).prop_map(Value::I64),
        1 => select(&[0.0, -0.0, 1.0, 1.5, -7.25, 4688.0, 1e300][..]).prop_map(Value::F64),
        1 => select(&["10.0.0.1", "::ffff:10.1.2.3", "fe80::1%3", "2001:db8::5", "-", "192.168.7.7"][..])
            .prop_map(|ip| Value::Str(ip.into())),
        1 => select(&["2026-03-03T08:07:06Z", "2025-12-29 23:59:00.5", "1767225600", "2024-02-29T00:00:00+02:00"][..])
            .prop_map(|at| Value::Str(at.into())),
        8 => text().prop_map(Value::Str),
    ]
}

type Sketch = Vec<(&'static str, Vec<Value>, bool)>;

/// Fields with their values, and whether the ECS copy is there too.
fn event_sketch() -> impl Strategy<Value = (u8, Sketch)> {
    let field = (select(FIELDS), prop::collection::vec(value(), 0..3), any::<bool>());
    (0..4_u8, prop::collection::vec(field, 0..7))
}

fn build((source, sketch): &(u8, Sketch), number: u64) -> Event {
    let original = format!("{{\"raw\": {sketch:?}}}");
    let mut b =
        EventBuilder::new(support::record("windows", original.into()), support::event_id(number));
    b.push_str(fields::EVENT_MODULE, "windows");
    let (channel, code) = match source {
        0 => ("Security", "4688"),
        1 => ("Microsoft-Windows-Sysmon/Operational", "1"),
        2 => ("Microsoft-Windows-Sysmon/Operational", "13"),
        _ => ("System", "7045"),
    };
    b.push_str(fields::WINLOG_CHANNEL, channel);
    b.push_str(fields::EVENT_CODE, code);
    for (name, values, copied) in sketch {
        let own = if name.contains('.') {
            (*name).to_owned()
        } else {
            format!("winlog.event_data.{name}")
        };
        let field = FieldId::intern(&own).unwrap();
        for value in values {
            b.push(
                field,
                match value {
                    Value::Null => ValueRef::Null,
                    Value::Bool(b) => ValueRef::Bool(*b),
                    Value::I64(n) => ValueRef::I64(*n),
                    Value::F64(n) => ValueRef::F64(*n),
                    Value::Str(text) => ValueRef::Str(text),
                },
            );
        }
        match *name {
            "CommandLine" if *copied => b.alias(fields::PROCESS_COMMAND_LINE, field),
            "Image" if *copied => b.alias(fields::PROCESS_EXECUTABLE, field),
            _ => {}
        }
    }
    b.build()
}

/// Modifiers with a strategy for one value, as YAML.
fn line() -> impl Strategy<Value = String> {
    let quoted = || text().prop_map(|text| serde_json::to_string(&text).unwrap());
    let escaped = || {
        text().prop_map(|text| {
            let text = text.replace('\\', "\\\\").replace('*', "\\*").replace('?', "\\?");
            serde_json::to_string(&format!("{text}v")).unwrap()
        })
    };
    let texts = (
        select(
            &[
                "",
                "contains",
                "startswith",
                "endswith",
                "cased",
                "contains|cased",
                "exact",
                "exact|cased",
                "contains|all",
                "all",
                "windash",
                "contains|windash",
                "neq",
                "contains|neq",
                "endswith|windash|all",
                "startswith|cased",
                "expand",
            ][..],
        ),
        prop::collection::vec(quoted(), 1..4),
    );
    let encoded = (
        select(
            &[
                "base64",
                "base64offset|contains",
                "wide|base64offset|contains",
                "utf16|base64|contains",
                "utf16be|base64offset|contains",
                "utf16le|base64",
                "wide",
                "utf16be|contains",
                "base64offset|contains|cased",
            ][..],
        ),
        prop::collection::vec(
            prop_oneof![
                1 => escaped(),
                1 => select(&["\"a\"", "\"val\"", "\"ab\""][..]).prop_map(str::to_owned)
            ],
            1..3,
        ),
    );
    let regexes = (
        select(&["re", "re|i", "re|m", "re|s", "re|i|m|s", "re|contains"][..]),
        prop::collection::vec(
            select(
                &["a.B", "^cmd", "e$", "(a|é)+", "\\\\", "\\d{2,}", "^$", "^B", "[^a]\\n?K"][..],
            )
            .prop_map(|re| serde_json::to_string(re).unwrap()),
            1..3,
        ),
    );
    let numbers = (
        select(&["lt", "lte", "gt", "gte", "", "neq", "contains", "cased"][..]),
        prop::collection::vec(
            select(&["0", "1", "-1", "7", "1.5", "4688", "0x1", "007", "1e300", "10"][..])
                .prop_map(str::to_owned),
            1..3,
        ),
    );
    let times = (
        select(&["minute", "hour", "day", "month", "hour|gte", "minute|lt", "week"][..]),
        prop::collection::vec(
            select(&["8", "7", "3", "12", "1", "22"][..]).prop_map(str::to_owned),
            1..2,
        ),
    );
    let years = (select(&["year", "year|lte"][..]), Just(vec!["2026".to_owned()]));
    let cidrs =
        (
            Just("cidr"),
            prop::collection::vec(
                select(
                    &[
                        "10.0.0.0/8",
                        "192.168.7.7",
                        "fe80::/10",
                        "2001:db8::/32",
                        "0.0.0.0/0",
                        "::/0",
                    ][..],
                )
                .prop_map(|cidr| format!("\"{cidr}\"")),
                1..3,
            ),
        );
    let plain = (
        select(&["", "all", "neq"][..]),
        prop::collection::vec(
            select(&["null", "true", "false", "''", "'*'", "'?*'"][..]).prop_map(str::to_owned),
            1..3,
        ),
    );
    let exists = (Just("exists"), select(&["true", "false"][..]).prop_map(|b| vec![b.to_owned()]));
    let references = (
        select(
            &[
                "fieldref",
                "fieldref|contains",
                "fieldref|startswith",
                "endswith|fieldref",
                "fieldref|cased",
                "fieldref|neq",
            ][..],
        ),
        select(FIELDS).prop_map(|field| vec![field.to_owned()]),
    );
    fn boxed(
        s: impl Strategy<Value = (&'static str, Vec<String>)> + 'static,
    ) -> BoxedStrategy<(&'static str, Vec<String>)> {
        s.boxed()
    }
    let modified = prop_oneof![
        8 => boxed(texts), 2 => boxed(encoded), 2 => boxed(regexes), 2 => boxed(numbers),
        1 => boxed(times), 1 => boxed(years), 1 => boxed(cidrs), 3 => boxed(plain),
        1 => boxed(exists), 1 => boxed(references),
    ];
    (select(FIELDS), modified).prop_map(|(field, (modifiers, values))| {
        let bar = if modifiers.is_empty() { "" } else { "|" };
        format!("{field}{bar}{modifiers}: [{}]", values.join(", "))
            .replace("exists: [true]", "exists: true")
            .replace("exists: [false]", "exists: false")
    })
}

/// One selection, as the YAML behind its name.
fn selection() -> impl Strategy<Value = String> {
    let map = || {
        prop::collection::vec(line(), 1..4).prop_map(|mut lines| {
            // A map cannot have one key twice.
            lines.sort();
            lines.dedup_by(|a, b| a.split(':').next() == b.split(':').next());
            lines.into_iter().map(|line| format!("\n      {line}")).collect::<String>()
        })
    };
    let keywords = (
        select(&["", "all", "cased", "re", "startswith", "exact", "cidr"][..]),
        prop::collection::vec(select(&["cmd", "a*b", "É", "1", "10.0.0.0/8", "k"][..]), 1..3),
    )
        .prop_map(|(modifiers, words)| {
            let words: Vec<_> = words
                .into_iter()
                .filter(|word| modifiers != "cidr" || word.contains('/'))
                .map(|word| serde_json::to_string(word).unwrap())
                .collect();
            let words = if words.is_empty() { vec!["\"::/0\"".to_owned()] } else { words };
            match modifiers {
                "" => format!("[{}]", words.join(", ")),
                modifiers => format!("\n      \"|{modifiers}\": [{}]", words.join(", ")),
            }
        });
    prop_oneof![
        6 => map(),
        2 => prop::collection::vec(line(), 1..3).prop_map(|lines| {
            lines.into_iter().map(|line| format!("\n      - {line}")).collect::<String>()
        }),
        1 => keywords,
    ]
}

const CONDITIONS: &[&str] = &[
    "s0",
    "not s0",
    "s0 and s1",
    "s0 or s1",
    "s0 and not s1",
    "not s0 and s1 or s2",
    "s0 and (s1 or not s2)",
    "1 of s*",
    "all of s*",
    "1 of them",
    "all of them",
    "not 1 of s*",
    "s0 and not (s1 and s2)",
    "[s0 and s1, s2]",
    "_h or s0",
];

const LOGSOURCES: &[&str] = &[
    "{product: windows}",
    "{product: windows, category: process_creation}",
    "{product: windows, service: security}",
    "{category: registry_set}",
    "{product: windows, category: registry_event}",
    "{service: system}",
];

fn rule() -> impl Strategy<Value = String> {
    (prop::collection::vec(selection(), 4), select(CONDITIONS), select(LOGSOURCES)).prop_map(
        |(selections, condition, logsource)| {
            let mut text = format!("logsource: {logsource}\ndetection:\n");
            for (name, body) in ["s0", "s1", "s2", "_h"].iter().zip(selections) {
                text.push_str(&format!("    {name}: {body}\n"));
            }
            text + "    condition: " + condition + "\nlevel: low\n"
        },
    )
}

#[test]
fn engine_and_plain_evaluator_agree() {
    let pairs: usize =
        std::env::var("DETECT_PAIRS").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]),
    );
    let rules = prop::collection::vec(rule(), RULES);
    let events = prop::collection::vec(event_sketch(), EVENTS);
    let (mut tried, mut offered, mut fired) = (0_usize, 0_usize, 0_usize);
    let mut by_modifier: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let (mut scratch, mut matches) = (Scratch::new(), Vec::new());
    while tried < pairs {
        let rules = rules.new_tree(&mut runner).unwrap().current();
        let events = events.new_tree(&mut runner).unwrap().current();
        let text: String = rules
            .iter()
            .zip(0..)
            .map(|(rule, n)| {
                format!("---\ntitle: r{n}\nid: 00000000-0000-4000-8000-{n:012}\n{rule}")
            })
            .collect();
        let loaded = detect::parse(&text, Path::new("generated.yml"));
        for refusal in &loaded.refused {
            // The generator itself makes some that must be refused.
            let known = [
                "UTF-16 of other",
                "windash varies",
                "empty value cannot",
                "no placeholder table",
                "is no value of that part",
                "with wildcards cannot",
            ];
            assert!(known.iter().any(|k| refusal.reason.contains(k)), "{refusal}\n{text}");
        }
        let sources: BTreeMap<String, &String> = rules
            .iter()
            .zip(0..)
            .map(|(rule, n)| (format!("00000000-0000-4000-8000-{n:012}"), rule))
            .collect();
        let engine = Engine::new(loaded.rules);
        for (sketch, number) in events.iter().zip(0..) {
            let event = build(sketch, number);
            engine.matches(&event, &mut scratch, &mut matches);
            let got: Vec<&str> = matches.iter().map(|m| m.rule.id()).collect();
            let mut meant = Vec::new();
            for rule in engine.rules() {
                tried += 1;
                let is_offered = eval::is_offered(rule, &event);
                let holds = is_offered && eval::holds(rule, &event);
                offered += usize::from(is_offered);
                fired += usize::from(holds);
                for line in sources[rule.id()].lines().filter(|_| is_offered) {
                    if let Some((_, modifiers)) = line.split(':').next().unwrap().split_once('|') {
                        let seen =
                            by_modifier.entry(modifiers.trim_matches('"').into()).or_default();
                        seen.0 += usize::from(holds);
                        seen.1 += 1;
                    }
                }
                if holds {
                    meant.push(rule.id());
                }
            }
            if got != meant {
                let odd = got
                    .iter()
                    .chain(&meant)
                    .find(|id| got.contains(id) != meant.contains(id))
                    .unwrap();
                panic!(
                    "engine {got:?}, plain {meant:?}\n{event:?}\n{:?}\n{}",
                    event.original_text(),
                    sources[*odd]
                );
            }
            matches.clear();
        }
    }
    println!(
        "{tried} pairs, {offered} offered, {fired} fired; fired and offered by modifier: {by_modifier:?}"
    );
    for (modifier, (fired, offered)) in &by_modifier {
        assert!(*fired > 0, "no rule with {modifier} ever fired ({offered} offered)");
    }
    assert!(by_modifier.len() >= 50, "the generator lost modifiers");
}
