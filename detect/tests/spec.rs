//! What rules mean, case by case: each with the rule's detection, an event's fields and
//! whether it fires. Both the engine and the plain evaluator are asked.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;

use detect::{Engine, Placeholders, Scratch, eval};
use event::{Event, EventBuilder, FieldId, fields};
use serde_json::{Value, json};

fn rule_text(detection: &str) -> String {
    let body: String = detection.lines().map(|line| format!("  {line}\n")).collect();
    format!("title: t\nlogsource: {{product: windows, service: security}}\ndetection:\n{body}")
}

fn event(data: &Value) -> Event {
    let raw = data.to_string();
    let mut b = EventBuilder::new(support::record("windows", raw.into()), support::event_id(1));
    b.push_str(fields::EVENT_MODULE, "windows");
    b.push_str(fields::WINLOG_CHANNEL, "Security");
    b.push_str(fields::EVENT_CODE, "4688");
    for (key, value) in data.as_object().unwrap() {
        if value.is_object() {
            b.push_json("winlog.event_data", key, value);
        } else {
            b.push_value(FieldId::intern(&format!("winlog.event_data.{key}")).unwrap(), value);
        }
    }
    b.build()
}

#[track_caller]
fn check(detection: &str, data: &Value, expected: bool) {
    let loaded = detect::parse(&rule_text(detection), Path::new("spec.yml"));
    assert!(loaded.refused.is_empty(), "{:?}", loaded.refused);
    let event = event(data);
    assert_eq!(eval::holds(&loaded.rules[0], &event), expected, "plain: {detection}\n{data}");
    let mut out = Vec::new();
    Engine::new(loaded.rules).matches(&event, &mut Scratch::new(), &mut out);
    assert_eq!(!out.is_empty(), expected, "engine: {detection}\n{data}");
}

/// One line of a selection.
#[expect(clippy::needless_pass_by_value, reason = "each call makes its event in place")]
#[track_caller]
fn line(line: &str, data: Value, expected: bool) {
    check(&format!("s:\n  {line}\ncondition: s"), &data, expected);
}

#[track_caller]
fn refused(detection: &str, reason: &str) {
    let loaded = detect::parse(&rule_text(detection), Path::new("spec.yml"));
    assert!(loaded.rules.is_empty(), "should be refused: {detection}");
    let refusal = loaded.refused[0].to_string();
    assert!(refusal.contains(reason), "{refusal}");
    assert!(loaded.refused[0].line > 0, "{refusal}");
}

#[test]
fn text_is_compared_without_case_and_with_wildcards() {
    line("F: VALUE", json!({"F": "value"}), true);
    line("F: value", json!({"F": "value "}), false);
    line("F: 'ÉTÉ'", json!({"F": "été"}), true);
    line("F|cased: 'Été'", json!({"F": "été"}), false);
    line("F: 'a*e'", json!({"F": "a\n\ne"}), true);
    line("F: 'a?e'", json!({"F": "aée"}), true);
    line("F: 'a?e'", json!({"F": "ae"}), false);
    line(r"F: 'a\*e'", json!({"F": "a*e"}), true);
    line(r"F: 'a\*e'", json!({"F": "abe"}), false);
    line(r"F: 'C:\\*'", json!({"F": r"C:\x"}), true);
    line(r"F|endswith: '\cmd.exe'", json!({"F": r"C:\Windows\CMD.EXE"}), true);
    line(r"F|endswith: '\cmd.exe'", json!({"F": "cmd.exe"}), false);
    line("F|contains: 'a?c'", json!({"F": "xxabcxx"}), true);
    line("F|startswith: 'x*z'", json!({"F": "xyzzy"}), true);
    line("F|exact: 'a*'", json!({"F": "A*"}), true);
    line("F|exact: 'a*'", json!({"F": "ab"}), false);
    line("F: '*'", json!({"F": ""}), true);
    line("F: '*'", json!({"F": null}), false);
    line("F: '*'", json!({}), false);
}

