//! What a compilation shares: keys read, fields written, tables, and the mistakes found.

use std::collections::HashMap;

use event::FieldId;

use super::{
    catalogue::{self, Known, Type},
    convert::Lookups,
    document::{Problems, meant},
    out::{Constant, Target},
    record::{Keys, Slot},
};

/// A compilation under way.
pub(super) struct Compiler<'c, 't> {
    pub(super) problems: &'c mut Problems<'t>,
    pub(super) keys: &'c mut Keys,
    pub(super) lookups: &'c Lookups,
    /// Names that begin the format's own fields.
    pub(super) namespaces: &'c [String],
    pub(super) targets: &'c mut HashMap<String, Target>,
}

impl Compiler<'_, '_> {
    /// The slot of a key of the record.
    pub(super) fn slot(&mut self, name: &str, at: usize) -> Option<Slot> {
        if name.is_empty() {
            self.problems.add(at, "a key of the record is empty");
            return None;
        }
        let slot = self.keys.slot(name);
        if slot.is_none() {
            self.problems.add(at, "the format reads too many keys");
        }
        slot
    }

    /// The field called `name`: one of ECS, of ours, or below the format's own namespace.
    pub(super) fn target(&mut self, name: &str, at: usize, all: bool) -> Option<Target> {
        let own = self.namespaces.iter().any(|namespace| {
            name.strip_prefix(namespace.as_str()).is_some_and(|rest| rest.starts_with('.'))
        });
        let known = match catalogue::find(name) {
            Some(known) => known,
            None if own => Known { ty: Type::AsIs, many: false },
            None => {
                let meant = meant(catalogue::nearest(name));
                let message = format!("ECS has no field {name:?}{meant}");
                self.problems.add(at, message);
                return None;
            }
        };
        if let Some(target) = self.targets.get(name) {
            return Some(Target { many: target.many || all, ..*target });
        }
        let (Some(field), Ok(index)) = (FieldId::intern(name), u16::try_from(self.targets.len()))
        else {
            self.problems.add(at, format!("{name:?} is no name for a field"));
            return None;
        };
        let target = Target { field, index, ty: known.ty, many: known.many };
        self.targets.insert(name.to_owned(), target);
        Some(Target { many: target.many || all, ..target })
    }

    /// The constants in `node`, as `target` takes them.
    pub(super) fn constants(
        &mut self,
        target: Target,
        node: super::document::Node<'_, '_>,
    ) -> Option<Box<[Constant]>> {
        let mut constants = Vec::new();
        for item in node.list() {
            let constant = match (target.ty, item.as_bool(), item.as_i64(), item.as_str()) {
                (Type::Bool | Type::AsIs, Some(value), _, _) => Constant::Bool(value),
                (Type::Int | Type::Float | Type::AsIs, _, Some(number), _) => {
                    Constant::Whole(number)
                }
                (Type::Text | Type::AsIs, _, _, Some(text)) => Constant::Text(text.into()),
                (Type::Ip, _, _, Some(text)) if text.parse::<std::net::IpAddr>().is_ok() => {
                    Constant::Text(text.into())
                }
                _ => {
                    let name = target.field.name();
                    let message = format!("{name:?} does not take {}", item.kind());
                    self.problems.add(item.at, message);
                    return None;
                }
            };
            if let Some(allowed) = allowed(target.field.name())
                && let Constant::Text(text) = &constant
                && !allowed.contains(&&**text)
            {
                let meant = meant(super::document::nearest(text, allowed.iter().copied()));
                let name = target.field.name();
                self.problems.add(item.at, format!("ECS does not allow {text:?} in {name}{meant}"));
            }
            constants.push(constant);
        }
        Some(constants.into())
    }
}

/// The values that ECS allows in a field, where it says so.
fn allowed(name: &str) -> Option<&'static [&'static str]> {
    Some(match name {
        "event.kind" => &["alert", "asset", "enrichment", "event", "metric", "state", "signal"],
        "event.category" => &[
            "api",
            "authentication",
            "configuration",
            "database",
            "driver",
            "email",
            "file",
            "host",
            "iam",
            "intrusion_detection",
            "library",
            "malware",
            "network",
            "package",
            "process",
            "registry",
            "session",
            "threat",
            "vulnerability",
            "web",
        ],
        "event.type" => &[
            "access",
            "admin",
            "allowed",
            "change",
            "connection",
            "creation",
            "deletion",
            "denied",
            "device",
            "end",
            "error",
            "group",
            "indicator",
            "info",
            "installation",
            "protocol",
            "start",
            "user",
        ],
        "event.outcome" => &["failure", "success", "unknown"],
        _ => return None,
    })
}
