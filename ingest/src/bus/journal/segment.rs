//! Segments: one file of consecutive frames.

use std::{
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    OpenError, VERSION,
    disk::{Disk, read_up_to, sync_dir},
    frame::{u32_at, u64_at},
    lock,
    meta::Meta,
};
use crate::bus::Topic;

/// Bytes before the first frame.
pub(super) const SEGMENT_HEADER_BYTES: u64 = 64;
const MAGIC: [u8; 8] = *b"JQMTSEG\n";
const EXTENSION: &str = "seg";

/// What the segments of one topic have in common.
pub(super) struct Home {
    pub(super) topic: Topic,
    pub(super) dir: PathBuf,
    pub(super) meta: Meta,
    pub(super) disk: Arc<dyn Disk>,
    /// Bytes that a segment is allocated with.
    pub(super) segment_bytes: u64,
    /// One frame a this many bytes is kept in a segment's index.
    pub(super) index_interval_bytes: u64,
}

/// The segment before, as a segment's header names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Previous {
    /// Its base; the own one where there is none before.
    pub(super) base: u64,
    /// Where its last frame ends; 0 where there is none before.
    pub(super) end: u64,
}

/// One file of the log.
pub(super) struct Segment {
    /// No offset in it is below.
    pub(super) base: u64,
    /// Bytes of all segments before it, counted from when the journal was opened.
    pub(super) start_bytes: u64,
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) salt: u32,
    /// Everything below is durable and may be read.
    end: AtomicU64,
    /// `(offset, pos)` of some frames, growing.
    index: Mutex<Vec<(u64, u64)>>,
    index_interval_bytes: u64,
}

impl Home {
    /// Where the segment of this base lies.
    pub(super) fn path(&self, base: u64) -> PathBuf {
        self.dir.join(format!("{base:020}.{EXTENSION}"))
    }

    /// Creates an empty segment, durable with its name when this returns. `len` is what it is
    /// allocated with.
    pub(super) fn create(
        &self,
        base: u64,
        start_bytes: u64,
        previous: Previous,
        len: u64,
    ) -> io::Result<Segment> {
        let path = self.path(base);
        let new = path.with_extension("new");
        let created = self.create_file(&new, base, previous, len).and_then(|file| {
            std::fs::rename(&new, &path)?;
            sync_dir(&self.dir)?;
            Ok(file)
        });
        match created {
            Ok(file) => Ok(self.segment(base, start_bytes, path, file, SEGMENT_HEADER_BYTES)),
            Err(error) => {
                // What is left of it only takes space, which may be what there is too little of.
                let _ = std::fs::remove_file(&new);
                Err(error)
            }
        }
    }

    fn create_file(
        &self,
        path: &Path,
        base: u64,
        previous: Previous,
        len: u64,
    ) -> io::Result<File> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        self.disk.allocate(&file, len)?;
        self.write_header(&file, base, previous)?;
        file.sync_all()?;
        Ok(file)
    }

    /// Writes the header, not yet durable.
    pub(super) fn write_header(
        &self,
        file: &File,
        base: u64,
        previous: Previous,
    ) -> io::Result<()> {
        let mut bytes = [0; SEGMENT_HEADER_BYTES as usize];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..32].copy_from_slice(self.meta.bus.as_bytes());
        bytes[32..40].copy_from_slice(&base.to_le_bytes());
        bytes[40..48].copy_from_slice(&previous.base.to_le_bytes());
        bytes[48..56].copy_from_slice(&previous.end.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..64].copy_from_slice(&crc.to_le_bytes());
        self.disk.write_all_at(file, &bytes, 0)
    }

    /// Reads the header of the segment named after `base`: the segment before it, or `None`
    /// where it is damaged.
    pub(super) fn read_header(
        &self,
        file: &File,
        base: u64,
    ) -> Result<Option<Previous>, OpenError> {
        let path = self.path(base);
        let bytes = read_up_to(file, 0, SEGMENT_HEADER_BYTES as usize)
            .map_err(|source| OpenError::Io { path: path.display().to_string(), source })?;
        if bytes.len() < SEGMENT_HEADER_BYTES as usize
            || bytes[0..8] != MAGIC
            || crc32c::crc32c(&bytes[..60]) != u32_at(&bytes, 60)
        {
            return Ok(None);
        }
        let version = u32_at(&bytes, 8);
        if version != VERSION {
            return Err(OpenError::newer(&path, version));
        }
        let format =
            |reason: String| Err(OpenError::Format { path: path.display().to_string(), reason });
        if bytes[16..32] != *self.meta.bus.as_bytes() {
            return format("it belongs to another journal; move it back there".to_owned());
        }
        let written = u64_at(&bytes, 32);
        if written != base {
            return format(format!("it was written as {written:020}.seg; rename it back"));
        }
        Ok(Some(Previous { base: u64_at(&bytes, 40), end: u64_at(&bytes, 48) }))
    }

    /// Wraps a file whose frames are durable below `end`.
    pub(super) fn segment(
        &self,
        base: u64,
        start_bytes: u64,
        path: PathBuf,
        file: File,
        end: u64,
    ) -> Segment {
        Segment {
            base,
            start_bytes,
            path,
            file,
            salt: self.meta.segment_salt(self.topic.as_str(), base),
            end: AtomicU64::new(end),
            index: Mutex::default(),
            index_interval_bytes: self.index_interval_bytes,
        }
    }

    /// Bases of the segments there are, growing. Removes what an interrupted roll left.
    pub(super) fn list(&self) -> io::Result<Vec<u64>> {
        let mut bases = Vec::new();
        for entry in std::fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let ext = path.extension().and_then(|ext| ext.to_str()).unwrap_or_default();
            let base = stem.parse::<u64>().ok().filter(|_| stem.len() == 20);
            match (base, ext) {
                (Some(base), EXTENSION) => bases.push(base),
                (_, "new") => std::fs::remove_file(&path)?,
                _ => {}
            }
        }
        bases.sort_unstable();
        Ok(bases)
    }
}

impl Segment {
    /// Everything below this place is durable.
    pub(super) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// Lets readers see what lies below `end`.
    pub(super) fn set_end(&self, end: u64) {
        self.end.store(end, Ordering::Release);
    }

    /// Remembers that the frame at `pos` begins with `offset`, if none near it is known.
    pub(super) fn note(&self, offset: u64, pos: u64) {
        let mut index = lock(&self.index);
        let known = index.last().map_or(0, |(_, pos)| pos + self.index_interval_bytes);
        if pos >= known {
            index.push((offset, pos));
        }
    }

    /// A frame's `(first offset, pos)` at or before `offset`; the first frame if none is known.
    pub(super) fn near(&self, offset: u64) -> (u64, u64) {
        let index = lock(&self.index);
        let after = index.partition_point(|(first, _)| *first <= offset);
        after
            .checked_sub(1)
            .and_then(|at| index.get(at).copied())
            .unwrap_or((self.base, SEGMENT_HEADER_BYTES))
    }
}
