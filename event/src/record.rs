//! What a collector hands over: raw bytes and where they came from.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::{CommuneId, FeedId, FormatName, Timestamp};

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
}

/// Version of the envelope that [`Record::encode`] writes.
const VERSION: u8 = 1;

impl Record {
    /// The form kept on the bus: version (1 byte), arrival in ns (i64 LE), then commune, feed
    /// and format each as length (1 byte) and text, then the raw bytes to the end.
    pub fn encode(&self) -> Bytes {
        let names = [self.commune.as_str(), self.feed.as_str(), self.format.as_str()];
        let mut out = BytesMut::with_capacity(
            12 + names.iter().map(|name| name.len()).sum::<usize>() + self.raw.len(),
        );
        out.put_u8(VERSION);
        out.put_i64_le(self.received.as_nanos());
        for name in names {
            // Slugs are at most 63 bytes.
            out.put_u8(u8::try_from(name.len()).unwrap_or(u8::MAX));
            out.put_slice(name.as_bytes());
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
        if version != VERSION {
            return Err(RecordError::Version(version));
        }
        let received = Timestamp::from_nanos(bytes.get_i64_le());
        let commune = take_name(&mut bytes)?;
        let feed = take_name(&mut bytes)?;
        let format = take_name(&mut bytes)?;
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
        })
    }
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
        }
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same() {
        for raw in [&b""[..], b"{}", b"\x00\xff not utf-8"] {
            let record = record(raw);
            assert_eq!(Record::decode(record.encode()).unwrap(), record);
        }
    }

    #[test]
    fn cut_or_foreign_bytes_are_refused() {
        let bytes = record(b"").encode();
        for len in 0..bytes.len() {
            assert!(Record::decode(bytes.slice(..len)).is_err(), "{len}");
        }
        assert_eq!(Record::decode(Bytes::from_static(&[9; 20])), Err(RecordError::Version(9)));
    }
}
