//! The file of a source, read and written.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write},
    path::Path,
};

use event::Indicator;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::{KeepError, Kept};

pub(super) const EXTENSION: &str = "indicators";
const MAGIC: &str = "jacquemart-indicators 1 ";
/// The magic, eight digits, a line feed.
const FIRST_LINE_BYTES: usize = MAGIC.len() + 9;
/// zstd's level: lists of hashes do not get smaller by trying harder.
const LEVEL: i32 = 3;

/// One line of the body.
#[derive(Serialize, Deserialize)]
pub(super) struct Line {
    #[serde(rename = "group", default, skip_serializing_if = "Option::is_none")]
    pub(super) group: Option<String>,
    /// While drafting: which page it came with.
    #[serde(rename = "page", default, skip_serializing_if = "is_zero")]
    pub(super) page: u32,
    #[serde(flatten)]
    pub(super) indicator: Indicator,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(page: &u32) -> bool {
    *page == 0
}

/// A body being written.
pub(super) type Body = zstd::Encoder<'static, BufWriter<File>>;

pub(super) fn body(file: File) -> io::Result<Body> {
    zstd::Encoder::new(BufWriter::new(file), LEVEL)
}

pub(super) fn write_line(body: &mut Body, line: &Line) -> io::Result<()> {
    serde_json::to_writer(&mut *body, line)?;
    body.write_all(b"\n")
}

/// Ends a body; the file is at its end.
pub(super) fn finish(body: Body) -> io::Result<File> {
    body.finish()?.into_inner().map_err(io::IntoInnerError::into_error)
}

/// Gives `each` the lines of a body.
pub(super) fn lines(file: impl io::Read, each: &mut dyn FnMut(Line)) -> io::Result<()> {
    let mut reader = BufReader::new(zstd::Decoder::new(file)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        each(serde_json::from_slice(&line)?);
    }
}

/// Checks the file and gives `each` its lines; `None` where there is none.
pub(super) fn read(path: &Path, each: &mut dyn FnMut(Line)) -> Result<Option<Kept>, KeepError> {
    let Some(mut reader) = checked(path)? else { return Ok(None) };
    let kept = head(path, &mut reader)?;
    lines(reader, each).map_err(|error| damaged(path, error.to_string()))?;
    Ok(Some(kept))
}

/// Checks the file and reads what it says of itself; `None` where there is none.
pub(super) fn header(path: &Path) -> Result<Option<Kept>, KeepError> {
    let Some(mut reader) = checked(path)? else { return Ok(None) };
    head(path, &mut reader).map(Some)
}

fn damaged(path: &Path, reason: impl Into<String>) -> KeepError {
    KeepError::Damaged { path: path.to_owned(), reason: reason.into() }
}

/// The file after its first line, whose checksum is that of the rest.
fn checked(path: &Path) -> Result<Option<BufReader<File>>, KeepError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(KeepError::io(path)(error)),
    };
    let mut reader = BufReader::new(file);
    let mut first = [0; FIRST_LINE_BYTES];
    if reader.read_exact(&mut first).is_err() || !first.starts_with(MAGIC.as_bytes()) {
        return Err(damaged(path, "it is no file of indicators of this version"));
    }
    let (mut crc, mut chunk) = (0, vec![0; 1 << 16]);
    loop {
        match reader.read(&mut chunk).map_err(KeepError::io(path))? {
            0 => break,
            read => crc = crc32c::crc32c_append(crc, &chunk[..read]),
        }
    }
    if first[MAGIC.len()..] != *format!("{crc:08x}\n").as_bytes() {
        return Err(damaged(path, "its checksum is wrong"));
    }
    reader.seek(SeekFrom::Start(FIRST_LINE_BYTES as u64)).map_err(KeepError::io(path))?;
    Ok(Some(reader))
}

fn head(path: &Path, reader: &mut BufReader<File>) -> Result<Kept, KeepError> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).map_err(KeepError::io(path))?;
    serde_json::from_slice(&line).map_err(|error| damaged(path, error.to_string()))
}

/// Replaces `path` by header and body; durable when it returns.
pub(super) fn replace(path: &Path, kept: &Kept, mut body: File) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut staged = NamedTempFile::new_in(dir)?;
    staged.write_all(&[b' '; FIRST_LINE_BYTES])?;
    let mut head = serde_json::to_vec(kept)?;
    head.push(b'\n');
    staged.write_all(&head)?;
    let (mut crc, mut chunk) = (crc32c::crc32c(&head), vec![0; 1 << 16]);
    body.seek(SeekFrom::Start(0))?;
    loop {
        match body.read(&mut chunk)? {
            0 => break,
            read => {
                crc = crc32c::crc32c_append(crc, &chunk[..read]);
                staged.write_all(&chunk[..read])?;
            }
        }
    }
    staged.seek(SeekFrom::Start(0))?;
    staged.write_all(format!("{MAGIC}{crc:08x}\n").as_bytes())?;
    staged.as_file().sync_all()?;
    staged.persist(path).map_err(|error| error.error)?;
    File::open(dir)?.sync_all()
}
