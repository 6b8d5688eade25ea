//! Where a capture's bytes come from, decompressed, and how many have been read.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{CaptureError, Reader};

/// Bytes that are looked at to tell what a file is.
const HEAD_BYTES: usize = 64 << 10;

/// How far the reading of a capture is, in bytes of its file (compressed, if it is).
#[derive(Clone, Debug)]
pub struct Progress {
    read: Arc<AtomicU64>,
    total: Option<u64>,
}

impl Progress {
    /// Bytes read so far.
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Bytes in all; unknown for a pipe.
    pub fn bytes_total(&self) -> Option<u64> {
        self.total
    }

    pub(super) fn set(&self, bytes: u64) {
        self.read.store(bytes, Ordering::Relaxed);
    }
}

/// Counts what is read.
struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.inner.read(buffer)?;
        self.read.fetch_add(len as u64, Ordering::Relaxed);
        Ok(len)
    }
}

/// An open capture whose shape is not known yet.
pub(super) struct Source {
    file: Arc<str>,
    reader: BufReader<Box<dyn Read + Send>>,
    /// The file itself, where it is one and not compressed.
    plain: Option<File>,
    progress: Progress,
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self, CaptureError> {
        let file: Arc<str> = if path.as_os_str() == "-" {
            "standard input".into()
        } else {
            path.display().to_string().into()
        };
        let failed = |source| CaptureError::Open { file: file.clone(), source };
        let read = Arc::new(AtomicU64::new(0));
        let (raw, handle, total): (Box<dyn Read + Send>, _, _) = if path.as_os_str() == "-" {
            (Box::new(io::stdin()), None, None)
        } else {
            let handle = File::open(path).map_err(failed)?;
            let metadata = handle.metadata().map_err(failed)?;
            if metadata.is_dir() {
                return Err(failed(io::Error::other("it is a folder; name the files in it")));
            }
            let total = metadata.is_file().then_some(metadata.len());
            (Box::new(handle.try_clone().map_err(failed)?), Some(handle), total)
        };
        let mut raw =
            BufReader::with_capacity(HEAD_BYTES, Counted { inner: raw, read: read.clone() });
        let head = fill(&mut raw).map_err(failed)?;
        let (reader, plain): (Box<dyn Read + Send>, _) = match head {
            [0x1f, 0x8b, ..] => (Box::new(flate2::bufread::MultiGzDecoder::new(raw)), None),
            // Frames, and skippable frames, which may come first.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                (Box::new(zstd::stream::read::Decoder::with_buffer(raw).map_err(failed)?), None)
            }
            _ => (Box::new(raw), handle),
        };
        let reader = BufReader::with_capacity(HEAD_BYTES, reader);
        Ok(Self { file, reader, plain, progress: Progress { read, total } })
    }

    pub(super) fn file(&self) -> Arc<str> {
        self.file.clone()
    }

    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// What it begins with, decompressed.
    pub(super) fn head(&mut self) -> io::Result<&[u8]> {
        fill(&mut self.reader)
    }

    pub(super) fn into_reader(self) -> Reader {
        Box::new(self.reader)
    }

    /// A file that can be read in any order: the capture's own, or a temporary one with its
    /// decompressed bytes.
    pub(super) fn into_file(mut self) -> io::Result<File> {
        let regular = |file: &File| file.metadata().is_ok_and(|metadata| metadata.is_file());
        let mut file = match self.plain.take().filter(regular) {
            Some(file) => file,
            None => {
                let mut file = tempfile::tempfile()?;
                io::copy(&mut self.reader, &mut file)?;
                file
            }
        };
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    }
}

/// The buffered bytes. A pipe may give little at first; the beginning of what it gives is
/// enough to tell a compression, and a shape as far as it can be told.
fn fill<R: Read>(reader: &mut BufReader<R>) -> io::Result<&[u8]> {
    loop {
        match reader.fill_buf() {
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(reader.buffer())
}
