//! The lines of an object: NDJSON, in gzip or plain, in batches of bounded size.

use std::io::{BufRead as _, BufReader, Read as _};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use tokio::sync::mpsc;

/// Lines of one batch, and their bytes.
const BATCH_LINES_MAX: usize = 2_000;
const BATCH_BYTES_MAX: usize = 4 << 20;
/// Bytes of one line; what is longer is none of an agent's events.
const LINE_BYTES_MAX: u64 = 8 << 20;

/// Some lines of an object.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) lines: Vec<Bytes>,
    /// The lines of the object up to their end, blank ones and those left out included.
    pub(super) end: u64,
}

/// Sends the lines of `body` after the first `skipped`; a reason where they end before their time.
/// Blocks, also as long as nobody takes what was sent.
pub(super) fn send(
    body: &[u8],
    skipped: u64,
    to: &mpsc::Sender<Batch>,
    too_long: &mut u64,
) -> Result<(), String> {
    let plain: Box<dyn std::io::Read + '_> = if body.starts_with(&[0x1f, 0x8b]) {
        Box::new(MultiGzDecoder::new(body))
    } else {
        Box::new(body)
    };
    let mut reader = BufReader::with_capacity(64 << 10, plain);
    let (mut at, mut bytes, mut batch) = (0, 0, Batch::default());
    loop {
        let mut line = Vec::new();
        let read = reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        let outcome = match read {
            Ok(0) => Some(Ok(())),
            Ok(_) => None,
            Err(error) => Some(Err(format!("after line {at}: {error}"))),
        };
        if let Some(outcome) = outcome {
            flush(&mut batch, at, to)?;
            return outcome;
        }
        at += 1;
        if line.len() as u64 == LINE_BYTES_MAX && line.last() != Some(&b'\n') {
            *too_long += 1;
            let rest = reader.skip_until(b'\n');
            rest.map_err(|error| format!("after line {at}: {error}"))?;
            continue;
        }
        let line = line.trim_ascii();
        if at <= skipped || line.is_empty() {
            continue;
        }
        bytes += line.len();
        batch.lines.push(Bytes::copy_from_slice(line));
        if batch.lines.len() >= BATCH_LINES_MAX || bytes >= BATCH_BYTES_MAX {
            flush(&mut batch, at, to)?;
            bytes = 0;
        }
    }
}

fn flush(batch: &mut Batch, end: u64, to: &mpsc::Sender<Batch>) -> Result<(), String> {
    let full = Batch { end, ..std::mem::take(batch) };
    if full.lines.is_empty() {
        return Ok(());
    }
    to.blocking_send(full).map_err(|_| "nobody takes the lines any more".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::io::Write as _;

    use super::*;

    fn gzip(parts: &[&str]) -> Vec<u8> {
        let mut out = Vec::new();
        for part in parts {
            let mut encoder = flate2::write::GzEncoder::new(&mut out, Default::default());
            encoder.write_all(part.as_bytes()).unwrap();
            encoder.finish().unwrap();
        }
        out
    }

    fn lines(body: &[u8], skipped: u64) -> (Vec<String>, u64, Result<(), String>) {
        let (to, mut from) = mpsc::channel(1_000);
        let outcome = send(body, skipped, &to, &mut 0);
        let (mut lines, mut end) = (Vec::new(), 0);
        while let Ok(batch) = from.try_recv() {
            end = batch.end;
            lines.extend(batch.lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()));
        }
        (lines, end, outcome)
    }

    #[test]
    fn lines_come_whole_from_gzip_of_several_members_and_go_on_where_they_were() {
        let body = gzip(&["{\"a\":1}\n\n{\"b\"", ":2}\r\n{\"c\":3}"]);
        assert_eq!(
            lines(&body, 0),
            (vec!["{\"a\":1}".into(), "{\"b\":2}".into(), "{\"c\":3}".into()], 4, Ok(()))
        );
        assert_eq!(lines(&body, 3).0, ["{\"c\":3}"]);
        assert_eq!(lines(b"{}\n", 0).0, ["{}"]);
    }

    #[test]
    fn a_broken_object_gives_what_came_before() {
        let text: String = (0..5_000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
        let mut body = gzip(&[&text]);
        body.truncate(body.len() / 2);
        let (lines, end, outcome) = lines(&body, 0);
        assert!(lines.len() > 1_000 && end as usize >= lines.len(), "{}", lines.len());
        assert!(outcome.unwrap_err().contains("after line"));
    }

    #[test]
    fn a_line_that_is_too_long_is_left_out_alone() {
        let long = "x".repeat(9 << 20);
        let body = gzip(&[&format!("{{}}\n{long}\n{{}}\n")]);
        let (to, mut from) = mpsc::channel(10);
        let mut too_long = 0;
        send(&body, 0, &to, &mut too_long).unwrap();
        assert_eq!((from.try_recv().unwrap().lines.len(), too_long), (2, 1));
    }
}
