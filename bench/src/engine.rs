//! The detection engine beside its peers: builds and runs `bench/peers`, a crate of its own so
//! that the peers' dependencies stay out of this workspace.

use std::{path::Path, process::Command};

use anyhow::{Context as _, bail};

/// Runs the comparison with `args` handed on.
pub(crate) fn run(args: &[String]) -> anyhow::Result<()> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/Cargo.toml");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        // Not locked: the workspace's crates may have got dependencies since.
        .args(["run", "--release", "--quiet", "--manifest-path"])
        .arg(&manifest)
        .arg("--")
        .args(args)
        .status()
        .with_context(|| format!("failed to start cargo for {}", manifest.display()))?;
    if !status.success() {
        bail!("the comparison in {} ended with {status}", manifest.display());
    }
    Ok(())
}
