//! The `jacquemart` binary: one match from what was typed to what is done.

mod backup;
mod cli;
mod client;
mod commands;
mod config;
mod failure;
mod french;
mod indicators;
mod metrics;
mod notify;
mod print;
mod pull;
mod rules;
mod secret;
mod send;
mod serve;
mod sse;
mod wire;

use std::process::ExitCode;

use clap::Parser as _;
use cli::{Cli, Command};

pub(crate) use failure::{Exit, Failure};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("jacquemart: failed to start threads: {error}");
            return Exit::Failed.into();
        }
    };
    match runtime.block_on(run(cli)) {
        Ok(exit) => exit.into(),
        Err(failure) => failure.report(),
    }
}

async fn run(cli: Cli) -> Result<Exit, Failure> {
    use commands as c;
    let Cli { global, command } = cli;
    match command {
        Command::Serve => c::serve::run(&global).await,
        Command::Collect(args) => c::collect::run(&global, args).await,
        Command::Demo(args) => c::demo::run(&global, args).await,
        Command::Replay(args) => c::replay::run(&global, args).await,
        Command::Detect(args) => c::detect::run(&global, args),
        Command::Decode(args) => c::decode::run(&global, args),
        Command::Hunt(args) => c::hunt::run(&global, args).await,
        Command::SavedHunt(args) => c::saved_hunt::run(&global, args).await,
        Command::Event(args) => c::events::run(&global, args).await,
        Command::Incident(args) => c::incident::run(&global, args).await,
        Command::Sla(args) => c::sla::run(&global, args).await,
        Command::Report(args) => c::report::run(&global, args).await,
        Command::Indicator(args) => c::indicator::run(&global, args).await,
        Command::Commune(args) => c::commune::run(&global, args).await,
        Command::Feed(args) => c::feed::run(&global, args).await,
        Command::Token(args) => c::token::run(&global, args).await,
        Command::Audit(args) => c::audit::run(&global, args).await,
        Command::Notify(args) => c::notify::run(&global, args).await,
        Command::Rules(args) => c::rules::run(&global, args).await,
        Command::Format(args) => c::format::run(&global, args),
        Command::Sightings(args) => c::sightings::run(&global, args).await,
        Command::Backup(args) => c::backup::run(&global, args).await,
        Command::Restore(args) => c::backup::restore(&global, args).await,
        Command::Hold(args) => c::keeping::hold(&global, args).await,
        Command::Purge(args) => c::keeping::purge(&global, args).await,
        Command::Store(args) => c::store::run(&global, args).await,
        Command::Bus(args) => c::bus::run(&global, &args).await,
        Command::Config(args) => c::config::run(&global, &args),
        Command::Completion { shell } => c::completion::run(shell),
    }
}
