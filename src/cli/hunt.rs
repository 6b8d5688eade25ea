//! `jacquemart hunt …`.

use clap::Args;
use event::CommuneId;

use super::Server;

#[derive(Debug, Args)]
#[command(after_help = "\
  jacquemart hunt 'process.command_line:mimikatz' --commune dijon --since 24h
  jacquemart hunt 'event.code:4688 and not user.name:svc-*' --from 2026-03-01T00:00:00Z
  jacquemart hunt 'event.kind:pipeline_error' -o json
  jacquemart hunt --saved certutil --since 7d

The query language is described in docs/hunting.md.")]
pub(crate) struct Hunt {
    /// What to look for; nothing is everything
    #[arg(default_value = "")]
    pub(crate) query: String,
    /// What a saved hunt looks for, by its name or id; a query beside it narrows it down
    #[arg(long, value_name = "HUNT")]
    pub(crate) saved: Option<String>,
    #[command(flatten)]
    pub(crate) within: Within,
    /// At most so many events (100 where it is not said); with --top so many values of each field (10)
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Where the last page said the next one begins
    #[arg(long, conflicts_with_all = ["top", "histogram"])]
    pub(crate) cursor: Option<String>,
    /// All that is found, page after page, not the first --limit
    #[arg(long, conflicts_with_all = ["limit", "top", "histogram"])]
    pub(crate) all: bool,
    /// As CSV with these fields as columns, e.g. @timestamp,host.name
    #[arg(long, value_name = "FIELD,…", conflicts_with_all = ["top", "histogram"])]
    pub(crate) csv: Option<String>,
    /// Instead of events the most frequent values of these fields, e.g. host.name,user.name
    #[arg(long, value_name = "FIELD,…")]
    pub(crate) top: Option<String>,
    /// Instead of events how many there are when, by bars of e.g. 1h
    #[arg(long, value_name = "INTERVAL", num_args = 0..=1, require_equals = true, default_missing_value = "auto")]
    pub(crate) histogram: Option<String>,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Args)]
#[command(after_help = "\
  jacquemart sightings 203.0.113.7 --since 30d
  jacquemart sightings evil.example --commune dijon")]
pub(crate) struct Sightings {
    /// An address, a domain, a hash, a file or account name
    pub(crate) value: String,
    #[command(flatten)]
    pub(crate) within: Within,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// Whose events, and of when.
#[derive(Clone, Debug, Args)]
pub(crate) struct Within {
    /// Only in this commune
    #[arg(long)]
    pub(crate) commune: Option<CommuneId>,
    /// Events at most so long ago, e.g. 30m, 24h, 7d
    #[arg(long, value_name = "AGE", conflicts_with_all = ["from", "to"])]
    pub(crate) since: Option<String>,
    /// Events at or after, RFC 3339
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Events at or before, RFC 3339
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
}

impl Within {
    /// As the API has it.
    pub(crate) fn query(&self) -> Vec<(&'static str, String)> {
        let commune = self.commune.as_ref().map(ToString::to_string);
        let named = [
            ("commune", commune),
            ("since", self.since.clone()),
            ("from", self.from.clone()),
            ("to", self.to.clone()),
        ];
        named.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}
