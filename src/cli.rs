//! What people type.

mod audit;
mod backup;
mod commune;
mod events;
mod feed;
mod hunt;
mod incident;
mod keeping;
mod notify;
mod report;
pub(crate) mod rules;
mod saved_hunt;
mod sla;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use event::{CommuneId, FeedId, FormatName, IndicatorSourceId, IndicatorType, Level, Tlp};
use ingest::intel::Shape;

pub(crate) use audit::Audit;
pub(crate) use backup::{Backup, Restore};
pub(crate) use commune::{Commune, Quota};
pub(crate) use events::Event;
pub(crate) use feed::{DeviceState, Feed};
pub(crate) use hunt::{Hunt, Sightings};
pub(crate) use incident::{ExportFormat, Incident, IncidentExport, IncidentList, IncidentUpdate};
pub(crate) use keeping::{Days, Hold, Purge};
pub(crate) use notify::Notify;
pub(crate) use report::{Report, ReportFormat, ReportOutput};
pub(crate) use saved_hunt::SavedHunt;
pub(crate) use sla::{Minutes, Sla};

/// Jacquemart keeps watch over a metropolitan area: it collects events, matches Sigma rules,
/// indexes what it saw and raises incidents, each commune seeing only its own.
#[derive(Debug, Parser)]
#[command(name = "jacquemart", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "\
First steps:
  jacquemart demo                                   everything at once, in a temporary folder
  jacquemart commune add dijon --name Dijon         then a feed, which prints its key once
  jacquemart feed add dijon-pc --commune dijon --format windows
  jacquemart serve                                  and post events to /ingest with that key
  jacquemart hunt 'process.command_line:mimikatz' --commune dijon --since 24h
  jacquemart incident list

Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; 3 not found or not allowed;
4 no server or data folder to talk to; 5 the check found something (rules check, test and reload, audit verify, store verify,
backup, demo).")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The configuration file; without it `jacquemart.toml` here, where there is one
    #[arg(long, short, global = true, env = "JACQUEMART_CONFIG", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    /// Where everything is kept; over the configuration
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data_dir: Option<PathBuf>,
    /// Sets one configuration key, e.g. `--set api.listen=127.0.0.1:9000`; may be repeated
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// How answers are printed
    #[arg(long, short, global = true, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

/// How answers are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// For programs: the API's JSON.
    Json,
}

/// The server that a command talks to.
#[derive(Debug, Args)]
pub(crate) struct Server {
    /// The server's API, e.g. http://127.0.0.1:7081; without it the server of the data folder
    /// is asked through its socket, or the folder is opened where none runs
    #[arg(long, env = "JACQUEMART_URL", value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The API token to show with --url (better in the environment than on the command line)
    #[arg(long, env = "JACQUEMART_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the centre: collect, detect, index, raise and serve the API until stopped
    Serve,
    /// Ask vendors' APIs on a commune's side and send what they list to the service
    Collect(Collect),
    /// Watch an attack on six communes being caught, in a temporary folder on this machine
    Demo(Demo),
    /// Send captured events to a running server, as a shipper would
    Replay(Replay),
    /// Match rules against captured events offline; detections as NDJSON on stdout
    Detect(Detect),
    /// Normalise records; one ECS event a line on stdout, in input order
    Decode(Decode),
    /// Search events
    Hunt(Hunt),
    /// Keep, share and list hunts
    #[command(subcommand)]
    SavedHunt(SavedHunt),
    /// Say where a value was seen: communes, devices, users, incidents
    Sightings(Sightings),
    /// Show an event, and what else happened on its device
    #[command(subcommand)]
    Event(Event),
    /// List, show and work incidents
    #[command(subcommand)]
    Incident(Incident),
    /// See and set how soon incidents are to be dealt with
    #[command(subcommand)]
    Sla(Sla),
    /// Make and show reports of what was done in a period
    #[command(subcommand)]
    Report(Report),
    /// Import, list and look up indicators of compromise
    #[command(subcommand)]
    Indicator(Indicator),
    /// Add and list communes
    #[command(subcommand)]
    Commune(Commune),
    /// Add and list feeds, change their keys
    #[command(subcommand)]
    Feed(Feed),
    /// Make, list and revoke API tokens
    #[command(subcommand)]
    Token(Token),
    /// List and check the audit trail: who asked for what
    #[command(subcommand)]
    Audit(Audit),
    /// See what was told to whom of incidents; test receivers
    #[command(subcommand)]
    Notify(Notify),
    /// Check, test and explain detection rules; see and change what is in force
    #[command(subcommand)]
    Rules(rules::Rules),
    /// List, check and try formats
    #[command(subcommand)]
    Format(Format),
    /// Create and check the bus's topics on Kafka
    #[command(subcommand)]
    Bus(Bus),
    /// Keep events whatever their age: a legal hold
    #[command(subcommand)]
    Hold(Hold),
    /// Have events removed for good
    #[command(subcommand)]
    Purge(Purge),
    /// Back everything up, also while a centre runs
    #[command(subcommand)]
    Backup(Backup),
    /// Put a backup into an empty data folder
    Restore(Restore),
    /// Check that what is kept of events is whole, and put back what is not
    #[command(subcommand)]
    Store(Store),
    /// Look at the configuration
    #[command(subcommand)]
    Config(Config),
    /// Print the completion script of a shell
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
Asks the [[pull.sources]] that have a feed's key, and sends to the door of pull.url. Where each is
kept under the data folder, so that a restart goes on from there.

