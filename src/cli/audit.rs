//! `jacquemart audit`.

use std::path::PathBuf;

use clap::{Subcommand, ValueHint};

use super::Server;

#[derive(Debug, Subcommand)]
#[command(after_help = "\
  jacquemart audit list --action 'event.*' --by token:soc-nuit
  jacquemart audit verify
  jacquemart audit verify --folder /mnt/copie/audit --key 3f0c… --head 9a1e…

docs/audit.md says what is written down and how anybody can check it.")]
pub(crate) enum Audit {
    /// What was asked for and by whom, the latest first
    List {
        /// At or after this time, RFC 3339
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// At or before this time
        #[arg(long, value_name = "TIME")]
        to: Option<String>,
        /// By exactly this one, e.g. token:soc-nuit or operator
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        /// This action, e.g. incident.change; all that begin with it before a *
        #[arg(long)]
        action: Option<String>,
        /// About exactly this object
        #[arg(long, value_name = "ID")]
        object: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 100, value_name = "N")]
        limit: usize,
        /// Where the last page said the next one begins
        #[arg(long)]
        cursor: Option<String>,
        #[command(flatten)]
        server: Server,
    },
    /// Check that no record was altered, removed, added or reordered; names the first that was
    ///
    /// Reads the files themselves, whether a server runs or not. Ends with 5 where something is
    /// wrong.
    Verify {
        /// The folder of the files; without it the configured one
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        folder: Option<PathBuf>,
        /// The public key that seals are checked with, as `audit key` printed it when all was well;
        /// without it the key beside the files, which whoever wrote them anew may have replaced
        #[arg(long, value_name = "HEX")]
        key: Option<String>,
        /// The hash of a record that was noted elsewhere, e.g. in the server's log at each seal; one
        /// of the records must have it
        #[arg(long, value_name = "HEX")]
        head: Option<String>,
    },
    /// Print the public key, to keep it elsewhere
    Key,
}
