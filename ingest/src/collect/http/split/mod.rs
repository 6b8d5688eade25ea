//! From one body to its records: NDJSON, JSON arrays, or objects over several lines.
//!
//! The shape is told by the content, as senders name their types as they like:
//! - a body that begins with `[` is an array (or several), each element a record;
//! - one whose first line is an unfinished JSON value, and whose second does not begin another
//!   object, holds objects written over several lines;
//! - all others hold one value a line.
//!
//! A record must be one well-formed JSON value in UTF-8, of any kind; what it means is not
//! looked at. It is checked without building a tree and without recursion, so depth, keys and
//! digits cost nothing but their bytes. One that is not well-formed is turned away alone, with
//! its place; the text goes on at the next line, or behind its closing bracket.

mod array;
mod check;
pub(super) mod evtx;
#[cfg(test)]
mod tests;
mod values;

use std::{ops::Range, sync::Arc};

pub(super) use check::Fault;
use check::too_large;
use event::Context;

use super::answer::Rejection;

/// UTF-8's byte order mark, which some shippers put at the head of a file.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// What bounds splitting.
#[derive(Clone, Copy, Debug)]
pub(super) struct SplitLimits {
    /// One record.
    pub(super) record_bytes_max: usize,
    /// Records, good or bad.
    pub(super) batch_records_max: usize,
    /// Rejections that are kept one by one.
    pub(super) rejections_max: usize,
}

/// A body that cannot be split at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unsplittable {
    /// More than `batch_records_max`.
    TooManyRecords,
    /// Two bytes a character.
    Utf16,
    /// Not what the protocol sends; what is wrong with it, and where.
    Shape(String),
}

/// One well-formed record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Where in the body.
    pub(super) range: Range<usize>,
    /// Its place among all records, from 0.
    pub(super) record: u64,
    /// The line it begins on, from 1.
    pub(super) line: u64,
    /// What is said of it beside it.
    pub(super) context: Option<Arc<Context>>,
}

impl Piece {
    /// What it takes on the bus, but for its envelope.
    pub(super) fn bytes(&self) -> usize {
        self.range.len() + self.context.as_ref().map_or(0, |context| context.bytes())
    }
}

/// What a body holds.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// The well-formed records, in order.
    pub(super) good: Vec<Piece>,
    /// The first of the others, in order.
    pub(super) rejected: Vec<Rejection>,
    /// How many others there are, by fault.
    pub(super) faults: [u64; Fault::ALL.len()],
}

impl Pieces {
    /// Records that are not well-formed.
    pub(super) fn rejected_count(&self) -> u64 {
        self.faults.iter().sum()
    }
}

/// Finds the records of `body`.
pub(super) fn split(body: &[u8], limits: SplitLimits) -> Result<Pieces, Unsplittable> {
    if matches!(
        body,
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'{' | b'[', 0, ..] | [0, b'{' | b'[', ..]
    ) {
        return Err(Unsplittable::Utf16);
    }
    let mut splitter =
        Splitter { body, at: 0, line: 1, next: 0, limits, pieces: Pieces::default() };
    splitter.skip_space();
    match splitter.peek() {
        None => {}
        Some(b'[') => splitter.arrays()?,
        Some(_) if splitter.is_written_over_lines() => splitter.values()?,
        Some(_) => splitter.lines()?,
    }
    Ok(splitter.pieces)
}

/// A cursor over the body. `line` is always the line of `at`.
struct Splitter<'a> {
    body: &'a [u8],
    at: usize,
    line: u64,
    next: u64,
    limits: SplitLimits,
    pieces: Pieces,
}

