//! Values by their place: comma-separated and the like.

use std::{borrow::Cow, collections::HashMap};

use crate::formats::{declared::record::Record, json::Json};

/// Columns that one line has at most; what is behind stays in the last.
const COLUMNS_MAX: usize = 4_096;

/// What the columns of a line are called.
#[derive(Debug)]
pub(in crate::formats::declared) struct Layout {
    pub(in crate::formats::declared) separator: u8,
    /// The column, from 0, whose value names the layout; `None` where there is only one.
    pub(in crate::formats::declared) by: Option<usize>,
    /// Names of columns by that value, lower case; a name that is empty is not kept.
    pub(in crate::formats::declared) columns: HashMap<Box<str>, Box<[Box<str>]>>,
}

/// Adds the columns of `text`. Those without a name are kept as `column_7`, from 1.
pub(super) fn read<'t>(text: &'t str, layout: &Layout, record: &mut Record<'_, 't>) {
    let cells = cells(text, layout.separator);
    let kind = layout.by.and_then(|by| cells.get(by)).map(|cell| cell.trim().to_ascii_lowercase());
    let names = kind
        .and_then(|kind| layout.columns.get(kind.as_str()))
        .or_else(|| layout.columns.get("*"))
        .map_or(&[][..], AsRef::as_ref);
    for (index, cell) in cells.into_iter().enumerate() {
        match names.get(index) {
            Some(name) if name.is_empty() => {}
            Some(name) => record.add(name, Json::Str(cell)),
            None => record.add(&format!("column_{}", index + 1), Json::Str(cell)),
        }
    }
}

/// The cells of one line: quotes may hold separators, and doubled quotes stand for one.
fn cells(text: &str, separator: u8) -> Vec<Cow<'_, str>> {
    let mut cells = Vec::with_capacity(64);
    let mut rest = text;
    loop {
        if cells.len() + 1 >= COLUMNS_MAX {
            cells.push(Cow::Borrowed(rest));
            return cells;
        }
        let (cell, next) = match rest.strip_prefix('"').and_then(|inner| quoted(inner, separator)) {
            Some(found) => found,
            None => match memchr::memchr(separator, rest.as_bytes()) {
                Some(at) => (Cow::Borrowed(rest.get(..at).unwrap_or_default()), rest.get(at + 1..)),
                None => (Cow::Borrowed(rest), None),
            },
        };
        cells.push(cell);
        match next {
            Some(next) => rest = next,
            None => return cells,
        }
    }
}

/// A cell behind its opening quote, and what is behind the separator that ends it; `None`
/// where the quote does not close before a separator.
fn quoted(text: &str, separator: u8) -> Option<(Cow<'_, str>, Option<&str>)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut doubled = false;
    loop {
        let close = at + memchr::memchr(b'"', bytes.get(at..)?)?;
        if bytes.get(close + 1) == Some(&b'"') {
            doubled = true;
            at = close + 2;
            continue;
        }
        let raw = text.get(..close)?;
        let cell = match doubled {
            true => Cow::Owned(raw.replace("\"\"", "\"")),
            false => Cow::Borrowed(raw),
        };
        return match bytes.get(close + 1) {
            None => Some((cell, None)),
            Some(byte) if *byte == separator => Some((cell, text.get(close + 2..))),
            Some(_) => None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_separators() {
        assert_eq!(cells(r#"a,"b,c","d""e",,"f"#, b','), ["a", "b,c", "d\"e", "", "\"f"]);
        assert_eq!(cells("", b','), [""]);
        assert_eq!(cells(r#""1" "a b" """#, b' '), ["1", "a b", ""]);
        assert_eq!(cells(&",".repeat(10_000), b',').len(), COLUMNS_MAX);
    }
}
