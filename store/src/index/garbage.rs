//! What a crash left behind.

use std::{collections::HashSet, os::unix::fs::DirBuilderExt as _, path::Path};

use event::SplitId;

use super::IndexError;
use crate::{
    db::{Database, SplitMeta},
    split::SplitStorage,
};

/// Makes `work_dir` an empty folder that only this user reads. Blocks.
pub(super) fn empty(work_dir: &Path) -> Result<(), IndexError> {
    let failed = |error| IndexError::io(work_dir, error);
    match std::fs::remove_dir_all(work_dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(work_dir).map_err(failed)
}

/// Removes the objects of splits that were replaced or dropped, and those that the catalog does not
/// know; the latter only where no other process could be about to publish them.
pub(super) async fn collect(
    storage: &SplitStorage,
    db: &dyn Database,
    published: &[SplitMeta],
) -> Result<(), IndexError> {
    let condemned = db.condemned_splits().await?;
    for split in &condemned {
        storage.remove(split).await?;
    }
    db.forget_splits(condemned).await?;
    if !storage.is_exclusive() {
        return Ok(());
    }
    storage.remove_staged().map_err(|error| IndexError::io(Path::new("splits"), error))?;
    let known: HashSet<SplitId> = published.iter().map(|meta| meta.id).collect();
    for object in storage.list(None).await? {
        if !known.contains(&object.id) {
            tracing::info!(commune = %object.commune, split = %object.id, "removing an unpublished split");
            storage.delete(&object.commune, object.id).await?;
        }
    }
    Ok(())
}
