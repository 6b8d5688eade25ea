//! Correlations said plainly: what is generated, its YAML, and what it means.

use std::collections::{BTreeSet, HashMap};

use event::{BusId, Contribution, Detection, EventId, MatchedField, Timestamp};
use proptest::prelude::*;

/// Rules that correlations are generated over.
pub(crate) const RULES: usize = 3;

/// A generated correlation. What it refers to below [`RULES`] is a rule, above an earlier
/// correlation.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) kind: &'static str,
    pub(crate) rules: Vec<usize>,
    pub(crate) group_by: Vec<&'static str>,
    /// Whether `who` is an alias, of `u` in the first rule and of `w` in the others.
    pub(crate) alias: bool,
    pub(crate) timespan_s: i64,
    pub(crate) condition: Cond,
    pub(crate) percentile: u32,
    pub(crate) generate: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Cond {
    Compare(Vec<(&'static str, i64)>),
    Words(Words),
    /// None written: all rules.
    All,
}

/// An expression over a correlation's own rules, by their place.
#[derive(Clone, Debug)]
pub(crate) enum Words {
    Rule(usize),
    Not(Box<Words>),
    And(Box<Words>, Box<Words>),
    Or(Box<Words>, Box<Words>),
}

impl Words {
    fn text(&self, names: &[String]) -> String {
        match self {
            Self::Rule(place) => names[*place].clone(),
            Self::Not(inner) => format!("not {}", inner.text(names)),
            Self::And(a, b) => format!("({} and {})", a.text(names), b.text(names)),
            Self::Or(a, b) => format!("({} or {})", a.text(names), b.text(names)),
        }
    }

    fn places(&self, out: &mut BTreeSet<usize>) {
        match self {
            Self::Rule(place) => {
                out.insert(*place);
            }
            Self::Not(inner) => inner.places(out),
            Self::And(a, b) | Self::Or(a, b) => {
                a.places(out);
                b.places(out);
            }
        }
    }

    /// Whether it holds where the rules in `there` count as matched and those in `absent` as
    /// not; a rule may be in neither.
    fn holds(&self, there: &BTreeSet<usize>, absent: &BTreeSet<usize>, positive: bool) -> bool {
        match (self, positive) {
            (Self::Rule(place), true) => there.contains(place),
            (Self::Rule(place), false) => absent.contains(place),
            (Self::Not(inner), _) => inner.holds(there, absent, !positive),
            (Self::And(a, b), true) | (Self::Or(a, b), false) => {
                a.holds(there, absent, positive) && b.holds(there, absent, positive)
            }
            (Self::Or(a, b), true) | (Self::And(a, b), false) => {
                a.holds(there, absent, positive) || b.holds(there, absent, positive)
            }
        }
    }
}

fn name(rule: usize) -> String {
    if rule < RULES { format!("r{rule}") } else { format!("c{}", rule - RULES) }
}

fn id(rule: usize) -> String {
    format!("00000000-0000-4000-8000-{rule:012}")
}

/// The rules and the correlations as documents of one file.
pub(crate) fn yaml(specs: &[Spec]) -> String {
    let mut text = String::new();
    for rule in 0..RULES {
        text.push_str(&format!(
            "title: {0}\nid: {1}\nname: {0}\nlogsource: {{product: windows, category: process_creation}}\ndetection: {{s: {{Image: x}}, condition: s}}\nlevel: low\n---\n",
            name(rule),
            id(rule),
        ));
    }
    for (place, spec) in specs.iter().enumerate() {
        let names: Vec<String> = spec.rules.iter().map(|rule| name(*rule)).collect();
        text.push_str(&format!(
            "title: {0}\nid: {1}\nname: {0}\ncorrelation:\n  type: {2}\n  rules: [{3}]\n  group-by: [{4}]\n  timespan: {5}s\n  generate: {6}\n",
            name(RULES + place),
            id(RULES + place),
            spec.kind,
            names.join(", "),
            spec.group_by.join(", "),
            spec.timespan_s,
            spec.generate,
        ));
        let extra = match spec.kind {
            "value_percentile" => format!("field: v, percentile: {}, ", spec.percentile),
            kind if kind.starts_with("value") => "field: v, ".to_owned(),
            _ => String::new(),
        };
        match &spec.condition {
            Cond::Compare(ops) => {
                let ops: Vec<String> = ops.iter().map(|(op, n)| format!("{op}: {n}")).collect();
                text.push_str(&format!("  condition: {{{extra}{}}}\n", ops.join(", ")));
            }
            Cond::Words(words) => {
                text.push_str(&format!("  condition: {}\n", words.text(&names)));
            }
            Cond::All => {}
        }
        if spec.alias {
            text.push_str("  aliases:\n    who:\n");
            for (member, rule) in names.iter().enumerate() {
                let field = if member == 0 { "u" } else { "w" };
                text.push_str(&format!("      {rule}: {field}\n"));
            }
        }
        text.push_str("---\n");
    }
    text
}

fn arb_words(rules: usize, may_not: bool) -> impl Strategy<Value = Words> {
    let leaf = (0..rules).prop_map(Words::Rule);
    leaf.prop_recursive(3, 6, 2, move |inner| {
        let not = inner.clone().prop_map(
            move |words| {
                if may_not { Words::Not(Box::new(words)) } else { words }
            },
        );
        prop_oneof![
            2 => (inner.clone(), inner.clone())
                .prop_map(|(a, b)| Words::And(Box::new(a), Box::new(b))),
            2 => (inner.clone(), inner)
                .prop_map(|(a, b)| Words::Or(Box::new(a), Box::new(b))),
            1 => not,
        ]
    })
}

fn arb_compare(most: i64) -> impl Strategy<Value = Vec<(&'static str, i64)>> {
    prop_oneof![
        4 => (1..=most).prop_map(|n| vec![("gte", n)]),
        2 => (0..most).prop_map(|n| vec![("gt", n)]),
        1 => (2..=most).prop_map(|n| vec![("lt", n)]),
        1 => (1..=most).prop_map(|n| vec![("lte", n)]),
        1 => (1..=most).prop_map(|n| vec![("eq", n)]),
        1 => (1..=most).prop_map(|n| vec![("neq", n)]),
        1 => (1..=most, 0..4_i64).prop_map(|(n, more)| vec![("gte", n), ("lte", n + more)]),
    ]
}

fn arb_spec(place: usize) -> impl Strategy<Value = Spec> {
    let kinds = prop::sample::select(vec![
        "event_count",
        "value_count",
        "value_sum",
        "value_avg",
        "value_min",
        "value_max",
        "value_median",
        "value_percentile",
        "temporal",
        "temporal_ordered",
        "temporal",
        "temporal_ordered",
    ]);
    let rules =
        prop::sample::subsequence((0..RULES + place).collect::<Vec<_>>(), 1..=3).prop_shuffle();
    let groups = prop::sample::select(vec![vec![], vec!["u"], vec!["who"], vec!["u", "w"]]);
    (kinds, rules, groups, 1..20_i64, 0..100_u32, any::<bool>()).prop_flat_map(
        |(kind, rules, group_by, timespan_s, percentile, generate)| {
            let most = i64::try_from(rules.len()).unwrap();
            let count = rules.len();
            let condition = match kind {
                "temporal" => prop_oneof![
                    Just(Cond::All),
                    arb_compare(most.max(2)).prop_map(Cond::Compare),
                    arb_words(count, true).prop_map(Cond::Words),
                ]
                .boxed(),
                "temporal_ordered" => prop_oneof![
                    Just(Cond::All),
                    (1..=most).prop_map(|n| Cond::Compare(vec![("gte", n)])),
                    arb_words(count, false).prop_map(Cond::Words),
                    // Something that must match and something that must not.
                    (0..count, 0..count).prop_map(|(a, b)| Cond::Words(Words::And(
                        Box::new(Words::Rule(a)),
                        Box::new(Words::Or(
                            Box::new(Words::Not(Box::new(Words::Rule(b)))),
                            Box::new(Words::Rule(a)),
                        )),
                    ))),
                ]
                .boxed(),
                "event_count" | "value_count" => arb_compare(6).prop_map(Cond::Compare).boxed(),
                _ => arb_compare(20).prop_map(Cond::Compare).boxed(),
            };
            condition.prop_map(move |mut condition| {
                let mut rules = rules.clone();
                if let Cond::Words(words) = &condition {
                    // Every rule has to be in the condition.
                    let mut used = BTreeSet::new();
                    words.places(&mut used);
                    if used.len() < rules.len() {
                        condition = Cond::All;
                    }
                }
                rules.dedup();
                let alias = group_by.contains(&"who");
                Spec {
                    kind,
                    rules,
                    group_by: group_by.clone(),
                    alias,
                    timespan_s,
                    condition,
                    percentile,
                    generate,
                }
            })
        },
    )
}

/// Correlations, each of rules and of those before it.
pub(crate) fn arb_specs() -> impl Strategy<Value = Vec<Spec>> {
    (arb_spec(0), arb_spec(1), arb_spec(2), 1..=3_usize)
        .prop_map(|(a, b, c, count)| [a, b, c].into_iter().take(count).collect())
}

/// The match number `n` of a rule.
pub(crate) fn contribution(
    rule: usize,
    n: u64,
    happened_s: i64,
    received_s: i64,
    values: &[(&str, &str)],
) -> Contribution {
    let values = values.iter().map(|(field, value)| MatchedField {
        field: (*field).to_owned(),
        value: (*value).to_owned(),
    });
    Contribution {
        rule: id(rule),
        commune: "dijon".parse().unwrap(),
        feed: "feed".parse().unwrap(),
        format: "windows".parse().unwrap(),
        event_id: EventId::of(BusId::from_bytes([7; 16]), 0, n, Timestamp::from_secs(0)),
        timestamp: Timestamp::from_secs(happened_s),
        received: Timestamp::from_secs(received_s),
        entities: vec![],
        values: values.collect(),
    }
}

/// Matches that come up to five seconds after they happened, in the order in which they come.
pub(crate) fn arb_stream() -> impl Strategy<Value = Vec<Contribution>> {
    let user = prop::sample::select(vec!["ana", "ANA", "bo", "Élise", "élise", ""]);
    let one = (0..RULES, 0..60_i64, 0..=5_i64, user.clone(), user, 0..40_i64, 0..10_u8);
    prop::collection::vec(one, 1..60).prop_map(|matches| {
        let mut stream: Vec<Contribution> = Vec::new();
        for ((rule, at, delay, u, w, v, odd), n) in matches.into_iter().zip(0..) {
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let number = (v as f64 / 4.0).to_string();
            let v = if odd == 0 { "not a number".to_owned() } else { number };
            let mut values = vec![("v", v.as_str())];
            values.extend((!u.is_empty()).then_some(("u", u)));
            values.extend((!w.is_empty()).then_some(("w", w)));
            // One event in four matches the rule before too.
            if odd > 7 && rule > 0 {
                stream.push(contribution(rule - 1, n, at, at + delay, &values));
            }
            stream.push(contribution(rule, n, at, at + delay, &values));
        }
        stream.sort_by_key(|contribution| contribution.received);
        stream
    })
}

/// What is compared of a detection: rule, group, end, the event that completed it, the value,
/// and the events of the window.
pub(crate) type Seen = (String, Vec<(String, String)>, Timestamp, EventId, String, Vec<EventId>);

/// What is compared of `detections`, sorted.
pub(crate) fn seen(detections: &[Detection]) -> Vec<Seen> {
    let mut seen: Vec<Seen> = detections
        .iter()
        .map(|detection| {
            let correlation = detection.correlation.as_ref().unwrap();
            let group = correlation.group.iter();
            let temporal = correlation.kind.starts_with("temporal");
            assert_eq!(correlation.events.len() as u64, correlation.events_total);
            (
                detection.rule.name.clone(),
                group.map(|g| (g.field.clone(), g.value.clone())).collect(),
                detection.timestamp,
                detection.event_id,
                if temporal { String::new() } else { format!("{:.6}", correlation.value) },
                if temporal { vec![] } else { correlation.events.clone() },
            )
        })
        .collect();
    seen.sort();
    seen
}

/// A match of a correlation: a rule's, or that of a correlation it refers to, by which way it
/// came.
#[derive(Clone)]
struct Hit<'c> {
    contribution: &'c Contribution,
    member: usize,
}

/// A correlation having fired on a match that came by `path`: from it down, the member of each.
#[derive(Clone)]
struct Path(Vec<usize>);

/// What `specs` make of `stream`, sorted.
pub(crate) fn oracle(specs: &[Spec], stream: &[Contribution]) -> Vec<Seen> {
    let mut sorted: Vec<&Contribution> = stream.iter().collect();
    sorted.sort_by_key(|c| (c.timestamp, c.event_id, c.rule.clone()));
    let mut history: Vec<HashMap<Vec<String>, Vec<Hit<'_>>>> = vec![HashMap::new(); specs.len()];
    let mut quiet: Vec<HashMap<Vec<String>, Timestamp>> = vec![HashMap::new(); specs.len()];
    let mut out = Vec::new();
    for contribution in sorted {
        let mut fired: Vec<Vec<Path>> = vec![Vec::new(); specs.len()];
        for (place, spec) in specs.iter().enumerate() {
            for (member, target) in spec.rules.iter().enumerate() {
                let paths = match target.checked_sub(RULES) {
                    None if contribution.rule == id(*target) => vec![Path(vec![member])],
                    None => vec![],
                    Some(other) => fired[other]
                        .iter()
                        .map(|path| Path([vec![member], path.0.clone()].concat()))
                        .collect(),
                };
                for path in paths {
                    let read = |name: &str| value(specs, place, &path, name, contribution);
                    let group: Option<Vec<String>> =
                        spec.group_by.iter().map(|name| read(name)).collect();
                    let looked = read("v");
                    let (Some(shown), Some(looked)) = (group, looked) else { continue };
                    let numeric = spec.kind.starts_with("value") && spec.kind != "value_count";
                    if numeric && looked.parse::<f64>().is_err() {
                        continue;
                    }
                    let key: Vec<String> = shown.iter().map(|v| v.to_lowercase()).collect();
                    let hits = history[place].entry(key.clone()).or_default();
                    let again = hits.iter().any(|hit| {
                        hit.contribution.event_id == contribution.event_id && hit.member == member
                    });
                    if again {
                        continue;
                    }
                    hits.push(Hit { contribution, member });
                    let end = contribution.timestamp;
                    let after =
                        Timestamp::from_nanos(end.as_nanos() - spec.timespan_s * 1_000_000_000);
                    let window: Vec<&Hit<'_>> =
                        hits.iter().filter(|hit| hit.contribution.timestamp > after).collect();
                    if quiet[place].get(&key).is_some_and(|until| end < *until) {
                        continue;
                    }
                    let Some(computed) = holds(spec, &window) else { continue };
                    let until = end.as_nanos() + spec.timespan_s * 1_000_000_000;
                    quiet[place].insert(key, Timestamp::from_nanos(until));
                    fired[place].push(path);
                    if is_quiet(specs, place) {
                        continue;
                    }
                    let temporal = spec.kind.starts_with("temporal");
                    let mut ids: Vec<_> = window
                        .iter()
                        .map(|hit| (hit.contribution.timestamp, hit.contribution.event_id))
                        .collect();
                    ids.sort();
                    out.push((
                        name(RULES + place),
                        spec.group_by.iter().map(|g| (*g).to_owned()).zip(shown).collect(),
                        end,
                        contribution.event_id,
                        if temporal { String::new() } else { format!("{computed:.6}") },
                        if temporal { vec![] } else { ids.into_iter().map(|(_, id)| id).collect() },
                    ));
                }
            }
        }
    }
    out.sort();
    out
}

fn is_quiet(specs: &[Spec], place: usize) -> bool {
    let mut referring =
        specs.iter().filter(|spec| spec.rules.contains(&(RULES + place))).peekable();
    referring.peek().is_some() && referring.all(|spec| !spec.generate)
}

/// The value of `name` in a match that came by `path`, through the aliases on the way down.
fn value(
    specs: &[Spec],
    place: usize,
    path: &Path,
    name: &str,
    contribution: &Contribution,
) -> Option<String> {
    let (mut place, mut name) = (place, name);
    for member in &path.0 {
        let spec = &specs[place];
        if spec.alias && name == "who" {
            name = if *member == 0 { "u" } else { "w" };
        }
        if let Some(below) = spec.rules[*member].checked_sub(RULES) {
            place = below;
        }
    }
    let found = contribution.values.iter().find(|value| value.field == name)?;
    Some(found.value.clone())
}

/// What the condition was asked of, where it holds over `window`.
fn holds(spec: &Spec, window: &[&Hit<'_>]) -> Option<f64> {
    let texts = || {
        window.iter().filter_map(|hit| {
            let values = &hit.contribution.values;
            values.iter().find(|value| value.field == "v").map(|value| value.value.clone())
        })
    };
    let mut numbers: Vec<f64> = texts().filter_map(|text| text.parse().ok()).collect();
    numbers.sort_by(f64::total_cmp);
    let there: BTreeSet<usize> = window.iter().map(|hit| hit.member).collect();
    #[expect(clippy::cast_precision_loss, reason = "small")]
    let of = |n: usize| n as f64;
    let computed = match spec.kind {
        "event_count" => of(window.len()),
        "value_count" => of(texts().map(|v| v.to_lowercase()).collect::<BTreeSet<_>>().len()),
        "value_sum" => numbers.iter().sum(),
        "value_avg" => numbers.iter().sum::<f64>() / of(numbers.len()),
        "value_min" => numbers[0],
        "value_max" => numbers[numbers.len() - 1],
        "value_median" if numbers.len() % 2 == 1 => numbers[numbers.len() / 2],
        "value_median" => f64::midpoint(numbers[numbers.len() / 2 - 1], numbers[numbers.len() / 2]),
        "value_percentile" => {
            let place = numbers.len() * spec.percentile as usize / 100;
            numbers[place.min(numbers.len() - 1)]
        }
        "temporal" => of(there.len()),
        _ => return ordered(spec, window, &there),
    };
    let holds = match &spec.condition {
        Cond::All => there.len() == spec.rules.len(),
        Cond::Compare(ops) => compare(ops, computed),
        Cond::Words(words) => {
            let absent = (0..spec.rules.len()).filter(|rule| !there.contains(rule)).collect();
            words.holds(&there, &absent, true)
        }
    };
    holds.then_some(computed)
}

fn compare(ops: &[(&str, i64)], value: f64) -> bool {
    #[expect(clippy::cast_precision_loss, clippy::float_cmp, reason = "small whole numbers")]
    ops.iter().all(|(op, bound)| match *op {
        "gt" => value > *bound as f64,
        "gte" => value >= *bound as f64,
        "lt" => value < *bound as f64,
        "lte" => value <= *bound as f64,
        "eq" => value == *bound as f64,
        _ => value != *bound as f64,
    })
}

/// Whether some of the rules matched in their order, none before the one before it, such that
/// the condition holds of them; what did not match at all counts as absent.
fn ordered(spec: &Spec, window: &[&Hit<'_>], there: &BTreeSet<usize>) -> Option<f64> {
    let rules = spec.rules.len();
    let absent: BTreeSet<usize> = (0..rules).filter(|rule| !there.contains(rule)).collect();
    (1_u32..1 << rules).find_map(|mask| {
        let chosen: BTreeSet<usize> = (0..rules).filter(|rule| mask >> rule & 1 == 1).collect();
        let holds = match &spec.condition {
            Cond::All => chosen.len() == rules,
            #[expect(clippy::cast_precision_loss, reason = "small")]
            Cond::Compare(ops) => compare(ops, chosen.len() as f64),
            Cond::Words(words) => words.holds(&chosen, &absent, true),
        };
        let mut from = Timestamp::MIN;
        let in_order = chosen.iter().all(|rule| {
            let times = window.iter().filter(|hit| hit.member == *rule);
            let next = times.map(|hit| hit.contribution.timestamp).filter(|at| *at >= from).min();
            from = next.unwrap_or(from);
            next.is_some()
        });
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let count = chosen.len() as f64;
        (holds && in_order).then_some(count)
    })
}