impl<'a> Splitter<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.body[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    /// Moves on to `at`, which is not before the cursor, counting lines.
    fn go(&mut self, at: usize) {
        self.line += memchr::memchr_iter(b'\n', &self.body[self.at..at]).count() as u64;
        self.at = at;
    }

    /// Passes over JSON's white space and byte order marks.
    fn skip_space(&mut self) {
        loop {
            let rest = self.rest();
            let space = rest.iter().take_while(|byte| is_space(**byte)).count();
            let bom = if rest[space..].starts_with(BOM) { BOM.len() } else { 0 };
            if space + bom == 0 {
                return;
            }
            self.go(self.at + space + bom);
        }
    }

    /// One value a line.
    fn lines(&mut self) -> Result<(), Unsplittable> {
        while self.at < self.body.len() {
            let end = memchr::memchr(b'\n', self.rest()).map_or(self.body.len(), |n| self.at + n);
            let range = trim(self.body, self.at..end);
            if !range.is_empty() {
                let checked = check::check(&self.body[range.clone()], self.limits.record_bytes_max);
                self.offer(range, self.line, checked)?;
            }
            self.at = (end + 1).min(self.body.len());
            self.line += 1;
        }
        Ok(())
    }

    /// Takes down a record that begins on `line`.
    fn offer(
        &mut self,
        range: Range<usize>,
        line: u64,
        checked: Result<(), (Fault, String)>,
    ) -> Result<(), Unsplittable> {
        let record = self.next;
        self.next += 1;
        if self.next > self.limits.batch_records_max as u64 {
            return Err(Unsplittable::TooManyRecords);
        }
        match checked {
            Ok(()) => self.pieces.good.push(Piece { range, record, line, context: None }),
            Err(why) => reject(&mut self.pieces, (record, line), why, self.limits),
        }
        Ok(())
    }

    /// The record at the cursor and no more than one byte past what it may have, so that
    /// nothing larger is ever parsed.
    fn window(&self) -> &'a [u8] {
        let rest = self.rest();
        &rest[..rest.len().min(self.limits.record_bytes_max.saturating_add(1))]
    }

    /// Whether the first line is an unfinished value that the second goes on with.
    fn is_written_over_lines(&self) -> bool {
        let window = self.window();
        let Some(end) = memchr::memchr(b'\n', window) else { return false };
        let unfinished = serde_json::from_slice::<serde::de::IgnoredAny>(&window[..end])
            .is_err_and(|error| error.is_eof());
        let rest = &self.rest()[end..];
        let next_line =
            rest.iter().position(|byte| !matches!(byte, b'\n' | b'\r')).and_then(|at| rest.get(at));
        unfinished && next_line.is_some_and(|byte| *byte != b'{')
    }
}

/// Takes `piece` as it is, unless it is too large.
pub(super) fn offer(pieces: &mut Pieces, piece: Piece, limits: SplitLimits) {
    if piece.range.len() <= limits.record_bytes_max {
        pieces.good.push(piece);
        return;
    }
    let why = too_large(limits.record_bytes_max);
    reject(pieces, (piece.record, piece.line), why, limits);
}

/// Turns a record away that is at this place, with its line.
pub(super) fn reject(
    pieces: &mut Pieces,
    (record, line): (u64, u64),
    (fault, reason): (Fault, String),
    limits: SplitLimits,
) {
    pieces.faults[fault as usize] += 1;
    if pieces.rejected.len() < limits.rejections_max {
        pieces.rejected.push(Rejection { record, line, reason });
    }
}

/// The lines with something on them, each with its number from 1, without the space around.
pub(super) fn lines(body: &[u8]) -> impl Iterator<Item = (u64, Range<usize>)> {
    let ends = memchr::memchr_iter(b'\n', body).chain(std::iter::once(body.len()));
    let mut start = 0;
    ends.enumerate().filter_map(move |(number, end)| {
        let range = trim(body, start..end);
        start = (end + 1).min(body.len());
        (!range.is_empty()).then_some((number as u64 + 1, range))
    })
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// `range` without the space and byte order mark around what is in it.
fn trim(body: &[u8], range: Range<usize>) -> Range<usize> {
    let text = &body[range.clone()];
    let text = text.strip_prefix(BOM).unwrap_or(text);
    let start = range.end - text.len();
    let Some(first) = text.iter().position(|byte| !is_space(*byte)) else {
        return range.end..range.end;
    };
    let last = text.iter().rposition(|byte| !is_space(*byte)).unwrap_or(first);
    start + first..start + last + 1
}
