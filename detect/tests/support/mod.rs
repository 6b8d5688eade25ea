//! What the tests share.
#![allow(dead_code, reason = "each test uses a part")]

use std::path::PathBuf;

/// The corpora, where they are; else says that the test is skipped.
pub fn corpora() -> Option<PathBuf> {
    let path = std::env::var_os("JACQUEMART_CORPORA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora"),
        PathBuf::from,
    );
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: no corpora at {}", path.display());
    None
}
