//! Rules, filters and the log sources they are for.

use super::{
    dice::Dice,
    lines::{Line, any_line, line},
    values::quoted,
};

/// A rule with what a hint needs to know of it.
pub(crate) struct Made {
    pub(crate) yaml: String,
    /// Its lines; of a rule of one line, that one.
    pub(crate) lines: Vec<Line>,
    pub(crate) condition: &'static str,
    pub(crate) logsource: &'static str,
    /// Which kinds of event (see `events`) its log source covers.
    pub(crate) sources: &'static [usize],
}

/// Log sources, and the places in `events::SOURCES` of the events that belong to them.
pub(crate) const LOGSOURCES: &[(&str, &[usize])] = &[
    ("{product: windows}", &[0, 1, 2, 3, 5, 9]),
    ("{product: windows, category: process_creation}", &[0, 1, 5]),
    ("{category: process_creation}", &[0, 1, 4, 5]),
    ("{product: windows, service: security}", &[0]),
    ("{category: registry_set}", &[2]),
    ("{product: windows, category: registry_event}", &[2]),
    ("{service: system}", &[3]),
    ("{product: linux, category: process_creation}", &[4]),
    ("{product: sentinelone}", &[5]),
    ("{product: fortigate, service: traffic}", &[6]),
    ("{category: firewall}", &[6]),
    ("{product: okta, service: okta}", &[7]),
    ("{product: linux, service: auditd}", &[8]),
    ("{product: windows, category: ps_script}", &[9]),
    ("{product: windows, category: ps_script, service: powershell}", &[9]),
];

/// The log sources of a round: few, so that most of its events are offered to most of its rules.
pub(crate) fn logsources(number: usize) -> Vec<usize> {
    const ROUNDS: &[&[usize]] = &[
        &[0, 1, 2, 3],
        &[0, 4, 5],
        &[2, 7, 1],
        &[0, 13, 14],
        &[8, 2, 1],
        &[9, 10],
        &[0, 3, 6],
        &[11],
        &[12, 7],
        &[0, 1, 2, 8],
    ];
    ROUNDS[number % ROUNDS.len()].to_vec()
}

/// Conditions over `s0`, `s1`, `s2` and `_h`; the first is that of a rule of one line.
pub(crate) const CONDITIONS: &[&str] = &[
    "s0",
    "not s0",
    "s0 and s1",
    "s0 or s1",
    "s0 and not s1",
    "not s0 and s1 or s2",
    "s0 AND (s1 OR NOT s2)",
    "1 of s*",
    "any of s*",
    "all of s*",
    "1 of them",
    "all of them",
    "not 1 of s*",
    "not all of them",
    "s0 and not (s1 and s2)",
    "[s0 and s1, s2]",
    "_h or s0",
    "1 of _*",
    "1 of *2 or not (not s1)",
    "((s0 or s1) and (s1 or s2)) and not _h",
];

/// The id of the `number`th rule of a round.
pub(crate) fn id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// A rule of one line, which shows what its modifiers do by itself.
pub(crate) fn single(dice: &mut Dice, number: usize, logsources: &[usize]) -> Made {
    let line = line(dice, number);
    let body = format!("\n      {}", line.yaml());
    assemble(dice, &[("s0", body)], CONDITIONS[0], vec![line], logsources)
}

/// A rule of several selections.
pub(crate) fn several(dice: &mut Dice, number: usize, logsources: &[usize]) -> Made {
    let mut lines = Vec::new();
    let bodies: Vec<_> =
        ["s0", "s1", "s2", "_h"].iter().map(|name| (*name, selection(dice, &mut lines))).collect();
    let condition = CONDITIONS[1 + number % (CONDITIONS.len() - 1)];
    assemble(dice, &bodies, condition, lines, logsources)
}

fn assemble(
    dice: &mut Dice,
    selections: &[(&str, String)],
    condition: &'static str,
    lines: Vec<Line>,
    logsources: &[usize],
) -> Made {
    let (logsource, sources) = LOGSOURCES[*dice.pick(logsources)];
    let mut yaml = format!("logsource: {logsource}\ndetection:\n");
    for (name, body) in selections {
        yaml.push_str(&format!("    {name}: {body}\n"));
    }
    yaml.push_str(&format!("    condition: {condition}\nlevel: low\n"));
    Made { yaml, lines, condition, logsource, sources }
}

/// A map, a list of maps, a list of words, or a list that mixes and nests them.
fn selection(dice: &mut Dice, lines: &mut Vec<Line>) -> String {
    let mut map = |dice: &mut Dice, indent: &str| {
        let mut keys = Vec::new();
        let mut text = String::new();
        for _ in 0..=dice.below(3) {
            let line = any_line(dice);
            // A map cannot have one key twice.
            let key = (line.field, line.modifiers);
            if !keys.contains(&key) {
                keys.push(key);
                text.push_str(&format!("{indent}{}", line.yaml()));
                lines.push(line);
            }
        }
        text
    };
    match dice.below(8) {
        0..=4 => map(dice, "\n      "),
        5 => (0..=dice.below(2))
            .map(|_| format!("\n      -{}", map(dice, "\n        ")))
            .collect::<String>(),
        6 => {
            let words: Vec<_> = (0..=dice.below(2))
                .map(|_| quoted(dice.pick::<&str>(&["cmd", "a*b", "É", "1", "k"])))
                .collect();
            format!("[{}]", words.join(", "))
        }
        _ => format!("\n      - [cmd, {}]\n      -{}", quoted("x?y"), map(dice, "\n        ")),
    }
}

/// A filter document: what it names, its log source, and its section without `rules`.
pub(crate) struct Filter {
    pub(crate) rules: String,
    pub(crate) logsource: &'static str,
    pub(crate) section: String,
    pub(crate) lines: Vec<Line>,
}

/// Log sources of filters.
const FILTERED: &[&str] = &[
    "{product: windows}",
    "{product: windows, service: security}",
    "{category: process_creation}",
    "{product: linux}",
    "{product: fortigate}",
];

pub(crate) fn filter(dice: &mut Dice, number: usize, rules: usize) -> Filter {
    let named: Vec<usize> = (0..rules / 3).map(|_| dice.below(rules)).collect();
    let rules = match number % 3 {
        0 => "any".to_owned(),
        1 => format!("[{}]", named.iter().map(|n| id(*n)).collect::<Vec<_>>().join(", ")),
        _ => format!(
            "[{}]",
            named.iter().map(|n| format!("rule_{n}")).collect::<Vec<_>>().join(", ")
        ),
    };
    let lines: Vec<Line> = (0..2).map(|_| any_line(dice)).collect();
    let condition = *dice.pick(&[
        "not f0",
        "not 1 of f*",
        "not (f0 and f1)",
        "f0 or not f1",
        "not all of them",
    ]);
    let section = format!(
        "    f0:\n      {}\n    f1:\n      {}\n    condition: {condition}\n",
        lines[0].yaml(),
        lines[1].yaml()
    );
    Filter { rules, logsource: FILTERED[number % FILTERED.len()], section, lines }
}
