//! Where sealed splits are kept: objects `<commune>/<split-id>.split` behind one URL.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use event::{CommuneId, SplitId};
use futures::TryStreamExt as _;
use object_store::{
    ObjectStore, ObjectStoreExt as _, WriteMultipart, local::LocalFileSystem, path::Path as Key,
};
use tantivy::directory::OwnedBytes;

use self::cache::Cache;
use crate::{
    Scope,
    db::{CondemnedSplit, SplitMeta},
};

mod bundle;
mod cache;
mod directory;

pub use bundle::{Bundle, BundleInfo, BundleSum, write_bundle};
pub use directory::BundleDirectory;

/// Bytes that are read and sent at once when an object is put.
const CHUNK_BYTES: usize = 8 << 20;

/// Why a split could not be kept or read. The texts complete "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum SplitError {
    /// The URL of the storage cannot be used.
    #[error("{url:?} is no split storage: {reason}")]
    Url {
        /// As configured.
        url: String,
        /// What is wrong and what works.
        reason: String,
    },
    /// There is no such object in the scope: absent and foreign ones answer the same.
    #[error("split {0} does not exist")]
    Missing(SplitId),
    /// The object is not what was sealed.
    #[error("split {object} is damaged: {reason}")]
    Damaged {
        /// `<commune>/<split-id>.split`.
        object: String,
        /// What is damaged.
        reason: String,
    },
    /// The storage failed.
    #[error("{object}: {source}")]
    Storage {
        /// The object or folder.
        object: String,
        /// What the storage said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// An object of the storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitObject {
    /// Its first path part.
    pub commune: CommuneId,
    /// Its name without `.split`.
    pub id: SplitId,
    /// Its bytes.
    pub bytes: u64,
}

/// An object opened for reading: mapped into memory, footer checked.
pub struct SplitFile {
    object: String,
    bundle: Bundle,
    crc32c: u32,
}

impl SplitFile {
    /// Its files.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// Reads the whole object and compares checksums. Blocks.
    pub fn verify(&self) -> Result<(), SplitError> {
        let damaged = |reason| SplitError::Damaged { object: self.object.clone(), reason };
        // The files first, as their error says more.
        self.bundle.verify().map_err(damaged)?;
        if crc32c::crc32c(self.bundle.bytes()) != self.crc32c {
            return Err(damaged("it does not match its checksum in the catalog".to_owned()));
        }
        Ok(())
    }
}

/// Keeps sealed splits.
///
/// Contract, checked on every backend by `tests/split_contract.rs`: [`put`](Self::put) is
/// atomic and durable when it returns, and putting again replaces; what was put is listed and
/// opens byte for byte; nothing opens outside of the scope.
pub struct SplitStorage {
    store: Arc<dyn ObjectStore>,
    /// Where the objects are files of this machine.
    local_root: Option<PathBuf>,
    /// Where objects are fetched to where they are not.
    cache: Cache,
}

impl SplitStorage {
    /// The storage at `url`: `file:///abs/dir`. `cache_dir` keeps fetched objects of a storage
    /// that is not on this machine.
    pub fn connect(url: &str, cache_dir: &Path) -> Result<Self, SplitError> {
        let refuse =
            |reason: &str| Err(SplitError::Url { url: url.to_owned(), reason: reason.to_owned() });
        match url.split_once("://") {
            Some(("file", path)) if path.starts_with('/') => {
                Self::local(Path::new(path), cache_dir)
            }
            Some(("file", _)) => {
                refuse("the path must be absolute, e.g. file:///var/lib/jacquemart/splits")
            }
            _ => refuse("use file:///absolute/path or s3://BUCKET/PREFIX"),
        }
    }

