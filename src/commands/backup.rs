//! `jacquemart backup` and `jacquemart restore`.

use std::path::Path;

use serde_json::{Value, json};

use crate::{
    Exit, Failure,
    backup::{self, Fault, Made, Manifest, Step},
    cli::{Backup, Global, Output, Restore},
    commands::load_config,
    print,
    wire::splits,
};

pub(crate) async fn run(global: &Global, args: Backup) -> Result<Exit, Failure> {
    match args {
        Backup::Create { folder, keep } => create(global, &folder, keep).await,
        Backup::List { folder } => {
            let all = backup::list(&folder)?;
            let items: Vec<Value> = all.iter().map(described).collect();
            print::list(
                global.output,
                &json!({"items": items}),
                &[
                    ("ID", "id"),
                    ("MADE", "made"),
                    ("EVENTS", "events"),
                    ("SPLITS", "splits"),
                    ("SPLIT BYTES", "split_bytes"),
                    ("OWN BYTES", "own_bytes"),
                    ("NOT READ", "not_read"),
                ],
            )?;
            Ok(Exit::Done)
        }
        Backup::Verify { folder, backup } => verify(global, &folder, backup.as_deref()),
    }
}

fn described(manifest: &Manifest) -> Value {
    let (own, splits) = manifest.bytes();
    json!({
        "id": manifest.id,
        "made": manifest.made,
        "events": manifest.splits.iter().map(|split| split.events).sum::<u64>(),
        "splits": manifest.splits.len(),
        "split_bytes": splits,
        "own_bytes": own,
        "not_read": manifest.unread.len(),
    })
}

async fn create(global: &Global, folder: &Path, keep: Option<u32>) -> Result<Exit, Failure> {
    let config = load_config(global)?;
    if !config.data_dir.exists() {
        let reason = format!("there is no data folder {}", config.data_dir.display());
        return Err(Failure::new(Exit::Usage, anyhow::anyhow!(reason)));
    }
    let Made { manifest, copied, removed } = {
        let is_told = global.output == Output::Table;
        let step = async |step| {
            if is_told {
                match step {
                    Step::Database => eprintln!("copying the database"),
                    Step::Journal => eprintln!("copying the journal"),
                    Step::Splits(n) => eprintln!("copying splits that are not there yet, of {n}"),
                }
            }
        };
        backup::make(&config, &splits::open_beside(&config)?, folder, keep, step).await?
    };
    match global.output {
        Output::Json => {
            let mut answer = described(&manifest);
            answer["copied_splits"] = copied.0.into();
            answer["copied_bytes"] = copied.1.into();
            answer["removed"] = json!(removed);
            answer["unread"] = json!(manifest.unread);
            print::json(&answer)?;
        }
        Output::Table => {
            for unread in &manifest.unread {
                print::outln!(
                    "not in the backup: {} ({} events of {}): {}",
                    unread.split.object_path().display(),
                    unread.split.events,
                    unread.split.commune,
                    print::safe(&unread.reason)
                );
            }
            print::outln!(
                "backup {} of {} splits, {} of them copied now ({} bytes)",
                manifest.id,
                manifest.splits.len(),
                copied.0,
                copied.1
            );
            if !removed.is_empty() {
                print::outln!("removed {}", removed.join(", "));
            }
        }
    }
    Ok(if manifest.unread.is_empty() { Exit::Done } else { Exit::Found })
}

fn verify(global: &Global, folder: &Path, id: Option<&str>) -> Result<Exit, Failure> {
    let manifests = match id {
        Some(id) => vec![backup::find(folder, Some(id))?],
        None => backup::list(folder)?,
    };
    let mut answers = Vec::new();
    let mut is_whole = true;
    for manifest in &manifests {
        let faults = backup::verify(folder, manifest);
        is_whole &= faults.is_empty();
        match global.output {
            Output::Json => {
                let mut answer = described(manifest);
                let faults = faults.iter().map(|fault| {
                    json!({"path": fault.path, "reason": fault.reason, "split": fault.split})
                });
                answer["damaged"] = faults.collect();
                answers.push(answer);
            }
            Output::Table => {
                tell(&faults);
                print::outln!("backup {}: {} files are damaged", manifest.id, faults.len());
            }
        }
    }
    match global.output {
        Output::Json => print::json(&json!({"items": answers}))?,
        Output::Table if manifests.is_empty() => print::outln!("there is no finished backup"),
        Output::Table => {}
    }
    Ok(if is_whole { Exit::Done } else { Exit::Found })
}

fn tell(faults: &[Fault]) {
    for Fault { path, reason, split } in faults {
        let of = split.as_ref().map_or_else(String::new, |split| {
            format!(
                " ({} events of {} from {} to {})",
                split.events, split.commune, split.min_time, split.max_time
            )
        });
        eprintln!("damaged: {path}{of}: {}", print::safe(reason));
    }
}

pub(crate) async fn restore(global: &Global, args: Restore) -> Result<Exit, Failure> {
    let config = load_config(global)?;
    let manifest = backup::find(&args.folder, args.backup.as_deref())?;
    let faults = backup::verify(&args.folder, &manifest);
    if !faults.is_empty() {
        tell(&faults);
        let reason =
            "the backup is damaged and nothing was restored; take another one with --backup";
        return Err(Failure::new(Exit::Found, anyhow::anyhow!(reason)));
    }
    backup::restore(&config, &splits::open(&config)?, &args.folder, &manifest).await?;
    match global.output {
        Output::Json => print::json(&described(&manifest))?,
        Output::Table => print::outln!(
            "restored backup {} into {}; start `jacquemart serve`",
            manifest.id,
            config.data_dir.display()
        ),
    }
    Ok(Exit::Done)
}
