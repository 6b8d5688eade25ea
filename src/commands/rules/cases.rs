//! The example events beside rules.
//!
//! `x.yml` has `x.test.json` beside it: `{"cases": [{"format", "fires", "record", …}]}` with raw
//! records in the vendor's shape. A correlation's case has `records` instead, each with the time
//! `at` which it arrives and, where they differ, its format and commune.

use std::{collections::BTreeSet, fs, io, path::Path, sync::Arc};

use bytes::Bytes;
use event::{BusId, CommuneId, Decode as _, Event, EventId, FeedId, FormatName, Record, Timestamp};
use ingest::formats::Formats;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::offline;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    cases: Vec<Case>,
}

/// What a rule shall make of a record, or a correlation of several.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    format: FormatName,
    pub(super) fires: bool,
    /// Which rule of the file is meant, where it holds several.
    #[serde(default)]
    pub(super) rule: Option<String>,
    /// What this case is about, for people.
    #[serde(default)]
    pub(super) why: String,
    #[serde(default)]
    pub(super) also_fires: BTreeSet<String>,
    #[serde(default)]
    record: Option<Box<RawValue>>,
    #[serde(default)]
    records: Vec<Timed>,
}

/// A record of several. When it happened it says itself.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Timed {
    /// When it arrives.
    at: Timestamp,
    #[serde(default)]
    format: Option<FormatName>,
    #[serde(default)]
    commune: Option<CommuneId>,
    record: Box<RawValue>,
}

/// The cases in a file; `None` where there is no such file.
pub(super) fn read(path: &Path) -> Result<Vec<Case>, Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => serde_json::from_str::<Cases>(&text)
            .map(|cases| cases.cases)
            .map_err(|error| Some(format!("cannot be read: {error}"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(None),
        Err(error) => Err(Some(format!("cannot be read: {error}"))),
    }
}

impl Case {
    /// The events of the case, in the order in which they arrive.
    pub(super) fn events(&self, formats: &Formats) -> Result<Vec<Arc<Event>>, String> {
        let own = offline::commune();
        let one = self.record.iter().map(|record| (&self.format, &own, Timestamp::now(), record));
        let several = self.records.iter().map(|timed| {
            let format = timed.format.as_ref().unwrap_or(&self.format);
            (format, timed.commune.as_ref().unwrap_or(&own), timed.at, &timed.record)
        });
        if self.record.is_some() != self.records.is_empty() {
            return Err("a case has either a record or records".to_owned());
        }
        (1..)
            .zip(one.chain(several))
            .map(|(number, (format, commune, received, record))| {
                decode(formats, format, commune, received, record, number)
            })
            .collect()
    }
}

fn decode(
    formats: &Formats,
    format: &FormatName,
    commune: &CommuneId,
    received: Timestamp,
    record: &RawValue,
    number: u64,
) -> Result<Arc<Event>, String> {
    if formats.get(format.as_str()).is_none() {
        let names = formats.names().join(", ");
        return Err(format!("there is no format {format}; there are {names}"));
    }
    let record = Record {
        commune: commune.clone(),
        feed: FeedId::new("offline").expect("a constant slug is valid"),
        format: format.clone(),
        received,
        raw: raw(record),
        context: None,
    };
    let id = EventId::of(BusId::from_bytes([0; 16]), 0, number, Timestamp::from_millis(0));
    let event = formats.decode(record, id);
    if event.is_pipeline_error() {
        return Err(format!("record {number} can't be decoded: {}", event.to_json()["error"]));
    }
    Ok(Arc::new(event))
}

/// The record's bytes as the vendor sends them: a JSON object as it stands here, a line of text
/// as the text of a JSON string.
fn raw(record: &RawValue) -> Bytes {
    match serde_json::from_str::<String>(record.get()) {
        Ok(line) => Bytes::from(line),
        Err(_) => Bytes::copy_from_slice(record.get().as_bytes()),
    }
}