    fn local(root: &Path, cache_dir: &Path) -> Result<Self, SplitError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| SplitError::Storage {
            object: root.display().to_string(),
            source,
        };
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)
            .map_err(|e| failed(e.into()))?;
        let store =
            LocalFileSystem::new_with_prefix(root).map_err(|e| failed(e.into()))?.with_fsync(true);
        Ok(Self {
            store: Arc::new(store),
            local_root: Some(root.to_owned()),
            cache: Cache::new(cache_dir, 0),
        })
    }

    /// A storage over any object store; objects are fetched into `cache_dir` to be read, where those
    /// that were read last are kept up to `cache_bytes_max`.
    pub fn over(store: Arc<dyn ObjectStore>, cache_dir: &Path, cache_bytes_max: u64) -> Self {
        Self { store, local_root: None, cache: Cache::new(cache_dir, cache_bytes_max) }
    }

    /// Whether only this process can write here, so that what the catalog does not know is
    /// certainly left over.
    pub fn is_exclusive(&self) -> bool {
        self.local_root.is_some()
    }

    /// Removes what interrupted uploads left behind. Only whoever is alone here may do that.
    pub fn remove_staged(&self) -> std::io::Result<()> {
        self.local_root.as_deref().map_or(Ok(()), remove_staged)
    }

    /// Keeps the file at `local_path` as the object of `meta`. Atomic, durable when it returns,
    /// replaces what was there.
    pub async fn put(&self, meta: &SplitMeta, local_path: &Path) -> Result<(), SplitError> {
        let (object, key) = object_of(meta);
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| SplitError::Storage {
            object: object.clone(),
            source,
        };
        let mut file = File::open(local_path).map_err(|e| failed(e.into()))?;
        let bytes = file.metadata().map_err(|e| failed(e.into()))?.len();
        // In one request, where that is all it takes.
        if self.local_root.is_none() && bytes <= CHUNK_BYTES as u64 {
            let (_, whole) = tokio::task::spawn_blocking(move || read_chunk(file))
                .await
                .map_err(|e| failed(e.into()))?
                .map_err(|e| failed(e.into()))?;
            self.store.put(&key, whole.into()).await.map_err(|e| failed(e.into()))?;
            self.cache.keep(meta, local_path).await;
            return Ok(());
        }
        let upload = self.store.put_multipart(&key).await.map_err(|e| failed(e.into()))?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, CHUNK_BYTES);
        loop {
            let chunk = tokio::task::spawn_blocking(move || read_chunk(file))
                .await
                .map_err(|e| failed(e.into()))?;
            let chunk = match chunk {
                Ok((rest, chunk)) => {
                    file = rest;
                    chunk
                }
                Err(error) => {
                    let _ = upload.abort().await;
                    return Err(failed(error.into()));
                }
            };
            if chunk.is_empty() {
                break;
            }
            upload.wait_for_capacity(2).await.map_err(|e| failed(e.into()))?;
            upload.put(chunk.into());
        }
        upload.finish().await.map_err(|e| failed(e.into()))?;
        if self.local_root.is_none() {
            self.cache.keep(meta, local_path).await;
        }
        Ok(())
    }

    /// Opens the object of `meta`; its footer is checked.
    pub async fn open(&self, scope: &Scope, meta: &SplitMeta) -> Result<SplitFile, SplitError> {
        if !scope.allows(&meta.commune) {
            return Err(SplitError::Missing(meta.id));
        }
        let Some(root) = &self.local_root else {
            // What is in the cache may have gone the moment before, or be the half of a file that a
            // power cut left: it is fetched again, once.
            let path = self.fetch(meta).await?;
            return match open_at(path, meta).await {
                Err(SplitError::Missing(_) | SplitError::Damaged { .. }) => {
                    self.cache.forget(&meta.commune, meta.id, meta.crc32c).await;
                    open_at(self.fetch(meta).await?, meta).await
                }
                opened => opened,
            };
        };
        open_at(root.join(meta.object_path()), meta).await
    }

    /// Opens the object of `meta` again after what was opened turned out damaged: from the storage,
    /// not from the cache. `None` where there is no cache, so that it would be the same.
    pub async fn open_anew(
        &self,
        scope: &Scope,
        meta: &SplitMeta,
    ) -> Result<Option<SplitFile>, SplitError> {
        if self.local_root.is_some() {
            return Ok(None);
        }
        self.cache.forget(&meta.commune, meta.id, meta.crc32c).await;
        self.open(scope, meta).await.map(Some)
    }

    /// Reads the whole object of `meta` where it is kept, past any cache, and compares its size and
    /// checksum with the catalog's. It shows nothing of it, so it needs no scope.
    pub async fn check(&self, meta: &SplitMeta) -> Result<(), SplitError> {
        self.read_whole(meta, &mut std::io::sink()).await
    }

    /// Writes the whole object of `meta` to `out`, past any cache, checked as [`check`](Self::check)
    /// does. Blocks while it writes.
    pub async fn copy_to(
        &self,
        meta: &SplitMeta,
        out: &mut (impl std::io::Write + Send),
    ) -> Result<(), SplitError> {
        self.read_whole(meta, out).await
    }

    async fn read_whole(
        &self,
        meta: &SplitMeta,
        out: &mut (impl std::io::Write + Send),
    ) -> Result<(), SplitError> {
        let (object, key) = object_of(meta);
        let failed = |error: object_store::Error| match error {
            object_store::Error::NotFound { .. } => SplitError::Missing(meta.id),
            error => SplitError::Storage { object: object.clone(), source: error.into() },
        };
        let mut chunks = self.store.get(&key).await.map_err(failed)?.into_stream();
        let (mut bytes, mut crc32c) = (0, 0);
        while let Some(chunk) = chunks.try_next().await.map_err(failed)? {
            bytes += chunk.len() as u64;
            crc32c = crc32c::crc32c_append(crc32c, &chunk);
            out.write_all(&chunk).map_err(|error| SplitError::Storage {
                object: format!("a copy of {object}"),
                source: error.into(),
            })?;
        }
        let reason = if bytes != meta.bytes {
            format!("it has {bytes} bytes, and {} were sealed", meta.bytes)
        } else if crc32c != meta.crc32c {
            "it does not match its checksum in the catalog".to_owned()
        } else {
            return Ok(());
        };
        Err(SplitError::Damaged { object, reason })
    }

    /// Brings the object to this machine, unless it is here.
    async fn fetch(&self, meta: &SplitMeta) -> Result<PathBuf, SplitError> {
        let (object, key) = object_of(meta);
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| SplitError::Storage {
            object: object.clone(),
            source,
        };
        if let Some(path) = self.cache.find(meta).await {
            return Ok(path);
        }
        let got = match self.store.get(&key).await {
            Ok(got) => got,
            Err(object_store::Error::NotFound { .. }) => return Err(SplitError::Missing(meta.id)),
            Err(error) => return Err(failed(error.into())),
        };
        let staged = self.cache.stage(meta).await.map_err(|e| failed(e.into()))?;
        let mut out = tokio::fs::File::from_std(staged.reopen().map_err(|e| failed(e.into()))?);
        let mut chunks = got.into_stream();
        while let Some(chunk) = chunks.try_next().await.map_err(|e| failed(e.into()))? {
            tokio::io::AsyncWriteExt::write_all(&mut out, &chunk)
                .await
                .map_err(|e| failed(e.into()))?;
        }
        out.sync_all().await.map_err(|e| failed(e.into()))?;
        self.cache.take(meta, staged).await.map_err(|e| failed(e.into()))
    }

    /// Removes the object of a split that is no longer registered, and the copy of it here. Removing
    /// what is not there is no error.
    pub async fn remove(&self, split: &CondemnedSplit) -> Result<(), SplitError> {
        self.cache.forget(&split.commune, split.id, split.crc32c).await;
        self.delete(&split.commune, split.id).await
    }

    /// Removes an object. Removing what is not there is no error.
    pub async fn delete(&self, commune: &CommuneId, id: SplitId) -> Result<(), SplitError> {
        let object = object_name(commune, id);
        match self.store.delete(&Key::from(object.as_str())).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(SplitError::Storage { object, source: error.into() }),
        }
    }

    /// The objects of `commune`, by id; of all communes where it is `None`. What is not named
    /// as a split is passed over.
    pub async fn list(&self, commune: Option<&CommuneId>) -> Result<Vec<SplitObject>, SplitError> {
        let prefix = commune.map(|commune| Key::from(commune.as_str()));
        let found: Vec<_> = self.store.list(prefix.as_ref()).try_collect().await.map_err(
            |error: object_store::Error| SplitError::Storage {
                object: commune.map_or_else(|| "/".to_owned(), ToString::to_string),
                source: error.into(),
            },
        )?;
        let mut objects: Vec<SplitObject> = found
            .into_iter()
            .filter_map(|meta| {
                let (commune, name) = meta.location.as_ref().split_once('/')?;
                Some(SplitObject {
                    commune: CommuneId::new(commune).ok()?,
                    id: name.strip_suffix(".split")?.parse().ok()?,
                    bytes: meta.size,
                })
            })
            .collect();
        objects.sort_by_key(|object| object.id);
        Ok(objects)
    }
}

