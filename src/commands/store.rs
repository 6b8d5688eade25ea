//! `jacquemart store`: whether what is kept is whole, and putting back what is not.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use anyhow::Context as _;
use event::{CommuneId, SplitId};
use futures::StreamExt as _;
use serde_json::json;
use store::{
    db::{self, Database, SplitMeta},
    split::{SplitError, SplitStorage},
};

use crate::{
    Exit, Failure, backup,
    cli::{Global, Output, Store},
    commands::load_config,
    config::Config,
    print,
    wire::splits,
};

/// Splits that are read at once: a disk has little use of more, and serving goes on beside it.
const AT_ONCE: usize = 2;

pub(crate) async fn run(global: &Global, args: Store) -> Result<Exit, Failure> {
    match args {
        Store::Verify { commune } => verify(global, commune).await,
        Store::Repair { backup, commune } => repair(global, &backup, commune).await,
    }
}

/// A split that is not what was sealed, or of which that is not known.
struct Fault {
    meta: SplitMeta,
    /// The storage did not give it: it may be whole.
    is_unread: bool,
    reason: String,
}

/// Puts back what a backup has of what is damaged.
async fn repair(
    global: &Global,
    backup: &Path,
    commune: Option<CommuneId>,
) -> Result<Exit, Failure> {
    let config = load_config(global)?;
    let Checked { faults, .. } = checked(&config, commune.as_ref()).await?;
    let storage = splits::open_beside(&config)?;
    let (mut repaired, mut left) = (Vec::new(), Vec::new());
    for Fault { meta, is_unread, reason } in faults {
        let put = async {
            anyhow::ensure!(!is_unread, "the storage does not give it, so it may be whole");
            let copy = backup::split_copy(backup, &meta)?;
            storage.put(&meta, &copy).await.context("failed to put it back")?;
            storage.check(&meta).await.context("it was put back and is damaged again")
        };
        match put.await {
            Ok(()) => repaired.push(meta),
            Err(error) => left.push((meta, format!("{reason}; {error:#}"))),
        }
    }
    match global.output {
        Output::Json => {
            let left = left.iter().map(|(meta, reason)| json!({"split": meta, "reason": reason}));
            print::json(&json!({"repaired": repaired, "left": left.collect::<Vec<_>>()}))?;
        }
        Output::Table => {
            for meta in &repaired {
                print::outln!("put back: {}", meta.object_path().display());
            }
            for (meta, reason) in &left {
                print::outln!(
                    "not put back: {} ({} events of {}): {}",
                    meta.object_path().display(),
                    meta.events,
                    meta.commune,
                    print::safe(reason)
                );
            }
            print::outln!("{} splits were put back, {} were not", repaired.len(), left.len());
        }
    }
    Ok(if left.is_empty() { Exit::Done } else { Exit::Found })
}

/// Reads all splits.
async fn checked(config: &Config, commune: Option<&CommuneId>) -> Result<Checked, Failure> {
    if !config.data_dir.exists() {
        let reason = format!("there is no data folder {}", config.data_dir.display());
        return Err(Failure::new(Exit::Usage, anyhow::anyhow!(reason)));
    }
    let db = db::connect(&config.database_url()).await.context("failed to open the database")?;
    let storage = splits::open_beside(config)?;
    let checked = check(&*db, &storage, commune).await;
    db.close().await;
    checked
}

async fn verify(global: &Global, commune: Option<CommuneId>) -> Result<Exit, Failure> {
    let config = load_config(global)?;
    let Checked { splits, events, bytes, faults, strays } =
        checked(&config, commune.as_ref()).await?;
    let unread = faults.iter().filter(|fault| fault.is_unread).count();
    let described = faults.iter().map(|Fault { meta, is_unread, reason }| {
        json!({
            "unread": is_unread,
            "object": meta.object_path(),
            "commune": meta.commune,
            "from": meta.min_time,
            "to": meta.max_time,
            "events": meta.events,
            "reason": reason,
        })
    });
    match global.output {
        Output::Json => print::json(&json!({
            "splits": splits,
            "events": events,
            "bytes": bytes,
            "damaged": described.collect::<Vec<_>>(),
            "not_registered": strays,
        }))?,
        Output::Table => {
            for Fault { meta, is_unread, reason } in &faults {
                print::outln!(
                    "{}: {} ({} events of {} from {} to {}): {}",
                    if *is_unread { "not read" } else { "damaged" },
                    meta.object_path().display(),
                    meta.events,
                    meta.commune,
                    meta.min_time,
                    meta.max_time,
                    print::safe(reason)
                );
            }
            for stray in &strays {
                print::outln!(
                    "not registered: {stray}; no search reads it (where a centre runs, it may be \
                     sealing it just now)"
                );
            }
            print::outln!(
                "{splits} splits of {events} events and {bytes} bytes, {} damaged, {unread} that the \
                 storage did not give",
                faults.len() - unread
            );
        }
    }
    Ok(if faults.is_empty() { Exit::Done } else { Exit::Found })
}

struct Checked {
    splits: usize,
    events: u64,
    bytes: u64,
    faults: Vec<Fault>,
    /// Objects that the catalog does not know, before and after they were listed.
    strays: Vec<String>,
}

async fn check(
    db: &dyn Database,
    storage: &SplitStorage,
    commune: Option<&CommuneId>,
) -> Result<Checked, Failure> {
    let is_asked = |of: &CommuneId| commune.is_none_or(|commune| commune == of);
    let registered = async || db.all_splits().await.context("failed to read the catalog");
    let all = registered().await?;
    let splits: Vec<SplitMeta> = all.into_iter().filter(|split| is_asked(&split.commune)).collect();
    let (count, bytes) = (splits.len(), splits.iter().map(|split| split.bytes).sum());
    let events = splits.iter().map(|split| split.events).sum();
    let known: HashSet<SplitId> = splits.iter().map(|split| split.id).collect();
    let mut wrong: HashMap<SplitId, Fault> = futures::stream::iter(splits)
        .map(|meta| async move { (storage.check(&meta).await, meta) })
        .buffer_unordered(AT_ONCE)
        .filter_map(|(result, meta)| async move {
            let error = result.err()?;
            let is_unread = matches!(error, SplitError::Storage { .. });
            Some((meta.id, Fault { meta, is_unread, reason: error.to_string() }))
        })
        .collect()
        .await;
    let objects = storage.list(commune).await.map_err(|error| listing(&error))?;
    // A centre that runs beside this seals and merges meanwhile.
    let now: HashSet<SplitId> = registered().await?.into_iter().map(|split| split.id).collect();
    wrong.retain(|id, _| now.contains(id));
    let mut faults: Vec<Fault> = wrong.into_values().collect();
    faults.sort_by_key(|fault| fault.meta.id);
    let strays = objects
        .into_iter()
        .filter(|object| !known.contains(&object.id) && !now.contains(&object.id))
        .map(|object| format!("{}/{}.split", object.commune, object.id))
        .collect();
    Ok(Checked { splits: count, events, bytes, faults, strays })
}

fn listing(error: &SplitError) -> Failure {
    Failure::from(anyhow::anyhow!("failed to list the splits: {error}"))
}
