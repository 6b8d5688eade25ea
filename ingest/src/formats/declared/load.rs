//! From a format's file to what runs.

use std::{collections::HashMap, sync::Arc};

use toml::de::DeTable;

use super::{
    condition::Condition,
    convert::{Lookup, Lookups},
    document::{Entry, Problem, Problems, entries, unknown_key},
    escapes,
    input::{self, Input},
    mapping::Put,
    out::Target,
    plan::{Classify, Plan, Set, Step},
    record::{Keys, Space},
    targets::Compiler,
};

/// What a file compiles to.
pub(super) struct Loaded {
    pub(super) name: String,
    pub(super) aliases: Vec<String>,
    pub(super) describe: String,
    pub(super) keys: Keys,
    pub(super) input: Input,
    pub(super) plan: Plan,
}

/// What a syslog header says, where there is one.
const HEADER_MAP: &str = r#"
"log.syslog.priority" = "syslog.priority"
"log.syslog.hostname" = "syslog.hostname"
"log.syslog.appname" = "syslog.appname"
"log.syslog.procid" = "syslog.procid"
"log.syslog.msgid" = "syslog.msgid"
"#;

/// Times of a syslog header, which count where the record has none of its own.
const HEADER_TIME: &str = r#"
"@timestamp" = { from = "syslog.timestamp" }
"#;

/// The same in the form of RFC 3164.
const HEADER_TIME_OLD: [&str; 2] = ["%b %e %H:%M:%S", "%b %e %Y %H:%M:%S"];

const TOP: &[&str] = &[
    "name",
    "aliases",
    "describe",
    "namespace",
    "spaces",
    "accept",
    "input",
    "tables",
    "pattern",
    "case",
    "classify",
    "map",
    "set",
    "escapes",
    "ecs",
    "own",
];

/// Names in `classify` that stand for `event.…`.
const SHORT: &[&str] =
    &["kind", "category", "type", "action", "outcome", "dataset", "reason", "provider"];

/// Compiles `text`.
pub(super) fn load(text: &str) -> Result<Loaded, Vec<Problem>> {
    let mut problems = Problems::new(text);
    let parsed = match DeTable::parse(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            problems.add(at, error.message());
            return Err(problems.into_found());
        }
    };
    let top = entries(parsed.get_ref());
    for entry in top.iter().filter(|entry| !TOP.contains(&entry.key)) {
        unknown_key(entry, "a format", TOP, &mut problems);
    }
    let loaded = Loading { top: &top, keys: Keys::default() }.load(&mut problems);
    match problems.is_empty() {
        true => Ok(loaded),
        false => Err(problems.into_found()),
    }
}

struct Loading<'d, 't> {
    top: &'d [Entry<'d, 't>],
    keys: Keys,
}

