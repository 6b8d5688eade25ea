//! CEF and LEEF: a header between bars, then pairs.

use std::borrow::Cow;

use super::pairs::{self, Style};
use crate::formats::{declared::record::Record, json::Json};

/// What may stand before `CEF:` or `LEEF:`, in bytes.
const HEAD_BYTES_MAX: usize = 1_024;

/// Names of CEF's header fields, behind the version.
const CEF_HEADER: [&str; 6] =
    ["DeviceVendor", "DeviceProduct", "DeviceVersion", "DeviceEventClassID", "Name", "Severity"];

/// Where the header of CEF begins in `text`, behind `CEF:`. A relay may have eaten the mark
/// itself, so a bare `0|Vendor|` passes too.
pub(super) fn find_cef(text: &str) -> Option<usize> {
    if let Some(at) = find_mark(text, "CEF:") {
        let rest = text.get(at..)?.trim_start();
        return Some(text.len() - rest.len());
    }
    let rest = text.trim_start();
    let mut bytes = rest.bytes();
    let bare = matches!(bytes.next(), Some(b'0' | b'1')) && bytes.next() == Some(b'|');
    (bare && rest.bytes().filter(|byte| *byte == b'|').count() >= 6)
        .then(|| text.len() - rest.len())
}

fn find_mark(text: &str, mark: &str) -> Option<usize> {
    let at = memchr::memmem::find(text.as_bytes(), mark.as_bytes())?;
    (at <= HEAD_BYTES_MAX).then_some(at + mark.len())
}

/// Where the header of LEEF begins in `text`, behind `LEEF:`.
pub(super) fn find_leef(text: &str) -> Option<usize> {
    find_mark(text, "LEEF:")
}

/// The text up to the next bar that is not escaped, and what is behind it.
fn column(text: &str) -> Option<(&str, &str)> {
    let mut from = 0;
    loop {
        let bar = from + memchr::memchr(b'|', text.as_bytes().get(from..)?)?;
        let escapes =
            text.as_bytes()[..bar].iter().rev().take_while(|byte| **byte == b'\\').count();
        if escapes % 2 == 0 {
            return Some((text.get(..bar)?, text.get(bar + 1..)?));
        }
        from = bar + 1;
    }
}

/// Adds what CEF's header at `text` and its extension say. Custom fields come twice: by their
/// own name (`cs1`) and, for the plan, by their label.
pub(super) fn read_cef<'t>(text: &'t str, record: &mut Record<'_, 't>) -> Result<(), String> {
    let (version, mut rest) = column(text).ok_or("it has no header of CEF")?;
    record.add_text("Version", version.trim());
    // An empty first column is an artefact of some relays.
    if let Some(behind) = rest.strip_prefix('|') {
        rest = behind;
    }
    for name in CEF_HEADER {
        match column(rest) {
            Some((value, behind)) => {
                let value = match value.contains('\\') {
                    true => Cow::Owned(pairs::unescape(value)),
                    false => Cow::Borrowed(value),
                };
                record.add(name, Json::Str(value));
                rest = behind;
            }
            None if name == "Severity" => {
                // Without an extension the last bar may be missing.
                record.add_text(name, rest.trim());
                rest = "";
            }
            None => return Err(format!("the header of CEF ends before {name}")),
        }
    }
    let first = record.len();
    pairs::read(rest, Style::CEF, record);
    record.add_labelled(first);
    Ok(())
}

/// Adds what LEEF's header at `text` and its attributes say.
pub(super) fn read_leef<'t>(text: &'t str, record: &mut Record<'_, 't>) -> Result<(), String> {
    const HEADER: [&str; 4] = ["Vendor", "Product", "ProductVersion", "EventID"];
    let (version, mut rest) = column(text).ok_or("it has no header of LEEF")?;
    record.add_text("Version", version.trim());
    for name in HEADER {
        let (value, behind) =
            column(rest).ok_or_else(|| format!("the header of LEEF ends before {name}"))?;
        record.add_text(name, value);
        rest = behind;
    }
    let mut delimiter = '\t';
    if version.trim().starts_with('2')
        && let Some((named, behind)) = rest.split_once('|')
        && let Some(found) = leef_delimiter(named)
    {
        delimiter = found;
        rest = behind;
    }
    for pair in rest.split(delimiter) {
        match pair.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                record.add_text(key.trim(), value.trim());
            }
            _ if pair.trim().is_empty() => {}
            _ => record.add_text("unparsed", pair.trim()),
        }
    }
    Ok(())
}

/// `^`, `x09` or `0x09`; nothing is a tab.
fn leef_delimiter(text: &str) -> Option<char> {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix('x'));
    let mut chars = text.chars();
    match (hex, chars.next(), chars.next()) {
        (Some(hex), ..) if !hex.is_empty() => char::from_u32(u32::from_str_radix(hex, 16).ok()?),
        (_, None, _) => Some('\t'),
        (_, Some(one), None) => Some(one),
        _ => None,
    }
}
