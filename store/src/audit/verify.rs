//! Checking a trail: whether it is whole, and where it is not.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
};

use event::Timestamp;

use super::{AuditError, PublicKey, SEAL, file, line};

/// A trail that is whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// How many records.
    pub records: u64,
    /// When the first and the last were written.
    pub span: Option<(Timestamp, Timestamp)>,
    /// How many seals.
    pub seals: u64,
    /// Records after the last seal: nothing signed says that they are all.
    pub unsealed: u64,
    /// The hash of the last record, to compare with what was noted elsewhere.
    pub head: String,
}

/// The first record that is not as it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Its file.
    pub file: PathBuf,
    /// Its line, from 1.
    pub line: u64,
    /// The number it has, or the one that had to be there.
    pub seq: u64,
    /// What happened to it.
    pub kind: FaultKind,
}

/// What can have happened to a record.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultKind {
    /// Its bytes are others than those that were written.
    Altered(&'static str),
    /// It does not follow on the one before: some were removed, put elsewhere or between.
    Displaced {
        /// The number that had to be there.
        expected: u64,
    },
    /// It names another record before it than there is.
    Unlinked,
    /// A seal's signature is not the key's.
    Forged,
    /// It ends in the middle.
    Torn,
    /// The hash noted elsewhere is none of the trail's.
    HeadMissing,
}

impl std::fmt::Display for FaultKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Altered(reason) => write!(f, "the record was altered: {reason}"),
            Self::Displaced { expected } => write!(
                f,
                "record {expected} had to be here; records were removed, added or reordered"
            ),
            Self::Unlinked => {
                f.write_str("the record does not name the one before it; one of the two was replaced")
            }
            Self::Forged => f.write_str("the seal was not signed by the trail's key"),
            Self::Torn => f.write_str("the last line ends in the middle; a crash or somebody cut it"),
            Self::HeadMissing => f.write_str(
                "no record has the hash noted elsewhere; the end was removed or all was written anew",
            ),
        }
    }
}

/// Reads the whole trail in `folder`. `key` checks the seals; `head` is a hash that was noted
/// elsewhere, which one of its records must have.
pub fn verify(
    folder: &Path,
    key: &PublicKey,
    head: Option<&str>,
) -> Result<Result<Checked, Fault>, AuditError> {
    let mut checking = Checking {
        key,
        head,
        head_found: head.is_none(),
        last: line::FIRST,
        checked: Checked { records: 0, span: None, seals: 0, unsealed: 0, head: String::new() },
    };
    let mut end = (folder.to_owned(), 0);
    for (first, path) in file::list(folder)? {
        if first != checking.checked.records + 1 {
            let kind = FaultKind::Displaced { expected: checking.checked.records + 1 };
            return Ok(Err(Fault { file: path, line: 1, seq: first, kind }));
        }
        let file = File::open(&path).map_err(|error| AuditError::io(&path, error))?;
        let mut reader = BufReader::new(file);
        let (mut bytes, mut number) = (Vec::new(), 0);
        loop {
            bytes.clear();
            let read = reader.read_until(b'\n', &mut bytes);
            if read.map_err(|error| AuditError::io(&path, error))? == 0 {
                break;
            }
            number += 1;
            if let Err((seq, kind)) = checking.record(&bytes) {
                return Ok(Err(Fault { file: path, line: number, seq, kind }));
            }
        }
        end = (path, number);
    }
    if !checking.head_found {
        let (file, line) = end;
        let (seq, kind) = (checking.checked.records, FaultKind::HeadMissing);
        return Ok(Err(Fault { file, line, seq, kind }));
    }
    checking.checked.head = line::hex(&checking.last);
    Ok(Ok(checking.checked))
}

struct Checking<'a> {
    key: &'a PublicKey,
    head: Option<&'a str>,
    head_found: bool,
    last: [u8; 32],
    checked: Checked,
}

impl Checking<'_> {
    fn record(&mut self, bytes: &[u8]) -> Result<(), (u64, FaultKind)> {
        let expected = self.checked.records + 1;
        let whole = bytes.strip_suffix(b"\n").ok_or((expected, FaultKind::Torn))?;
        let (record, hash) =
            line::read(whole).map_err(|reason| (expected, FaultKind::Altered(reason)))?;
        if record.seq != expected {
            return Err((record.seq, FaultKind::Displaced { expected }));
        }
        if record.prev != line::hex(&self.last) {
            return Err((record.seq, FaultKind::Unlinked));
        }
        if record.entry.action == SEAL {
            let signature = record.signature.as_deref().and_then(line::unhex).unwrap_or_default();
            if !self.key.verifies(&self.last, &signature) {
                return Err((record.seq, FaultKind::Forged));
            }
            self.checked.seals += 1;
            self.checked.unsealed = 0;
        } else {
            self.checked.unsealed += 1;
        }
        self.head_found |= self.head == Some(line::hex(&hash).as_str());
        let first = self.checked.span.map_or(record.at, |(first, _)| first);
        self.checked.span = Some((first, record.at));
        self.checked.records = expected;
        self.last = hash;
        Ok(())
    }
}
