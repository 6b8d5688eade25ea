//! Walking the frames of a segment, and finding the next whole one after damage.

use std::{io, sync::Arc};

use bytes::Bytes;
use memchr::memmem;

use super::{
    disk::read_up_to,
    frame::{ALIGN, Frame, HEADER_BYTES, Header, Kind, MAGIC},
    segment::Segment,
};

/// Bytes read at once; a larger frame is read by itself.
const CHUNK_BYTES: u64 = 1 << 20;

/// What stands at a place.
#[derive(Debug)]
pub(super) enum Item {
    /// Payloads.
    Data(Header, Frame),
    /// A proof that everything before it was fsynced.
    Mark(Header),
    /// Where a damaged range was moved aside.
    Gap(Header),
    /// No whole frame. The header is given where it is whole itself.
    Bad(Option<Header>),
    /// The limit.
    End,
}

/// Walks the frames of one segment up to a limit. A bad place is not passed.
pub(super) struct Scanner {
    segment: Arc<Segment>,
    pos: u64,
    limit: u64,
    /// Frames begin at this offset or later.
    floor: u64,
    chunk: Bytes,
    chunk_pos: u64,
}

impl Scanner {
    /// Begins at `pos`, where the next payload has at least the offset `floor`.
    pub(super) fn new(segment: Arc<Segment>, pos: u64, limit: u64, floor: u64) -> Self {
        Self { segment, pos, limit, floor, chunk: Bytes::new(), chunk_pos: 0 }
    }

    /// Where the next item stands.
    pub(super) fn pos(&self) -> u64 {
        self.pos
    }

    /// Whether the next item needs no read.
    pub(super) fn has_chunk(&self) -> bool {
        self.pos + (HEADER_BYTES as u64) < self.chunk_pos + self.chunk.len() as u64
    }

    /// The next item; passes it unless it is bad.
    pub(super) fn next(&mut self) -> io::Result<Item> {
        if self.pos >= self.limit {
            return Ok(Item::End);
        }
        let head = self.bytes(HEADER_BYTES as u64)?;
        let Some(header) = Header::decode(&head, self.segment.salt, self.pos) else {
            return Ok(Item::Bad(None));
        };
        let fits = header.frame_bytes() <= self.limit - self.pos;
        if !fits || header.first < self.floor {
            return Ok(Item::Bad(Some(header)));
        }
        let item = match header.kind {
            Kind::Mark => Item::Mark(header),
            Kind::Gap => Item::Gap(header),
            Kind::Data => match self.data(&header)? {
                Some(frame) => Item::Data(header, frame),
                None => return Ok(Item::Bad(Some(header))),
            },
        };
        self.pos += header.frame_bytes();
        self.floor = header.next_offset();
        Ok(item)
    }

    fn data(&mut self, header: &Header) -> io::Result<Option<Frame>> {
        let whole = HEADER_BYTES + header.body_bytes as usize;
        let frame = self.bytes(whole as u64)?;
        if frame.len() < whole {
            return Ok(None);
        }
        Ok(Frame::check(header, frame.slice(HEADER_BYTES..whole)))
    }

    /// Up to `need` bytes from here; fewer where file or limit end.
    fn bytes(&mut self, need: u64) -> io::Result<Bytes> {
        let need = need.min(self.limit - self.pos);
        let chunk_end = self.chunk_pos + self.chunk.len() as u64;
        if self.pos < self.chunk_pos || self.pos + need > chunk_end {
            let want = need.max(CHUNK_BYTES).min(self.limit - self.pos);
            self.chunk = read_up_to(&self.segment.file, self.pos, want as usize)?.into();
            self.chunk_pos = self.pos;
        }
        let start = (self.pos - self.chunk_pos) as usize;
        let end = (start + need as usize).min(self.chunk.len());
        Ok(self.chunk.slice(start.min(end)..end))
    }
}

/// The first whole frame of any kind that begins in `from..until` and ends by `limit`, for
/// going on after damage.
pub(super) fn next_whole(
    segment: &Arc<Segment>,
    from: u64,
    until: u64,
    limit: u64,
    floor: u64,
) -> io::Result<Option<Header>> {
    let mut pos = from.next_multiple_of(ALIGN);
    while pos < until {
        // Windows overlap by a header, so that none is cut in two.
        let want = CHUNK_BYTES.min(until - pos) as usize;
        let window = read_up_to(&segment.file, pos, want)?;
        for at in memmem::find_iter(&window, &MAGIC) {
            let found = pos + at as u64;
            if !found.is_multiple_of(ALIGN) {
                continue;
            }
            let mut scanner = Scanner::new(Arc::clone(segment), found, limit, floor);
            if let Item::Data(header, _) | Item::Mark(header) | Item::Gap(header) =
                scanner.next()?
            {
                return Ok(Some(header));
            }
        }
        if window.len() < want || window.len() < CHUNK_BYTES as usize {
            break;
        }
        pos += CHUNK_BYTES - HEADER_BYTES as u64;
    }
    Ok(None)
}

/// The place of the last byte in `from..limit` that is not zero.
pub(super) fn last_nonzero(segment: &Segment, from: u64, limit: u64) -> io::Result<Option<u64>> {
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut last = None;
    let mut pos = from;
    while pos < limit {
        let want = CHUNK_BYTES.min(limit - pos) as usize;
        let chunk = read_up_to(&segment.file, pos, want)?;
        // Whole blocks are compared at once: most of an allocated segment is zero.
        for (block, bytes) in chunk.chunks(ZEROS.len()).enumerate() {
            if *bytes != ZEROS[..bytes.len()]
                && let Some(at) = bytes.iter().rposition(|byte| *byte != 0)
            {
                last = Some(pos + (block * ZEROS.len() + at) as u64);
            }
        }
        if chunk.len() < want {
            break;
        }
        pos += chunk.len() as u64;
    }
    Ok(last)
}
