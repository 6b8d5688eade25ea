//! Streams of syslog, as fuzzers send them.

use bytes::BytesMut;

use super::{frame::Framer, message::Message};

const FRAME_BYTES_MAX: usize = 256;
const SKIPPED_BYTES_MAX: usize = 4 << 10;

/// Cuts `data` into messages, in pieces as large as its first byte says: what comes out is the same
/// however it came in, and no message is larger than the bound.
pub fn streams(data: &[u8]) {
    let Some((size, data)) = data.split_first() else { return };
    let whole = frames(data, data.len().max(1));
    assert_eq!(frames(data, usize::from(*size).max(1)), whole);
    for frame in whole.into_iter().flatten() {
        assert!(frame.len() <= FRAME_BYTES_MAX, "{} bytes", frame.len());
        let message = Message::parse(frame.into());
        let record = message.into_record(None);
        assert!(!record.is_empty() || data.is_empty() || record.len() <= FRAME_BYTES_MAX);
    }
}

fn frames(data: &[u8], size: usize) -> Vec<Result<Vec<u8>, String>> {
    let mut framer = Framer::new(FRAME_BYTES_MAX, SKIPPED_BYTES_MAX);
    let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
    let told = |frame: Result<bytes::Bytes, super::frame::FrameError>| {
        frame.map(|frame| frame.to_vec()).map_err(|error| error.to_string())
    };
    for piece in data.chunks(size) {
        buffer.extend_from_slice(piece);
        while let Some(frame) = framer.next(&mut buffer) {
            frames.push(told(frame));
        }
    }
    frames.extend(framer.finish(&mut buffer).map(told));
    frames
}
