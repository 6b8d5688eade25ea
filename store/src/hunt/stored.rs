//! The records that a segment keeps.

use event::{Decode, Event, Record};
use tantivy::{
    SegmentReader, TantivyDocument, TantivyError,
    schema::{Field, Value as _},
    store::StoreReader,
};

use crate::index::{
    document::whole,
    schema::{EventSchema, column},
};

/// Blocks of originals that are kept unpacked while candidates are looked at.
const STORE_CACHE_BLOCKS: usize = 4;

/// The records of a segment as they came.
pub(crate) struct Originals {
    store: StoreReader,
    field: Field,
}

impl Originals {
    pub(crate) fn open(segment: &SegmentReader) -> tantivy::Result<Self> {
        Ok(Self {
            store: segment.get_store_reader(STORE_CACHE_BLOCKS)?,
            field: EventSchema::get().record,
        })
    }

    /// The record that is document `doc`.
    pub(crate) fn record(&mut self, doc: u32) -> tantivy::Result<Record> {
        let stored: TantivyDocument = self.store.get(doc)?;
        let bytes = stored
            .get_first(self.field)
            .and_then(|value| value.as_bytes())
            .ok_or_else(|| damaged(doc, "no record is stored"))?;
        Record::decode(bytes::Bytes::copy_from_slice(bytes))
            .map_err(|error| damaged(doc, &error.to_string()))
    }
}

/// Stored events of a segment.
pub(crate) struct Events<'a> {
    originals: Originals,
    ids: [tantivy::columnar::Column<u64>; 2],
    decode: &'a dyn Decode,
}

impl<'a> Events<'a> {
    pub(crate) fn open(segment: &SegmentReader, decode: &'a dyn Decode) -> tantivy::Result<Self> {
        let columns = segment.fast_fields();
        Ok(Self {
            originals: Originals::open(segment)?,
            ids: [columns.u64(column::ID_HIGH)?, columns.u64(column::ID_LOW)?],
            decode,
        })
    }

    /// The event that is document `doc`, decoded again from its record.
    pub(crate) fn get(&mut self, doc: u32) -> tantivy::Result<Event> {
        let record = self.originals.record(doc)?;
        let [high, low] = self.ids.each_ref().map(|column| column.first(doc));
        let id = high.zip(low).map(|(high, low)| whole(high, low));
        let id = id.ok_or_else(|| damaged(doc, "no event id is stored"))?;
        Ok(self.decode.decode(record, id))
    }
}

fn damaged(doc: u32, what: &str) -> TantivyError {
    TantivyError::InternalError(format!("document {doc}: {what}"))
}
