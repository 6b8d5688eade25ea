//! Mappings: where a field's value comes from and how it is read.

use std::borrow::Cow;

use super::{
    catalogue,
    catalogue::Type,
    condition::Condition,
    convert::{Convert, Lookups, WITH_PARAMETER},
    document::{Entry, Node, meant, unknown_key},
    out::{Out, Target},
    record::{Record, Slot, text_of},
    targets::Compiler,
    time::Clock,
};
use crate::formats::text;

/// Names for `as` that are no converters of text: kinds of time, and groups of fields.
pub(super) const AS: [&str; 13] = [
    "time", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns", "host", "path", "image", "account",
    "url", "hashes", "digest", "user",
];

/// Where text comes from.
#[derive(Debug)]
enum Source {
    /// The first of these that gives a value.
    Keys(Box<[Slot]>),
    /// All the values of a key, in one text.
    Joined(Slot, Box<str>),
    /// Text with the values of keys in it; nothing where one of them is missing.
    Template(Box<[Part]>),
    /// The sum of the whole numbers of these that are there.
    Sum(Box<[Slot]>),
}

#[derive(Debug)]
enum Part {
    Literal(Box<str>),
    Value(Slot),
}

/// What is written.
#[derive(Debug)]
enum Goal {
    Timestamp,
    Field(Target),
    /// Fields that are filled together.
    Group(Group, Box<[Option<Target>]>),
}

/// Fields that one value fills together, below a common name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    /// `ip` where it is an address, else `domain`; and `address`.
    Host,
    /// A file's path.
    Path,
    /// A program's path.
    Image,
    /// `DOMAIN\name` or `name@domain`.
    Account,
    /// A user by its mail address, else by its name.
    User,
    Url,
    /// `MD5=…,SHA1=…`, or digests told by their length.
    Hashes,
}

impl Group {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "host" => Self::Host,
            "path" => Self::Path,
            "image" => Self::Image,
            "account" => Self::Account,
            "user" => Self::User,
            "url" => Self::Url,
            "hashes" | "digest" => Self::Hashes,
            _ => return None,
        })
    }

    fn members(self) -> &'static [&'static str] {
        match self {
            Self::Host => &["ip", "domain", "address"],
            Self::Path => &["path", "name", "directory", "extension"],
            Self::Image => &["executable", "name"],
            Self::Account => &["name", "domain"],
            Self::User => &["name", "email", "domain"],
            Self::Url => {
                &["original", "full", "scheme", "domain", "port", "path", "query", "fragment"]
            }
            Self::Hashes => &["md5", "sha1", "sha256", "sha512"],
        }
    }
}

/// One mapping, compiled.
#[derive(Debug)]
pub(super) struct Put {
    goal: Goal,
    source: Source,
    converts: Box<[Convert]>,
    clock: Clock,
    zone: Option<Slot>,
    /// Whether every source counts rather than the first that gives a value.
    all: bool,
    when: Option<Condition>,
}

const KEYS: &[&str] = &["from", "text", "sum", "join", "all", "when", "time", "zone"];

impl Put {
    /// Reads `"field" = …`: a key, keys in order of preference, or a table.
    pub(super) fn read(entry: &Entry<'_, '_>, compiler: &mut Compiler<'_, '_>) -> Option<Self> {
        let mut draft = Draft::default();
        match entry.node.table() {
            Some(options) => {
                for option in &options {
                    draft.option(option, compiler);
                }
            }
            None => draft.keys(entry.node, compiler),
        }
        let goal = draft.goal(entry, compiler)?;
        let Some(source) = draft.source else {
            compiler
                .problems
                .add(entry.at, format!("{:?} has neither `from`, `text` nor `sum`", entry.key));
            return None;
        };
        Some(Self {
            goal,
            source,
            converts: draft.converts.into(),
            clock: draft.clock.unwrap_or(Clock::Auto),
            zone: draft.zone,
            all: draft.all,
            when: draft.when,
        })
    }

    /// Fills the field, unless it has a value or the record says nothing for it.
    pub(super) fn run(&self, record: &Record<'_, '_>, out: &mut Out<'_>) {
        // A record has few of the keys that its format knows.
        if let Source::Keys(slots) = &self.source
            && !slots.iter().any(|slot| record.has(*slot))
        {
            return;
        }
        let filled = match &self.goal {
            Goal::Timestamp => out.is_timed(),
            Goal::Field(target) => out.is_filled(*target),
            Goal::Group(..) => false,
        };
        if filled || self.when.as_ref().is_some_and(|when| !when.holds(record)) {
            return;
        }
        match &self.source {
            Source::Keys(slots) => {
                for slot in slots {
                    if self.run_key(*slot, record, out) && !self.all {
                        return;
                    }
                }
            }
            Source::Joined(slot, between) => {
                let texts: Vec<&str> = record.all(*slot).filter_map(text_of).collect();
                self.run_text(Cow::Owned(texts.join(between)), record, out);
            }
            Source::Template(parts) => {
                let mut filled = String::new();
                for part in parts {
                    match part {
                        Part::Literal(text) => filled.push_str(text),
                        Part::Value(slot) => match record.present(*slot).and_then(text_of) {
                            Some(value) => filled.push_str(value),
                            None => return,
                        },
                    }
                }
                self.run_text(Cow::Owned(filled), record, out);
            }
            Source::Sum(slots) => {
                let numbers =
                    slots.iter().filter_map(|slot| text::whole(text_of(record.present(*slot)?)?));
                if let Some(sum) = numbers.reduce(i64::saturating_add) {
                    self.run_text(Cow::Owned(sum.to_string()), record, out);
                }
            }
        }
    }