#[test]
fn numbers_truth_values_and_text_meet() {
    for value in [json!(4688), json!("4688"), json!(4688.0)] {
        line("F: 4688", json!({"F": value.clone()}), true);
        line("F: '4688'", json!({"F": value}), true);
    }
    line("F: '46*'", json!({"F": 4688}), true);
    line("F: 0x1", json!({"F": "0x1"}), true);
    line("F: 0x1", json!({"F": 1}), true);
    line("F: '0x1'", json!({"F": 1}), false);
    line("F: 007", json!({"F": "007"}), true);
    line("F: 007", json!({"F": 7}), true);
    line("F: true", json!({"F": "True"}), true);
    line("F: 'true'", json!({"F": true}), true);
    line("F: true", json!({"F": 1}), false);
    line("F: yes", json!({"F": "yes"}), true);
    line("F: yes", json!({"F": true}), false);
    line("EventID: 4688", json!({}), true);
    line("EventID: '4688'", json!({}), true);
    line("F|gte: 10", json!({"F": "10"}), true);
    line("F|lt: 10.5", json!({"F": 10}), true);
    line("F|gt: 9007199254740992", json!({"F": 9_007_199_254_740_993_i64}), true);
    line("F|gt: 3", json!({"F": "abc"}), false);
    line("F|lt: 3", json!({}), false);
}

#[test]
fn missing_null_and_empty_differ() {
    line("F: null", json!({}), true);
    line("F: null", json!({"F": null}), true);
    line("F:", json!({}), true);
    line("F: null", json!({"F": ""}), false);
    line("F: ''", json!({"F": ""}), true);
    line("F: ''", json!({"F": null}), false);
    line("F: ''", json!({}), false);
    line("F: [null, '']", json!({}), true);
    line("F|exists: true", json!({"F": null}), true);
    line("F|exists: true", json!({}), false);
    line("F|exists: false", json!({}), true);
    line("F|exists: false", json!({"F": ""}), false);
    line("F|neq: a", json!({}), true);
    line("F|neq: a", json!({"F": "A"}), false);
    line("F|neq: [a, b]", json!({"F": "c"}), true);
    line("F|contains|neq: a", json!({"F": "bab"}), false);
}

#[test]
fn any_member_of_a_list_will_do() {
    line("F: b", json!({"F": ["a", "b"]}), true);
    line("F|contains|all: [a, b]", json!({"F": ["xa", "bx"]}), true);
    line("F|contains|all: [a, c]", json!({"F": ["xa", "bx"]}), false);
    line("F: null", json!({"F": [null, "a"]}), false);
    line("F.G: x", json!({"F": {"G": "X"}}), true);
    check("s:\n  - A: 1\n    B: 2\n  - C: 3\ncondition: s", &json!({"C": 3}), true);
    check("s:\n  - A: 1\n    B: 2\n  - C: 3\ncondition: s", &json!({"A": 1}), false);
}

