//! `jacquemart hold` and `jacquemart purge`.

use clap::{Args, Subcommand};
use event::{CommuneId, FeedId};

use super::Server;

/// How long events are kept.
#[derive(Debug, Args)]
#[group(id = "kept", required = true, multiple = false)]
pub(crate) struct Days {
    /// Days since their receipt, 1 to 3650
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub(crate) days: Option<u32>,
    /// No days of its own any more
    #[arg(long)]
    pub(crate) none: bool,
}

#[derive(Debug, Subcommand)]
#[command(after_help = "\
  jacquemart hold place --commune chenove --from 2026-03-01T00:00:00Z --reason 'Plainte 2026/118'
  jacquemart hold list
  jacquemart hold release 3f9c12ab77d0

What a hold covers is neither dropped when it is old nor purged. docs/keeping.md says more.")]
pub(crate) enum Hold {
    /// The holds, released ones too, the latest first
    List {
        #[command(flatten)]
        server: Server,
    },
    /// Keep what a hold covers, whatever its age, until it is released
    Place {
        /// The commune whose events are kept
        #[arg(long)]
        commune: CommuneId,
        /// Only those by this feed
        #[arg(long)]
        feed: Option<FeedId>,
        #[command(flatten)]
        between: Between,
        /// Why; it is kept
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        server: Server,
    },
    /// Release a hold: what it covered goes when it is old
    Release {
        /// Its id, as `hold list` shows it
        id: String,
        #[command(flatten)]
        server: Server,
    },
}

#[derive(Debug, Subcommand)]
#[command(after_help = "\
  jacquemart purge ask 'user.name:jdupont' --commune chenove --reason 'Demande RGPD 2026-14' --wait
  jacquemart purge list

What was received before it was asked for, matches and is under no hold is removed from what is
indexed, and nothing of it stays there. docs/keeping.md says where else events may be.")]
pub(crate) enum Purge {
    /// The purges and what came of them, the latest first
    List {
        #[command(flatten)]
        server: Server,
    },
    /// One purge
    Show {
        /// Its id, as `purge list` shows it
        id: String,
        #[command(flatten)]
        server: Server,
    },
    /// Have events of a commune removed for good
    Ask {
        /// Which: a query as of `jacquemart hunt`, * for all of the commune
        query: String,
        /// The commune whose events go
        #[arg(long)]
        commune: CommuneId,
        #[command(flatten)]
        between: Between,
        /// Why; it is kept
        #[arg(long)]
        reason: String,
        /// Return when it is done
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        server: Server,
    },
}

/// The events of a time.
#[derive(Debug, Args)]
pub(crate) struct Between {
    /// Only those with an @timestamp at or after (RFC 3339, UTC)
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Only those with an @timestamp at or before
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
}
