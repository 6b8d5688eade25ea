//! What the targets share.

use std::sync::OnceLock;

use event::{BusId, CommuneId, Decode, Event, EventId, FeedId, FormatName, Record, Timestamp};
use ingest::formats::Formats;

/// The formats that are built in.
pub fn formats() -> &'static Formats {
    static FORMATS: OnceLock<Formats> = OnceLock::new();
    FORMATS.get_or_init(Formats::builtin)
}

/// The event of `raw` by `format`, twice the same, with the original as it was.
pub fn decode(formats: &Formats, format: &str, raw: &[u8]) -> Event {
    let received = Timestamp::from_secs(1_800_000_000);
    let record = Record {
        commune: CommuneId::new("dijon").expect("a name"),
        feed: FeedId::new("dijon-fuzz").expect("a name"),
        format: FormatName::new(format).expect("a name"),
        received,
        raw: raw.to_vec().into(),
        context: None,
    };
    let id = EventId::of(BusId::from_bytes([1; 16]), 0, 7, received);
    let event = formats.decode(record.clone(), id);
    let text = event.to_json();
    assert_eq!(&event.original()[..], raw, "the original is kept as it was");
    assert_eq!(formats.decode(record, id).to_json(), text, "the same each time");
    event
}