#[test]
fn encodings_regexes_networks_and_times() {
    line("F|base64: foobar", json!({"F": "Zm9vYmFy"}), true);
    line("F|base64offset|contains: /bin/bash", json!({"F": "echo IC9iaW4vYmFzaCAg"}), true);
    line("F|wide|base64offset|contains: http", json!({"F": "aAB0AHQAcAA6AA=="}), true);
    line("F|wide|base64|contains: é", json!({"F": "6QA="}), true);
    for dash in ["-", "/", "–", "—", "―"] {
        line("F|contains|windash: ' -enc'", json!({"F": format!("ps {dash}ENC x")}), true);
        line("F|windash|contains: ' -enc'", json!({"F": format!("ps {dash}ENC x")}), true);
    }
    line("F|contains|windash: 'a-b'", json!({"F": "a/b"}), false);
    line("F|re: 'a.c'", json!({"F": "xxabcxx"}), true);
    line("F|re: 'a.c'", json!({"F": "ABC"}), false);
    line("F|re|i: 'a.c'", json!({"F": "ABC"}), true);
    line("F|re: '^b'", json!({"F": "a\nb"}), false);
    line("F|re|m: '^b'", json!({"F": "a\nb"}), true);
    line("F|re: 'a.b'", json!({"F": "a\nb"}), false);
    line("F|re|s: 'a.b'", json!({"F": "a\nb"}), true);
    line("F|re: '^46'", json!({"F": 4688}), true);
    line("F|cidr: 10.0.0.0/8", json!({"F": "10.200.3.4"}), true);
    line("F|cidr: 10.0.0.0/8", json!({"F": "::ffff:10.1.1.1"}), true);
    line("F|cidr: [192.0.2.0/24, '2001:db8::/32']", json!({"F": "2001:DB8::7"}), true);
    line("F|cidr: 10.0.0.0/8", json!({"F": "11.0.0.1"}), false);
    line("F|hour: 8", json!({"F": "2026-03-03T08:59:00Z"}), true);
    line("F|hour|gte: 20", json!({"F": "2026-03-03 21:00:00"}), true);
    line("F|week: 10", json!({"F": "2026-03-03T08:59:00Z"}), true);
    line("F|year|lt: 2026", json!({"F": "2026-03-03T08:59:00Z"}), false);
    line("F|fieldref: G", json!({"F": "Ab", "G": "aB"}), true);
    line("F|fieldref|cased: G", json!({"F": "Ab", "G": "aB"}), false);
    line("F|fieldref|endswith: G", json!({"F": "xab", "G": "AB"}), true);
    line("F|fieldref|neq: G", json!({"F": "a", "G": "b"}), true);
    line("F|fieldref: G", json!({"F": null, "G": null}), false);
}

#[test]
fn keywords_are_found_anywhere() {
    check("k: [needle]\ncondition: k", &json!({"F": "hay NEEDLE hay"}), true);
    check("k: needle\ncondition: k", &json!({"needle": "x"}), true);
    check("k: [needle]\ncondition: not k", &json!({"F": "needle"}), false);
    check("k:\n  '|all': [one, two]\ncondition: k", &json!({"F": "ONE", "G": "two"}), true);
    check("k:\n  '|all': [one, two]\ncondition: k", &json!({"F": "one"}), false);
    check("k: ['a*z']\ncondition: k", &json!({"F": "-abcz-"}), true);
    check("k:\n  '|re': 'n.{2}d'\ncondition: k", &json!({"F": "need"}), true);
    check("k: [4625]\ncondition: k", &json!({"F": "id 46254"}), true);
    check("k:\n  - alpha\n  - F: x\ncondition: k", &json!({"F": "X"}), true);
}

#[test]
fn conditions_combine_selections() {
    let d =
        |condition: &str| format!("a:\n  F: 1\nb:\n  G: 2\n_c:\n  H: 3\ncondition: {condition}");
    check(&d("1 of them"), &json!({"H": 3}), false);
    check(&d("1 of them or _c"), &json!({"H": 3}), true);
    check(&d("all of them"), &json!({"F": 1, "G": 2}), true);
    check(&d("a and not b or _c"), &json!({"H": 3}), true);
    check(&d("not (a or b)"), &json!({"F": 2}), true);
    check(&d("\n  - a and b\n  - _c"), &json!({"H": 3}), true);
}

#[test]
fn large_expressions_that_people_write_load() {
    // Classes of Unicode make this one larger than most by far.
    let d = "s:\n  F|re: '-k\\s\\w{1,64}(?:\\s-p)?$'\ncondition: s";
    check(d, &json!({"F": "host.exe -k netsvcs -p"}), true);
    check(d, &json!({"F": "host.exe -k net svcs"}), false);
}