fn object_name(commune: &CommuneId, id: SplitId) -> String {
    format!("{commune}/{id}.split")
}

fn object_of(meta: &SplitMeta) -> (String, Key) {
    let name = object_name(&meta.commune, meta.id);
    let key = Key::from(name.as_str());
    (name, key)
}

/// The object of `meta`, whose bytes are the file at `path`.
async fn open_at(path: PathBuf, meta: &SplitMeta) -> Result<SplitFile, SplitError> {
    let (object, _) = object_of(meta);
    let (id, crc32c, bytes) = (meta.id, meta.crc32c, meta.bytes);
    let opened = {
        let object = object.clone();
        tokio::task::spawn_blocking(move || open_file(&path, id, object, crc32c, bytes)).await
    };
    opened.map_err(|error| SplitError::Storage { object, source: error.into() })?
}

fn read_chunk(mut file: File) -> std::io::Result<(File, Vec<u8>)> {
    use std::io::Read as _;
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    file.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
    Ok((file, chunk))
}

fn open_file(
    path: &Path,
    id: SplitId,
    object: String,
    crc32c: u32,
    bytes: u64,
) -> Result<SplitFile, SplitError> {
    let map = match map_file(path) {
        Ok(map) => map,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(SplitError::Missing(id));
        }
        Err(error) => return Err(SplitError::Storage { object, source: error.into() }),
    };
    if map.len() as u64 != bytes {
        let reason = format!("it has {} bytes, the catalog says {bytes}", map.len());
        return Err(SplitError::Damaged { object, reason });
    }
    match Bundle::open(map) {
        Ok(bundle) => Ok(SplitFile { object, bundle, crc32c }),
        Err(reason) => Err(SplitError::Damaged { object, reason }),
    }
}

/// Maps a file of ours into memory.
pub(crate) fn map_file(path: &Path) -> std::io::Result<OwnedBytes> {
    let file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(OwnedBytes::empty());
    }
    #[expect(unsafe_code, reason = "mapping a file is unsafe as others could change it")]
    // SAFETY: bundles are written once under a name of their own, in folders that only this
    // process may write (mode 0700), and replaced by rename, never in place.
    let map = unsafe { memmap2::Mmap::map(&file) }?;
    Ok(OwnedBytes::new(map))
}

/// Removes what interrupted uploads left behind, `<name>#<n>` beside the objects.
fn remove_staged(root: &Path) -> std::io::Result<()> {
    for folder in std::fs::read_dir(root)? {
        let folder = folder?;
        if !folder.file_type()?.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(folder.path())? {
            let file = file?;
            if file.file_name().to_string_lossy().contains(".split#") {
                std::fs::remove_file(file.path())?;
            }
        }
    }
    Ok(())
}