    /// Reads the values of one key; `true` where the field was filled.
    fn run_key(&self, slot: Slot, record: &Record<'_, '_>, out: &mut Out<'_>) -> bool {
        let mut filled = false;
        let many = self.takes_many();
        for value in record.all(slot) {
            let Some(text) = text_of(value).filter(|text| text::is_present(text)) else { continue };
            filled |= match &self.goal {
                Goal::Field(target) if self.converts.is_empty() && target.ty == Type::AsIs => {
                    out.write_as_is(*target, value)
                }
                _ => self.run_text(Cow::Borrowed(text), record, out),
            };
            if filled && !many {
                break;
            }
        }
        filled
    }

    fn takes_many(&self) -> bool {
        self.all
            || match &self.goal {
                Goal::Field(target) => target.many,
                Goal::Group(group, _) => *group == Group::Hashes,
                Goal::Timestamp => false,
            }
    }

    fn run_text(&self, text: Cow<'_, str>, record: &Record<'_, '_>, out: &mut Out<'_>) -> bool {
        // The usual case needs no list.
        if self.converts.is_empty() {
            return self.write(&text, record, out);
        }
        let mut values = vec![text];
        for convert in &self.converts {
            values = convert.apply(values);
        }
        let many = self.takes_many();
        let mut filled = false;
        for value in values {
            filled |= self.write(&value, record, out);
            if filled && !many {
                break;
            }
        }
        filled
    }

    fn write(&self, value: &str, record: &Record<'_, '_>, out: &mut Out<'_>) -> bool {
        let time = |out: &Out<'_>| {
            let zone = self.zone.and_then(|slot| record.present(slot)).and_then(text_of);
            self.clock.read(value, zone, out.received)
        };
        match &self.goal {
            Goal::Timestamp => match time(out) {
                Some(time) => out.set_timestamp(time),
                None => return false,
            },
            Goal::Field(target) if target.ty == Type::Date => match time(out) {
                Some(time) => out.write_time(*target, time),
                None => return false,
            },
            Goal::Field(target) => return out.write(*target, value),
            Goal::Group(group, targets) => return write_group(*group, targets, value, out),
        }
        true
    }
}

/// Fills the members of a group; `true` where one was filled.
fn write_group(group: Group, targets: &[Option<Target>], value: &str, out: &mut Out<'_>) -> bool {
    let member = |name: &str| {
        let index = group.members().iter().position(|member| *member == name)?;
        targets.get(index).copied().flatten()
    };
    let mut written = false;
    let mut put = |out: &mut Out<'_>, name: &str, value: Option<&str>| {
        if let (Some(target), Some(value)) = (member(name), value)
            && !out.is_filled(target)
        {
            written |= out.write(target, value);
        }
    };
    match group {
        Group::Host => {
            match text::ip(value) {
                Some(_) => put(out, "ip", Some(value)),
                None => put(out, "domain", Some(value)),
            }
            put(out, "address", Some(value));
        }
        Group::Path => {
            put(out, "path", Some(value));
            put(out, "name", Some(text::basename(value)));
            put(out, "directory", text::dirname(value));
            put(out, "extension", text::extension(value));
        }
        Group::Image => {
            put(out, "executable", Some(value));
            put(out, "name", Some(text::basename(value)));
        }
        Group::Account => {
            let (domain, name) = match value.split_once('@') {
                Some((name, domain)) if !value.contains('\\') => (Some(domain), name),
                _ => text::account(value),
            };
            // Some write `DOMAIN\\name`.
            put(out, "name", Some(name.trim_start_matches('\\')));
            put(out, "domain", domain);
        }
        Group::User => match value.split_once('@') {
            Some((name, domain)) => {
                put(out, "email", Some(value));
                put(out, "name", Some(name));
                put(out, "domain", Some(domain));
            }
            None => {
                let (domain, name) = text::account(value);
                put(out, "name", Some(name));
                put(out, "domain", domain);
            }
        },
        Group::Url => {
            use super::url::{Part, part};
            put(out, "original", Some(value));
            let scheme = part(value, Part::Scheme);
            put(out, "full", scheme.map(|_| value));
            put(out, "scheme", scheme);
            put(out, "domain", part(value, Part::Domain).filter(|host| host.contains(['.', ':'])));
            put(out, "port", part(value, Part::Port));
            put(out, "path", part(value, Part::Path));
            put(out, "query", part(value, Part::Query));
            put(out, "fragment", part(value, Part::Fragment));
        }
        Group::Hashes => {
            for part in value.split([',', ';', '|', ' ']) {
                let digest = part.rsplit_once(['=', ':']).map_or(part, |(_, digest)| digest).trim();
                if !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    continue;
                }
                let digest = digest.to_ascii_lowercase();
                let name = match digest.len() {
                    32 => "md5",
                    40 => "sha1",
                    64 => "sha256",
                    128 => "sha512",
                    _ => continue,
                };
                put(out, name, Some(&digest));
            }
        }
    }
    written
}

