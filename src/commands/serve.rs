//! `jacquemart serve`.

use std::io;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::{
    Exit, Failure,
    cli::Global,
    commands::load_config,
    config::{Config, LogFormat},
    serve::Server,
    wire::{OpenMode, Wired},
};

pub(crate) async fn run(global: &Global) -> Result<Exit, Failure> {
    let config = load_config(global)?;
    start_log(&config)?;
    // Listened to from the beginning: one that comes while the parts are opened ends them in
    // order, too.
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen to signals")?;
    let wired = Wired::open(&config, OpenMode::Serve).await?;
    let server = Server::start(&config, wired).await?;
    let failed = tokio::select! {
        _ = tokio::signal::ctrl_c() => false,
        _ = terminate.recv() => false,
        () = server.failed() => true,
    };
    server.drain().await?;
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

/// Says on stderr what happens.
pub(crate) fn start_log(config: &Config) -> Result<(), Failure> {
    let filter = std::env::var("JACQUEMART_LOG").unwrap_or_else(|_| config.log.filter.clone());
    let filter = EnvFilter::try_new(&filter)
        .map_err(|error| Failure::usage(format!("log.filter: {filter:?}: {error}")))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match config.log.format {
        LogFormat::Text => builder.with_target(false).init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