  jacquemart collect --config collecte.toml --once   one round, to try it
  jacquemart collect --config collecte.toml          until stopped")]
pub(crate) struct Collect {
    /// One round of each source, what it came to, and the end
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// No live view; a summary at the end
    #[arg(long)]
    pub(crate) headless: bool,
    /// The summary as JSON on stdout
    #[arg(long)]
    pub(crate) json: bool,
    /// Another capture: a folder with capture.toml and events.ndjson (see docs/demo.md)
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) capture: Option<PathBuf>,
    /// Leave the server running at the end, until Ctrl-C
    #[arg(long)]
    pub(crate) keep: bool,
    /// How many times faster than the capture's own time to play it
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR")]
    pub(crate) speed: f64,
}

#[derive(Debug, Args)]
#[command(after_help = "\
FILE may be NDJSON, a JSON array, single JSON objects or EVTX; plain, gzip or zstd; `-` is stdin.

  jacquemart replay capture.ndjson.zst --feed dijon-pc --rate 2000
  JACQUEMART_FEED_KEY=jqf_… jacquemart replay a.evtx --url http://soc.example:7080")]
pub(crate) struct Replay {
    /// What to send
    #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) files: Vec<PathBuf>,
    /// The feed to send as, through the socket of the data folder's server; no key needed
    #[arg(long, required_unless_present = "key")]
    pub(crate) feed: Option<FeedId>,
    /// Events a second; without it as fast as the server takes them
    #[arg(long, value_name = "N")]
    pub(crate) rate: Option<f64>,
    /// Send the files so many times over
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) repeat: u32,
    /// Events in one request at most
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub(crate) batch: usize,
    /// The collectors' address, e.g. http://127.0.0.1:7080
    #[arg(long, env = "JACQUEMART_INGEST_URL", value_name = "URL", requires = "key")]
    pub(crate) url: Option<String>,
    /// The feed's key to show with --url (better in the environment than on the command line)
    #[arg(long, env = "JACQUEMART_FEED_KEY", value_name = "KEY", hide_env_values = true)]
    pub(crate) key: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Detections come out as NDJSON with ECS rule.id, rule.name, rule.level, event.id and the matched
fields, in the order of the events and, for one event, of the rules' ids. In event.id the number
after the file's is the record's place in it, from 1.

  jacquemart detect --rules rules --format windows capture.ndjson.zst
  jacquemart detect --rules rules/windows --format windows Security.evtx | jq .rule.name")]
pub(crate) struct Detect {
    /// A rule file, or a folder of them; may be repeated. Without it the built-in rules
    #[arg(long, value_name = "DIR", value_hint = ValueHint::AnyPath)]
    pub(crate) rules: Vec<PathBuf>,
    /// A file of indicators to compare events with: list, CSV, STIX or MISP; may be repeated
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) indicators: Vec<PathBuf>,
    /// What the events are
    #[arg(long)]
    pub(crate) format: FormatName,
    /// NDJSON, JSON or EVTX; plain, gzip or zstd; `-` is stdin
    #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) files: Vec<PathBuf>,
    /// Leave out rules below this level
    #[arg(long, value_name = "LEVEL")]
    pub(crate) level_min: Option<Level>,
}

