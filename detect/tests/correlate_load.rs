//! Correlation documents: what loads, and what is refused where and why.

use std::path::Path;

use detect::{Correlations, Linked, Loaded};

const RULES: &str = "title: A
id: 00000000-0000-4000-8000-00000000000a
name: rule_a
logsource: {product: windows, service: security}
detection: {s: {EventID: 4625}, condition: s}
level: low
---
title: B
id: 00000000-0000-4000-8000-00000000000b
name: rule_b
logsource: {product: windows, category: process_creation}
detection: {s: {Image|endswith: x.exe}, condition: s}
level: medium
---
";

fn load(correlations: &str) -> (Linked, Vec<String>) {
    let loaded: Loaded = detect::parse(&format!("{RULES}{correlations}"), Path::new("f.yml"));
    assert_eq!(loaded.rules.len(), 2, "its neighbours stay");
    let linked = Correlations::link(loaded.correlations, &loaded.rules);
    let refused = loaded.refused.iter().chain(&linked.refused).map(ToString::to_string).collect();
    (linked, refused)
}

/// One correlation, with what is given in its section.
fn one(section: &str) -> String {
    let lines: String = section.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "title: C\nid: 00000000-0000-4000-8000-0000000000c0\nname: corr\ncorrelation:\n{lines}---\n"
    )
}

fn refusal(section: &str) -> String {
    let (linked, refused) = load(&one(section));
    assert!(linked.correlations.is_empty(), "{section}");
    assert_eq!(refused.len(), 1, "{section}: {refused:?}");
    refused[0].clone()
}

#[test]
fn what_is_wrong_is_refused_with_its_line_and_why() {
    // The section begins on line 19.
    let count = "type: event_count\nrules: [rule_a]\ntimespan: 5m\ncondition: {gte: 3}\n";
    let (linked, refused) = load(&one(count));
    assert_eq!((linked.correlations.len(), refused.len()), (1, 0), "{refused:?}");
    for (section, line, reason) in [
        (count.replace("event_count", "event_counts"), 19, "\"event_counts\" is none; it is one of"),
        (count.replace("type: event_count\n", ""), 19, "no type"),
        (count.replace("rule_a", "rule_c"), 20, "no loaded rule has the id or name \"rule_c\""),
        (count.replace("[rule_a]", "[rule_a, rule_a]"), 20, "twice"),
        (
            count.replace("[rule_a]", "[rule_a, 00000000-0000-4000-8000-00000000000a]"),
            20,
            "twice",
        ),
        (count.replace("rules: [rule_a]\n", ""), 19, "refers to no rules"),
        (count.replace("5m", "5 minutes"), 21, "timespan \"5 minutes\" is none"),
        (count.replace("5m", "0s"), 21, "no time at all"),
        (count.replace("timespan: 5m\n", ""), 19, "no timespan"),
        (count.replace("{gte: 3}", "{gte: many}"), 22, "must be a number"),
        (count.replace("{gte: 3}", "{}"), 22, "compares with nothing"),
        (count.replace("{gte: 3}", "{lt: 1}"), 22, "can never hold"),
        (count.replace("{gte: 3}", "{gt: 5, lt: 6}"), 22, "can never hold"),
        (count.replace("{gte: 3}", "{ge: 3}"), 22, "means nothing there"),
        (count.replace("{gte: 3}", "{gte: 3, field: User}"), 22, "use value_count"),
        (count.replace("{gte: 3}", "{gte: 2000000}"), 22, "beyond 1000000"),
        (count.replace("{gte: 3}", "rule_a"), 22, "takes a comparison"),
        (count.replace("condition: {gte: 3}\n", ""), 19, "no condition"),
        (count.replace("event_count", "value_count"), 22, "needs the field"),
        (count.replace("event_count", "value_sum"), 22, "needs the field"),
        (
            count.replace("event_count", "value_avg").replace("gte: 3", "gte: 3, field: [a, b]"),
            22,
            "one field",
        ),
        (
            count
                .replace("event_count", "value_percentile")
                .replace("gte: 3", "gte: 3, field: a, percentile: 101"),
            22,
            "from 0 to 100",
        ),
        (format!("{count}group_by: [User]\n"), 23, "write group-by"),
        (format!("{count}generate: maybe\n"), 23, "true or false"),
        (format!("{count}aliases: [a]\n"), 23, "aliases must be"),
        (
            format!("{count}aliases:\n  who:\n    rule_b: User\n"),
            25,
            "\"rule_b\", which is not among the correlation's rules",
        ),
        (
            format!("{count}aliases:\n  who:\n    nobody: User\n"),
            25,
            "\"nobody\", which is not among the correlation's rules",
        ),
        (
            "type: temporal\nrules: [rule_a, rule_b]\ntimespan: 5m\ngroup-by: [who]\naliases:\n  who:\n    rule_a: TargetUserName\n".to_owned(),
            25,
            "gives no field of the rule \"rule_b\"",
        ),
        (
            "type: temporal\nrules: [rule_a, rule_b]\ntimespan: 5m\ncondition: rule_a and rule_c\n"
                .to_owned(),
            22,
            "\"rule_c\", which is not among",
        ),
        (
            "type: temporal\nrules: [rule_a, rule_b]\ntimespan: 5m\ncondition: not rule_a\n".to_owned(),
            20,
            "\"rule_b\" is not in the condition",
        ),
        (
            "type: temporal_ordered\nrules: [rule_a, rule_b]\ntimespan: 5m\ncondition: {lt: 2}\n"
                .to_owned(),
            22,
            "it can not",
        ),
        (
            "type: temporal_ordered\nrules: [rule_a, rule_b]\ntimespan: 5m\ncondition: {gte: 3}\n"
                .to_owned(),
            22,
            "asks for 3 rules",
        ),
    ] {
        let refused = refusal(&section);
        assert!(
            refused.starts_with(&format!("f.yml:{line}: ")) && refused.contains(reason),
            "{section}\n{refused}, not {line}: {reason}"
        );
    }
}

