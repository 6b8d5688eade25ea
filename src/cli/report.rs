//! `jacquemart report`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use event::CommuneId;

use super::Server;

#[derive(Debug, Subcommand)]
#[command(after_help = "\
  jacquemart report activity --commune chenove --month 2026-10 --out chenove-2026-10.html
  jacquemart report activity --from 2026-01-01 --to 2026-07-01 --format json
  jacquemart report list
  jacquemart report show 5fb0c2a917de --format csv

Figures stay as they were made: the same period again is the same report, unless --anew. docs/reports.md says
what each figure is.")]
pub(crate) enum Report {
    /// What was detected and done in a period that is over
    Activity {
        /// Of this commune; without it of all
        #[arg(long)]
        commune: Option<CommuneId>,
        /// Of this month, e.g. 2026-10
        #[arg(long, value_name = "YYYY-MM", conflicts_with_all = ["from", "to"], required_unless_present = "from")]
        month: Option<String>,
        /// From this day or time on
        #[arg(long, value_name = "TIME", requires = "to")]
        from: Option<String>,
        /// Until before this day or time
        #[arg(long, value_name = "TIME", requires = "from")]
        to: Option<String>,
        /// Make a new one, though there is one of this period
        #[arg(long)]
        anew: bool,
        #[command(flatten)]
        output: ReportOutput,
        #[command(flatten)]
        server: Server,
    },
    /// The reports that were made, the latest first
    List {
        #[command(flatten)]
        server: Server,
    },
    /// A report as it was made
    Show {
        /// Its id
        id: String,
        #[command(flatten)]
        output: ReportOutput,
        #[command(flatten)]
        server: Server,
    },
}

/// How a report is written, and where.
#[derive(Debug, Args)]
pub(crate) struct ReportOutput {
    /// How it is written
    #[arg(long, value_enum, default_value_t = ReportFormat::Html)]
    pub(crate) format: ReportFormat,
    /// Where; without it on stdout
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) out: Option<PathBuf>,
}

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// A page in French, to read and print.
    Html,
    /// The figures, whose SHA-256 is the report's digest.
    Json,
    /// One figure a line.
    Csv,
}
