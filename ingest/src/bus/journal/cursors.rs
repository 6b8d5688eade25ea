//! Cursors: how far a group got, durable.
//!
//! One file a group with two slots, 4096 bytes apart so that no sector holds both. A commit
//! writes the older slot and syncs it: one small write and one `fdatasync` to space that is
//! already there, so that it works on a full disk. A torn write costs the slot being written;
//! the other still holds the commit before, and delivery is at least once.

use std::{
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    OpenError, VERSION,
    disk::{Disk, read_up_to, sync_dir},
    frame::{u32_at, u64_at},
};
use crate::bus::Group;

const MAGIC: [u8; 8] = *b"JQMTCUR\n";
const SLOT_BYTES: u64 = 4096;
const USED_BYTES: usize = 36;

/// The file of one group.
pub(super) struct CursorFile {
    path: PathBuf,
    file: File,
    disk: Arc<dyn Disk>,
    sequence: u64,
    next: u64,
}

/// A cursor as it was found.
pub(super) struct Opened {
    pub(super) cursor: CursorFile,
    /// Both slots were damaged, so the group begins at the oldest record there is.
    pub(super) damaged: bool,
}

impl CursorFile {
    /// Opens a group's cursor, or creates one that stands at offset 0.
    pub(super) fn open(dir: &Path, group: Group, disk: Arc<dyn Disk>) -> Result<Opened, OpenError> {
        let path = dir.join(format!("{}.cursor", group.as_str()));
        let fail = |source| OpenError::Io { path: path.display().to_string(), source };
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create(dir, &path, disk.as_ref()).map_err(fail)?
            }
            Err(error) => return Err(fail(error)),
        };
        let bytes = read_up_to(&file, 0, 2 * SLOT_BYTES as usize).map_err(fail)?;
        let mut newest = None;
        for at in [0, SLOT_BYTES as usize] {
            match decode(bytes.get(at..).unwrap_or_default()) {
                Ok(slot) => newest = newest.max(Some(slot)),
                Err(None) => {
                    tracing::warn!(path = %path.display(), at, "a cursor slot is damaged; the other one counts");
                }
                Err(Some(version)) => return Err(OpenError::newer(&path, version)),
            }
        }
        let (sequence, next) = newest.unwrap_or_default();
        let cursor = Self { path, file, disk, sequence, next };
        Ok(Opened { cursor, damaged: newest.is_none() })
    }

    /// The next offset that was not committed.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Makes `next` durable. Blocks for one fsync.
    pub(super) fn commit(&mut self, next: u64) -> io::Result<()> {
        // Only success moves the sequence on, so a retry writes the same slot again and the
        // last good one stays.
        let sequence = self.sequence + 1;
        let pos = (sequence % 2) * SLOT_BYTES;
        self.disk.write_all_at(&self.file, &encode(sequence, next), pos)?;
        self.disk.sync_data(&self.file)?;
        self.sequence = sequence;
        self.next = next;
        Ok(())
    }
}

fn create(dir: &Path, path: &Path, disk: &dyn Disk) -> io::Result<File> {
    let new = path.with_extension("new");
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&new)?;
    disk.allocate(&file, 2 * SLOT_BYTES)?;
    disk.write_all_at(&file, &encode(0, 0), 0)?;
    disk.write_all_at(&file, &encode(1, 0), SLOT_BYTES)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    sync_dir(dir)?;
    Ok(file)
}

fn encode(sequence: u64, next: u64) -> [u8; USED_BYTES] {
    let mut bytes = [0; USED_BYTES];
    bytes[0..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[16..24].copy_from_slice(&sequence.to_le_bytes());
    bytes[24..32].copy_from_slice(&next.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..32]);
    bytes[32..36].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// `(sequence, next)` of a slot; else the version that wrote it, where it is whole.
fn decode(bytes: &[u8]) -> Result<(u64, u64), Option<u32>> {
    let bytes: &[u8; USED_BYTES] = bytes.first_chunk().ok_or(None)?;
    if bytes[0..8] != MAGIC || crc32c::crc32c(&bytes[..32]) != u32_at(bytes, 32) {
        return Err(None);
    }
    match u32_at(bytes, 8) {
        VERSION => Ok((u64_at(bytes, 16), u64_at(bytes, 24))),
        version => Err(Some(version)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;
    use crate::bus::journal::SystemDisk;

    fn open(dir: &Path) -> Opened {
        CursorFile::open(dir, Group::Detect, Arc::new(SystemDisk)).unwrap()
    }

    #[test]
    fn a_commit_is_read_back_and_a_torn_one_falls_back_to_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let mut cursor = open(dir.path()).cursor;
        assert_eq!(cursor.next(), 0);
        for next in [5, 9, 12] {
            cursor.commit(next).unwrap();
            assert_eq!(open(dir.path()).cursor.next(), next);
        }
        let newest = (cursor.sequence % 2) * SLOT_BYTES;
        cursor.file.write_all_at(&[0xff; 3], newest + 20).unwrap();
        let opened = open(dir.path());
        assert_eq!((opened.cursor.next(), opened.damaged), (9, false));
        cursor.file.write_all_at(&[0xff; 3], SLOT_BYTES - newest + 20).unwrap();
        let opened = open(dir.path());
        assert_eq!((opened.cursor.next(), opened.damaged), (0, true));
    }
}