/// A mapping as it is being read.
#[derive(Default)]
struct Draft {
    source: Option<Source>,
    converts: Vec<Convert>,
    clock: Option<Clock>,
    zone: Option<Slot>,
    group: Option<Group>,
    all: bool,
    when: Option<Condition>,
}

impl Draft {
    fn keys(&mut self, node: Node<'_, '_>, compiler: &mut Compiler<'_, '_>) {
        let names = node.texts("a mapping", compiler.problems);
        let slots: Option<Box<[Slot]>> =
            names.iter().map(|name| compiler.slot(name, node.at)).collect();
        self.source = slots.map(Source::Keys);
    }

    fn option(&mut self, option: &Entry<'_, '_>, compiler: &mut Compiler<'_, '_>) {
        match option.key {
            "from" => self.keys(option.node, compiler),
            "sum" => {
                self.keys(option.node, compiler);
                self.source = match self.source.take() {
                    Some(Source::Keys(slots)) => Some(Source::Sum(slots)),
                    other => other,
                };
            }
            "text" => {
                let text = option.node.text("text", compiler.problems);
                self.source = template(&text, option, compiler).map(Source::Template);
            }
            "join" => {
                let between = option.node.text("join", compiler.problems);
                match self.source.take() {
                    Some(Source::Keys(slots)) if slots.len() == 1 => {
                        self.source = Some(Source::Joined(slots[0], between.into()));
                    }
                    other => {
                        compiler.problems.add(option.at, "join stands behind `from` with one key");
                        self.source = other;
                    }
                }
            }
            "all" => self.all = option.node.as_bool().unwrap_or(false),
            "when" => {
                let when = Condition::read(option.node, compiler.keys, compiler.problems);
                self.when = Some(when);
            }
            "time" => {
                let pattern = option.node.text("time", compiler.problems);
                self.clock = Some(Clock::Pattern(pattern.into()));
            }
            "zone" => {
                let name = option.node.text("zone", compiler.problems);
                self.zone = compiler.slot(&name, option.at);
            }
            key if WITH_PARAMETER.contains(&key) => self.convert(option, compiler),
            _ => {
                let known: Vec<&str> = KEYS.iter().chain(WITH_PARAMETER).copied().collect();
                unknown_key(option, "a mapping", &known, compiler.problems);
            }
        }
    }

    fn convert(&mut self, option: &Entry<'_, '_>, compiler: &mut Compiler<'_, '_>) {
        let (clock, group) = (&mut self.clock, &mut self.group);
        let mut other = |name: &str| {
            match name {
                "time" => *clock = Some(Clock::Auto),
                "epoch_s" => *clock = Some(Clock::Epoch(1_000_000_000)),
                "epoch_ms" => *clock = Some(Clock::Epoch(1_000_000)),
                "epoch_us" => *clock = Some(Clock::Epoch(1_000)),
                "epoch_ns" => *clock = Some(Clock::Epoch(1)),
                _ => match Group::named(name) {
                    Some(named) => *group = Some(named),
                    None => return false,
                },
            }
            true
        };
        let lookups: &Lookups = compiler.lookups;
        Convert::read(option, lookups, &mut other, compiler.problems, &mut self.converts);
    }

    fn goal(&self, entry: &Entry<'_, '_>, compiler: &mut Compiler<'_, '_>) -> Option<Goal> {
        let Some(group) = self.group else {
            if entry.key == "@timestamp" {
                return Some(Goal::Timestamp);
            }
            return compiler.target(entry.key, entry.at, self.all).map(Goal::Field);
        };
        if !catalogue::has_below(entry.key) {
            let meant = meant(catalogue::nearest(entry.key));
            let message = format!("no field of ECS lies below {:?}{meant}", entry.key);
            compiler.problems.add(entry.at, message);
            return None;
        }
        let targets = group.members().iter().map(|member| {
            let name = format!("{}.{member}", entry.key);
            catalogue::find(&name)?;
            compiler.target(&name, entry.at, false)
        });
        Some(Goal::Group(group, targets.collect()))
    }
}

/// Cuts `text` at its `{keys}`.
fn template(
    text: &str,
    option: &Entry<'_, '_>,
    compiler: &mut Compiler<'_, '_>,
) -> Option<Box<[Part]>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let Some(len) = rest[open..].find('}') else {
            compiler.problems.add(option.at, "a `{` in the text has no `}`");
            return None;
        };
        if open > 0 {
            parts.push(Part::Literal(rest[..open].into()));
        }
        parts.push(Part::Value(compiler.slot(&rest[open + 1..open + len], option.at)?));
        rest = &rest[open + len + 1..];
    }
    if !rest.is_empty() {
        parts.push(Part::Literal(rest.into()));
    }
    Some(parts.into())
}
