//! `jacquemart rules …`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use event::{CommuneId, FormatName};

use super::Server;

#[derive(Debug, Subcommand)]
#[command(after_help = "\
SELECT names rules: a rule's id, or tag:attack.t1059 (with its sub-techniques),
folder:windows/process_creation, product:windows, level:low, or any. The narrowest choice decides.

  jacquemart rules disable 5f1c… --commune chenove --reason 'the backup tool, ticket 4711'
  jacquemart rules level tag:attack.t1110 low --commune talant --reason 'tests of the school'
  jacquemart rules exception add filter.yml --commune dijon --owner 'Parc informatique' \\
    --reason 'inventory runs as SYSTEM' --expires 2027-01-31T00:00:00Z

docs/rules-operations.md tells how rules live and change.")]
pub(crate) enum Rules {
    /// Load rules and say what is refused and why; exits with 5 where anything is
    Check {
        /// Rule files and folders
        #[arg(required = true, value_name = "DIR", value_hint = ValueHint::AnyPath)]
        paths: Vec<PathBuf>,
        /// Also print the warnings: what metadata lacks, and rules that no feed known here can
        /// trigger
        #[arg(long)]
        warnings: bool,
        /// The folder with the values of placeholders; without it the one that the configuration
        /// names as rules.placeholders
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        placeholders: Option<PathBuf>,
    },
    /// Run each rule against the example events beside it (x.test.json); exits with 5 where one
    /// does not do as it says
    Test {
        /// Rule files and folders; without them those of the configuration
        #[arg(value_name = "DIR", value_hint = ValueHint::AnyPath)]
        paths: Vec<PathBuf>,
        /// Exit with 5, too, where a rule lacks a case that fires or one that does not
        #[arg(long)]
        strict: bool,
        /// Also print the cases that pass
        #[arg(long)]
        verbose: bool,
    },
    /// Say why a rule fires on an event, or why it does not; exits with 5 where it fires
    Explain(Explain),
    /// Which ATT&CK techniques the rules cover, and which rules the feeds can feed
    Coverage(Coverage),
    /// The rules that a server uses, or used
    List {
        /// Those in force at that moment, RFC 3339
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
        #[command(flatten)]
        server: Server,
    },
    /// One rule: what it says, its text, its versions, and what communes make of it
    Show {
        /// Its id
        id: String,
        #[command(flatten)]
        server: Server,
    },
    /// What of the rule files a server does not use as it stands there
    Status {
        #[command(flatten)]
        server: Server,
    },
    /// Have a server read its rule files anew; exits with 5 where any is refused
    Reload {
        #[command(flatten)]
        server: Server,
    },
    /// What a commune chose about rules, its exceptions included
    Policy {
        /// The commune
        #[arg(long)]
        commune: CommuneId,
        /// As it was at that moment, RFC 3339
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
        #[command(flatten)]
        server: Server,
    },
    /// Turn rules off in a commune
    Disable(Choice),
    /// Turn rules on in a commune, though a wider choice turned them off
    Enable(Choice),
    /// Take back that rules were turned off or on in a commune
    Reset {
        /// Which rules, as they were chosen
        select: String,
        /// The commune
        #[arg(long)]
        commune: CommuneId,
        #[command(flatten)]
        server: Server,
    },
    /// Give the detections of rules another level in a commune
    Level {
        /// Which rules
        select: String,
        /// informational, low, medium, high or critical; default takes it back
        level: String,
        /// The commune
        #[arg(long)]
        commune: CommuneId,
        /// Why, for whoever reads this later
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        server: Server,
    },
    /// Exceptions of a commune: Sigma filters that hold until they expire
    #[command(subcommand)]
    Exception(Exception),
}

#[derive(Debug, Args)]
pub(crate) struct Choice {
    /// Which rules
    pub(crate) select: String,
    /// The commune
    #[arg(long)]
    pub(crate) commune: CommuneId,
    /// Why, for whoever reads this later
    #[arg(long)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Exception {
    /// Add an exception
    Add {
        /// The Sigma filter; `-` is stdin
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        filter: PathBuf,
        /// The commune
        #[arg(long)]
        commune: CommuneId,
        /// Who answers for it
        #[arg(long)]
        owner: String,
        /// Why
        #[arg(long)]
        reason: String,
        /// When it stops applying, RFC 3339
        #[arg(long, value_name = "TIME")]
        expires: String,
        #[command(flatten)]
        server: Server,
    },
    /// The exceptions, expired ones included
    List {
        /// The commune
        #[arg(long)]
        commune: CommuneId,
        #[command(flatten)]
        server: Server,
    },
    /// Take an exception back
    Remove {
        /// Its id
        id: String,
        #[command(flatten)]
        server: Server,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
  jacquemart rules explain rules/windows/x.yml event.json --format windows
  jq -c .record case.json | jacquemart rules explain 5f1c… --format windows -o json")]
pub(crate) struct Explain {
    /// A rule file, or the id of a rule or correlation in --rules or among the built-in ones
    pub(crate) rule: String,
    /// NDJSON, JSON or EVTX; plain, gzip or zstd; `-` is stdin
    #[arg(default_value = "-", value_name = "EVENT", value_hint = ValueHint::FilePath)]
    pub(crate) event: PathBuf,
    /// What the events are
    #[arg(long)]
    pub(crate) format: FormatName,
    /// Where to look for an id, and for filters; may be repeated
    #[arg(long, value_name = "DIR", value_hint = ValueHint::AnyPath)]
    pub(crate) rules: Vec<PathBuf>,
    /// At most so many events of the file; 10 for rules and 100,000 for correlations
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct Coverage {
    /// Rule files and folders; without them the built-in rules and those of the configuration
    #[arg(value_name = "DIR", value_hint = ValueHint::AnyPath)]
    pub(crate) paths: Vec<PathBuf>,
    /// Write a layer for the ATT&CK Navigator
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) navigator: Option<PathBuf>,
    /// A format that feeds have; may be repeated. Without it those of the configured feeds
    #[arg(long)]
    pub(crate) format: Vec<FormatName>,
    /// Also list the rules that no feed can feed
    #[arg(long)]
    pub(crate) unfed: bool,
    #[command(flatten)]
    pub(crate) server: Server,
}
