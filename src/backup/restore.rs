//! Putting a backup where the configuration says that everything is kept.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use store::{auth::DataDir, split::SplitStorage};

use super::{
    AUDIT, DATABASE, FOLDERS, JOURNAL, Manifest, copy_file, files_below, make_folder, split_path,
    sync_folder,
};
use crate::config::Config;

/// Restores `manifest`, which was verified. Nothing that is there is written over.
pub(crate) async fn restore(
    config: &Config,
    storage: &SplitStorage,
    folder: &Path,
    manifest: &Manifest,
) -> anyhow::Result<()> {
    let from = folder.join(&manifest.id);
    let database = config.database_url();
    let Some(database) = database.strip_prefix("sqlite://").map(PathBuf::from) else {
        bail!("the backup has a file of SQLite, and `database` names another kind");
    };
    let journal = config.bus_url().strip_prefix("journal://").map(PathBuf::from);
    ensure!(
        journal.is_some() == manifest.has_journal,
        "the bus of the backup {} the journal, and `bus` says otherwise; restore with the \
         configuration that it was made with",
        if manifest.has_journal { "is" } else { "is not" }
    );
    let _held = DataDir::hold(&config.data_dir).context("failed to open the data folder")?;
    let audit = config.audit.trail(&config.data_dir).folder;
    let mut folders = vec![(JOURNAL, journal), (AUDIT, Some(audit))];
    folders.extend(FOLDERS.map(|name| (name, Some(config.data_dir.join(name)))));
    for (_, folder) in &folders {
        let Some(folder) = folder else { continue };
        let found = files_below(folder)
            .with_context(|| format!("failed to look into {}", folder.display()))?;
        ensure!(
            found.is_empty(),
            "{} is not empty; move it away first, nothing is written over",
            folder.display()
        );
    }
    ensure!(
        !database.exists(),
        "{} is there; move it away first, nothing is written over",
        database.display()
    );
    // Elsewhere they may be what the catalog of the backup names, and stay whatever comes of it.
    if storage.is_exclusive() {
        let there = storage.list(None).await.context("failed to list the splits")?;
        ensure!(
            there.is_empty(),
            "{} has splits already; move them away first, nothing is written over",
            config.splits_url()
        );
    }
    for split in &manifest.splits {
        let path = folder.join(split_path(split));
        storage.put(split, &path).await.context("failed to put a split")?;
    }
    for (name, to) in &folders {
        if let Some(to) = to {
            copy_all(&from.join(name), to)?;
        }
    }
    // Last, as a data folder without it is one that nothing is in.
    if let Some(parent) = database.parent() {
        make_folder(parent)?;
        let part = database.with_extension("part");
        copy_file(&from.join(DATABASE), &part)
            .and_then(|()| std::fs::rename(&part, &database))
            .with_context(|| format!("failed to write {}", database.display()))?;
        sync_folder(parent)?;
    }
    Ok(())
}

fn copy_all(from: &Path, to: &Path) -> anyhow::Result<()> {
    let files = files_below(from).with_context(|| format!("failed to list {}", from.display()))?;
    for path in files {
        let target = to.join(&path);
        let parent = target.parent().unwrap_or(to);
        make_folder(parent)?;
        copy_file(&from.join(&path), &target)
            .with_context(|| format!("failed to write {}", target.display()))?;
        sync_folder(parent)?;
    }
    Ok(())
}
