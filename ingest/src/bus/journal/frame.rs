//! Frames: how one appended batch lies in a segment. The layout is in the docs of
//! [the journal](super).

use bytes::Bytes;

/// Every frame begins at a multiple of this, so that a search for the next one is quick.
pub(super) const ALIGN: u64 = 8;
/// Bytes of a frame's header.
pub(super) const HEADER_BYTES: usize = 48;
/// The first bytes of each frame.
pub(super) const MAGIC: [u8; 4] = *b"JqFr";
/// Bytes of the length that stands in the body for each payload.
const LENGTH_BYTES: usize = 4;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It carries payloads.
    Data = 1,
    /// It proves that everything before it was fsynced.
    Mark = 2,
    /// It stands where a damaged range was; its body means nothing.
    Gap = 3,
}

/// The fixed part of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// Bytes after the header, padding not counted.
    pub(super) body_bytes: u32,
    /// Payloads carried (data) or lost (gap).
    pub(super) count: u32,
    /// Offset of the first payload; for a mark, of the next one to come.
    pub(super) first: u64,
    /// Where in the segment the frame begins.
    pub(super) pos: u64,
    /// Everything below this place in the segment was fsynced before the frame was written.
    pub(super) durable: u64,
    /// CRC-32C of the body (data only).
    pub(super) body_crc: u32,
}

impl Header {
    /// The bytes of it in a segment of this salt.
    pub(super) fn encode(&self, salt: u32) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..4].copy_from_slice(&MAGIC);
        bytes[4] = self.kind as u8;
        bytes[8..12].copy_from_slice(&self.body_bytes.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.count.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.pos.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.durable.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.body_crc.to_le_bytes());
        let crc = crc32c::crc32c_append(salt, &bytes[..44]);
        bytes[44..48].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header that was written at `pos` of a segment of this salt, if `bytes` begin with
    /// it.
    pub(super) fn decode(bytes: &[u8], salt: u32, pos: u64) -> Option<Self> {
        let bytes: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
        if bytes[0..4] != MAGIC || crc32c::crc32c_append(salt, &bytes[..44]) != u32_at(bytes, 44) {
            return None;
        }
        let kind = match bytes[4] {
            1 => Kind::Data,
            2 => Kind::Mark,
            3 => Kind::Gap,
            _ => return None,
        };
        let header = Self {
            kind,
            body_bytes: u32_at(bytes, 8),
            count: u32_at(bytes, 12),
            first: u64_at(bytes, 16),
            pos: u64_at(bytes, 24),
            durable: u64_at(bytes, 32),
            body_crc: u32_at(bytes, 40),
        };
        let next_fits = header.first.checked_add(u64::from(header.count)).is_some();
        (header.pos == pos && next_fits).then_some(header)
    }

    /// Bytes of the whole frame with its padding.
    pub(super) fn frame_bytes(&self) -> u64 {
        (HEADER_BYTES as u64 + u64::from(self.body_bytes)).next_multiple_of(ALIGN)
    }

    /// The offset after the last payload.
    pub(super) fn next_offset(&self) -> u64 {
        self.first + u64::from(self.count)
    }
}

/// The payloads of one data frame, in memory.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// Offset of the first payload.
    pub(super) first: u64,
    /// How many there are.
    pub(super) count: u32,
    /// `count` lengths, then the payloads one after the other.
    body: Bytes,
}

impl Frame {
    /// Wraps a body whose header was decoded, if checksum and lengths agree.
    pub(super) fn check(header: &Header, body: Bytes) -> Option<Self> {
        if crc32c::crc32c(&body) != header.body_crc {
            return None;
        }
        let lengths_bytes = (header.count as usize).checked_mul(LENGTH_BYTES)?;
        let lengths = body.get(..lengths_bytes)?;
        let payload_bytes: u64 =
            lengths.chunks_exact(LENGTH_BYTES).map(|length| u64::from(u32_at(length, 0))).sum();
        if lengths_bytes as u64 + payload_bytes != body.len() as u64 {
            return None;
        }
        Some(Self::written(header, body))
    }

    /// Wraps the body of a frame that was just written.
    pub(super) fn written(header: &Header, body: Bytes) -> Self {
        Self { first: header.first, count: header.count, body }
    }

