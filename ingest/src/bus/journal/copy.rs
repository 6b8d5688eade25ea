//! A copy of a journal that another process may be appending to.
//!
//! The cursors are copied first and once, so that whatever they have not passed is still there to be
//! copied after them. Frames are copied as they come, whole ones alone, so that the copy is what would
//! be found had the process been killed. What was written and forgotten again before it was copied
//! leaves a hole, which [`JournalCopy::finish`] finds.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    OpenError, SystemDisk,
    cursors::CursorFile,
    disk::sync_dir,
    meta::{META_FILE, Meta},
    scan::{Item, Scanner},
    segment::{Home, SEGMENT_HEADER_BYTES},
};
use crate::bus::Topic;

/// A copy under way. Every method blocks.
pub struct JournalCopy {
    /// Of each topic, where it is and where it goes.
    topics: Vec<(Home, Home)>,
    to: PathBuf,
}

impl JournalCopy {
    /// Begins to copy the journal at `from` into `to`, which is made and should be empty. `None`
    /// where there is no journal yet.
    pub fn begin(from: &Path, to: &Path) -> Result<Option<Self>, OpenError> {
        if !from.join(META_FILE).exists() {
            return Ok(None);
        }
        let meta = Meta::open_or_create(from)?;
        make(to).map_err(|error| failed(to, error))?;
        copy_file(&from.join(META_FILE), &to.join(META_FILE))
            .map_err(|error| failed(&from.join(META_FILE), error))?;
        let topics: Vec<_> = Topic::ALL
            .into_iter()
            .map(|topic| (home(from, topic, meta), home(to, topic, meta)))
            .collect();
        for (home, target) in &topics {
            make(&target.dir).map_err(|error| failed(&target.dir, error))?;
            for group in home.topic.groups() {
                let name = format!("{}.cursor", group.as_str());
                match copy_file(&home.dir.join(&name), &target.dir.join(&name)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(failed(&home.dir.join(&name), error));
                    }
                    _ => {}
                }
            }
        }
        let copy = Self { topics, to: to.to_owned() };
        copy.refresh()?;
        Ok(Some(copy))
    }

    /// Copies what has come since. Meant to be called often while it matters.
    pub fn refresh(&self) -> Result<(), OpenError> {
        self.topics.iter().try_for_each(|(home, target)| copy_segments(home, target))
    }

    /// Copies what has come since, makes it durable, and says whether it is all that the cursors
    /// have not passed. Where it is not, begin anew.
    pub fn finish(self) -> Result<bool, OpenError> {
        self.refresh()?;
        let mut is_whole = true;
        for (_, target) in &self.topics {
            for base in bases(&target.dir).map_err(|error| failed(&target.dir, error))? {
                let path = target.path(base);
                let synced = File::open(&path).and_then(|file| file.sync_all());
                synced.map_err(|error| failed(&path, error))?;
            }
            sync_dir(&target.dir).map_err(|error| failed(&target.dir, error))?;
            is_whole &= is_chain(target)?;
        }
        sync_dir(&self.to).map_err(|error| failed(&self.to, error))?;
        Ok(is_whole)
    }
}

/// Whether the segments of a copy follow each other from what its groups read next.
fn is_chain(target: &Home) -> Result<bool, OpenError> {
    let mut next = u64::MAX;
    for group in target.topic.groups() {
        let opened = CursorFile::open(&target.dir, *group, Arc::clone(&target.disk))?;
        next = next.min(opened.cursor.next());
    }
    let bases = bases(&target.dir).map_err(|error| failed(&target.dir, error))?;
    if bases.first().is_some_and(|first| *first > next) {
        return Ok(false);
    }
    let mut before: Option<(u64, u64)> = None;
    for base in bases {
        let path = target.path(base);
        let file = File::open(&path).map_err(|error| failed(&path, error))?;
        let length = file.metadata().map_err(|error| failed(&path, error))?.len();
        // A damaged header is the journal's, which mends itself when it is opened.
        if let (Some((of, length)), Some(previous)) = (before, target.read_header(&file, base)?)
            && previous.end != 0
            && (previous.base != of || length < previous.end)
        {
            return Ok(false);
        }
        before = Some((base, length));
    }
    Ok(true)
}

fn failed(path: &Path, source: io::Error) -> OpenError {
    OpenError::Io { path: path.display().to_string(), source }
}

fn home(journal: &Path, topic: Topic, meta: Meta) -> Home {
    Home {
        topic,
        dir: journal.join(topic.as_str()),
        meta,
        disk: Arc::new(SystemDisk),
        segment_bytes: 0,
        index_interval_bytes: u64::MAX,
    }
}

fn copy_segments(home: &Home, target: &Home) -> Result<(), OpenError> {
    let bases = bases(&home.dir).map_err(|error| failed(&home.dir, error))?;
    for (at, base) in bases.iter().enumerate() {
        let is_last = at + 1 == bases.len();
        match copy_segment(home, target, *base, is_last) {
            // It was read by all, and forgotten, since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            copied => copied.map_err(|error| failed(&home.path(*base), error))?,
        }
    }
    Ok(())
}

/// Copies what of a segment is not copied yet: of one that is appended to, the whole frames.
fn copy_segment(home: &Home, target: &Home, base: u64, is_last: bool) -> io::Result<()> {
    let path = home.path(base);
    let mut file = File::open(&path)?;
    let bytes = file.metadata()?.len();
    let mut out = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(target.path(base))?;
    let copied = out.metadata()?.len();
    let end = if is_last {
        let begin = copied.max(SEGMENT_HEADER_BYTES.min(bytes));
        let segment = Arc::new(home.segment(base, 0, path, file.try_clone()?, bytes));
        let mut scanner = Scanner::new(segment, begin, bytes, base);
        while !matches!(scanner.next()?, Item::Bad(_) | Item::End) {}
        scanner.pos()
    } else {
        bytes
    };
    if end > copied {
        file.seek(SeekFrom::Start(copied))?;
        out.seek(SeekFrom::Start(copied))?;
        io::copy(&mut file.take(end - copied), &mut out)?;
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    let mut out =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to)?;
    io::copy(&mut source, &mut out)?;
    out.sync_all()
}

fn make(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Bases of the segments in `dir`, growing. Touches nothing there.
fn bases(dir: &Path) -> io::Result<Vec<u64>> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut bases = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let stem = name.to_str().and_then(|name| name.strip_suffix(".seg"));
        bases
            .extend(stem.filter(|stem| stem.len() == 20).and_then(|stem| stem.parse::<u64>().ok()));
    }
    bases.sort_unstable();
    Ok(bases)
}
