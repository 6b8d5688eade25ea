//! The fields that a format may fill: those of ECS, with their types, and our own extensions.

use std::{collections::HashMap, sync::OnceLock};

use event::fields;

/// How a field's values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// Text.
    Text,
    /// An IP address in its canonical form.
    Ip,
    /// A time, as RFC 3339 in UTC.
    Date,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// `true` or `false`.
    Bool,
    /// As the record has it: the type of fields that ECS does not define.
    AsIs,
}

/// A field that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) ty: Type,
    /// Whether ECS defines an array.
    pub(super) many: bool,
}

/// Names, types and arrays of ECS, one a line.
const ECS: &str = include_str!("../../../formats/ecs.txt");

/// Our own fields whose values are typed.
const OWN: &[(&str, Type)] = &[
    ("process.user.domain", Type::Text),
    ("mtd.device.byod", Type::Bool),
    ("file.Ext.original.path", Type::Text),
];

fn table() -> &'static HashMap<&'static str, Known> {
    static TABLE: OnceLock<HashMap<&'static str, Known>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table: HashMap<_, _> = ECS.lines().filter_map(line).collect();
        for name in fields::KNOWN {
            table.entry(name).or_insert(Known { ty: Type::AsIs, many: false });
        }
        for (name, ty) in OWN {
            table.insert(name, Known { ty: *ty, many: false });
        }
        table
    })
}

fn line(line: &'static str) -> Option<(&'static str, Known)> {
    if line.starts_with('#') {
        return None;
    }
    let mut parts = line.split(' ');
    let (name, ty) = (parts.next()?, parts.next()?);
    let ty = match ty {
        "ip" => Type::Ip,
        "date" => Type::Date,
        "int" => Type::Int,
        "float" => Type::Float,
        "bool" => Type::Bool,
        "object" => Type::AsIs,
        _ => Type::Text,
    };
    Some((name, Known { ty, many: parts.next() == Some("*") }))
}

/// The field called `name`, where ECS or we define it. Members of `labels` are the user's.
pub(super) fn find(name: &str) -> Option<Known> {
    if let Some(label) = name.strip_prefix("labels.")
        && !label.is_empty()
    {
        return Some(Known { ty: Type::Text, many: false });
    }
    table().get(name).copied()
}

/// Whether some field lies below `prefix`.
pub(super) fn has_below(prefix: &str) -> bool {
    table().keys().any(|name| name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.')))
}

/// The known name that resembles `name` most, where one does.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    super::document::nearest(name, table().keys().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ecs_is_there_with_its_types() {
        assert_eq!(find("source.ip"), Some(Known { ty: Type::Ip, many: false }));
        assert_eq!(find("event.category"), Some(Known { ty: Type::Text, many: true }));
        assert_eq!(find("process.pid"), Some(Known { ty: Type::Int, many: false }));
        assert_eq!(find("mtd.status.name").map(|known| known.ty), Some(Type::AsIs));
        assert_eq!(find("source.ipp"), None);
        assert_eq!(nearest("source.ipp"), Some("source.ip"));
        assert!(has_below("source") && !has_below("sourc"));
        assert!(ECS.lines().filter_map(line).count() > 1_500);
    }
}
