//! When rules are read anew without being asked: their files changed, or SIGHUP came.
//!
//! Files are looked at every few seconds rather than watched by inotify: it works the same on
//! network file systems and on folders that are exchanged as a whole, it cannot miss a change
//! when a queue is full, and a look at a few thousand files takes milliseconds.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use store::db::RuleCause;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Keeper;
use crate::config;

/// Looking takes a small part of the time, however many files there are and however slow they
/// are to reach.
const PAUSE_FACTOR: u32 = 50;

/// What the file system says of all rule files together; two that differ mean that a file was
/// added, removed, renamed, or written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fingerprint(u64);

impl Fingerprint {
    pub(super) fn of(config: &config::Rules) -> Self {
        let mut hasher = DefaultHasher::new();
        let mut files = detect::files(&config.paths);
        if let Some(folder) = &config.placeholders {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            let mut lists: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
            lists.sort();
            files.extend(lists);
        }
        for path in files {
            path.hash(&mut hasher);
            // The time of the last change of the inode, which no tool sets back, unlike that of
            // the last change of the content.
            let facts = std::fs::metadata(&path).ok().map(|file| {
                (file.dev(), file.ino(), file.size(), file.ctime(), file.ctime_nsec(), file.mtime())
            });
            facts.hash(&mut hasher);
        }
        Self(hasher.finish())
    }
}

/// Reads the rules anew on SIGHUP and, where `every` is not zero, when their files changed and
/// were then left alone for as long: who copies many files is waited for.
pub(crate) async fn watch(
    keeper: Arc<Keeper>,
    every: Duration,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut hangup = signal(SignalKind::hangup()).context("failed to listen to signals")?;
    let mut last = None;
    let mut pause = every;
    loop {
        let wait = async {
            if every.is_zero() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(pause).await;
        };
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = hangup.recv() => reload(&keeper, RuleCause::Signal, "SIGHUP").await,
            () = wait => {
                let began = Instant::now();
                match keeper.fingerprints().await {
                    Ok((read, now)) if now != read && last == Some(now) => {
                        reload(&keeper, RuleCause::File, "serve").await;
                        last = None;
                    }
                    Ok((_, now)) => last = Some(now),
                    Err(error) => tracing::error!(error = format!("{error:#}"), "failed to look at the rule files"),
                }
                pause = every.max(began.elapsed() * PAUSE_FACTOR);
                // In case another process changed them.
                if let Err(error) = keeper.refresh_policies().await {
                    tracing::warn!(error = format!("{error:#}"), "keeping the rule policies known");
                }
            }
        }
    }
}

/// What fails here is tried again at the next change, so it never ends the centre.
async fn reload(keeper: &Keeper, cause: RuleCause, by: &str) {
    if let Err(error) = keeper.reload(cause, by).await {
        tracing::error!(
            error = format!("{error:#}"),
            "failed to read the rules anew; those before stay in force"
        );
    }
}
