//! `jacquemart notify`.

use clap::Subcommand;

use super::Server;

#[derive(Debug, Subcommand)]
#[command(after_help = "\
  jacquemart notify secret > astreinte.secret
  jacquemart notify test astreinte
  jacquemart notify list --state dead

docs/notifications.md says what is sent and how a receiver checks it.")]
pub(crate) enum Notify {
    /// What was told to whom, the latest first
    List {
        /// Only in this state: pending, sent, dropped, dead; may be repeated
        #[arg(long, value_delimiter = ',')]
        state: Vec<String>,
        /// At most so many
        #[arg(long, default_value_t = 100, value_name = "N")]
        limit: usize,
        /// Where the last page said the next one begins
        #[arg(long)]
        cursor: Option<String>,
        #[command(flatten)]
        server: Server,
    },
    /// Send one that was given up again
    Retry {
        /// Its id, as `notify list` shows it
        id: u64,
        #[command(flatten)]
        server: Server,
    },
    /// Send a test message to a configured receiver now, and say what it answered
    Test {
        /// Its name
        name: String,
    },
    /// Draw a secret for a webhook and print it, once
    Secret,
}
