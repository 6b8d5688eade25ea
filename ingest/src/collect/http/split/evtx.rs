//! Windows event files, uploaded as they are.
//!
//! Each record becomes the JSON that the format `windows` reads, as `jacquemart replay` and `detect`
//! make it of the same file. A record or a chunk that cannot be read is turned away alone.

use evtx::EvtxParser;

use super::{Fault, Piece, Pieces, SplitLimits, Unsplittable, offer, reject};
use crate::capture::evtx::{reason, records_of, settings};

/// How such a file begins.
pub(in crate::collect::http) const MAGIC: &[u8] = b"ElfFile\0";

/// How much longer than the file its records may become. They are about twice as long; a file that
/// was made to grow more is refused before it takes memory.
const GROWTH_MAX: usize = 8;

/// The records of a file, and the text that they are in.
pub(in crate::collect::http) fn split(
    body: &[u8],
    limits: SplitLimits,
) -> Result<(Pieces, Vec<u8>), Unsplittable> {
    let shape =
        |reason: String| Unsplittable::Shape(format!("expected a Windows event file: {reason}"));
    let parser = EvtxParser::from_buffer(body.to_vec()).map_err(|error| shape(reason(&error)))?;
    let (mut pieces, mut text) = (Pieces::default(), Vec::with_capacity(body.len()));
    let (mut next, settings) = (0, settings());
    let mut chunks = 0;
    for chunk in parser.into_chunks() {
        chunks += 1;
        let records = match chunk {
            Ok(mut chunk) => records_of(&mut chunk, &settings),
            Err(error) => vec![Err((None, reason(&error)))],
        };
        for read in records {
            let record = next;
            next += 1;
            if next > limits.batch_records_max as u64 {
                return Err(Unsplittable::TooManyRecords);
            }
            match read {
                Ok((number, json)) => {
                    let start = text.len();
                    text.extend_from_slice(json.as_bytes());
                    if text.len() > body.len().saturating_mul(GROWTH_MAX) {
                        return Err(shape(format!(
                            "its records grow to more than {GROWTH_MAX} times its size"
                        )));
                    }
                    let range = start..text.len();
                    // The number that Windows gave it says where it is.
                    offer(
                        &mut pieces,
                        Piece { range, record, line: number, context: None },
                        limits,
                    );
                }
                Err((number, why)) => {
                    let place =
                        number.map_or_else(String::new, |number| format!("record {number}: "));
                    let why = (Fault::Malformed, format!("{place}{why}"));
                    reject(&mut pieces, (record, number.unwrap_or(record + 1)), why, limits);
                }
            }
        }
    }
    match chunks {
        0 => Err(shape("it has no chunk of records".to_owned())),
        _ => Ok((pieces, text)),
    }
}
