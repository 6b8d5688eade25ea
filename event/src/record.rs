//! What a collector hands over: raw bytes and where they came from.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::{BatchMark, CommuneId, Context, FeedId, FormatName, Timestamp};

/// Raw bytes from one feed with their arrival time, untouched since the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The commune that the feed belongs to.
    pub commune: CommuneId,
    /// The feed that sent it.
    pub feed: FeedId,
    /// What to decode it with.
    pub format: FormatName,
    /// When it arrived.
    pub received: Timestamp,
    /// What was sent: one record, without the framing of its door.
    pub raw: Bytes,
    /// What the shipper said of it beside it; never empty.
    pub context: Option<Arc<Context>>,
}

/// Why stored bytes are no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The bytes end too early.
    #[error("the envelope is cut short")]
    Short,
    /// Written by a newer version.
    #[error("envelope version {0} is not known to this version of jacquemart")]
    Version(u8),
    /// A name in it is not one.
    #[error("the envelope names an invalid {0}")]
    Name(&'static str),
    /// What was said beside the record is not readable.
    #[error("the envelope has an unreadable context: {0}")]
    Context(String),
}

/// Version of the envelope that [`Record::encode`] writes for records alone.
const VERSION: u8 = 1;
/// Version of the envelope with a context.
const WITH_CONTEXT: u8 = 2;
/// Version of the envelope with a context that ends a batch.
const ENDS_BATCH: u8 = 3;

impl Record {
    /// The form kept on the bus: version (1 byte), arrival in ns (i64 LE), then commune, feed
    /// and format each as length (1 byte) and text, then, in version 2, the context as length
    /// (u32 LE) and JSON, then the raw bytes to the end. Version 2 is written only where there is a
    /// context; version 3 is the same, and told apart so that the ends of batches are found
    /// without reading every context.
    pub fn encode(&self) -> Bytes {
        let context = self.context.as_deref().map(|context| {
            // Of texts, pairs and a time; none of them can fail to be written.
            serde_json::to_vec(context).unwrap_or_default()
        });
        let names = [self.commune.as_str(), self.feed.as_str(), self.format.as_str()];
        let mut out = BytesMut::with_capacity(
            16 + names.iter().map(|name| name.len()).sum::<usize>()
                + context.as_ref().map_or(0, Vec::len)
                + self.raw.len(),
        );
        let ends_batch = self.context.as_ref().is_some_and(|context| context.batch.is_some());
        out.put_u8(match &context {
            Some(_) if ends_batch => ENDS_BATCH,
            Some(_) => WITH_CONTEXT,
            None => VERSION,
        });
        out.put_i64_le(self.received.as_nanos());
        for name in names {
            // Slugs are at most 63 bytes.
            out.put_u8(u8::try_from(name.len()).unwrap_or(u8::MAX));
            out.put_slice(name.as_bytes());
        }
        if let Some(context) = context {
            out.put_u32_le(u32::try_from(context.len()).unwrap_or(u32::MAX));
            out.put_slice(&context);
        }
        out.put_slice(&self.raw);
        out.freeze()
    }

