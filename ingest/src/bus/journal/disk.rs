//! The few calls by which the journal changes a disk, behind a seam so that tests can make
//! them fail.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use rustix::{fs::FallocateFlags, io::Errno};

/// Writes, syncs and allocates. All calls block.
pub trait Disk: Send + Sync + 'static {
    /// Writes all of `bytes` at `pos`.
    fn write_all_at(&self, file: &File, bytes: &[u8], pos: u64) -> io::Result<()>;

    /// Returns once the file's data, and what is needed to read it again, is durable.
    fn sync_data(&self, file: &File) -> io::Result<()>;

    /// Makes the file at least `len` bytes long, backed by space where the file system can.
    /// New bytes read as zero.
    fn allocate(&self, file: &File, len: u64) -> io::Result<()>;
}

/// The disk of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn write_all_at(&self, file: &File, bytes: &[u8], pos: u64) -> io::Result<()> {
        file.write_all_at(bytes, pos)
    }

    fn sync_data(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn allocate(&self, file: &File, len: u64) -> io::Result<()> {
        let result = rustix::io::retry_on_intr(|| {
            rustix::fs::fallocate(file, FallocateFlags::empty(), 0, len)
        });
        match result {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                let now = file.metadata()?.len();
                if now < len { file.set_len(len) } else { Ok(()) }
            }
            result => Ok(result?),
        }
    }
}

/// Makes names created, renamed or removed in `dir` durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Whether `error` says that the disk or the quota is used up, which passes by itself.
pub(super) fn is_out_of_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Reads up to `len` bytes at `pos`; fewer only where the file ends.
pub(super) fn read_up_to(file: &File, pos: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let mut filled = 0;
    while filled < len {
        match file.read_at(&mut bytes[filled..], pos + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
