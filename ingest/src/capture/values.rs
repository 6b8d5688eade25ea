//! JSON values in an array, or one behind the other.

use std::{io::BufRead, sync::Arc};

use bytes::Bytes;

use super::{CaptureError, CaptureRecord, Place, Reader};

/// Follows a JSON object or array byte by byte to its end. It checks no more than brackets
/// and strings: whether the value is JSON is for its format to say.
#[derive(Default)]
pub(super) struct Scan {
    depth: usize,
    string: bool,
    escape: bool,
    done: bool,
}

impl Scan {
    pub(super) fn feed(&mut self, byte: u8) {
        if self.string {
            match byte {
                _ if self.escape => self.escape = false,
                b'\\' => self.escape = true,
                b'"' => self.string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => self.string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.done = self.depth == 0;
            }
            _ => {}
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    pub(super) fn in_string(&self) -> bool {
        self.string
    }
}

/// The objects of a file. Arrays at the top are opened; what stands between values and is
/// none of JSON's separators is a record too, up to the next separator, so that it is seen.
pub(super) struct Values {
    reader: Reader,
    file: Arc<str>,
    record_bytes_max: usize,
    number: u64,
    done: bool,
}

impl Values {
    pub(super) fn new(reader: Reader, file: Arc<str>, record_bytes_max: usize) -> Self {
        Self { reader, file, record_bytes_max, number: 0, done: false }
    }

    fn place(&self) -> Place {
        Place::Value(self.number)
    }

    fn value(&mut self) -> std::io::Result<Option<Value>> {
        let mut value = Value { bytes: Vec::new(), too_long: false, cut: false };
        let mut state = State::Between;
        loop {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if buffer.is_empty() {
                value.cut = matches!(state, State::Container(_));
                return Ok((!matches!(state, State::Between)).then_some(value));
            }
            let mut used = 0;
            let mut end = false;
            for byte in buffer {
                used += 1;
                end = state.feed(*byte);
                if end || !matches!(state, State::Between) {
                    value.push(*byte, &state, end, self.record_bytes_max);
                }
                if end {
                    break;
                }
            }
            self.reader.consume(used);
            if end {
                return Ok(Some(value));
            }
        }
    }
}

/// Where in the file the reader is.
enum State {
    Between,
    Container(Scan),
    /// Anything but an object: a number, or no JSON at all. In a string, separators count not.
    Other {
        string: bool,
        escape: bool,
    },
}

impl State {
    /// Takes a byte; whether it ends a value.
    fn feed(&mut self, byte: u8) -> bool {
        match self {
            Self::Between => match byte {
                b'{' => {
                    let mut scan = Scan::default();
                    scan.feed(byte);
                    *self = Self::Container(scan);
                }
                b'[' | b']' | b',' => {}
                b'\xef' | b'\xbb' | b'\xbf' => {}
                byte if byte.is_ascii_whitespace() => {}
                byte => *self = Self::Other { string: byte == b'"', escape: false },
            },
            Self::Container(scan) => {
                scan.feed(byte);
                return scan.is_done();
            }
            Self::Other { string, escape } => {
                if *string {
                    match byte {
                        _ if *escape => *escape = false,
                        b'\\' => *escape = true,
                        b'"' => *string = false,
                        _ => {}
                    }
                    return byte == b'\n';
                }
                *string = byte == b'"';
                return matches!(byte, b',' | b']' | b'\n');
            }
        }
        false
    }
}

struct Value {
    bytes: Vec<u8>,
    too_long: bool,
    cut: bool,
}

impl Value {
    fn push(&mut self, byte: u8, state: &State, end: bool, max: usize) {
        if end && matches!(state, State::Other { .. }) {
            // The separator is no part of it.
            return;
        }
        if self.bytes.len() >= max {
            self.too_long = true;
            self.bytes = Vec::new();
        }
        if !self.too_long {
            self.bytes.push(byte);
        }
    }
}

impl Iterator for Values {
    type Item = Result<CaptureRecord, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        match self.value() {
            Ok(None) => {
                self.done = true;
                None
            }
            Ok(Some(value)) => {
                self.number += 1;
                let (file, place) = (self.file.clone(), self.place());
                Some(if value.too_long {
                    Err(CaptureError::TooLong { file, place, max: self.record_bytes_max })
                } else if value.cut {
                    Err(CaptureError::Cut { file, place })
                } else {
                    Ok(CaptureRecord { raw: Bytes::from(value.bytes), number: self.number })
                })
            }
            Err(source) => {
                self.done = true;
                let (file, place) = (self.file.clone(), self.place());
                Some(Err(CaptureError::Read { file, place, source }))
            }
        }
    }
}
