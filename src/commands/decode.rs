//! `jacquemart decode`.

use std::io::{self, BufWriter, Write};

use bytes::Bytes;
use event::{Event, EventBuilder};
use ingest::{capture::Capture, formats::Formats};
use rayon::prelude::*;
use serde_json::Value;

use super::offline::{self, Origin};
use crate::{
    Exit, Failure,
    cli::{Decode, Global},
};

/// Records that are decoded at once.
const BATCH_RECORDS: usize = 2_000;

/// A record to decode, or why there is none where one should be.
type Input = (u64, Result<Bytes, (Bytes, String)>);

pub(crate) fn run(global: &Global, args: Decode) -> Result<Exit, Failure> {
    let formats = offline::formats(global)?;
    offline::known_format(&formats, &args.format)?;
    let capture = Capture::open(&args.file)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut batch: Vec<Input> = Vec::with_capacity(BATCH_RECORDS);
    let origin = Origin::new(args.format);
    for (number, item) in (1..).zip(capture) {
        let input = match item {
            Ok(record) if args.envelope => {
                unwrap(&record.raw).map_err(|reason| (record.raw, reason))
            }
            Ok(record) => Ok(record.raw),
            Err(error) => Err((Bytes::new(), error.to_string())),
        };
        batch.push((number, input));
        if batch.len() == BATCH_RECORDS {
            flush(&formats, &origin, &mut batch, &mut out)?;
        }
    }
    flush(&formats, &origin, &mut batch, &mut out)?;
    out.flush()?;
    Ok(Exit::Done)
}

/// The raw record in an envelope.
fn unwrap(line: &Bytes) -> Result<Bytes, String> {
    let envelope: Value = serde_json::from_slice(line)
        .map_err(|error| format!("the envelope is no JSON object: {error}"))?;
    match envelope.get("message") {
        Some(Value::String(text)) => Ok(Bytes::from(text.clone())),
        Some(Value::Null) | None => Err("the envelope has no `message`".to_owned()),
        Some(other) => Ok(Bytes::from(other.to_string())),
    }
}

/// Every input gives one line, in order.
fn flush(
    formats: &Formats,
    origin: &Origin,
    batch: &mut Vec<Input>,
    out: &mut impl Write,
) -> io::Result<()> {
    let lines: Vec<Vec<u8>> = batch
        .par_drain(..)
        .map(|(number, input)| {
            let mut json = decode(formats, origin, number, input).to_json();
            forget_origin(&mut json);
            let mut line = serde_json::to_vec(&json).unwrap_or_default();
            line.push(b'\n');
            line
        })
        .collect();
    lines.iter().try_for_each(|line| out.write_all(line))
}

/// Takes away the commune and feed, which a file has none of.
fn forget_origin(event: &mut Value) {
    for (object, key) in [("organization", "id"), ("jacquemart", "feed")] {
        let Some(inner) = event.get_mut(object).and_then(Value::as_object_mut) else { continue };
        inner.remove(key);
        if inner.is_empty()
            && let Some(event) = event.as_object_mut()
        {
            event.remove(object);
        }
    }
}

fn decode(
    formats: &Formats,
    origin: &Origin,
    number: u64,
    input: Result<Bytes, (Bytes, String)>,
) -> Event {
    match input {
        Ok(raw) => origin.decode(formats, 0, number, raw),
        Err((raw, reason)) => {
            let (record, id) = origin.record(0, number, raw);
            EventBuilder::new(record, id).build_pipeline_error(&reason)
        }
    }
}
