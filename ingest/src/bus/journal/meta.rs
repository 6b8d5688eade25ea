//! What the journal knows of itself: the lock that keeps a second process out, and the file
//! with its id.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::FileExt,
    path::Path,
};

use event::BusId;
use rustix::{fs::FlockOperation, io::Errno};

use super::{
    super::random,
    OpenError, VERSION,
    disk::{read_up_to, sync_dir},
    frame::u32_at,
};

const LOCK_FILE: &str = "lock";
pub(super) const META_FILE: &str = "meta";
const MAGIC: [u8; 8] = *b"JQMTJRN\n";
/// Bytes of one copy; the file holds two, so that one damaged sector costs nothing.
const COPY_BYTES: usize = 512;

/// Identity of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) bus: BusId,
    /// Goes into every checksum of a header. Only the journal knows it, so a sender cannot
    /// put into a payload what would pass for a frame.
    pub(super) salt: [u8; 16],
}

/// Takes the journal in `dir` for this process, until the file is dropped.
pub(super) fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join(LOCK_FILE);
    let fail = |source| OpenError::Io { path: path.display().to_string(), source };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(fail)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            let _ = (&file).take(32).read_to_string(&mut holder);
            let holder = holder.trim();
            let holder = if holder.is_empty() { "unknown" } else { holder };
            return Err(OpenError::Locked {
                dir: dir.display().to_string(),
                holder: holder.to_owned(),
            });
        }
        Err(error) => return Err(fail(error.into())),
    }
    // The pid only serves the message above, so a failure to note it changes nothing.
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

impl Meta {
    /// Reads the identity, or draws one where the journal is new.
    pub(super) fn open_or_create(dir: &Path) -> Result<Self, OpenError> {
        let path = dir.join(META_FILE);
        let fail = |source| OpenError::Io { path: path.display().to_string(), source };
        match File::open(&path) {
            Ok(file) => {
                let bytes = read_up_to(&file, 0, 2 * COPY_BYTES).map_err(fail)?;
                Self::read(&bytes, &path).and_then(|(meta, whole)| {
                    if !whole {
                        tracing::warn!(path = %path.display(), "one copy of the journal's identity was damaged and is written anew");
                        meta.write(dir, &path).map_err(fail)?;
                    }
                    Ok(meta)
                })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if let Some(segment) = first_segment(dir) {
                    return Err(OpenError::Format {
                        path: path.display().to_string(),
                        reason: format!(
                            "missing although {segment} is there; put the file back from a \
                             backup, or move the segments away to begin a new journal"
                        ),
                    });
                }
                let meta = Self::draw().map_err(fail)?;
                meta.write(dir, &path).map_err(fail)?;
                Ok(meta)
            }
            Err(error) => Err(fail(error)),
        }
    }

    fn draw() -> io::Result<Self> {
        Ok(Self { bus: random::bus_id()?, salt: random::bytes()? })
    }

    fn write(&self, dir: &Path, path: &Path) -> io::Result<()> {
        let mut copy = [0; COPY_BYTES];
        copy[0..8].copy_from_slice(&MAGIC);
        copy[8..12].copy_from_slice(&VERSION.to_le_bytes());
        copy[16..32].copy_from_slice(self.bus.as_bytes());
        copy[32..48].copy_from_slice(&self.salt);
        let crc = crc32c::crc32c(&copy[..48]);
        copy[48..52].copy_from_slice(&crc.to_le_bytes());

        let new = path.with_extension("new");
        let file = File::create(&new)?;
        file.write_all_at(&copy, 0)?;
        file.write_all_at(&copy, COPY_BYTES as u64)?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        sync_dir(dir)
    }

    /// The first copy that is whole, and whether both are.
    fn read(bytes: &[u8], path: &Path) -> Result<(Self, bool), OpenError> {
        let copies = [0, COPY_BYTES]
            .map(|at| bytes.get(at..at + 52).filter(|copy| copy.starts_with(&MAGIC)))
            .map(|copy| copy.filter(|copy| crc32c::crc32c(&copy[..48]) == u32_at(copy, 48)));
        let Some(copy) = copies.iter().flatten().next() else {
            return Err(OpenError::Format {
                path: path.display().to_string(),
                reason: "both copies of the journal's identity are damaged; put the file back \
                         from a backup, or move the journal away to begin a new one"
                    .to_owned(),
            });
        };
        let version = u32_at(copy, 8);
        if version != VERSION {
            return Err(OpenError::newer(path, version));
        }
        let sixteen = |at: usize| {
            let mut out = [0; 16];
            out.copy_from_slice(&copy[at..at + 16]);
            out
        };
        let meta = Self { bus: BusId::from_bytes(sixteen(16)), salt: sixteen(32) };
        Ok((meta, copies.iter().all(Option::is_some)))
    }

    /// What goes into the checksums of one segment's frames.
    pub(super) fn segment_salt(&self, topic: &str, base: u64) -> u32 {
        let salt = crc32c::crc32c(&self.salt);
        let salt = crc32c::crc32c_append(salt, topic.as_bytes());
        crc32c::crc32c_append(salt, &base.to_le_bytes())
    }
}

fn first_segment(dir: &Path) -> Option<String> {
    event_topics(dir)
        .flat_map(|topic| std::fs::read_dir(topic).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|ext| ext == "seg"))
        .map(|path| path.display().to_string())
}

fn event_topics(dir: &Path) -> impl Iterator<Item = std::path::PathBuf> + '_ {
    super::super::Topic::ALL.into_iter().map(|topic| dir.join(topic.as_str()))
}
