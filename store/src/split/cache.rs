//! Objects of a storage elsewhere, as files of this machine: those that were read last.

use std::{
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use event::{CommuneId, SplitId};
use tempfile::NamedTempFile;

use crate::db::SplitMeta;

/// A folder `<commune>/<split-id>-<checksum>.split` of bounded size. The checksum is part of the
/// name, so that a replaced object is fetched again. A file that is removed while it is read stays
/// there for its readers.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    dir: PathBuf,
    bytes_max: u64,
}

impl Cache {
    /// In `dir`, which no other process uses; what a crash left half fetched there goes.
    pub(super) fn new(dir: &Path, bytes_max: u64) -> Self {
        for folder in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            for file in std::fs::read_dir(folder.path()).into_iter().flatten().flatten() {
                if file.path().extension().is_none_or(|extension| extension != "split") {
                    // It is counted and stays, where it can't be removed.
                    let _ = std::fs::remove_file(file.path());
                }
            }
        }
        Self { dir: dir.to_owned(), bytes_max }
    }

    fn folder(&self, meta: &SplitMeta) -> PathBuf {
        self.dir.join(meta.commune.as_str())
    }

    fn path(&self, meta: &SplitMeta) -> PathBuf {
        self.path_of(&meta.commune, meta.id, meta.crc32c)
    }

    fn path_of(&self, commune: &CommuneId, id: SplitId, crc32c: u32) -> PathBuf {
        self.dir.join(commune.as_str()).join(format!("{id}-{crc32c:08x}.split"))
    }

    /// The file of `meta`, where it is here; it counts as read now.
    pub(super) async fn find(&self, meta: &SplitMeta) -> Option<PathBuf> {
        let path = self.path(meta);
        let touch = move || {
            let file = std::fs::File::options().write(true).open(&path).ok()?;
            // That it is read is of use to the cache alone.
            let _ = file.set_modified(SystemTime::now());
            Some(path)
        };
        tokio::task::spawn_blocking(touch).await.ok()?
    }

    /// A file to fetch `meta` into.
    pub(super) async fn stage(&self, meta: &SplitMeta) -> io::Result<NamedTempFile> {
        let folder = self.folder(meta);
        blocking(move || {
            make(&folder)?;
            NamedTempFile::new_in(&folder)
        })
        .await
    }

    /// Takes what was fetched, and lets go what was read longest ago.
    pub(super) async fn take(
        &self,
        meta: &SplitMeta,
        staged: NamedTempFile,
    ) -> io::Result<PathBuf> {
        let (path, cache) = (self.path(meta), self.clone());
        blocking(move || {
            staged.persist(&path).map_err(|error| error.error)?;
            cache.evict(&path)?;
            Ok(path)
        })
        .await
    }

    /// Keeps a copy of what was just put, so that it need not be fetched. No link, as whoever made the
    /// file may write another into it.
    pub(super) async fn keep(&self, meta: &SplitMeta, local: &Path) {
        if let Err(error) = self.copy(meta, local).await {
            tracing::warn!(%error, split = %meta.id, "a split is not cached; it is fetched when it is read");
        }
    }

    async fn copy(&self, meta: &SplitMeta, local: &Path) -> io::Result<()> {
        let staged = self.stage(meta).await?;
        let local = local.to_owned();
        let staged = blocking(move || {
            std::fs::copy(&local, staged.path())?;
            staged.as_file().sync_all()?;
            Ok(staged)
        })
        .await?;
        self.take(meta, staged).await.map(drop)
    }

    /// Removes the file of a split, where it is here.
    pub(super) async fn forget(&self, commune: &CommuneId, id: SplitId, crc32c: u32) {
        let _ = tokio::fs::remove_file(self.path_of(commune, id, crc32c)).await;
    }

    /// Removes what was read longest ago until all fits, but not `newest`.
    fn evict(&self, newest: &Path) -> io::Result<()> {
        let (mut files, mut bytes) = (Vec::new(), 0);
        for folder in std::fs::read_dir(&self.dir)? {
            let folder = folder?;
            if !folder.file_type()?.is_dir() {
                continue;
            }
            for file in std::fs::read_dir(folder.path())? {
                let path = file?.path();
                // Others may have removed it meanwhile.
                let Ok(about) = path.metadata() else { continue };
                bytes += about.len();
                if path.extension().is_some_and(|extension| extension == "split") && path != newest
                {
                    files.push((about.modified()?, about.len(), path));
                }
            }
        }
        files.sort();
        for (_, length, path) in files {
            if bytes <= self.bytes_max {
                break;
            }
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => bytes -= length,
            }
        }
        Ok(())
    }
}

/// A folder that only this user reads.
fn make(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