#[test]
fn what_cannot_be_right_is_refused_with_its_line() {
    let s = |line: &str| format!("s:\n  {line}\ncondition: s");
    refused(&s("F|foo: x"), "unknown modifier \"foo\"");
    refused(&s("F|re: '(?=x)'"), "not a regular expression");
    refused(&s("F|re: '(('"), "not a regular expression");
    refused(&s("F|re: '(a{1000}){1000}'"), "compiled");
    refused(&s("F|contains|re: x"), "re must stand before");
    refused(&s("F|base64|cidr: 10.0.0.0/8"), "cidr must stand before");
    refused(&s("F|cased|exists: true"), "exists must stand before");
    refused(&s("F|re: 'a++'"), "possessive");
    refused(&s("F|re: '(?R)'"), "recursion");
    refused(&s("F|cased: null"), "null");
    refused(&s("F|gt: true"), "no number");
    refused(&s("F|fieldref: 'G*'"), "no field's name");
    refused(&s("F|fieldref|windash: G"), "encoding");
    refused(&s("F|lt|gt: 3"), "only one");
    refused(&s("F|hour|minute: 3"), "only one part");
    refused(&s("F|re|cidr: x"), "cannot be combined");
    refused(&s("F|base64: ''"), "empty value");
    refused(&s("F|windash: '-a -b -c -d'"), "at most 3");
    refused("s: []\ncondition: s", "empty");
    refused("s: {}\ncondition: s", "empty");
    refused("s: [null]\ncondition: s", "give it a field");
    refused("s:\n  F: 1\ncondition: []", "list of conditions is empty");
    refused("s:\n  F: 1\ncondition: 2 of them", "not in Sigma");
    refused("s:\n  F: 1\ncondition: 1 of t*", "fits no selection");
    refused("s:\n  F: 1\ncondition: s |near t", "correlation");
    refused(&s("F|i: x"), "must follow re");
    refused(&s("F|cidr: 10.0.0.1/8"), "the network is 10.0.0.0/8");
    refused(&s("F|gt: many"), "no number");
    refused(&s("F|hour: 24"), "from 0 to 23");
    refused(&s("F|exists: maybe"), "true or false");
    refused(&s("F|contains|startswith: x"), "only one");
    refused(&s("F|base64: 'a*'"), "wildcards");
    refused(&s("F|wide: é"), "base64");
    refused(&s("F|contains: null"), "null");
    refused(&s("F|expand: '%admins%'"), "%admins%");
    refused(&s("F: {G: 1}"), "dots");
    refused(&s("F: []"), "empty list");
    refused(&s("'|exists': true"), "need a field");
    refused("s:\n  F: 1\n  F: 2\ncondition: s", "stands twice");
    refused("s:\n  F: 1\ncondition: s | count() by G > 5", "correlation");
    refused("s:\n  F: 1\ntimeframe: 5m\ncondition: s", "correlation");
    refused("s:\n  F: 1\ncondition: t", "no selection");
    refused("s:\n  F: 1", "no condition");
    refused("s:\n  F: *x\ncondition: s", "quoted");
}

fn lists() -> Placeholders {
    let mut lists = Placeholders::new();
    let texts = |values: &[&str]| values.iter().map(|v| (*v).to_owned()).collect();
    lists.insert("Administrators", texts(&["adm_*", "root", r"a\*b"])).unwrap();
    lists.insert("Servers", texts(&["srv?", "10.1.0.0/16", "dc01.dijon.example"])).unwrap();
    lists.insert("Networks", texts(&["10.1.0.0/16", "2001:db8::/32"])).unwrap();
    lists
}

#[expect(clippy::needless_pass_by_value, reason = "each call makes its event in place")]
#[track_caller]
fn expanded(line: &str, data: Value, expected: bool) {
    let text = rule_text(&format!("s:\n  {line}\ncondition: s"));
    let loaded = detect::parse_with(&text, Path::new("spec.yml"), &lists());
    assert!(loaded.refused.is_empty(), "{:?}", loaded.refused);
    let event = event(&data);
    assert_eq!(eval::holds(&loaded.rules[0], &event), expected, "plain: {line}\n{data}");
    let mut out = Vec::new();
    Engine::new(loaded.rules).matches(&event, &mut Scratch::new(), &mut out);
    assert_eq!(!out.is_empty(), expected, "engine: {line}\n{data}");
}

