//! Making a backup, beside a centre that may be running.

use std::{
    collections::HashSet,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use event::Timestamp;
use ingest::bus::journal::{JournalCopy, OpenError};
use store::{
    db::{self, SplitMeta},
    split::{SplitError, SplitStorage},
};

use super::{
    AUDIT, DATABASE, FOLDERS, JOURNAL, MANIFEST, Manifest, SPLITS, Sum, UNFINISHED, Unread,
    VERSION, copy_file, create, files_below, list, make_folder, split_path, sum, sync_folder,
};
use crate::config::Config;

/// How often it is begun anew because something went before it was copied: a split that was merged, a
/// part of the journal that was read. Each time only the splits that came meanwhile are left to copy.
const TRIES: u32 = 5;

/// How often the journal is brought up while the database is copied.
const REFRESH_EVERY: Duration = Duration::from_millis(200);

/// A backup that was made.
pub(crate) struct Made {
    pub(crate) manifest: Manifest,
    /// Splits that were copied, and their bytes; the folder had the others.
    pub(crate) copied: (usize, u64),
    /// Backups that were removed.
    pub(crate) removed: Vec<String>,
}

/// Backs up into `folder`, and removes all but the last `keep` backups there.
pub(crate) async fn make(
    config: &Config,
    storage: &SplitStorage,
    folder: &Path,
    keep: Option<u32>,
    mut step: impl AsyncFnMut(Step),
) -> anyhow::Result<Made> {
    make_folder(folder)?;
    let folder = std::path::absolute(folder).context("failed to find the folder")?;
    let _lock = lock(&folder)?;
    remove_unfinished(&folder)?;
    let id = next_id(&folder, Timestamp::now());
    let work = folder.join(format!("{id}{UNFINISHED}"));
    make_folder(&work)?;

    // Where collectors stand goes before what they have collected: after a restore they may ask
    // again for what is there, and never pass over what is not.
    for name in FOLDERS {
        copy_folder(&config.data_dir.join(name), &work.join(name), false)?;
    }
    let copying = Copying { config, storage, folder: &folder, work: &work };
    let Catalog { made, splits, copied, unread } = copying.copy(&mut step).await?;
    let trail = config.audit.trail(&config.data_dir);
    copy_folder(&trail.folder, &work.join(AUDIT), true)?;

    let mut files = Vec::new();
    for path in files_below(&work).context("failed to list the backup")? {
        let (bytes, crc32c) = sum(&work.join(&path))
            .with_context(|| format!("failed to read {} again", path.display()))?;
        files.push(Sum { path, bytes, crc32c });
    }
    let manifest = Manifest {
        version: VERSION,
        id: id.clone(),
        made,
        jacquemart: env!("CARGO_PKG_VERSION").to_owned(),
        has_journal: journal(config).is_some(),
        files,
        splits,
        unread,
    };
    write_manifest(&manifest, &work)?;
    std::fs::rename(&work, folder.join(&id)).context("failed to name the backup")?;
    sync_folder(&folder)?;
    let removed = match keep {
        Some(keep) => prune(&folder, keep as usize)?,
        None => Vec::new(),
    };
    Ok(Made { manifest, copied, removed })
}

/// Two that write into one folder would remove what the other has not finished.
fn lock(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join("LOCK");
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("failed to open {}", path.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => {
            bail!("another backup into {} is under way", folder.display())
        }
        Err(std::fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("failed to lock {}", path.display()))
        }
    }
}

fn remove_unfinished(folder: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder).context("failed to read the folder")? {
        let entry = entry.context("failed to read the folder")?;
        if entry.file_name().to_string_lossy().ends_with(UNFINISHED) {
            std::fs::remove_dir_all(entry.path()).with_context(|| {
                format!("failed to remove {}, which was not finished", entry.path().display())
            })?;
        }
    }
    Ok(())
}

