//! RFC 6587: where a message ends in a stream.
//!
//! Both of its framings are told apart message by message, as relays mix them: one that begins
//! with a number, a space and `<` (or `{`, for senders of bare JSON) is octet-counted, any
//! other ends with the line. What stands between messages (line ends, NUL) is passed over.

use bytes::{Buf, Bytes, BytesMut};

/// A count that has more digits is none.
const DIGITS_MAX: usize = 10;

/// Why there is no message where one should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    /// It is being passed over; the next one follows.
    #[error("a message has more than {bytes_max} bytes (frame_bytes_max)")]
    TooLarge {
        /// The bound.
        bytes_max: usize,
    },
    /// Nothing after it can be read.
    #[error("a message claims {claimed_bytes} bytes, so that the next one cannot be found")]
    Lost {
        /// What its octet count says.
        claimed_bytes: u64,
    },
    /// The stream ended within an octet-counted message.
    #[error("a message breaks off: {missing_bytes} of its bytes are missing")]
    Truncated {
        /// How many.
        missing_bytes: u64,
    },
}

enum State {
    /// At the beginning of a message. `scanned` bytes of it hold no line end.
    Start { scanned: usize },
    /// Within an octet-counted message that is too large.
    Skip { left: u64 },
    /// Within a line that is too large.
    SkipLine,
    /// After [`FrameError::Lost`].
    Lost,
}

/// What the beginning of a message says.
enum Head {
    Count { digits: usize, bytes: u64 },
    Line,
    Undecided,
}

/// Cuts a stream into messages.
pub(super) struct Framer {
    frame_bytes_max: usize,
    skipped_bytes_max: usize,
    state: State,
}

impl Framer {
    /// See [`super::SyslogLimits`] for the bounds.
    pub(super) fn new(frame_bytes_max: usize, skipped_bytes_max: usize) -> Self {
        Self { frame_bytes_max, skipped_bytes_max, state: State::Start { scanned: 0 } }
    }

    /// Takes the next message out of `buffer`, or says what is wrong; `None` where more bytes
    /// are needed. Then no more than `frame_bytes_max` and a few bytes remain in `buffer`.
    pub(super) fn next(&mut self, buffer: &mut BytesMut) -> Option<Result<Bytes, FrameError>> {
        loop {
            match self.state {
                State::Lost => {
                    buffer.clear();
                    return None;
                }
                State::Skip { left } => {
                    let n = left.min(buffer.len() as u64);
                    buffer.advance(usize::try_from(n).unwrap_or(buffer.len()));
                    if n < left {
                        self.state = State::Skip { left: left - n };
                        return None;
                    }
                    self.state = State::Start { scanned: 0 };
                }
                State::SkipLine => match memchr::memchr(b'\n', buffer) {
                    Some(end) => {
                        buffer.advance(end + 1);
                        self.state = State::Start { scanned: 0 };
                    }
                    None => {
                        buffer.clear();
                        return None;
                    }
                },
                State::Start { scanned } => {
                    if scanned == 0 {
                        let between = buffer.iter().take_while(|byte| is_between(**byte)).count();
                        buffer.advance(between);
                    }
                    return match head(buffer) {
                        Head::Undecided => None,
                        Head::Count { digits, bytes } => self.counted(buffer, digits, bytes),
                        Head::Line => self.line(buffer, scanned),
                    };
                }
            }
        }
    }

    fn counted(
        &mut self,
        buffer: &mut BytesMut,
        digits: usize,
        bytes: u64,
    ) -> Option<Result<Bytes, FrameError>> {
        let fitting = usize::try_from(bytes).ok().filter(|len| *len <= self.frame_bytes_max);
        let Some(len) = fitting else {
            if bytes > self.skipped_bytes_max as u64 {
                self.state = State::Lost;
                return Some(Err(FrameError::Lost { claimed_bytes: bytes }));
            }
            buffer.advance(digits + 1);
            self.state = State::Skip { left: bytes };
            return Some(Err(FrameError::TooLarge { bytes_max: self.frame_bytes_max }));
        };
        if buffer.len() < digits + 1 + len {
            return None;
        }
        buffer.advance(digits + 1);
        Some(Ok(trim_end(buffer.split_to(len).freeze())))
    }

    fn line(&mut self, buffer: &mut BytesMut, scanned: usize) -> Option<Result<Bytes, FrameError>> {
        let end = memchr::memchr(b'\n', &buffer[scanned..]).map(|at| scanned + at);
        let len = end.unwrap_or(buffer.len());
        if len > self.frame_bytes_max {
            match end {
                Some(end) => {
                    buffer.advance(end + 1);
                    self.state = State::Start { scanned: 0 };
                }
                None => self.state = State::SkipLine,
            }
            return Some(Err(FrameError::TooLarge { bytes_max: self.frame_bytes_max }));
        }
        let Some(end) = end else {
            self.state = State::Start { scanned: len };
            return None;
        };
        self.state = State::Start { scanned: 0 };
        let line = buffer.split_to(end).freeze();
        buffer.advance(1);
        Some(Ok(trim_end(line)))
    }

