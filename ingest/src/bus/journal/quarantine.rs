//! Damaged ranges: copied aside with a report, so that reading goes on and nothing is lost
//! that a person might still mend.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Mutex,
};

use super::{
    disk::{read_up_to, sync_dir},
    lock,
};

/// Reports that the status lists; the others are only counted.
const LISTED_REPORTS_MAX: usize = 100;
const REPORT: &str = "report";
const COPY_CHUNK_BYTES: u64 = 1 << 20;

/// The folder `quarantine/` of a journal.
pub(super) struct Quarantine {
    dir: PathBuf,
    summaries: Mutex<Summaries>,
}

#[derive(Default)]
struct Summaries {
    listed: Vec<String>,
    others: usize,
}

/// One damaged range.
pub(super) struct Damage<'a> {
    /// Name of topic and file, `records-00000000000000000000`.
    pub(super) label: &'a str,
    pub(super) file: &'a File,
    pub(super) path: &'a Path,
    pub(super) from: u64,
    pub(super) to: u64,
    /// What is wrong, and what it costs.
    pub(super) what: String,
}

impl Quarantine {
    /// Opens the folder and reads the first line of each report in it.
    pub(super) fn open(dir: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&dir)?;
        let mut reports: Vec<PathBuf> = std::fs::read_dir(&dir)?
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|ext| ext == REPORT))
            .collect();
        reports.sort();
        let mut summaries = Summaries::default();
        for path in reports {
            let text = std::fs::read(&path)?;
            let text = String::from_utf8_lossy(&text);
            summaries.add(text.lines().next().unwrap_or_default().to_owned());
        }
        Ok(Self { dir, summaries: Mutex::new(summaries) })
    }

    /// Copies the range and writes its report; both are durable when this returns.
    pub(super) fn put(&self, damage: &Damage<'_>) -> io::Result<()> {
        let (stem, mut copy) = self.create(damage)?;
        let mut pos = damage.from;
        while pos < damage.to {
            let want = COPY_CHUNK_BYTES.min(damage.to - pos) as usize;
            let bytes = read_up_to(damage.file, pos, want)?;
            copy.write_all(&bytes)?;
            if bytes.len() < want {
                break;
            }
            pos += want as u64;
        }
        copy.sync_all()?;

        let summary = format!(
            "{} bytes {}..{}: {}",
            damage.path.display(),
            damage.from,
            damage.to,
            damage.what
        );
        let mut report = File::create(self.dir.join(format!("{stem}.{REPORT}")))?;
        writeln!(report, "{summary}")?;
        writeln!(report, "The bytes as they were found: {stem}.bin")?;
        writeln!(report, "Once dealt with, remove both files; the status names them until then.")?;
        report.sync_all()?;
        sync_dir(&self.dir)?;

        tracing::error!(
            path = %damage.path.display(),
            from = damage.from,
            to = damage.to,
            copy = %self.dir.join(format!("{stem}.bin")).display(),
            "the journal is damaged: {}",
            damage.what
        );
        lock(&self.summaries).add(summary);
        Ok(())
    }

    /// A name not taken yet: evidence of an earlier damage is never overwritten.
    fn create(&self, damage: &Damage<'_>) -> io::Result<(String, File)> {
        let mut attempt = 1_u32;
        loop {
            let mut stem = format!("{}-{:012}", damage.label, damage.from);
            if attempt > 1 {
                stem.push_str(&format!("-{attempt}"));
            }
            let path = self.dir.join(format!("{stem}.bin"));
            match OpenOptions::new().write(true).create_new(true).open(path) {
                Ok(file) => return Ok((stem, file)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// One line for each damage, the oldest first.
    pub(super) fn summaries(&self) -> Vec<String> {
        let summaries = lock(&self.summaries);
        let mut lines = summaries.listed.clone();
        if summaries.others > 0 {
            lines.push(format!("and {} more, in {}", summaries.others, self.dir.display()));
        }
        lines
    }
}

impl Summaries {
    fn add(&mut self, line: String) {
        if self.listed.len() < LISTED_REPORTS_MAX {
            self.listed.push(line);
        } else {
            self.others += 1;
        }
    }
}
