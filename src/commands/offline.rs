//! What commands that work without a server share.

use bytes::Bytes;
use event::{BusId, CommuneId, Decode as _, Event, EventId, FeedId, FormatName, Record, Timestamp};
use ingest::formats::Formats;

use super::load_config;
use crate::{Failure, cli::Global};

/// Where records of a file seem to come from.
pub(crate) struct Origin {
    commune: CommuneId,
    feed: FeedId,
    format: FormatName,
    started: Timestamp,
}

impl Origin {
    pub(crate) fn new(format: FormatName) -> Self {
        let valid = "a constant slug is valid";
        Self {
            commune: commune(),
            feed: FeedId::new("offline").expect(valid),
            format,
            started: Timestamp::now(),
        }
    }

    /// The record `number` of the file at place `file`, with an id that is the same each time.
    pub(crate) fn record(&self, file: u32, number: u64, raw: Bytes) -> (Record, EventId) {
        let record = Record {
            commune: self.commune.clone(),
            feed: self.feed.clone(),
            format: self.format.clone(),
            received: self.started,
            raw,
            context: None,
        };
        let id = EventId::of(BusId::from_bytes([0; 16]), file, number, Timestamp::from_millis(0));
        (record, id)
    }

    /// That record, decoded.
    pub(crate) fn decode(&self, formats: &Formats, file: u32, number: u64, raw: Bytes) -> Event {
        let (record, id) = self.record(file, number, raw);
        formats.decode(record, id)
    }
}

/// The formats of the configuration.
pub(crate) fn formats(global: &Global) -> Result<Formats, Failure> {
    load_config(global)?.formats().map_err(|error| Failure::usage(error.to_string()))
}

/// Whose the records of files are.
pub(crate) fn commune() -> CommuneId {
    CommuneId::new("offline").expect("a constant slug is valid")
}

/// Refuses a format that does not exist, naming those that do.
pub(crate) fn known_format(formats: &Formats, name: &FormatName) -> Result<(), Failure> {
    if formats.get(name.as_str()).is_some() {
        return Ok(());
    }
    let names = formats.names();
    Err(Failure::usage(format!(
        "there is no format {name:?}; there are {}",
        names.join(", "),
        name = name.as_str()
    )))
}
