//! One record a line.

use std::{io::BufRead, sync::Arc};

use bytes::Bytes;

use super::{CaptureError, CaptureRecord, Place, Reader};

/// Lines that are not blank, without their line breaks.
pub(super) struct Lines {
    reader: Reader,
    file: Arc<str>,
    record_bytes_max: usize,
    number: u64,
    done: bool,
}

impl Lines {
    pub(super) fn new(reader: Reader, file: Arc<str>, record_bytes_max: usize) -> Self {
        Self { reader, file, record_bytes_max, number: 0, done: false }
    }

    /// The next line; `None` at the end. A line that is too long is passed without being held.
    fn line(&mut self) -> std::io::Result<Option<Line>> {
        let mut line = Vec::new();
        let mut too_long = false;
        let mut any = false;
        loop {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if buffer.is_empty() {
                return Ok(any.then_some(if too_long { Line::TooLong } else { Line::Bytes(line) }));
            }
            any = true;
            let end = memchr::memchr(b'\n', buffer);
            let part = &buffer[..end.unwrap_or(buffer.len())];
            // One more for a carriage return that is no part of the record.
            too_long |= line.len() + part.len() > self.record_bytes_max.saturating_add(1);
            if too_long {
                line = Vec::new();
            } else {
                line.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.reader.consume(used);
            if end.is_some() {
                return Ok(Some(if too_long { Line::TooLong } else { Line::Bytes(line) }));
            }
        }
    }
}

enum Line {
    Bytes(Vec<u8>),
    TooLong,
}

impl Iterator for Lines {
    type Item = Result<CaptureRecord, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.done {
            let line = match self.line() {
                Ok(line) => line,
                Err(source) => {
                    self.done = true;
                    let (file, place) = (self.file.clone(), Place::Line(self.number));
                    return Some(Err(CaptureError::Read { file, place, source }));
                }
            };
            let Some(line) = line else {
                self.done = true;
                break;
            };
            self.number += 1;
            let place = Place::Line(self.number);
            let mut line = match line {
                Line::Bytes(line) => line,
                Line::TooLong => return Some(Err(self.too_long(place))),
            };
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            if line.len() > self.record_bytes_max {
                return Some(Err(self.too_long(place)));
            }
            if self.number == 1 && line.starts_with(b"\xef\xbb\xbf") {
                line.drain(..3);
            }
            if line.iter().any(|byte| !byte.is_ascii_whitespace()) {
                return Some(Ok(CaptureRecord { raw: Bytes::from(line), number: self.number }));
            }
        }
        None
    }
}

impl Lines {
    fn too_long(&self, place: Place) -> CaptureError {
        CaptureError::TooLong { file: self.file.clone(), place, max: self.record_bytes_max }
    }
}
