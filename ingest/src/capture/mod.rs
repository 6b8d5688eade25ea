//! Recorded telemetry, read one record at a time.
//!
//! Enters: a file, or `-` for standard input: NDJSON or plain lines, a JSON array, one or more
//! JSON objects, or an EVTX file; each plain, gzip or zstd, told by its first bytes. Leaves:
//! the records in their order, byte for byte, and an error for each that could not be read;
//! the rest goes on where the input allows it. Ignored: what records mean.
//!
//! Memory holds one record of at most `record_bytes_max`, or one EVTX chunk of 64 KiB.

pub(crate) mod evtx;
mod lines;
mod source;
mod values;

use std::{io::BufRead, path::Path, sync::Arc};

use bytes::Bytes;

pub use self::source::Progress;
use self::source::Source;

/// Bytes that a record has at most, unless told otherwise.
pub const RECORD_BYTES_MAX: usize = 8 << 20;

/// One record of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureRecord {
    /// The record: a line without its line break, a JSON value, or an EVTX record as JSON.
    pub raw: Bytes,
    /// Where it is in its file: the line, the value or the EVTX record id; from 1.
    pub number: u64,
}

/// Why a record of a capture could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// There is no such file, or it may not be read.
    #[error("open {file}: {source}")]
    Open {
        /// The file.
        file: Arc<str>,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file cannot be read on; nothing follows.
    #[error("read {file} behind {place}: {source}")]
    Read {
        /// The file.
        file: Arc<str>,
        /// The last record that was read.
        place: Place,
        /// What the system, or the decompressor, says.
        source: std::io::Error,
    },
    /// A record is longer than allowed; the next one follows.
    #[error("read {place} of {file}: it has more than {max} bytes; raise record_bytes_max")]
    TooLong {
        /// The file.
        file: Arc<str>,
        /// The record.
        place: Place,
        /// Bytes allowed.
        max: usize,
    },
    /// The file ends inside a record.
    #[error("read {place} of {file}: the file ends inside it; it may have been cut")]
    Cut {
        /// The file.
        file: Arc<str>,
        /// The record.
        place: Place,
    },
    /// A part of an EVTX file is damaged; the next one follows.
    #[error("read {place} of {file}: {reason}")]
    Evtx {
        /// The file.
        file: Arc<str>,
        /// The part.
        place: Place,
        /// What is wrong with it.
        reason: String,
    },
}

/// A place in a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line, from 1.
    Line(u64),
    /// A JSON value, from 1.
    Value(u64),
    /// An EVTX record, by its id.
    Record(u64),
    /// An EVTX chunk, from 0.
    Chunk(u64),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(number) => write!(f, "line {number}"),
            Self::Value(number) => write!(f, "value {number}"),
            Self::Record(id) => write!(f, "record {id}"),
            Self::Chunk(number) => write!(f, "chunk {number}"),
        }
    }
}

/// A capture being read: an iterator over its records.
pub struct Capture {
    records: Box<dyn Iterator<Item = Result<CaptureRecord, CaptureError>> + Send>,
    progress: Progress,
}

impl Capture {
    /// Opens `path`, or standard input for `-`, with records of at most [`RECORD_BYTES_MAX`].
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        Self::open_with(path, RECORD_BYTES_MAX)
    }

    /// Opens `path` with records of at most `record_bytes_max` bytes.
    pub fn open_with(path: &Path, record_bytes_max: usize) -> Result<Self, CaptureError> {
        let mut source = Source::open(path)?;
        let progress = source.progress();
        let file = source.file();
        let head = source.head().map_err(|source| CaptureError::Read {
            file: file.clone(),
            place: Place::Line(0),
            source,
        })?;
        let records: Box<dyn Iterator<Item = _> + Send> = match Shape::of(head) {
            Shape::Evtx => Box::new(evtx::Records::open(source)?),
            Shape::Lines => {
                Box::new(lines::Lines::new(source.into_reader(), file, record_bytes_max))
            }
            Shape::Values => {
                Box::new(values::Values::new(source.into_reader(), file, record_bytes_max))
            }
        };
        Ok(Self { records, progress })
    }

    /// How far the reading is; can be asked from another thread.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl Iterator for Capture {
    type Item = Result<CaptureRecord, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.records.next()
    }
}

/// A reader of decompressed bytes.
type Reader = Box<dyn BufRead + Send>;

/// How records stand in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Evtx,
    /// One record a line.
    Lines,
    /// JSON values, in an array or one behind the other, over lines as they like.
    Values,
}

impl Shape {
    /// The shape of what begins with `head`.
    fn of(head: &[u8]) -> Self {
        if head.starts_with(b"ElfFile\0") {
            return Self::Evtx;
        }
        let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
        let start = head.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(0);
        match head.get(start) {
            Some(b'[') => Self::Values,
            Some(b'{') => Self::of_objects(&head[start..]),
            _ => Self::Lines,
        }
    }

    /// Objects are lines if the first one ends on its line, with nothing behind it.
    fn of_objects(head: &[u8]) -> Self {
        let mut scan = values::Scan::default();
        for (at, byte) in head.iter().enumerate() {
            scan.feed(*byte);
            if scan.is_done() {
                let rest = &head[at + 1..];
                let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
                let more = line.iter().any(|byte| !byte.is_ascii_whitespace());
                return if more { Self::Values } else { Self::Lines };
            }
            if *byte == b'\n' && !scan.in_string() {
                return Self::Values;
            }
            if *byte == b'\n' {
                // A raw line break in a string: no JSON, so lines are all there is.
                return Self::Lines;
            }
        }
        Self::Lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_told_by_their_beginning() {
        for (head, shape) in [
            (&b""[..], Shape::Lines),
            (b"ElfFile\0\0\0", Shape::Evtx),
            (b"{\"a\":1}\n{\"a\":2}\n", Shape::Lines),
            (b"\xef\xbb\xbf {\"a\":{}}\r\n", Shape::Lines),
            (b"{\"a\":1}{\"a\":2}", Shape::Values),
            (b"{\n  \"a\": 1\n}", Shape::Values),
            (b" [{\"a\":1},\n{\"a\":2}]", Shape::Values),
            (b"{\"a\":\"a very long li", Shape::Lines),
            (b"<13>Jan  1 host tag: {", Shape::Lines),
        ] {
            assert_eq!(Shape::of(head), shape, "{:?}", String::from_utf8_lossy(head));
        }
    }
}
