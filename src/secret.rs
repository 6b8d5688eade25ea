//! Secrets as the configuration names them: a file of one line, or a variable of the environment.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use ingest::outbound::Secret;

/// Reads it; the file goes first. Blocks.
pub(crate) fn read(path: Option<&PathBuf>, variable: Option<&String>) -> anyhow::Result<Secret> {
    let text = match (path, variable) {
        (Some(path), _) => {
            String::from_utf8(file(path)?).map_err(|_| anyhow!("{} is no UTF-8", path.display()))?
        }
        (None, Some(name)) => {
            std::env::var(name).with_context(|| format!("environment variable {name}"))?
        }
        (None, None) => return Err(anyhow!("its secret is missing")),
    };
    if text.trim().is_empty() {
        return Err(anyhow!("its secret is empty"));
    }
    Ok(Secret::new(&text))
}

/// A file's bytes; an error names it. Blocks.
pub(crate) fn file(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| path.display().to_string())
}
