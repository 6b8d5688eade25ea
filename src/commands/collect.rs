//! `jacquemart collect`.

use std::{collections::BTreeMap, sync::Arc};

use event::Timestamp;
use ingest::pull::Round;
use store::auth::DataDir;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Exit, Failure,
    cli::{Collect as Args, Global, Output},
    commands::{load_config, serve::start_log},
    config::Config,
    print,
    pull::{Configured, OutletOf, Tell, outlet_of_door, round, tend},
};

/// The log tells all there is to tell.
struct Logged;

impl Tell for Logged {
    fn ended(&self, _: &str, _: &Round) {}
    fn failed(&self, _: &str, _: &str) {}
    fn expires(&self, _: &str, _: Timestamp) {}
}

pub(crate) async fn run(global: &Global, args: Args) -> Result<Exit, Failure> {
    let config = load_config(global)?;
    start_log(&config)?;
    let sources: Vec<_> = config.pull.sources.iter().filter(|source| source.has_key()).collect();
    if sources.is_empty() {
        return Err(Failure::usage(
            "no source has a key; `collect` asks those of [[pull.sources]] with `key_file` or \
             `key_env`, and `serve` those with `feed` (docs/feeds.md)"
                .to_owned(),
        ));
    }
    // Two that ask the same would send everything twice.
    let _held = DataDir::hold(&config.data_dir).map_err(|error| {
        Failure::new(Exit::Unreachable, error.into()).context("failed to open the data folder")
    })?;
    let folder = config.data_dir.join("pull");
    let sources: Vec<Configured> =
        sources.into_iter().map(|source| Configured::new(source, &folder)).collect();
    if args.once {
        return once(global, &config, &sources).await;
    }
    let stop = CancellationToken::new();
    let mut asking = JoinSet::new();
    tracing::info!(
        sources = sources.len(), to = config.pull.url.as_deref().unwrap_or_default(),
        data = %config.data_dir.display(), "jacquemart collects"
    );
    for configured in sources {
        let outlet = door_of(&config, &configured);
        asking.spawn(tend(configured, outlet, Arc::new(Logged), stop.clone()));
    }
    let mut terminate = signal(SignalKind::terminate())
        .map_err(|error| Failure::from(anyhow::Error::from(error)))?;
    let outcome = tokio::select! {
        _ = tokio::signal::ctrl_c() => Ok(Exit::Done),
        _ = terminate.recv() => Ok(Exit::Done),
        // They end with `stop` alone.
        Some(Err(panic)) = asking.join_next() => Err(anyhow::Error::from(panic).into()),
    };
    stop.cancel();
    while asking.join_next().await.is_some() {}
    tracing::info!("jacquemart has stopped");
    outcome
}

/// The door as `configured` shows its feed's key to it.
fn door_of(config: &Config, configured: &Configured) -> OutletOf {
    let (pull, source) = (config.pull.clone(), configured.source.clone());
    Arc::new(move |_| outlet_of_door(&pull, &source))
}

/// One round of each, and what it came to.
async fn once(global: &Global, config: &Config, sources: &[Configured]) -> Result<Exit, Failure> {
    let mut exit = Exit::Done;
    let mut told = BTreeMap::new();
    for configured in sources {
        let outlet = door_of(config, configured);
        let (round, outcome) = round(configured, &outlet, &mut None).await;
        let error = outcome.err().map(|error| format!("{error:#}"));
        if error.is_some() || !round.refused.is_empty() {
            exit = Exit::Failed;
        }
        told.insert(configured.source.name.clone(), (round, error));
    }
    match global.output {
        Output::Json => {
            let told: BTreeMap<_, _> = told
                .iter()
                .map(|(name, (round, error))| {
                    let refused = &round.refused;
                    let round = serde_json::json!({ "accepted": round.accepted, "refused": refused, "error": error });
                    (name, round)
                })
                .collect();
            print::outln!("{}", serde_json::json!(told));
        }
        Output::Table => {
            for (name, (round, error)) in &told {
                print::outln!("{name}: {} records", round.accepted);
                for reason in &round.refused {
                    print::outln!("  refused: {reason}");
                }
                if let Some(error) = error {
                    print::outln!("  failed: {error}");
                }
            }
        }
    }
    Ok(exit)
}
