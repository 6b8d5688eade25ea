//! Answers on stdout, for people and for programs.

use std::io::{self, Write as _};

use serde_json::Value;

use crate::cli::Output;

/// Prints a line on stdout, and returns the error where that fails, as it does under `| head`.
macro_rules! outln {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        writeln!(std::io::stdout(), $($text)*)?
    }};
}
pub(crate) use outln;

/// A column of a table: its head and the path of its value in each object, parts split by `.`.
pub(crate) type Column = (&'static str, &'static str);

/// Prints a listing: as a table of `columns`, or as its JSON.
pub(crate) fn list(output: Output, answer: &Value, columns: &[Column]) -> io::Result<()> {
    match output {
        Output::Json => json(answer),
        Output::Table => {
            let items =
                answer.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            table(items, columns)?;
            if let Some(cursor) = answer.get("next_cursor").and_then(Value::as_str) {
                eprintln!("there is more: --cursor {cursor}");
            }
            Ok(())
        }
    }
}

/// Prints `value` as indented JSON.
pub(crate) fn json(value: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)
}

/// Prints `items` in aligned columns.
pub(crate) fn table(items: &[Value], columns: &[Column]) -> io::Result<()> {
    let rows: Vec<Vec<String>> = items
        .iter()
        .map(|item| columns.iter().map(|(_, path)| cell(item, path)).collect())
        .collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(i, (head, _))| {
            rows.iter().map(|row| width(&row[i])).chain([width(head)]).max().unwrap_or(0)
        })
        .collect();
    let mut out = io::stdout().lock();
    let heads: Vec<String> = columns.iter().map(|(head, _)| (*head).to_owned()).collect();
    for row in std::iter::once(&heads).chain(&rows) {
        let mut line = String::new();
        for (text, width_max) in row.iter().zip(&widths) {
            line.push_str(text);
            line.extend(std::iter::repeat_n(' ', width_max - width(text) + 2));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// The value at `path` as one line of text. Control characters, which could drive the reader's
/// terminal, are shown escaped.
pub(crate) fn cell(item: &Value, path: &str) -> String {
    safe(&text(item, path))
}

/// What `item` has at `path`, as it is; empty where it has nothing.
pub(crate) fn text(item: &Value, path: &str) -> String {
    let mut value = item;
    for part in path.split('.') {
        match value.get(part) {
            Some(inner) => value = inner,
            None => return String::new(),
        }
    }
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let parts: Vec<String> = items
                .iter()
                .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
                .collect();
            parts.join(",")
        }
        other => other.to_string(),
    }
}

/// `text` without characters that could drive a terminal.
pub(crate) fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control()
            || ('\u{202a}'..='\u{202e}').contains(&c)
            || ('\u{2066}'..='\u{2069}').contains(&c)
        {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_attacker_wrote_does_not_drive_the_terminal() {
        let item = serde_json::json!({"a": {"b": "x\u{1b}[2Jy\nz\u{202e}"}});
        assert_eq!(cell(&item, "a.b"), "x\\u{1b}[2Jy\\nz\\u{202e}");
        assert_eq!(cell(&item, "a.c"), "");
    }
}