#[test]
fn chains_load_and_circles_do_not() {
    let of = |id: u8, name: &str, rules: &str, extra: &str| {
        format!(
            "title: {name}\nid: 00000000-0000-4000-8000-0000000000c{id}\nname: {name}\n{extra}correlation: {{type: temporal, rules: [{rules}], group-by: [User], timespan: 5m}}\n---\n"
        )
    };
    let (linked, refused) = load(&format!(
        "{}{}",
        of(0, "outer", "inner, rule_b", ""),
        of(1, "inner", "rule_a", "level: high\n")
    ));
    assert_eq!(refused, Vec::<String>::new());
    let order: Vec<_> = linked.correlations.rules().map(|rule| rule.title().to_owned()).collect();
    assert_eq!(order, ["inner", "outer"]);
    // Without a level of its own it has the highest of its rules.
    let levels: Vec<_> = linked.correlations.rules().map(|rule| rule.level()).collect();
    assert_eq!(levels, [event::Level::High; 2]);

    let (linked, refused) = load(&format!(
        "{}{}{}{}",
        of(0, "a", "b", ""),
        of(1, "b", "a, rule_a", ""),
        of(2, "onto", "a", ""),
        of(3, "fine", "rule_a", "")
    ));
    assert_eq!(linked.correlations.len(), 1, "{refused:?}");
    assert_eq!(refused.len(), 3);
    assert!(
        refused.iter().filter(|r| r.contains("refers to itself: ")).count() == 2,
        "{refused:?}"
    );
    assert!(refused[2].contains("\"a\", which is refused"), "{refused:?}");

    let deep: String = (0..9)
        .map(|n| {
            of(
                n,
                &format!("d{n}"),
                &if n == 0 { "rule_a".into() } else { format!("d{}", n - 1) },
                "",
            )
        })
        .collect();
    let (linked, refused) = load(&deep);
    assert_eq!((linked.correlations.len(), refused.len()), (8, 1));
    assert!(refused[0].contains("deeper than 8"), "{refused:?}");
}