    /// The offset after the last payload.
    pub(super) fn next_offset(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    /// Bytes that it keeps in memory.
    pub(super) fn bytes(&self) -> usize {
        self.body.len() + HEADER_BYTES
    }

    /// Reads its payloads from the first on.
    pub(super) fn payloads(self) -> Payloads {
        let start = self.count as usize * LENGTH_BYTES;
        Payloads { frame: self, index: 0, start }
    }
}

/// A walk through the payloads of one frame.
#[derive(Clone, Debug)]
pub(super) struct Payloads {
    frame: Frame,
    index: u32,
    start: usize,
}

impl Payloads {
    /// Offset and size of the payload that comes next.
    pub(super) fn peek(&self) -> Option<(u64, usize)> {
        (self.index < self.frame.count).then(|| {
            let length = u32_at(&self.frame.body, self.index as usize * LENGTH_BYTES) as usize;
            (self.frame.first + u64::from(self.index), length)
        })
    }

    /// The payload that comes next, sharing the frame's memory.
    pub(super) fn take(&mut self) -> Option<(u64, Bytes)> {
        let (offset, length) = self.peek()?;
        let payload = self.frame.body.slice(self.start..self.start + length);
        self.index += 1;
        self.start += length;
        Some((offset, payload))
    }

    /// The frame walked through.
    pub(super) fn frame(&self) -> &Frame {
        &self.frame
    }
}

/// Bytes of the frame that `payloads` become.
pub(super) fn frame_bytes(payloads: &[Bytes]) -> u64 {
    let body: u64 = payloads.iter().map(|payload| (payload.len() + LENGTH_BYTES) as u64).sum();
    (HEADER_BYTES as u64 + body).next_multiple_of(ALIGN)
}

/// Where a frame goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub(super) salt: u32,
    pub(super) first: u64,
    pub(super) pos: u64,
    pub(super) durable: u64,
}

/// Appends the frame of `payloads` to `buffer`. Their total was checked to fit 32 bits.
pub(super) fn encode_data(buffer: &mut Vec<u8>, payloads: &[Bytes], spot: Spot) -> Header {
    let header_at = buffer.len();
    buffer.resize(header_at + HEADER_BYTES, 0);
    for payload in payloads {
        buffer.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    }
    for payload in payloads {
        buffer.extend_from_slice(payload);
    }
    let body = &buffer[header_at + HEADER_BYTES..];
    let header = Header {
        kind: Kind::Data,
        body_bytes: body.len() as u32,
        count: payloads.len() as u32,
        first: spot.first,
        pos: spot.pos,
        durable: spot.durable,
        body_crc: crc32c::crc32c(body),
    };
    buffer[header_at..header_at + HEADER_BYTES].copy_from_slice(&header.encode(spot.salt));
    buffer.resize(header_at + header.frame_bytes() as usize, 0);
    header
}

/// The frame that proves everything below `spot.pos` durable.
pub(super) fn encode_mark(spot: Spot) -> [u8; HEADER_BYTES] {
    Header {
        kind: Kind::Mark,
        body_bytes: 0,
        count: 0,
        first: spot.first,
        pos: spot.pos,
        durable: spot.pos,
        body_crc: 0,
    }
    .encode(spot.salt)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(pos: u64) -> Spot {
        Spot { salt: 7, first: 40, pos, durable: pos }
    }

    #[test]
    fn a_frame_reads_back_and_only_at_its_place() {
        let payloads = [Bytes::from_static(b"one"), Bytes::new(), Bytes::from_static(b"three")];
        let mut buffer = Vec::new();
        let written = encode_data(&mut buffer, &payloads, spot(64));
        assert_eq!(buffer.len() as u64, frame_bytes(&payloads));
        assert_eq!(Header::decode(&buffer, 7, 64), Some(written));
        assert_eq!(Header::decode(&buffer, 7, 72), None);
        assert_eq!(Header::decode(&buffer, 8, 64), None);

        let body = Bytes::from(buffer).slice(HEADER_BYTES..HEADER_BYTES + 20);
        let mut walk = Frame::check(&written, body).unwrap().payloads();
        let read: Vec<_> = std::iter::from_fn(|| walk.take()).collect();
        let expected: Vec<_> = (40..).zip(payloads).collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn a_changed_body_is_refused() {
        let mut buffer = Vec::new();
        let header = encode_data(&mut buffer, &[Bytes::from_static(b"payload")], spot(64));
        for at in HEADER_BYTES..HEADER_BYTES + header.body_bytes as usize {
            let mut body = buffer[HEADER_BYTES..][..header.body_bytes as usize].to_vec();
            body[at - HEADER_BYTES] ^= 0x10;
            assert!(Frame::check(&header, body.into()).is_none());
        }
    }
}
