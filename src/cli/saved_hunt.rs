//! `jacquemart saved-hunt`.

use clap::Subcommand;
use event::CommuneId;

use super::Server;

#[derive(Debug, Subcommand)]
#[command(after_help = "\
  jacquemart saved-hunt add 'certutil' 'process.name:certutil.exe and process.command_line:*urlcache*' --shared
  jacquemart saved-hunt list
  jacquemart hunt --saved certutil --since 7d --top host.name

Without --shared only you see it. docs/hunting.md says who sees what is shared.")]
pub(crate) enum SavedHunt {
    /// Your hunts and those shared with you
    List {
        #[command(flatten)]
        server: Server,
    },
    /// Keep a query under a name
    Add {
        /// What to call it
        name: String,
        /// The query, as `hunt` takes it
        query: String,
        /// What it is for
        #[arg(long)]
        note: Option<String>,
        /// Look only in this commune, and share it with those who see it
        #[arg(long)]
        commune: Option<CommuneId>,
        /// Others see it, too
        #[arg(long)]
        shared: bool,
        #[command(flatten)]
        server: Server,
    },
    /// Forget one
    Remove {
        /// Its id or name
        hunt: String,
        #[command(flatten)]
        server: Server,
    },
}
