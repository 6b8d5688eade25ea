//! JSON arrays whose elements are records.

use serde::de::IgnoredAny;

use super::{Splitter, Unsplittable, check};

impl Splitter<'_> {
    /// One array, or several one after another. What follows that is no array is taken line by
    /// line.
    pub(super) fn arrays(&mut self) -> Result<(), Unsplittable> {
        loop {
            self.skip_space();
            match self.peek() {
                None => return Ok(()),
                Some(b'[') => self.array()?,
                Some(_) => return self.lines(),
            }
        }
    }

    /// The array at the cursor. A comma too many or too few costs no record.
    fn array(&mut self) -> Result<(), Unsplittable> {
        self.at += 1;
        loop {
            self.skip_space();
            match self.peek() {
                None => {
                    let reason = "the array is not closed: `]` is missing".to_owned();
                    let at = self.at;
                    return self.offer(at..at, self.line, Err((check::Fault::Malformed, reason)));
                }
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b',') => self.at += 1,
                Some(_) => {
                    if self.element()? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// The element at the cursor; gives whether it swallowed all that was left.
    fn element(&mut self) -> Result<bool, Unsplittable> {
        let (start, line) = (self.at, self.line);
        match self.parse() {
            Ok(len) => {
                let range = start..start + len;
                self.go(range.end);
                let checked = check::utf8(&self.body[range.clone()]);
                self.offer(range, line, checked)?;
                Ok(false)
            }
            Err((fault, mut reason)) => {
                let end = start + broken_len(self.rest());
                self.go(end);
                let swallowed = end == self.body.len();
                if swallowed {
                    reason.push_str("; it could not be told where it ends, so all that follows is rejected with it");
                }
                self.offer(start..end, line, Err((fault, reason)))?;
                Ok(swallowed)
            }
        }
    }

    /// The length of the well-formed value at the cursor, as far as it may be a record.
    pub(super) fn parse(&self) -> Result<usize, (check::Fault, String)> {
        let window = self.window();
        let bytes_max = self.limits.record_bytes_max;
        let is_cut = window.len() < self.rest().len();
        let mut stream = serde_json::Deserializer::from_slice(window).into_iter::<IgnoredAny>();
        match stream.next() {
            Some(Ok(_)) if stream.byte_offset() <= bytes_max => Ok(stream.byte_offset()),
            Some(Err(error)) if !(is_cut && error.is_eof()) => {
                Err(check::malformed(window, &error))
            }
            Some(_) => Err(check::too_large(bytes_max)),
            None => Ok(0),
        }
    }
}

/// How many bytes the element that `text` begins with seems to have, where it is not
/// well-formed or too large: to the bracket that closes its first one, or to the next comma.
/// Strings are respected, but none goes on past the end of a line, as none may.
pub(super) fn broken_len(text: &[u8]) -> usize {
    let (open, close) = match text.first() {
        Some(b'{') => (b'{', b'}'),
        Some(b'[') => (b'[', b']'),
        _ => (0, 0),
    };
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, &byte) in text.iter().enumerate() {
        if escaped {
            escaped = false;
        } else if in_string {
            match byte {
                b'\\' => escaped = true,
                b'"' | b'\n' => in_string = false,
                _ => {}
            }
        } else if byte == b'"' {
            in_string = true;
        } else if open == 0 && matches!(byte, b',' | b']') {
            return at.max(1);
        } else if open != 0 && byte == open {
            depth += 1;
        } else if open != 0 && byte == close {
            depth -= 1;
            if depth == 0 {
                return at + 1;
            }
        }
    }
    text.len()
}
