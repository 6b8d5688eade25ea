//! `jacquemart config`.

use std::io::Write as _;

use anyhow::Context as _;

use crate::{
    Exit, Failure,
    cli::{Config as Args, Global},
    commands::load_config,
    print,
};

pub(crate) fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let mut config = load_config(global)?;
    match args {
        Args::Check => {
            for path in &config.rules.paths {
                if !path.exists() {
                    return Err(Failure::usage(format!(
                        "rules.paths: {} does not exist",
                        path.display()
                    )));
                }
            }
            config.formats().map_err(|error| Failure::usage(error.to_string()))?;
            print::outln!(
                "the configuration can be used; data is kept in {}",
                config.data_dir.display()
            );
        }
        Args::Show => {
            config.bus = config.bus_url();
            config.database = config.database_url();
            config.splits = config.splits_url();
            let text =
                toml::to_string_pretty(&config).context("failed to print the configuration")?;
            std::io::stdout().write_all(text.as_bytes())?;
        }
    }
    Ok(Exit::Done)
}