    /// What the stream's end leaves in `buffer`: a last line without its end is a message, a
    /// piece of an octet-counted one is not.
    pub(super) fn finish(&mut self, buffer: &mut BytesMut) -> Option<Result<Bytes, FrameError>> {
        match self.state {
            State::Skip { left } => {
                self.state = State::Lost;
                Some(Err(FrameError::Truncated { missing_bytes: left }))
            }
            State::Start { .. } if !buffer.is_empty() => match head(buffer) {
                Head::Count { digits, bytes } => {
                    let got = buffer.len().saturating_sub(digits + 1) as u64;
                    buffer.clear();
                    Some(Err(FrameError::Truncated { missing_bytes: bytes.saturating_sub(got) }))
                }
                Head::Line | Head::Undecided => Some(Ok(trim_end(buffer.split().freeze()))),
            },
            State::Start { .. } | State::SkipLine | State::Lost => None,
        }
    }
}

fn head(buffer: &[u8]) -> Head {
    let digits =
        buffer.iter().take(DIGITS_MAX + 1).take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || digits > DIGITS_MAX || buffer[0] == b'0' {
        return if buffer.is_empty() { Head::Undecided } else { Head::Line };
    }
    match (buffer.get(digits), buffer.get(digits + 1)) {
        (None, _) | (Some(b' '), None) => Head::Undecided,
        (Some(b' '), Some(b'<' | b'{')) => {
            let bytes =
                buffer[..digits].iter().fold(0, |n, digit| n * 10 + u64::from(digit - b'0'));
            Head::Count { digits, bytes }
        }
        _ => Head::Line,
    }
}

fn is_between(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r' | 0)
}

/// `frame` without the line end that some senders count in.
fn trim_end(mut frame: Bytes) -> Bytes {
    let len = frame.iter().rposition(|byte| !is_between(*byte)).map_or(0, |last| last + 1);
    frame.truncate(len);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(chunks: &[&[u8]], bytes_max: usize) -> Vec<Result<Bytes, FrameError>> {
        let mut framer = Framer::new(bytes_max, 1000);
        let (mut buffer, mut all) = (BytesMut::new(), Vec::new());
        for chunk in chunks {
            buffer.extend_from_slice(chunk);
            while let Some(frame) = framer.next(&mut buffer) {
                all.push(frame);
            }
            assert!(buffer.len() <= bytes_max + DIGITS_MAX + 2, "{} bytes kept", buffer.len());
        }
        all.extend(framer.finish(&mut buffer));
        all
    }

    fn ok(text: &str) -> Result<Bytes, FrameError> {
        Ok(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn mixed_framings_are_cut_the_same_wherever_the_stream_is_split() {
        let stream = "<34>first line\n11 <34>two\nout<34>third\r\n\0\n5 <1>ab6 <1>ab\n\
                      2026-01-01 text\n7 days\n00 <1>x\n12345678901 <1>x\n16 {\"bare\": \"json\"}\
                      <13>last";
        let expected = [
            "<34>first line",
            "<34>two\nout",
            "<34>third",
            "<1>ab",
            "<1>ab",
            "2026-01-01 text",
            "7 days",
            "00 <1>x",
            "12345678901 <1>x",
            "{\"bare\": \"json\"}",
            "<13>last",
        ]
        .map(ok);
        for at in 0..=stream.len() {
            let (head, tail) = stream.as_bytes().split_at(at);
            assert_eq!(frames(&[head, tail], 64), expected, "split at {at}");
        }
        let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        assert_eq!(frames(&bytes, 64), expected);
    }

    #[test]
    fn what_is_too_large_is_passed_over_alone() {
        let large = "x".repeat(200);
        let stream = format!("<1>a\n<2>{large}\n<1>b\n203 <3>{large}<1>c\n4 <1>d");
        let too_large = Err(FrameError::TooLarge { bytes_max: 64 });
        let expected =
            [ok("<1>a"), too_large.clone(), ok("<1>b"), too_large, ok("<1>c"), ok("<1>d")];
        for size in [1, 7, 63, 64, 65, 1000] {
            let chunks: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
            let mut framer = Framer::new(64, 1000);
            let (mut buffer, mut all) = (BytesMut::new(), Vec::new());
            for chunk in chunks {
                buffer.extend_from_slice(chunk);
                while let Some(frame) = framer.next(&mut buffer) {
                    all.push(frame);
                }
            }
            assert_eq!(all, expected, "pieces of {size}");
        }
    }

    #[test]
    fn wrong_counts_end_with_the_stream_or_are_refused() {
        assert_eq!(frames(&[b"10 <1>abc"], 64), [Err(FrameError::Truncated { missing_bytes: 4 })]);
        assert_eq!(frames(&[b"99 <1>abc"], 64).len(), 2);
        assert_eq!(
            frames(&[b"4000000000 <1>abc\n<1>d\n"], 64),
            [Err(FrameError::Lost { claimed_bytes: 4_000_000_000 })]
        );
        // Too short a count cuts the message; what is left over is a line of its own.
        assert_eq!(frames(&[b"5 <1>abc\n<1>d\n"], 64), [ok("<1>ab"), ok("c"), ok("<1>d")]);
        assert_eq!(frames(&[b"12x<1>abc\n"], 64), [ok("12x<1>abc")]);
        assert_eq!(frames(&[b"12"], 64), [ok("12")]);
    }
}
