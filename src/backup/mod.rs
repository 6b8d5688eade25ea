//! Backups: everything a centre needs to go on, in a folder.
//!
//! ```text
//! <folder>/<id>/manifest.json     what is in it, with sizes and checksums; written last
//! <folder>/<id>/jacquemart.db     the database at one moment
//! <folder>/<id>/journal/…         the bus, from what was not read at that moment to after it
//! <folder>/<id>/audit/… pull/… indicators/… dead-letters/…
//! <folder>/splits/<commune>/<split-id>-<checksum>.split      of all backups together
//! ```
//!
//! The journal's cursors are copied before the database, and its frames from before until after, so
//! that whatever the database's cursors have not passed is in it, as after a crash at that moment.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use event::Timestamp;
use serde::{Deserialize, Serialize};
use store::db::SplitMeta;

mod make;
mod restore;
#[cfg(test)]
mod tests;
mod verify;

pub(crate) use make::{Made, Step, make};
pub(crate) use restore::restore;
pub(crate) use verify::{Fault, split_copy, verify};

/// The layout that this version writes; it reads no later one.
const VERSION: u32 = 1;
const MANIFEST: &str = "manifest.json";
const DATABASE: &str = "jacquemart.db";
const JOURNAL: &str = "journal";
const AUDIT: &str = "audit";
const SPLITS: &str = "splits";
/// Folders below the data folder that are copied as they are.
const FOLDERS: [&str; 3] = ["pull", "indicators", "dead-letters"];
/// Marks the folder of a backup that was not finished.
const UNFINISHED: &str = ".unfinished";

/// What a backup has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    version: u32,
    /// When it was made, which names it.
    pub(crate) id: String,
    /// The moment of its database.
    pub(crate) made: Timestamp,
    /// The version of the program that made it.
    jacquemart: String,
    /// Whether the bus was the journal, and so is in it.
    has_journal: bool,
    files: Vec<Sum>,
    pub(crate) splits: Vec<SplitMeta>,
    /// Splits of the catalog that could not be read, with the reason.
    pub(crate) unread: Vec<Unread>,
}

/// A file and what it must be.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Sum {
    /// Below the backup's folder.
    path: PathBuf,
    bytes: u64,
    crc32c: u32,
}

/// A split that is not in a backup.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Unread {
    pub(crate) split: SplitMeta,
    pub(crate) reason: String,
}

impl Manifest {
    /// Bytes of it that no other backup has, and of its splits.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        let own = self.files.iter().map(|sum| sum.bytes).sum();
        (own, self.splits.iter().map(|split| split.bytes).sum())
    }

    fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(MANIFEST);
        let text =
            std::fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
        let manifest: Self = serde_json::from_slice(&text)
            .with_context(|| format!("{} is not what was written", path.display()))?;
        ensure!(
            manifest.version <= VERSION,
            "{} has layout {}, this jacquemart reads up to {VERSION}; use the one that made it ({})",
            path.display(),
            manifest.version,
            manifest.jacquemart
        );
        let inside = |path: &Path| {
            path.components().all(|part| matches!(part, std::path::Component::Normal(_)))
        };
        if let Some(sum) = manifest.files.iter().find(|sum| !inside(&sum.path)) {
            bail!("{} names {}, which is outside of it", path.display(), sum.path.display());
        }
        Ok(manifest)
    }
}

/// The backups in `folder`, the latest first.
pub(crate) fn list(folder: &Path) -> anyhow::Result<Vec<Manifest>> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("failed to read {}", folder.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("failed to read {}", folder.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.ends_with(UNFINISHED) && entry.path().join(MANIFEST).exists() {
            let manifest = Manifest::read(&entry.path())?;
            ensure!(
                manifest.id == name,
                "{} holds backup {}; give the folder its name back",
                entry.path().display(),
                manifest.id
            );
            found.push(manifest);
        }
    }
    found.sort_by(|a, b| b.id.cmp(&a.id));
    Ok(found)
}

/// One of the backups in `folder`, the latest where none is named.
pub(crate) fn find(folder: &Path, id: Option<&str>) -> anyhow::Result<Manifest> {
    let all = list(folder)?;
    let known: Vec<String> = all.iter().map(|manifest| manifest.id.clone()).collect();
    let found = all.into_iter().find(|manifest| id.is_none_or(|id| id == manifest.id));
    found.with_context(|| match id {
        Some(id) => {
            format!("no backup {id} in {}; there are {}", folder.display(), known.join(", "))
        }
        None => format!("there is no finished backup in {}", folder.display()),
    })
}

fn split_path(split: &SplitMeta) -> PathBuf {
    Path::new(SPLITS)
        .join(split.commune.as_str())
        .join(format!("{}-{:08x}.split", split.id, split.crc32c))
}

/// Size and checksum of a file.
fn sum(path: &Path) -> io::Result<(u64, u32)> {
    let mut file = File::open(path)?;
    let (mut bytes, mut crc32c) = (0, 0);
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((bytes, crc32c)),
            read => {
                bytes += read as u64;
                crc32c = crc32c::crc32c_append(crc32c, &buffer[..read]);
            }
        }
    }
}

fn make_folder(path: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("failed to make {}", path.display()))
}

fn create(path: &Path) -> io::Result<File> {
    File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Copies a file, durable when it returns; its folder must be there.
fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    let mut out = create(to)?;
    io::copy(&mut source, &mut out)?;
    out.flush()?;
    out.sync_all()
}

fn sync_folder(path: &Path) -> anyhow::Result<()> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .with_context(|| format!("failed to sync {}", path.display()))
}

/// The files below `folder`, as paths below it; none where it is not there.
fn files_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(below) = folders.pop() {
        let entries = match std::fs::read_dir(folder.join(&below)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let path = below.join(entry.file_name());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
