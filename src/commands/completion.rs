//! `jacquemart completion`.

use clap::CommandFactory as _;

use crate::{Exit, Failure, cli::Cli};

pub(crate) fn run(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    clap_complete::generate(shell, &mut Cli::command(), "jacquemart", &mut std::io::stdout());
    Ok(Exit::Done)
}
