//! One file a command.

pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod bus;
pub(crate) mod collect;
pub(crate) mod commune;
pub(crate) mod completion;
pub(crate) mod config;
pub(crate) mod decode;
pub(crate) mod demo;
pub(crate) mod detect;
pub(crate) mod events;
pub(crate) mod feed;
mod feed_health;
pub(crate) mod feed_snippet;
pub(crate) mod format;
pub(crate) mod hunt;
pub(crate) mod incident;
pub(crate) mod indicator;
pub(crate) mod keeping;
pub(crate) mod notify;
mod offline;
mod quota;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod rules;
pub(crate) mod saved_hunt;
pub(crate) mod serve;
pub(crate) mod sightings;
pub(crate) mod sla;
pub(crate) mod store;
pub(crate) mod token;

use anyhow::anyhow;

use crate::{
    Exit, Failure,
    cli::{Global, Server},
    client::Client,
    config::Config,
};

/// The configuration that the flags ask for.
pub(crate) fn load_config(global: &Global) -> Result<Config, Failure> {
    Config::load(
        global.config.as_deref(),
        // A variable that is no Unicode can't be one of ours.
        std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }),
        &global.set,
        global.data_dir.as_deref(),
    )
    .map_err(|error| {
        Failure::new(Exit::Usage, error.into()).context("failed to read the configuration")
    })
}

/// A way to the API that the flags ask for, for a command that begins a data folder where there
/// is none.
pub(crate) async fn connect_or_create(global: &Global, server: &Server) -> Result<Client, Failure> {
    Client::connect(&load_config(global)?, server).await
}

/// A way to the API that the flags ask for.
pub(crate) async fn connect(global: &Global, server: &Server) -> Result<Client, Failure> {
    let config = load_config(global)?;
    if server.url.is_none() && !config.data_dir.exists() {
        return Err(Failure::new(
            Exit::Unreachable,
            anyhow!(
                "there is no data folder at {}; say where it is with --data-dir or --config, ask a server with --url, or begin one with `jacquemart commune add`",
                config.data_dir.display()
            ),
        ));
    }
    Client::connect(&config, server).await
}
