//! Whether a backup is whole.

use std::{
    io,
    path::{Path, PathBuf},
};

use store::db::SplitMeta;

use super::{Manifest, split_path, sum};

/// A file of a backup that is not what was written.
pub(crate) struct Fault {
    /// Below the folder of backups.
    pub(crate) path: String,
    pub(crate) reason: String,
    /// The split that it is.
    pub(crate) split: Option<SplitMeta>,
}

/// Reads all of a backup. Blocks.
pub(crate) fn verify(folder: &Path, manifest: &Manifest) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in &manifest.files {
        let path = Path::new(&manifest.id).join(&file.path);
        if let Some(reason) = fault(sum(&folder.join(&path)), file.bytes, file.crc32c) {
            faults.push(Fault { path: path.display().to_string(), reason, split: None });
        }
    }
    for split in &manifest.splits {
        let path = split_path(split);
        if let Some(reason) = fault(sum(&folder.join(&path)), split.bytes, split.crc32c) {
            let split = Some(split.clone());
            faults.push(Fault { path: path.display().to_string(), reason, split });
        }
    }
    faults
}

/// The copy of a split in a folder of backups, checked. Blocks.
pub(crate) fn split_copy(folder: &Path, split: &SplitMeta) -> anyhow::Result<PathBuf> {
    let path = folder.join(split_path(split));
    match fault(sum(&path), split.bytes, split.crc32c) {
        None => Ok(path),
        Some(reason) => anyhow::bail!("in the backup, {reason} ({})", path.display()),
    }
}

fn fault(found: io::Result<(u64, u32)>, bytes: u64, crc32c: u32) -> Option<String> {
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some("it is missing".to_owned()),
        Err(error) => Some(format!("it cannot be read: {error}")),
        Ok((found, _)) if found != bytes => {
            Some(format!("it has {found} bytes, and {bytes} were written"))
        }
        Ok((_, found)) if found != crc32c => Some("it does not match its checksum".to_owned()),
        Ok(_) => None,
    }
}