    /// Reads what [`encode`](Self::encode) wrote; the raw bytes are shared, not copied.
    pub fn decode(mut bytes: Bytes) -> Result<Self, RecordError> {
        if bytes.len() < 9 {
            return Err(RecordError::Short);
        }
        let version = bytes.get_u8();
        if !matches!(version, VERSION | WITH_CONTEXT | ENDS_BATCH) {
            return Err(RecordError::Version(version));
        }
        let received = Timestamp::from_nanos(bytes.get_i64_le());
        let commune = take_name(&mut bytes)?;
        let feed = take_name(&mut bytes)?;
        let format = take_name(&mut bytes)?;
        let context = match version {
            WITH_CONTEXT | ENDS_BATCH => Some(Arc::new(take_context(&mut bytes)?)),
            _ => None,
        };
        let text = |bytes: &Bytes, what| {
            std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| RecordError::Name(what))
        };
        Ok(Self {
            commune: CommuneId::new(&text(&commune, "commune")?)
                .map_err(|_| RecordError::Name("commune"))?,
            feed: FeedId::new(&text(&feed, "feed")?).map_err(|_| RecordError::Name("feed"))?,
            format: FormatName::new(&text(&format, "format")?)
                .map_err(|_| RecordError::Name("format"))?,
            received,
            raw: bytes,
            context,
        })
    }

    /// The feed and the mark of the batch that ends with the record in `bytes`, if one does.
    pub fn batch_end(bytes: &Bytes) -> Option<(FeedId, BatchMark)> {
        if bytes.first() != Some(&ENDS_BATCH) {
            return None;
        }
        let record = Self::decode(bytes.clone()).ok()?;
        let mark = record.context?.batch.clone()?;
        Some((record.feed, *mark))
    }
}

fn take_context(bytes: &mut Bytes) -> Result<Context, RecordError> {
    if bytes.len() < 4 {
        return Err(RecordError::Short);
    }
    let len = usize::try_from(bytes.get_u32_le()).map_err(|_| RecordError::Short)?;
    if bytes.len() < len {
        return Err(RecordError::Short);
    }
    serde_json::from_slice(&bytes.split_to(len))
        .map_err(|error| RecordError::Context(error.to_string()))
}

fn take_name(bytes: &mut Bytes) -> Result<Bytes, RecordError> {
    if bytes.is_empty() {
        return Err(RecordError::Short);
    }
    let len = usize::from(bytes.get_u8());
    if bytes.len() < len {
        return Err(RecordError::Short);
    }
    Ok(bytes.split_to(len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(raw: &'static [u8]) -> Record {
        Record {
            commune: CommuneId::new("dijon").unwrap(),
            feed: FeedId::new("dijon-endpoints").unwrap(),
            format: FormatName::new("windows").unwrap(),
            received: Timestamp::from_millis(1_700_000_000_123),
            raw: Bytes::from_static(raw),
            context: None,
        }
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same() {
        for raw in [&b""[..], b"{}", b"\x00\xff not utf-8"] {
            let mut record = record(raw);
            assert_eq!(Record::decode(record.encode()).unwrap(), record);
            let fields = vec![("hec.source".to_owned(), "\u{e9}\n".to_owned())];
            let time = Some(Timestamp::from_millis(1));
            record.context =
                Some(Arc::new(Context { time, host: Some("a".to_owned()), fields, batch: None }));
            assert_eq!(Record::decode(record.encode()).unwrap(), record);
        }
    }

    #[test]
    fn cut_or_foreign_bytes_are_refused() {
        let mut with_context = record(b"");
        with_context.context = Some(Arc::default());
        for bytes in [record(b"").encode(), with_context.encode()] {
            for len in 0..bytes.len() {
                assert!(Record::decode(bytes.slice(..len)).is_err(), "{len}");
            }
        }
        assert_eq!(Record::decode(Bytes::from_static(&[9; 20])), Err(RecordError::Version(9)));
    }

    #[test]
    fn the_end_of_a_batch_is_found_without_decoding_the_others() {
        let mark = BatchMark {
            key: "k".to_owned(),
            digest: "00ff".to_owned(),
            receipt: r#"{"accepted":2}"#.to_owned(),
        };
        let mut last = record(b"{}");
        assert_eq!(Record::batch_end(&last.encode()), None);
        last.context = Some(Arc::new(Context { host: Some("a".to_owned()), ..Context::default() }));
        assert_eq!(Record::batch_end(&last.encode()), None);
        let batch = Some(Box::new(mark.clone()));
        last.context = Some(Arc::new(Context { batch, ..Context::default() }));
        assert_eq!(Record::decode(last.encode()), Ok(last.clone()));
        assert_eq!(Record::batch_end(&last.encode()), Some((last.feed, mark)));
    }
}
