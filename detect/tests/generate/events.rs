//! Events of several sources, with values that lines of rules ask for.

use event::{Event, EventBuilder, FieldId, ValueRef, fields};

use super::{
    dice::Dice,
    lines::{FIELDS, Line},
    values::{Hint, Value, any_value},
};

/// A kind of event: its fixed fields and the namespace of those that rules name.
struct Source {
    fixed: &'static [(&'static str, &'static str)],
    namespace: &'static str,
}

const SYSMON: &str = "Microsoft-Windows-Sysmon/Operational";

const SOURCES: &[Source] = &[
    windows(&[("winlog.channel", "Security"), ("event.code", "4688"), ("event.module", "windows")]),
    windows(&[("winlog.channel", SYSMON), ("event.code", "1"), ("event.module", "windows")]),
    windows(&[("winlog.channel", SYSMON), ("event.code", "13"), ("event.module", "windows")]),
    windows(&[("winlog.channel", "System"), ("event.code", "7045"), ("event.module", "windows")]),
    windows(&[
        ("winlog.channel", "Linux-Sysmon/Operational"),
        ("event.code", "1"),
        ("event.module", "windows"),
    ]),
    Source {
        fixed: &[
            ("event.module", "sentinelone"),
            ("event.dataset", "sentinelone.cloud_funnel"),
            ("event.action", "Process Creation"),
            ("host.os.type", "windows"),
        ],
        namespace: "sentinelone",
    },
    Source {
        fixed: &[
            ("event.module", "fortinet"),
            ("event.dataset", "traffic:forward"),
            ("event.category", "network"),
        ],
        namespace: "fortinet.fortigate",
    },
    Source {
        fixed: &[("event.module", "okta"), ("event.dataset", "okta.system")],
        namespace: "okta",
    },
    Source {
        fixed: &[("event.module", "auditd"), ("host.os.type", "linux")],
        namespace: "auditd.data",
    },
    windows(&[
        ("winlog.channel", "Microsoft-Windows-PowerShell/Operational"),
        ("event.code", "4104"),
        ("event.module", "windows"),
    ]),
];

const fn windows(fixed: &'static [(&'static str, &'static str)]) -> Source {
    Source { fixed, namespace: "winlog.event_data" }
}

/// An event as made, for messages and for what coverage says of it.
#[derive(Debug)]
pub(crate) struct Sketch {
    pub(crate) source: usize,
    pub(crate) fields: Vec<(&'static str, Vec<Value>, bool)>,
}

/// An event that `lines`, if any, likely hold on.
pub(crate) fn sketch(dice: &mut Dice, sources: &[usize], lines: &[&Line]) -> Sketch {
    let source = if sources.is_empty() || dice.chance(1, 12) {
        dice.below(SOURCES.len())
    } else {
        *dice.pick(sources)
    };
    let mut sketch = Sketch { source, fields: Vec::new() };
    for line in lines {
        if dice.chance(1, 5) {
            continue;
        }
        // Keywords are met anywhere.
        let field = if line.field.is_empty() { *dice.pick(FIELDS) } else { line.field };
        let all = line.modifiers.split('|').any(|m| m == "all");
        let hints: Vec<&Hint> = match (all, line.hints.is_empty()) {
            (_, true) => Vec::new(),
            (true, _) => line.hints.iter().collect(),
            (false, _) => vec![dice.pick(&line.hints)],
        };
        for hint in hints {
            match hint {
                Hint::Value(value) => sketch.add(dice, field, value.clone()),
                Hint::Same(other) => {
                    let value = any_value(dice);
                    sketch.add(dice, field, value.clone());
                    sketch.add(dice, other, value);
                }
                Hint::Absent => sketch.fields.retain(|(name, _, _)| *name != field),
            }
        }
    }
    for _ in 0..dice.below(4) {
        let (field, value) = (*dice.pick(FIELDS), any_value(dice));
        sketch.add(dice, field, value);
    }
    sketch
}

impl Sketch {
    fn add(&mut self, dice: &mut Dice, field: &'static str, value: Value) {
        match self.fields.iter_mut().find(|(name, _, _)| *name == field) {
            Some((_, values, _)) => values.push(value),
            None => self.fields.push((field, vec![value], dice.chance(1, 2))),
        }
    }

    /// What coverage counts of it.
    pub(crate) fn features(&self) -> Vec<&'static str> {
        let mut found = Vec::new();
        for (name, values, _) in &self.fields {
            if values.len() > 1 {
                found.push("array");
            }
            if name.contains('.') {
                found.push("nested field");
            }
            for value in values {
                found.push(match value {
                    Value::Null => "null",
                    Value::Bool(_) => "truth value",
                    Value::I64(_) | Value::F64(_) => "number",
                    Value::Str(text) if text.is_empty() => "empty text",
                    Value::Str(text) if !text.is_ascii() => "unicode text",
                    Value::Str(_) => "text",
                });
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    pub(crate) fn build(&self, number: u64) -> Event {
        let source = &SOURCES[self.source];
        let original = format!("{{\"raw\": {:?}}}", self.fields);
        let record = crate::support::record("any", original.into());
        let mut b = EventBuilder::new(record, crate::support::event_id(number));
        for (name, value) in source.fixed {
            b.push_str(FieldId::intern(name).unwrap(), value);
        }
        for (name, values, copied) in &self.fields {
            let own = match *name {
                "process.executable" => (*name).to_owned(),
                name => format!("{}.{name}", source.namespace),
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
            // The ECS copy, as decoders make it.
            match *name {
                "CommandLine" if *copied => b.alias(fields::PROCESS_COMMAND_LINE, field),
                "Image" if *copied => b.alias(fields::PROCESS_EXECUTABLE, field),
                _ => {}
            }
        }
        b.build()
    }
}