#[derive(Debug, Args)]
pub(crate) struct Decode {
    /// What the records are
    #[arg(long)]
    pub(crate) format: FormatName,
    /// Each line is an object whose `message` is the raw record, as relays hand it over
    #[arg(long)]
    pub(crate) envelope: bool,
    /// NDJSON, JSON or EVTX; plain, gzip or zstd; `-` is stdin
    #[arg(default_value = "-", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Subcommand)]
#[command(after_help = "\
  jacquemart format list
  jacquemart format check ma-commune.toml
  jacquemart format try ma-commune.toml records.log

The language of formats is described in docs/formats.md.")]
pub(crate) enum Format {
    /// The formats that feeds may have
    List,
    /// Check a format's file; every mistake with its line
    Check {
        /// TOML files
        #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
    },
    /// Decode records with a format: each event, and the keys that the format does not read
    Try {
        /// A format's file, or the name of a known format
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        format: String,
        /// NDJSON, lines of text, JSON or EVTX; plain, gzip or zstd; `-` is stdin
        #[arg(default_value = "-", value_name = "RECORDS", value_hint = ValueHint::FilePath)]
        records: PathBuf,
        /// Records at most
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: usize,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Indicator {
    /// Take a file of indicators in, in the data folder of this machine
    Import(IndicatorImport),
    /// The indicators, page by page
    List {
        /// Only of this source
        #[arg(long)]
        source: Option<IndicatorSourceId>,
        /// At most so many
        #[arg(long, default_value_t = 100, value_name = "N")]
        limit: usize,
        /// Where the last page said the next one begins
        #[arg(long)]
        cursor: Option<String>,
        #[command(flatten)]
        server: Server,
    },
    /// Who knows a value: it itself, the domains above it, the networks around it; exits with 3
    /// where nobody does
    Show {
        /// An address, domain, URL, hash, …
        value: String,
        #[command(flatten)]
        server: Server,
    },
    /// The sources and how they are doing
    Sources {
        #[command(flatten)]
        server: Server,
    },
    /// Forget an imported source
    Remove {
        /// Its name
        source: IndicatorSourceId,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
  jacquemart indicator import certfr.json --source cert-fr --level high
  jacquemart indicator import bad-names.txt --source chenove-own --commune chenove --add

What is of no use is printed with the reason; docs/indicators.md says what is compared.")]
pub(crate) struct IndicatorImport {
    /// A list, CSV, STIX 2.1 bundle or MISP event
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// The source's name, which each hit carries; what it said before is replaced
    #[arg(long)]
    pub(crate) source: IndicatorSourceId,
    /// Keep what the source said before, too
    #[arg(long)]
    pub(crate) add: bool,
    /// list, csv, stix or misp; told by the content where it is not said
    #[arg(long)]
    pub(crate) format: Option<Shape>,
    /// The level of its hits; by each indicator's confidence where it is not said
    #[arg(long)]
    pub(crate) level: Option<Level>,
    /// For indicators that do not say: clear, green, amber, amber+strict or red
    #[arg(long)]
    pub(crate) tlp: Option<Tlp>,
    /// For indicators that do not say, 0 to 100
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) confidence: Option<u8>,
    /// Only these types; may be repeated. Without it all but file_name
    #[arg(long)]
    pub(crate) r#type: Vec<IndicatorType>,
    /// Only events of this commune; may be repeated. Without it all
    #[arg(long)]
    pub(crate) commune: Vec<CommuneId>,
    /// A domain does not cover the names below it
    #[arg(long)]
    pub(crate) exact_domains: bool,
    /// How long dated indicators hold that do not say
    #[arg(long, value_name = "DAYS")]
    pub(crate) valid_days: Option<u32>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Make an API token and print it, once
    Add {
        /// Its name
        name: String,
        /// What it may do: reader, analyst or admin
        #[arg(long, default_value = "reader")]
        role: String,
        /// A commune that it may read; may be repeated. Without it all, as the SOC
        #[arg(long)]
        commune: Vec<CommuneId>,
        /// When it stops working, RFC 3339
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
        #[command(flatten)]
        server: Server,
    },
    /// The tokens, without their secrets
    List {
        #[command(flatten)]
        server: Server,
    },
    /// Make a token worthless
    Revoke {
        /// Its name
        name: String,
        #[command(flatten)]
        server: Server,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Bus {
    /// Create the topics that are missing, with the partitions, copies and retention of [kafka]
    Init,
    /// Compare the topics with the configuration; exit code 5 where one is not as it has to be
    Check,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Store {
    /// Read every split whole and compare it with the catalog; exit code 5 where one is damaged
    ///
    /// Reads the storage itself, also while a centre runs on it.
    Verify {
        /// Only those of this commune
        #[arg(long)]
        commune: Option<CommuneId>,
    },
    /// Put damaged and missing splits back from a folder of `jacquemart backup create`
    ///
    /// Also while a centre runs: its next search reads what was put back. Exit code 5 where one is
    /// not in the folder.
    Repair {
        /// The folder of backups
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        backup: PathBuf,
        /// Only those of this commune
        #[arg(long)]
        commune: Option<CommuneId>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Read the configuration and say whether it can be used
    Check,
    /// Print the configuration in force, as TOML
    Show,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
