//! `jacquemart feed …`.

use clap::{Args, Subcommand};
use event::{CommuneId, FeedId, FormatName};
use reqwest::Url;

use super::{Quota, Server};
use crate::commands::feed_snippet::Shipper;

#[derive(Debug, Subcommand)]
pub(crate) enum Feed {
    /// Add a feed and print its key, once
    Add {
        /// Its slug, e.g. chenove-phones
        id: FeedId,
        /// The commune it belongs to
        #[arg(long)]
        commune: CommuneId,
        /// What its records are decoded with (`jacquemart decode --format x` lists them)
        #[arg(long)]
        format: FormatName,
        /// What people call it
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        snippet: Snippet,
        #[command(flatten)]
        server: Server,
    },
    /// The feeds
    List {
        #[command(flatten)]
        server: Server,
    },
    /// Set how much a feed may send, from now on; more is answered with 429 until it fits
    Quota {
        /// The feed
        id: FeedId,
        #[command(flatten)]
        quota: Quota,
        #[command(flatten)]
        server: Server,
    },
    /// How feeds do: what came, what could not be decoded, and what a rule can use
    Status {
        /// The feed; without it all
        id: Option<FeedId>,
        #[command(flatten)]
        server: Server,
    },
    /// Wait for a feed's first event that a rule can use, and say on the way what is missing
    ///
    /// Ends with 0 once such an event has come, with 5 where the time is over before.
    Wait {
        /// The feed
        id: FeedId,
        /// For how long, in seconds
        #[arg(long, default_value_t = 300, value_name = "SECONDS")]
        timeout_s: u64,
        #[command(flatten)]
        server: Server,
    },
    /// Replace a feed's key and print the new one, once; the old one stops working
    Rotate {
        /// The feed
        id: FeedId,
        /// For how long the old key works too, in hours, so that shippers can change over; 720
        /// at most
        #[arg(long, default_value_t = 0, value_name = "HOURS")]
        overlap_h: u64,
        #[command(flatten)]
        snippet: Snippet,
        #[command(flatten)]
        server: Server,
    },
}

/// What to print beside a key.
#[derive(Debug, Args)]
pub(crate) struct Snippet {
    /// What will send: its configuration is printed with address and key filled in (default: what
    /// most often sends the format)
    #[arg(long, value_enum)]
    pub(crate) shipper: Option<Shipper>,
    /// The address at which shippers reach /ingest, e.g. https://soc.metropole.example (default:
    /// the one that the configuration listens on)
    #[arg(long, value_name = "URL")]
    pub(crate) send_to: Option<Url>,
}
