//! `jacquemart incident`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum, ValueHint};
use event::{CommuneId, Level, Tlp};

use super::Server;

#[derive(Debug, Subcommand)]
#[command(after_help = "\
  jacquemart incident list --status new,acknowledged --sort severity
  jacquemart incident update ID --status in_progress --assign \"Ana Martin\"
  jacquemart incident update ID --severity critical --reason \"contrôleur de domaine\"
  jacquemart incident update ID --status closed --verdict false_positive --comment \"sauvegarde\" --shared
  jacquemart incident list --overdue --sort +due
  jacquemart incident update ID --contained
  jacquemart incident export --format stix --tlp amber+strict --commune dijon --out dijon.stix.json
  jacquemart incident update ID --nis2-aware 2026-11-28T02:10:00Z
  jacquemart incident update ID --nis2-report early_warning
  jacquemart incident follow

docs/api.md says what each of them means.")]
pub(crate) enum Incident {
    /// Incidents, last changed first
    List(IncidentList),
    /// Write incidents for others to read: NDJSON, CSV, OCSF or STIX 2.1
    Export(IncidentExport),
    /// One incident with its detections and what happened to it
    Show {
        /// Its id, or as people say it, e.g. DIJON-12
        id: String,
        #[command(flatten)]
        server: Server,
    },
    /// Other incidents with rules or entities in common, and how they were closed
    Similar {
        /// Its id, or as people say it, e.g. DIJON-12
        id: String,
        /// At most so many
        #[arg(long, default_value_t = 10, value_name = "N")]
        limit: usize,
        #[command(flatten)]
        server: Server,
    },
    /// Change incidents: state, verdict, assignee, severity, labels, comment
    Update(Box<IncidentUpdate>),
    /// Merge incidents into another of the same commune, with their detections, and close them
    Merge {
        /// Their ids, or e.g. DIJON-13
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        /// The one that is left
        #[arg(long, value_name = "ID")]
        into: String,
        #[command(flatten)]
        server: Server,
    },
    /// Print incidents as they change, until stopped; goes on where it was when the connection broke
    Follow {
        /// Only of this commune
        #[arg(long)]
        commune: Option<CommuneId>,
        /// Begin after this event rather than now
        #[arg(long, value_name = "ID")]
        after: Option<u64>,
        #[command(flatten)]
        server: Server,
    },
}

#[derive(Debug, Args)]
pub(crate) struct IncidentExport {
    /// As what
    #[arg(long, value_enum)]
    pub(crate) format: ExportFormat,
    /// With whom a STIX bundle may be shared: clear, green, amber, amber+strict or red
    #[arg(long, value_name = "TLP")]
    pub(crate) tlp: Option<Tlp>,
    /// Where; without it on stdout
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) list: IncidentList,
}

/// What incidents are written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// The API's objects, one a line.
    Ndjson,
    /// One line each, for spreadsheets.
    Csv,
    /// Incident Findings of OCSF 1.5, one a line.
    Ocsf,
    /// A bundle of STIX 2.1.
    Stix,
}

#[derive(Debug, Args)]
pub(crate) struct IncidentList {
    /// Only of this commune
    #[arg(long)]
    pub(crate) commune: Option<CommuneId>,
    /// Only in this state: new, acknowledged, in_progress, resolved, closed; may be repeated
    #[arg(long, value_delimiter = ',')]
    pub(crate) status: Vec<String>,
    /// Only with this verdict: true_positive, false_positive, benign_true_positive, undetermined;
    /// may be repeated
    #[arg(long, value_delimiter = ',')]
    pub(crate) verdict: Vec<String>,
    /// Only at least this severe
    #[arg(long, value_name = "LEVEL")]
    pub(crate) severity_min: Option<Level>,
    /// Only worked by this one; `none` is nobody, `me` the caller
    #[arg(long, value_name = "NAME")]
    pub(crate) assignee: Option<String>,
    /// Only filed under this label
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// Only with this text in title, entities, labels, tags or COMMUNE-NUMBER
    #[arg(long)]
    pub(crate) text: Option<String>,
    /// Only with a clock that broke and still runs
    #[arg(long)]
    pub(crate) overdue: bool,
    /// updated, created, severity, risk_score or due, greatest first; smallest first with a +
    /// before it
    #[arg(long, value_name = "ORDER")]
    pub(crate) sort: Option<String>,
    /// At most so many; 50 in a list, 10,000 in an export
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Where the last page said the next one begins
    #[arg(long)]
    pub(crate) cursor: Option<String>,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("changes").multiple(true).required(true))]
pub(crate) struct IncidentUpdate {
    /// Their ids, or e.g. DIJON-12; each is changed or not by itself
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// new, acknowledged, in_progress, resolved or closed
    #[arg(long, group = "changes")]
    pub(crate) status: Option<String>,
    /// true_positive, false_positive, benign_true_positive or undetermined; closing demands one
    #[arg(long, group = "changes")]
    pub(crate) verdict: Option<String>,
    /// Who works it from now on
    #[arg(long, value_name = "NAME", group = "changes", conflicts_with = "unassign")]
    pub(crate) assign: Option<String>,
    /// Nobody works it any more
    #[arg(long, group = "changes")]
    pub(crate) unassign: bool,
    /// How severe it is, whatever was computed: low, medium, high or critical
    #[arg(long, value_name = "LEVEL", group = "changes", requires = "reason")]
    pub(crate) severity: Option<Level>,
    /// As severe as is computed again
    #[arg(long, group = "changes", requires = "reason", conflicts_with = "severity")]
    pub(crate) severity_computed: bool,
    /// It spreads no further
    #[arg(long, group = "changes")]
    pub(crate) contained: bool,
    /// It is not contained after all
    #[arg(long, group = "changes", conflicts_with = "contained")]
    pub(crate) not_contained: bool,
    /// Since when the commune knows that it is to be reported under NIS 2: a time, or now
    #[arg(long, value_name = "TIME", group = "changes")]
    pub(crate) nis2_aware: Option<String>,
    /// It need not be reported after all
    #[arg(long, group = "changes", requires = "reason", conflicts_with = "nis2_aware")]
    pub(crate) nis2_withdraw: bool,
    /// What was sent to the authority: early_warning, notification or final_report
    #[arg(long, value_name = "REPORT", group = "changes")]
    pub(crate) nis2_report: Option<String>,
    /// Why the severity is another, or why it need not be reported
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// A label; may be repeated. They replace those it has
    #[arg(long = "label", group = "changes")]
    pub(crate) labels: Vec<String>,
    /// No label any more
    #[arg(long, group = "changes", conflicts_with = "labels")]
    pub(crate) no_labels: bool,
    /// What to write beside it; what the SOC writes only the SOC reads, unless it is shared
    #[arg(long, group = "changes")]
    pub(crate) comment: Option<String>,
    /// The commune may read the comment, too
    #[arg(long, requires = "comment")]
    pub(crate) shared: bool,
    #[command(flatten)]
    pub(crate) server: Server,
}
