//! `jacquemart event`.

use clap::Subcommand;

use super::Server;

#[derive(Debug, Subcommand)]
pub(crate) enum Event {
    /// One event, whole, as JSON
    Show {
        /// Its id, as detections and hunts show it
        id: String,
        #[command(flatten)]
        server: Server,
    },
    /// What started the event's process, and what that started
    Tree {
        /// The event's id
        id: String,
        /// How long before and after the event processes are looked for, at most 31d
        #[arg(long, default_value = "24h", value_name = "SPAN")]
        window: String,
        #[command(flatten)]
        server: Server,
    },
    /// What else happened on the same device, minutes before and after; newest first
    Around {
        /// The event's id
        id: String,
        /// How long before and after, e.g. 30s, 5m, 2h
        #[arg(long, default_value = "5m", value_name = "SPAN")]
        window: String,
        /// At most so many events
        #[arg(long, default_value_t = 100, value_name = "N")]
        limit: usize,
        /// Where the last page said the next one begins
        #[arg(long)]
        cursor: Option<String>,
        #[command(flatten)]
        server: Server,
    },
}