impl<'d, 't> Loading<'d, 't> {
    fn find(&self, key: &str) -> Option<&'d Entry<'d, 't>> {
        self.top.iter().find(|entry| entry.key == key)
    }

    fn text(&self, key: &str, problems: &mut Problems<'_>) -> String {
        match self.find(key) {
            Some(entry) => entry.node.text(key, problems),
            None => {
                problems.add(0, format!("the format has no {key}"));
                String::new()
            }
        }
    }

    fn load(mut self, problems: &mut Problems<'_>) -> Loaded {
        let name = self.text("name", problems);
        if !name.is_empty() && event::FormatName::new(&name).is_err() {
            problems.add(0, format!("{name:?} is no name for a format: use a-z, 0-9, -, _ and ."));
        }
        let aliases =
            self.find("aliases").map_or_else(Vec::new, |e| e.node.texts("aliases", problems));
        for alias in aliases.iter().filter(|alias| event::FormatName::new(alias).is_err()) {
            problems.add(0, format!("{alias:?} is no name for a format: use a-z, 0-9, -, _ and ."));
        }
        let describe = self.text("describe", problems);
        let namespace = self.text("namespace", problems);
        let lookups = self.lookups(problems);
        let mut spaces = self.spaces(problems);
        spaces.push((None, namespace));
        let mut namespaces: Vec<String> = spaces.iter().map(|(_, name)| name.clone()).collect();
        // `azure.signinlogs` may be filled by a format whose namespace is `azure`, too.
        namespaces.retain(|name| !name.is_empty());
        if let Some(entry) = self.find("own") {
            namespaces.extend(entry.node.texts("own", problems));
        }
        let input_entry = self.find("input");
        let mut plan = Plan::default();
        let mut input = Input::default();
        if let Some(entry) = input_entry {
            input::options::read(entry, &mut input, &mut self.keys, problems);
        } else {
            problems.add(0, "the format has no [input]");
        }
        let mut targets: HashMap<String, Target> = HashMap::new();
        let find = |key: &str| self.top.iter().find(|entry| entry.key == key);
        let mut compiler = Compiler {
            problems,
            keys: &mut self.keys,
            lookups: &lookups,
            namespaces: &namespaces,
            targets: &mut targets,
        };
        if let Some(entry) = find("accept") {
            plan.accept = accept(entry, &mut compiler);
        }
        if let Some(entry) = find("pattern") {
            patterns(entry, &mut input, &mut plan, &mut compiler);
        }
        plan.steps = steps(find("case"), find("classify"), &mut compiler);
        let mut map = find("map").map_or_else(Vec::new, |entry| puts(entry, &mut compiler));
        if input.header {
            header(&mut map, &mut compiler);
        }
        plan.map = map.into();
        plan.set = find("set").map_or_else(Vec::new, |entry| sets(entry, &mut compiler)).into();
        if let Some(entry) = find("escapes") {
            plan.escapes = escapes_of(entry, compiler.problems);
        }
        plan.targets = targets;
        plan.ecs = find("ecs").and_then(|entry| entry.node.as_bool()).unwrap_or(false);
        plan.spaces =
            spaces.into_iter().map(|(when, name)| (when, Space::new(&name, &self.keys))).collect();
        Loaded { name, aliases, describe, keys: self.keys, input, plan }
    }

    /// `[tables.x]`.
    fn lookups(&self, problems: &mut Problems<'_>) -> Lookups {
        let mut lookups = Lookups::new();
        let Some(entry) = self.find("tables") else { return lookups };
        for table in entry.node.pairs("tables", problems) {
            let mut lookup = Lookup::default();
            for row in table.node.pairs("a table", problems) {
                let value = row.node.text("a row", problems).into();
                match row.key {
                    "*" => lookup.fallback = Some(value),
                    key => drop(lookup.rows.insert(key.to_ascii_lowercase().into(), value)),
                }
            }
            lookups.insert(table.key.to_owned(), Arc::new(lookup));
        }
        lookups
    }

    /// `[[spaces]]`: other namespaces, by condition.
    fn spaces(&mut self, problems: &mut Problems<'_>) -> Vec<(Option<Condition>, String)> {
        let mut spaces = Vec::new();
        let Some(entry) = self.find("spaces") else { return spaces };
        for item in entry.node.list() {
            let (mut when, mut name) = (None, String::new());
            for option in item.pairs("a space", problems) {
                match option.key {
                    "when" => when = Some(Condition::read(option.node, &mut self.keys, problems)),
                    "name" => name = option.node.text("name", problems),
                    _ => unknown_key(&option, "a space", &["when", "name"], problems),
                }
            }
            if when.is_none() || name.is_empty() {
                problems.add(item.at, "a space has `when` and `name`");
            }
            spaces.push((when, name));
        }
        spaces
    }
}

fn escapes_of(entry: &Entry<'_, '_>, problems: &mut Problems<'_>) -> Vec<escapes::Escape> {
    let mut found = Vec::new();
    for name in entry.node.texts("escapes", problems) {
        match escapes::find(&name) {
            Some(escape) => found.push(escape),
            None => problems.add(
                entry.node.at,
                format!("there is no escape {name:?} (known are {})", escapes::names().join(", ")),
            ),
        }
    }
    found
}

fn accept(entry: &Entry<'_, '_>, compiler: &mut Compiler<'_, '_>) -> Option<(Condition, String)> {
    let (mut when, mut hint) = (None, String::new());
    for option in entry.node.pairs("accept", compiler.problems) {
        match option.key {
            "when" => {
                when = Some(Condition::read(option.node, compiler.keys, compiler.problems));
            }
            "hint" => hint = option.node.text("hint", compiler.problems),
            _ => unknown_key(&option, "accept", &["when", "hint"], compiler.problems),
        }
    }
    if when.is_none() || hint.is_empty() {
        compiler.problems.add(entry.at, "accept has `when` and `hint`");
    }
    Some((when?, hint))
}

/// `[[case]]` and `[[classify]]` in the order of the file.
fn steps(
    cases: Option<&Entry<'_, '_>>,
    classify: Option<&Entry<'_, '_>>,
    compiler: &mut Compiler<'_, '_>,
) -> Vec<Step> {
    let mut steps = Vec::new();
    for item in cases.map_or_else(Vec::new, |entry| entry.node.list()) {
        let (mut when, mut set, mut map) = (None, Vec::new(), Vec::new());
        for option in item.pairs("a case", compiler.problems) {
            match option.key {
                "when" => {
                    when = Some(Condition::read(option.node, compiler.keys, compiler.problems));
                }
                "set" => set = sets(&option, compiler),
                "map" => map = puts(&option, compiler),
                _ => unknown_key(&option, "a case", &["when", "set", "map"], compiler.problems),
            }
        }
        match when {
            Some(when) => {
                let step = Step::Case { when, set: set.into(), map: map.into() };
                steps.push((item.at, step));
            }
            None => compiler.problems.add(item.at, "a case has a `when`"),
        }
    }
    for item in classify.map_or_else(Vec::new, |entry| entry.node.list()) {
        let mut found =
            Classify { on: Box::default(), rows: HashMap::default(), prefixes: Vec::new() };
        for option in item.pairs("a classification", compiler.problems) {
            match option.key {
                "on" => {
                    let names = option.node.texts("on", compiler.problems);
                    found.on =
                        names.iter().filter_map(|name| compiler.slot(name, option.at)).collect();
                }
                "rows" => rows(&option, &mut found, compiler),
                _ => unknown_key(&option, "a classification", &["on", "rows"], compiler.problems),
            }
        }
        if found.on.is_empty() {
            compiler.problems.add(item.at, "a classification has `on`: keys of the record");
        }
        steps.push((item.at, Step::Classify(found)));
    }
    steps.sort_by_key(|(at, _)| *at);
    steps.into_iter().map(|(_, step)| step).collect()
}

