//! `jacquemart commune`.

use clap::{Args, Subcommand};
use event::CommuneId;

use super::{Days, Server};
use crate::config::ByteSize;

#[derive(Debug, Subcommand)]
pub(crate) enum Commune {
    /// Add a commune
    Add {
        /// Its slug, e.g. chenove; part of paths, so it never changes
        id: CommuneId,
        /// Its name, e.g. Chenôve
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        server: Server,
    },
    /// The communes
    List {
        #[command(flatten)]
        server: Server,
    },
    /// Set how much all feeds of a commune may send together, from now on; more is answered with
    /// 429 until it fits
    Quota {
        /// The commune
        id: CommuneId,
        #[command(flatten)]
        quota: Quota,
        #[command(flatten)]
        server: Server,
    },
    /// Say what NIS 2 takes a commune for; its significant incidents then have the clocks of the law
    Nis2 {
        /// The commune
        id: CommuneId,
        /// An essential or an important entity, or none
        #[arg(value_parser = ["essential", "important", "none"])]
        regime: String,
        #[command(flatten)]
        server: Server,
    },
    /// Set how long the events of a commune are kept
    Retention {
        /// The commune
        id: CommuneId,
        #[command(flatten)]
        days: Days,
        #[command(flatten)]
        server: Server,
    },
}

/// How much may be sent.
#[derive(Debug, Args)]
#[group(id = "bounds", required = true, multiple = true)]
pub(crate) struct Quota {
    /// Records a second, on average
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) records_per_s: Option<u64>,
    /// Bytes of raw records a second, on average, e.g. "2 MiB"
    #[arg(long, value_name = "SIZE")]
    pub(crate) bytes_per_s: Option<ByteSize>,
    /// No quota any more
    #[arg(long, conflicts_with_all = ["records_per_s", "bytes_per_s"])]
    pub(crate) none: bool,
}
