//! From a record's text to its pairs.

mod cef;
pub(super) mod csv;
mod header;
pub(super) mod json;
pub(super) mod options;
pub(super) mod pairs;
pub(super) mod pattern;

use self::{csv::Layout, json::Shape, pairs::Style, pattern::Pattern};
use super::record::{Record, text_of};
use crate::formats::json::Json;

/// A way in which records are written.
#[derive(Debug)]
pub(super) enum Syntax {
    Json,
    Cef,
    Leef,
    Pairs(Style),
    Csv(Layout),
    /// The whole text, for patterns.
    Text,
}

/// How a format's records are read.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// The first that fits counts; the last is taken where none does.
    pub(super) syntaxes: Vec<Syntax>,
    /// Whether a syslog header may stand before the message.
    pub(super) header: bool,
    pub(super) shape: Shape,
    pub(super) patterns: Vec<Pattern>,
    /// Keys whose text is `key=value` again.
    pub(super) nested_pairs: Vec<(super::record::Slot, Style)>,
}

/// The key under which a line's text without its header stands.
pub(super) const TEXT: &str = "text";

impl Input {
    /// Reads `text` and hands its pairs to `run`, with the places of the patterns that matched.
    pub(super) fn read(
        &self,
        text: &str,
        keys: &super::record::Keys,
        run: &mut dyn FnMut(&Record<'_, '_>, &[usize]),
    ) -> Result<(), String> {
        let mut record = Record::new(keys);
        let body = match self.header {
            true => header::read(text, &mut record),
            false => text,
        };
        let Some(syntax) = self.syntax(body) else { return Err("it is empty".to_owned()) };
        match syntax {
            Syntax::Json => return self.read_json(body, record, run),
            Syntax::Cef => {
                let at = cef::find_cef(body).unwrap_or(0);
                before(body, at, &mut record);
                cef::read_cef(body.get(at..).unwrap_or_default(), &mut record)?;
            }
            Syntax::Leef => {
                let at = cef::find_leef(body).unwrap_or(0);
                before(body, at, &mut record);
                cef::read_leef(body.get(at..).unwrap_or_default(), &mut record)?;
            }
            Syntax::Pairs(style) => pairs::read(body, *style, &mut record),
            Syntax::Csv(layout) => csv::read(body, layout, &mut record),
            Syntax::Text => record.add_text(TEXT, body),
        }
        self.finish(record, run);
        Ok(())
    }

    fn syntax(&self, body: &str) -> Option<&Syntax> {
        if body.trim_matches(['\0', ' ', '\r', '\n', '\t', '\u{feff}']).is_empty() {
            return None;
        }
        let (last, others) = self.syntaxes.split_last()?;
        let fits = |syntax: &&Syntax| match syntax {
            Syntax::Json => body.trim_start().starts_with(['{', '[']),
            Syntax::Cef => cef::find_cef(body).is_some(),
            Syntax::Leef => cef::find_leef(body).is_some(),
            Syntax::Pairs(style) => style.assign != b'=' || body.contains('='),
            Syntax::Csv(_) => body.starts_with('"'),
            Syntax::Text => true,
        };
        Some(others.iter().find(fits).unwrap_or(last))
    }

    fn read_json<'t>(
        &self,
        body: &'t str,
        mut record: Record<'_, 't>,
        run: &mut dyn FnMut(&Record<'_, '_>, &[usize]),
    ) -> Result<(), String> {
        let (preamble, body) = crate::formats::split_preamble(body);
        if !preamble.is_empty() {
            record.add_text("preamble", preamble);
        }
        let parsed = Json::parse(body).map_err(|error| error.to_string())?;
        let root = match &parsed {
            Json::Object(_) => &parsed,
            Json::Array(items) => match items.as_slice() {
                [one @ Json::Object(_)] => one,
                _ => {
                    return Err(format!(
                        "it is an array of {}; send its members as records of their own",
                        items.len()
                    ));
                }
            },
            _ => return Err("it is JSON, but no object".to_owned()),
        };
        let root = self
            .shape
            .unwrap
            .iter()
            .find_map(|key| {
                root.get(key).filter(|inner| inner.object().is_some_and(|pairs| !pairs.is_empty()))
            })
            .unwrap_or(root);
        let embedded = json::embedded(root, &self.shape);
        let mut inner = Record::new(record.keys());
        json::read(root, &embedded, &self.shape, &mut inner);
        inner.append_text(&record);
        self.finish(inner, run);
        Ok(())
    }

    fn finish(&self, mut record: Record<'_, '_>, run: &mut dyn FnMut(&Record<'_, '_>, &[usize])) {
        let matched = pattern::run(&self.patterns, &mut record);
        for (slot, style) in &self.nested_pairs {
            let assign = char::from(style.assign);
            let texts: Vec<String> = record
                .all(*slot)
                .filter_map(text_of)
                .filter(|text| text.contains(assign))
                .map(str::to_owned)
                .collect();
            for text in texts {
                let mut nested = Record::new(record.keys());
                pairs::read(&text, *style, &mut nested);
                record.append_text(&nested);
            }
        }
        run(&record, &matched);
    }
}

/// Keeps what stands before the record proper.
fn before<'t>(body: &'t str, at: usize, record: &mut Record<'_, 't>) {
    let text = body.get(..at).unwrap_or_default().trim();
    let text = text.trim_end_matches("CEF:").trim_end_matches("LEEF:").trim();
    if !text.is_empty() {
        record.add_text("preamble", text);
    }
}