/// Named after the moment; a second one in the same second after the next.
fn next_id(folder: &Path, now: Timestamp) -> String {
    let mut at = now;
    loop {
        let text = at.to_string();
        let digits: String = text.chars().take(19).filter(|c| !matches!(c, '-' | ':')).collect();
        let id = format!("{digits}Z");
        if !folder.join(&id).exists() {
            return id;
        }
        at = at.plus(Duration::from_secs(1));
    }
}

/// Where the bus is, if it is a journal.
fn journal(config: &Config) -> Option<PathBuf> {
    config.bus_url().strip_prefix("journal://").map(PathBuf::from)
}

/// Copies the files of a folder, the lines of which are written at once where it has `lines`: one
/// that is being written is left out.
fn copy_folder(from: &Path, to: &Path, lines: bool) -> anyhow::Result<()> {
    let files = files_below(from).with_context(|| format!("failed to list {}", from.display()))?;
    for path in files {
        let target = to.join(&path);
        if let Some(parent) = target.parent() {
            make_folder(parent)?;
        }
        match copy_file(&from.join(&path), &target) {
            // Replaced or taken away since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            copied => copied.with_context(|| format!("failed to copy {}", path.display()))?,
        }
        if lines && path.extension().is_some_and(|extension| extension == "ndjson") {
            cut_half_line(&target).with_context(|| format!("failed to copy {}", path.display()))?;
        }
    }
    Ok(())
}

fn cut_half_line(path: &Path) -> io::Result<()> {
    let text = std::fs::read(path)?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if whole < text.len() {
        let file = File::options().write(true).open(path)?;
        file.set_len(whole as u64)?;
        file.sync_all()?;
    }
    Ok(())
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The database is copied, the journal's cursors are.
    Database,
    /// The journal is copied to its end.
    Journal,
    /// So many splits are looked at.
    Splits(usize),
}

/// What the database of a backup has registered.
struct Catalog {
    made: Timestamp,
    splits: Vec<SplitMeta>,
    copied: (usize, u64),
    unread: Vec<Unread>,
}

/// What is copied, and into what.
struct Copying<'a> {
    config: &'a Config,
    storage: &'a SplitStorage,
    folder: &'a Path,
    work: &'a Path,
}

impl Copying<'_> {
    /// Copies bus, database and splits, anew where something went before it was copied.
    async fn copy(&self, step: &mut impl AsyncFnMut(Step)) -> anyhow::Result<Catalog> {
        let mut copied = (0, 0);
        for attempt in 1..=TRIES {
            let Some((made, all)) = self.copy_database(step).await? else { continue };
            step(Step::Splits(all.len())).await;
            let (mut splits, mut unread, mut has_gone) = (Vec::new(), Vec::new(), false);
            for split in all {
                match copy_split(self.storage, self.folder, &split).await {
                    Ok(bytes) => {
                        copied.0 += usize::from(bytes > 0);
                        copied.1 += bytes;
                        splits.push(split);
                    }
                    // It was merged or dropped since, so that the next catalog has it no more.
                    Err(SplitError::Missing(_)) if attempt < TRIES => has_gone = true,
                    Err(error @ (SplitError::Missing(_) | SplitError::Damaged { .. })) => {
                        unread.push(Unread { split, reason: error.to_string() });
                    }
                    Err(error) => return Err(error).context("failed to copy a split"),
                }
            }
            if !has_gone {
                return Ok(Catalog { made, splits, copied, unread });
            }
        }
        bail!("the journal forgets faster than it can be copied; try again when less comes")
    }

    /// Copies the database, and beside it the journal; the moment of the one, and its splits.
    /// `None` where not all of the journal could be had.
    async fn copy_database(
        &self,
        step: &mut impl AsyncFnMut(Step),
    ) -> anyhow::Result<Option<(Timestamp, Vec<SplitMeta>)>> {
        let target = self.work.join(JOURNAL);
        if target.exists() {
            std::fs::remove_dir_all(&target).context("failed to remove the copied journal")?;
        }
        let journal = match journal(self.config) {
            Some(from) => blocking(move || JournalCopy::begin(&from, &target)).await?,
            None => None,
        };
        step(Step::Database).await;
        let database = self.work.join(DATABASE);
        let _ = std::fs::remove_file(&database);
        let (url, to) = (self.config.database_url(), database.clone());
        let made = Timestamp::now();
        let mut copying = tokio::task::spawn_blocking(move || db::snapshot(&url, &to));
        let journal = journal.map(Arc::new);
        let copied = loop {
            tokio::select! {
                copied = &mut copying => break copied,
                () = tokio::time::sleep(REFRESH_EVERY) => {}
            }
            if let Some(journal) = journal.clone() {
                blocking(move || journal.refresh()).await?;
            }
        };
        copied.context("copying the database panicked")?.context("failed to copy the database")?;
        step(Step::Journal).await;
        if let Some(journal) = journal.and_then(Arc::into_inner)
            && !blocking(move || journal.finish()).await?
        {
            return Ok(None);
        }
        let copy = db::connect(&format!("sqlite://{}", database.display())).await;
        let copy = copy.context("failed to open the copy of the database")?;
        let all = copy.all_splits().await.context("failed to read the catalog");
        copy.close().await;
        Ok(Some((made, all?)))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OpenError> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .context("copying the journal panicked")?
        .context("failed to copy the journal")
}