#[test]
fn what_spans_communes_feeds_nothing_within_one() {
    let of = |id: u8, name: &str, rules: &str, extra: &str| {
        format!(
            "title: {name}\nid: 00000000-0000-4000-8000-0000000000c{id}\nname: {name}\n{extra}correlation: {{type: temporal, rules: [{rules}], timespan: 5m}}\n---\n"
        )
    };
    let spanning = "jacquemart: {scope: metropole}\n";
    let (_, refused) =
        load(&format!("{}{}", of(0, "wide", "rule_a", spanning), of(1, "own", "wide", "")));
    assert!(refused.len() == 1 && refused[0].contains("spans communes"), "{refused:?}");
    let (linked, refused) =
        load(&format!("{}{}", of(0, "own", "rule_a", ""), of(1, "wide", "own", spanning)));
    assert_eq!((linked.correlations.len(), refused.len()), (2, 0));
    let (_, refused) = load(&of(0, "odd", "rule_a", "jacquemart: {scope: planet}\n"));
    assert!(refused[0].contains("scope: metropole"), "{refused:?}");
}

#[test]
fn rules_are_quiet_unless_a_correlation_generates_them() {
    let of = |id: u8, generate: &str| {
        format!(
            "title: c{id}\nid: 00000000-0000-4000-8000-0000000000c{id}\ncorrelation: {{type: event_count, rules: [rule_a], timespan: 5m, condition: {{gte: 2}}{generate}}}\n---\n"
        )
    };
    const A: &str = "00000000-0000-4000-8000-00000000000a";
    const B: &str = "00000000-0000-4000-8000-00000000000b";
    let (linked, _) = load(&of(0, ""));
    assert!(linked.correlations.is_quiet(A) && linked.correlations.reads(A));
    assert!(!linked.correlations.is_quiet(B) && !linked.correlations.reads(B));
    let (linked, _) = load(&format!("{}{}", of(0, ""), of(1, ", generate: true")));
    assert!(!linked.correlations.is_quiet(A) && linked.correlations.reads(A));
}

#[test]
fn oddities_are_warned_of() {
    let text = one(
        "type: value_percentile\nrules: [rule_a]\ntimespan: 5m\ncondition: {field: NoSuchField, gte: 3}\naliases:\n  unused:\n    rule_a: x\n",
    );
    let loaded = detect::parse(&format!("{RULES}{text}"), Path::new("f.yml"));
    assert!(loaded.warnings[0].reason.contains("95 is taken"), "{:?}", loaded.warnings);
    let linked = Correlations::link(loaded.correlations, &loaded.rules);
    let warnings: Vec<_> = linked.warnings.iter().map(|w| w.reason.clone()).collect();
    assert!(
        warnings.iter().any(|w| w.contains("nothing uses the alias \"unused\"")),
        "{warnings:?}"
    );
}

#[test]
fn two_of_one_name_or_id_are_told() {
    let twice = "title: B2\nid: 00000000-0000-4000-8000-0000000000b2\nname: rule_a\ncorrelation: {type: event_count, rules: [rule_b], timespan: 5m, condition: {gte: 2}}\n---\n";
    let (_, refused) = load(&format!(
        "{twice}{}",
        one("type: event_count\nrules: [rule_a]\ntimespan: 5m\ncondition: {gte: 3}\n")
    ));
    assert!(refused[0].contains("2 loaded rules have the name \"rule_a\""), "{refused:?}");
    let same = one("type: event_count\nrules: [rule_a]\ntimespan: 5m\ncondition: {gte: 3}\n");
    let (linked, refused) = load(&format!("{same}{same}"));
    assert_eq!((linked.correlations.len(), refused.len()), (1, 0), "{refused:?}");
    let (linked, refused) = load(&format!("{same}{}", same.replace("gte: 3", "gte: 4")));
    assert_eq!(linked.correlations.len(), 1);
    assert!(refused[0].contains("already that of another rule, at f.yml:15"), "{refused:?}");
}
