//! A JSON object as pairs of dotted path and scalar.

use std::{borrow::Cow, collections::HashMap};

use crate::formats::{
    declared::record::Record,
    json::{Json, find},
};

/// How parts of a vendor's JSON are looked at beyond plain paths.
#[derive(Debug, Default)]
pub(in crate::formats::declared) struct Shape {
    /// Arrays of objects whose members get a second path, by array.
    pub(in crate::formats::declared) arrays: HashMap<Box<str>, Index>,
    /// Paths whose text is JSON again.
    pub(in crate::formats::declared) embedded: Vec<Box<str>>,
    /// The member whose content stands for the record, e.g. `event` of an envelope.
    pub(in crate::formats::declared) unwrap: Vec<Box<str>>,
}

/// How the members of an array are told apart.
#[derive(Debug)]
pub(in crate::formats::declared) struct Index {
    /// The member that names an element: its content is seen under `array.<name>.…` too.
    pub(in crate::formats::declared) by: Box<str>,
    /// Where an element is a pair: the member that is its value, seen as `array.<name>`.
    pub(in crate::formats::declared) value: Option<Box<str>>,
}

/// Adds every scalar of `root`. `embedded` are the parsed texts of [`Shape::embedded`].
pub(super) fn read<'j>(
    root: &'j Json<'_>,
    embedded: &'j [(Box<str>, Json<'j>)],
    shape: &Shape,
    record: &mut Record<'_, 'j>,
) {
    let mut path = String::with_capacity(128);
    Walk { shape, embedded }.value(root, &mut path, record);
}

/// Parses the texts that are JSON again, and whose result is a container.
pub(super) fn embedded<'j>(root: &'j Json<'_>, shape: &Shape) -> Vec<(Box<str>, Json<'j>)> {
    shape
        .embedded
        .iter()
        .filter_map(|path| {
            let keys: Vec<&str> = path.split('.').collect();
            let text = root.at(&keys)?.text()?.trim();
            if !text.starts_with(['{', '[']) {
                return None;
            }
            Json::parse(text).ok().map(|json| (path.clone(), json))
        })
        .collect()
}

struct Walk<'s, 'j> {
    shape: &'s Shape,
    embedded: &'j [(Box<str>, Json<'j>)],
}

impl<'j> Walk<'_, 'j> {
    // The tree is at most `DEPTH_MAX` deep, so recursion is bounded.
    fn value(&self, value: &'j Json<'_>, path: &mut String, record: &mut Record<'_, 'j>) {
        match value {
            Json::Object(pairs) => {
                let len = path.len();
                for (key, value) in pairs {
                    if len > 0 {
                        path.push('.');
                    }
                    path.push_str(key);
                    self.value(value, path, record);
                    path.truncate(len);
                }
            }
            Json::Array(items) => {
                for item in items {
                    self.value(item, path, record);
                }
                if let Some(index) = self.shape.arrays.get(path.as_str()) {
                    for item in items {
                        self.second_path(item, index, path, record);
                    }
                }
            }
            scalar => {
                if !self.embedded.is_empty()
                    && let Some((_, inner)) =
                        self.embedded.iter().find(|(known, _)| **known == **path)
                {
                    return Walk { shape: self.shape, embedded: &[] }.value(inner, path, record);
                }
                if let Some(scalar) = borrow(scalar) {
                    record.add(path, scalar);
                }
            }
        }
    }

    /// Shows the plan an element of an array under the name that it bears.
    fn second_path(
        &self,
        item: &'j Json<'_>,
        index: &Index,
        path: &mut String,
        record: &mut Record<'_, 'j>,
    ) {
        let Some(pairs) = item.object() else { return };
        let Some(name) = find(pairs, &index.by).and_then(Json::text) else { return };
        let len = path.len();
        path.push('.');
        path.push_str(name);
        match &index.value {
            Some(member) => {
                if let Some(value) = find(pairs, member) {
                    aliases(value, path, record);
                }
            }
            None => aliases(item, path, record),
        }
        path.truncate(len);
    }
}

fn aliases<'j>(value: &'j Json<'_>, path: &mut String, record: &mut Record<'_, 'j>) {
    match value {
        Json::Object(pairs) => {
            let len = path.len();
            for (key, value) in pairs {
                path.push('.');
                path.push_str(key);
                aliases(value, path, record);
                path.truncate(len);
            }
        }
        Json::Array(items) => items.iter().for_each(|item| aliases(item, path, record)),
        scalar => {
            if let Some(scalar) = borrow(scalar) {
                record.add_alias(path, scalar);
            }
        }
    }
}

/// A scalar that borrows from the tree.
fn borrow<'j>(scalar: &'j Json<'_>) -> Option<Json<'j>> {
    Some(match scalar {
        Json::Null => Json::Null,
        Json::Bool(value) => Json::Bool(*value),
        Json::Number(digits) => Json::Number(digits),
        Json::Str(text) => Json::Str(Cow::Borrowed(text)),
        Json::Deep(text) => Json::Deep(text),
        Json::Array(_) | Json::Object(_) => return None,
    })
}