fn rows(entry: &Entry<'_, '_>, into: &mut Classify, compiler: &mut Compiler<'_, '_>) {
    for row in entry.node.pairs("rows", compiler.problems) {
        let constants = sets(&row, compiler).into();
        let key = row.key.to_ascii_lowercase();
        match key.strip_suffix('*') {
            Some(prefix) => into.prefixes.push((prefix.into(), constants)),
            None => drop(into.rows.insert(key.into(), constants)),
        }
    }
    into.prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
}

/// Constants by field; `category` and the like stand for `event.category`.
fn sets(entry: &Entry<'_, '_>, compiler: &mut Compiler<'_, '_>) -> Vec<Set> {
    let mut sets = Vec::new();
    for item in entry.node.pairs(entry.key, compiler.problems) {
        let name = match SHORT.contains(&item.key) {
            true => format!("event.{}", item.key),
            false => item.key.to_owned(),
        };
        if let Some(target) = compiler.target(&name, item.at, false)
            && let Some(values) = compiler.constants(target, item.node)
        {
            sets.push(Set { target, values });
        }
    }
    sets
}

fn puts(entry: &Entry<'_, '_>, compiler: &mut Compiler<'_, '_>) -> Vec<Put> {
    let mut puts = Vec::new();
    for item in entry.node.pairs("map", compiler.problems) {
        // `"field" = [{ … }, { … }]` are several ways, tried in their order.
        match item.node.array() {
            Some(ways) if ways.iter().any(|way| way.table().is_some()) => {
                for way in ways {
                    let way = Entry { key: item.key, at: item.at, node: way };
                    puts.extend(Put::read(&way, compiler));
                }
            }
            _ => puts.extend(Put::read(&item, compiler)),
        }
    }
    puts
}

/// What every format with a syslog header does with it.
fn header(map: &mut Vec<Put>, compiler: &mut Compiler<'_, '_>) {
    let old = HEADER_TIME_OLD.map(|pattern| {
        format!("\"@timestamp\" = {{ from = \"syslog.timestamp\", time = \"{pattern}\" }}")
    });
    for text in [HEADER_MAP, HEADER_TIME].into_iter().chain(old.iter().map(String::as_str)) {
        // The text is ours, and the tests load it with every format that has a header.
        let Ok(parsed) = DeTable::parse(text) else { continue };
        for entry in entries(parsed.get_ref()) {
            map.extend(Put::read(&entry, compiler));
        }
    }
}

fn patterns(
    entry: &Entry<'_, '_>,
    input: &mut Input,
    plan: &mut Plan,
    compiler: &mut Compiler<'_, '_>,
) {
    for item in entry.node.list() {
        let (mut from, mut regexes, mut set) = (input::TEXT.to_owned(), Vec::new(), Vec::new());
        for option in item.pairs("a pattern", compiler.problems) {
            match option.key {
                "from" => from = option.node.text("from", compiler.problems),
                "like" => {
                    for like in option.node.texts("like", compiler.problems) {
                        match input::pattern::regex_of(&like) {
                            Ok(regex) => regexes.push(regex),
                            Err(reason) => compiler.problems.add(option.at, reason),
                        }
                    }
                }
                "regex" => regexes.extend(option.node.texts("regex", compiler.problems)),
                "set" => set = sets(&option, compiler),
                _ => {
                    let known = ["from", "like", "regex", "set"];
                    unknown_key(&option, "a pattern", &known, compiler.problems);
                }
            }
        }
        if regexes.is_empty() {
            compiler.problems.add(item.at, "a pattern has `like` or `regex`");
        }
        let Some(slot) = compiler.slot(&from, item.at) else { continue };
        let set = Arc::new(set);
        for regex in regexes {
            match regex::Regex::new(&regex) {
                Ok(regex) => {
                    input.patterns.push(input::pattern::Pattern { regex, from: slot });
                    let set = set
                        .iter()
                        .map(|set: &Set| Set { target: set.target, values: set.values.clone() });
                    plan.patterns.push(set.collect());
                }
                Err(error) => {
                    let message = format!("the regular expression is bad: {error}");
                    compiler.problems.add(item.at, message);
                }
            }
        }
    }
}