#[test]
fn placeholders_stand_for_their_lists() {
    expanded("F|expand: '%Administrators%'", json!({"F": "ADM_zoe"}), true);
    expanded("F|expand: '%Administrators%'", json!({"F": "root"}), true);
    expanded("F|expand: '%Administrators%'", json!({"F": "rooty"}), false);
    expanded("F|expand: '%Administrators%'", json!({"F": "a*b"}), true);
    expanded("F|expand: '%Administrators%'", json!({"F": "axb"}), false);
    expanded("F|expand|contains: 'x%Servers%y'", json!({"F": "-xsrv1y-"}), true);
    expanded("F|expand|contains: 'x%Servers%y'", json!({"F": "xsrvy"}), false);
    expanded("F|endswith|expand: '%Administrators%'", json!({"F": r"DIJON\root"}), true);
    expanded(r"F|expand: 'DIJON\\%Administrators%'", json!({"F": r"dijon\root"}), true);
    // By the specification `\%` is a percent sign.
    expanded(r"F|expand: '\%plain%Administrators%'", json!({"F": "%plainroot"}), true);
    // Without expand a percent sign is one.
    expanded("F: '%Administrators%'", json!({"F": "%administrators%"}), true);
    expanded("F: '%Administrators%'", json!({"F": "root"}), false);
    expanded("F|expand: '50% of %Administrators%'", json!({"F": "50% of root"}), true);
    // Any of a list; with all, any of each.
    expanded(
        "F|contains|expand|all: ['%Administrators%', '%Servers%']",
        json!({"F": "root on srv9"}),
        true,
    );
    expanded("F|contains|expand|all: ['%Administrators%', x]", json!({"F": "root"}), false);
    expanded("F|expand|neq: '%Administrators%'", json!({"F": "root"}), false);
    expanded("F|expand|neq: '%Administrators%'", json!({"F": "zoe"}), true);
    expanded("F|expand|cased: '%Administrators%'", json!({"F": "ROOT"}), false);
    expanded("F|cidr|expand: '%Networks%'", json!({"F": "2001:db8::1"}), true);
    expanded("F|expand|cidr: ['%Networks%', 192.0.2.0/24]", json!({"F": "10.2.0.1"}), false);
    expanded("F|re|expand: '^%Administrators%$'", json!({"F": "adm_x"}), true);
    expanded("F|re|expand: '^%Servers%$'", json!({"F": "dc01xdijon.example"}), false);
    expanded(
        "F|expand|base64offset|contains: '%Word%'".replace("Word", "Networks").as_str(),
        json!({"F": "eDEwLjEuMC4wLzE2"}),
        true,
    );
    expanded("'|expand': '%Administrators%'", json!({"F": "by root."}), true);
}

#[test]
fn placeholders_without_values_are_refused() {
    let text = rule_text("s:\n  F|expand: '%Workstations%'\ncondition: s");
    let loaded = detect::parse_with(&text, Path::new("spec.yml"), &lists());
    let refusal = loaded.refused[0].to_string();
    assert!(refusal.starts_with("spec.yml:5: "), "{refusal}");
    assert!(refusal.contains("%Workstations%") && refusal.contains("Administrators"), "{refusal}");
    assert!(
        refusal.contains("Workstations.txt") && refusal.contains("rules.placeholders"),
        "{refusal}"
    );
    // A list of other values makes another version of the rule.
    let text = rule_text("s:\n  F|expand: '%Networks%'\ncondition: s");
    let mut other = lists();
    let one = detect::parse_with(&text, Path::new("spec.yml"), &other);
    other.insert("Networks", vec!["x".into()]).unwrap();
    let two = detect::parse_with(&text, Path::new("spec.yml"), &other);
    assert_ne!(one.rules[0].version(), two.rules[0].version());
    assert_eq!(one.rules[0].id(), two.rules[0].id());
}

