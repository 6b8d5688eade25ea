//! `jacquemart feed …`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use event::{CommuneId, FeedId, FormatName};
use reqwest::Url;

use super::{Days, Quota, Server};
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
    /// Set how long what came by a feed is kept, whatever its commune's days are
    Retention {
        /// The feed
        id: FeedId,
        #[command(flatten)]
        days: Days,
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
    /// List the rules that are for a feed's events, and which fields keep them from firing
    Rules {
        /// The feed
        id: FeedId,
        /// Only those that cannot fire
        #[arg(long)]
        lacking: bool,
        #[command(flatten)]
        server: Server,
    },
    /// List the hosts and phones of a feed: seen, declared, or both
    Devices {
        /// The feed
        id: FeedId,
        /// Only those in this state
        #[arg(long, value_enum)]
        state: Option<DeviceState>,
        #[command(flatten)]
        server: Server,
    },
    /// Declare which hosts and phones a feed should watch, instead of what was declared before
    Inventory {
        /// The feed
        id: FeedId,
        /// A file with one name a line, or a CSV whose first column has them; - is stdin
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
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

/// How a device stands to the inventory.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum DeviceState {
    /// Declared, and never seen
    Missing,
    /// Seen, and not declared
    Unknown,
    /// Declared and seen
    Seen,
}

impl DeviceState {
    /// As the API has it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unknown => "unknown",
            Self::Seen => "seen",
        }
    }
}
