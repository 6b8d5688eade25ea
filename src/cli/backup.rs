//! `jacquemart backup` and `jacquemart restore`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

#[derive(Debug, Subcommand)]
#[command(after_help = "\
  jacquemart backup create /mnt/sauvegarde --keep 30     every night, beside the running centre
  jacquemart backup verify /mnt/sauvegarde
  jacquemart restore /mnt/sauvegarde --data-dir /var/lib/jacquemart

Exit code 5 where something is damaged. docs/backup.md says what is in a backup.")]
pub(crate) enum Backup {
    /// Back everything up into a folder, also while a centre runs
    ///
    /// Splits that the folder has already are not copied again.
    Create {
        /// The folder, on another disk; made where it is missing
        #[arg(value_hint = ValueHint::DirPath)]
        folder: PathBuf,
        /// Remove all but the last N backups there
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        keep: Option<u32>,
    },
    /// The backups in a folder, the latest first
    List {
        /// The folder
        #[arg(value_hint = ValueHint::DirPath)]
        folder: PathBuf,
    },
    /// Read backups whole and compare them with what was written down
    Verify {
        /// The folder
        #[arg(value_hint = ValueHint::DirPath)]
        folder: PathBuf,
        /// One backup, as `backup list` shows it; without it all
        #[arg(long, value_name = "ID")]
        backup: Option<String>,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
Restores into an empty data folder, a database and splits that are not there yet, as the configuration
names them. Then `jacquemart serve` goes on where the backup was made.")]
pub(crate) struct Restore {
    /// The folder of `jacquemart backup create`
    #[arg(value_hint = ValueHint::DirPath)]
    pub(crate) folder: PathBuf,
    /// Which backup, as `backup list` shows it; without it the latest
    #[arg(long, value_name = "ID")]
    pub(crate) backup: Option<String>,
}