#[test]
fn modifiers_combine_in_their_order() {
    line("F|re|startswith: 'a.c'", json!({"F": "abcd"}), true);
    line("F|re|startswith: 'a.c|x'", json!({"F": "-abc"}), false);
    line("F|re|startswith|m: 'a.c'", json!({"F": "-\nabc"}), false);
    line("F|re|endswith: 'x|a.c'", json!({"F": "-abc"}), true);
    line("F|re|endswith: 'x|a.c'", json!({"F": "x-"}), false);
    line("F|re|i|contains: 'A.C'", json!({"F": "-abc-"}), true);
    line("F|all|re: ['a', 'b']", json!({"F": ["xa", "xb"]}), true);
    line("F|neq|re: 'a'", json!({"F": "b"}), true);
    line("F|re|neq|all: ['a', 'b']", json!({"F": "ac"}), true);
    line("F|cidr|neq: 10.0.0.0/8", json!({"F": "11.0.0.1"}), true);
    line("F|exists|neq: true", json!({}), true);
    line("F|gte|neq: 5", json!({"F": 4}), true);
    line("F|gte|all: [5, 7]", json!({"F": 6}), false);
    line("F|hour|lt: 8", json!({"F": "2026-03-03T07:59:59Z"}), true);
    line("F|lt|hour: 8", json!({"F": "2026-03-03T07:59:59Z"}), true);
    line("F|base64|startswith: foo", json!({"F": "Zm9vYmFy"}), true);
    line("F|wide|base64|cased: a", json!({"F": "YQA="}), true);
    line("F|base64|base64: foobar", json!({"F": "Wm05dlltRnk="}), true);
    line("F|windash|base64|contains: -a", json!({"F": "x4oCTYQ=="}), true);
    line("F|contains|all|windash: [' -a', ' /b']", json!({"F": "x /a -b"}), true);
    line("F|endswith|cased: '.EXE'", json!({"F": "a.exe"}), false);
    line("F|cased|endswith: '.EXE'", json!({"F": "a.EXE"}), true);
    line("F|contains: 5", json!({"F": 152}), true);
    line("F|startswith: ''", json!({"F": "x"}), true);
    line("F|contains: ''", json!({}), false);
    line("F|contains: '*'", json!({"F": ""}), true);
    line("F|utf16be: ab", json!({"F": "\0a\0b"}), true);
}

#[test]
fn regular_expressions_are_those_of_pcre() {
    line(r"F|re: '\<script\>'", json!({"F": "x<script>"}), true);
    line(r"F|re: '^[a[b]c]$'", json!({"F": "[c]"}), true);
    line(r"F|re: '^[&&]+$'", json!({"F": "&&"}), true);
    line(r"F|re: '\{[a-z]+}'", json!({"F": "{abc}"}), true);
    line(r"F|re: '{[a-z]+}'", json!({"F": "{abc}"}), true);
    line(r"F|re: '\x41\/b'", json!({"F": "A/b"}), true);
    line(r"F|re: '\d{1,3}\.\d{1,3}'", json!({"F": "10.1"}), true);
    line(r"F|re|i: 'É+'", json!({"F": "éÉ"}), true);
}

#[test]
fn a_selection_may_mix_and_nest_lists() {
    check("s:\n  - - A: 1\n    - B: 2\n  - word\ncondition: s", &json!({"B": 2}), true);
    check("s:\n  - - A: 1\n    - B: 2\n  - word\ncondition: s", &json!({"C": "a word"}), true);
    check("s:\n  '': needle\ncondition: s", &json!({"F": "a needle"}), true);
    check("s:\n  '|contains': [a1, b2]\n  F: x\ncondition: s", &json!({"F": "x", "G": "b2"}), true);
    check("s:\n  F: [1, 'a*', null]\ncondition: s", &json!({}), true);
    check("s:\n  F|all: ['a*', '*b', '*c*']\ncondition: s", &json!({"F": "acb"}), true);
    check("a-b:\n  F: 1\nc.d:\n  G: 1\ncondition: a-b and not c.d", &json!({"F": 1}), true);
    check(
        "s1:\n  F: 1\ns2:\n  G: 1\ncondition: NOT (s1 AND 1 OF s*) OR all of S*"
            .replace("S*", "s*")
            .as_str(),
        &json!({"F": 2}),
        true,
    );
    check("not_s:\n  F: 1\norder:\n  G: 1\ncondition: not not_s or order", &json!({"F": 1}), false);
}
