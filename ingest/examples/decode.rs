//! Decodes one record a line:
//! `decode FORMAT [--envelope] [--formats FOLDER] < records > events`.
//!
//! With `--envelope` every line is an object whose `message` (or `input.message`) is the record;
//! where FORMAT is `auto`, its `format` names the format. `--formats` loads formats from a
//! folder over the built-in ones, so that one can be worked on without building again.

use std::{
    io::{BufRead, Write},
    path::Path,
};

use bytes::Bytes;
use event::{BusId, CommuneId, Decode, EventId, FeedId, FormatName, Record, Timestamp};
use ingest::formats::Formats;
use serde_json::Value;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let format = args.first().ok_or("usage: decode FORMAT [--envelope] [--formats FOLDER]")?;
    let envelope = args.iter().any(|arg| arg == "--envelope");
    let folder = args.iter().position(|arg| arg == "--formats").and_then(|at| args.get(at + 1));
    let formats = match folder {
        Some(folder) => Formats::with_folder(Path::new(folder))?,
        None => Formats::builtin(),
    };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for (offset, line) in (0..).zip(std::io::stdin().lock().split(b'\n')) {
        let line = line?;
        let outer: Value = if envelope { serde_json::from_slice(&line)? } else { Value::Null };
        let input = outer.get("input").unwrap_or(&outer);
        let raw = match input.get("message") {
            Some(message) => Bytes::from(message.as_str().unwrap_or_default().to_owned()),
            None => Bytes::from(line),
        };
        let name = match format.as_str() {
            "auto" => outer.get("format").and_then(Value::as_str).unwrap_or_default(),
            name => name,
        };
        let name = FormatName::new(name.rsplit('/').next().unwrap_or_default())?;
        let mut json = decode(&formats, name, offset, raw)?;
        if let (Some(root), Some(test)) = (json.as_object_mut(), outer.get("_test")) {
            root.insert("_test".to_owned(), test.clone());
        }
        serde_json::to_writer(&mut out, &json)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn decode(
    formats: &Formats,
    format: FormatName,
    offset: u64,
    raw: Bytes,
) -> Result<Value, Box<dyn std::error::Error>> {
    let received = Timestamp::from_secs(1_767_225_600);
    let record = Record {
        commune: CommuneId::new("dijon")?,
        feed: FeedId::new("dijon-decode")?,
        format,
        received,
        raw,
    };
    let id = EventId::of(BusId::from_bytes([1; 16]), 0, offset, received);
    let mut json = formats.decode(record, id).to_json();
    // Nobody's events: the commune is only known on the way through the bus.
    if let Some(organization) = json.get_mut("organization").and_then(Value::as_object_mut) {
        organization.remove("id");
    }
    Ok(json)
}
