//! Decodes one record a line: `decode FORMAT [--envelope] < records > events`. With
//! `--envelope` every line is an object whose `message` is the record.

use std::io::{BufRead, Write};

use bytes::Bytes;
use event::{BusId, CommuneId, Decode, EventId, FeedId, FormatName, Record, Timestamp};
use ingest::formats::Formats;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let format = FormatName::new(&args.next().ok_or("usage: decode FORMAT [--envelope]")?)?;
    let envelope = args.next().as_deref() == Some("--envelope");
    let formats = Formats::builtin();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for (offset, line) in (0..).zip(std::io::stdin().lock().split(b'\n')) {
        let line = line?;
        let (raw, test) = if envelope {
            let value: serde_json::Value = serde_json::from_slice(&line)?;
            let input = value.get("input").unwrap_or(&value);
            let raw = input["message"].as_str().unwrap_or_default().to_owned();
            (Bytes::from(raw), value.get("_test").cloned())
        } else {
            (Bytes::from(line), None)
        };
        let received = Timestamp::from_secs(1_767_225_600);
        let record = Record {
            commune: CommuneId::new("dijon")?,
            feed: FeedId::new("dijon-decode")?,
            format: format.clone(),
            received,
            raw,
        };
        let id = EventId::of(BusId::from_bytes([1; 16]), 0, offset, received);
        let mut json = formats.decode(record, id).to_json();
        // Nobody's events: the commune is only known on the way through the bus.
        if let Some(root) = json.as_object_mut() {
            if let Some(organization) = root.get_mut("organization").and_then(|o| o.as_object_mut())
            {
                organization.remove("id");
            }
            if let Some(test) = test {
                root.insert("_test".to_owned(), test);
            }
        }
        serde_json::to_writer(&mut out, &json)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}