/// Copies a split unless it is there; how many bytes.
async fn copy_split(
    storage: &SplitStorage,
    folder: &Path,
    split: &SplitMeta,
) -> Result<u64, SplitError> {
    let path = folder.join(split_path(split));
    let failed = |source: io::Error| SplitError::Storage {
        object: path.display().to_string(),
        source: source.into(),
    };
    if std::fs::metadata(&path).is_ok_and(|meta| meta.len() == split.bytes) {
        return Ok(0);
    }
    let parent = path.parent().unwrap_or(folder);
    make_folder(parent).map_err(|error| failed(io::Error::other(error)))?;
    let part = path.with_extension("part");
    let mut out = create(&part).map_err(failed)?;
    if let Err(error) = storage.copy_to(split, &mut out).await {
        let _ = std::fs::remove_file(&part);
        return Err(error);
    }
    out.sync_all().map_err(failed)?;
    std::fs::rename(&part, &path).map_err(failed)?;
    File::open(parent).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(split.bytes)
}

fn write_manifest(manifest: &Manifest, work: &Path) -> anyhow::Result<()> {
    let path = work.join(MANIFEST);
    let text = serde_json::to_vec_pretty(manifest).context("failed to write the manifest")?;
    let write = || -> io::Result<()> {
        use io::Write as _;
        let mut file = create(&path)?;
        file.write_all(&text)?;
        file.sync_all()
    };
    write().with_context(|| format!("failed to write {}", path.display()))?;
    let mut folders: HashSet<PathBuf> = HashSet::from([work.to_owned()]);
    for sum in &manifest.files {
        folders.extend(work.join(&sum.path).parent().map(Path::to_owned));
    }
    folders.iter().try_for_each(|folder| sync_folder(folder))
}

/// Removes all but the last `keep` backups, and the splits that only they had.
fn prune(folder: &Path, keep: usize) -> anyhow::Result<Vec<String>> {
    let all = list(folder)?;
    let (kept, old) = all.split_at(keep.min(all.len()));
    for manifest in old {
        let path = folder.join(&manifest.id);
        // It is no backup any more before anything of it is missing.
        let gone = folder.join(format!("{}{UNFINISHED}", manifest.id));
        std::fs::rename(&path, &gone)
            .and_then(|()| std::fs::remove_dir_all(&gone))
            .with_context(|| format!("failed to remove {}", path.display()))?;
    }
    let needed: HashSet<PathBuf> =
        kept.iter().flat_map(|manifest| &manifest.splits).map(split_path).collect();
    let splits = folder.join(SPLITS);
    for path in files_below(&splits).context("failed to list the splits")? {
        if !needed.contains(&Path::new(SPLITS).join(&path)) {
            std::fs::remove_file(splits.join(&path))
                .with_context(|| format!("failed to remove {}", path.display()))?;
        }
    }
    Ok(old.iter().map(|manifest| manifest.id.clone()).collect())
}
