//! Formats that are declared in TOML: what a vendor's keys mean, compiled at load into
//! operations on the event.
//!
//! Enters: a file of `ingest/formats/` (carried by the binary) or of the configuration's
//! `formats_dir`. Leaves: a [`Format`] like those written in Rust. `docs/formats.md` is the
//! language's reference. A record's keys are looked up once, in a table of the keys that the
//! file names; the rest of the work is over numbered slots, and nothing is interpreted.

mod catalogue;
mod condition;
mod convert;
mod document;
mod escapes;
mod input;
mod load;
mod mapping;
mod out;
mod plan;
mod record;
mod targets;
mod time;
mod url;

use std::{
    borrow::Cow,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use event::{Event, EventBuilder, fields};

pub use self::document::Problem;
use self::{input::Input, out::Out, plan::Plan, record::Keys};
use super::{Format, sheet::Sheet, text};

/// The files of `ingest/formats/`, by their names.
const BUILTIN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/builtin_formats.rs"));

/// Bytes of a format's file at most.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Files that a folder of formats has at most.
const FILES_MAX: usize = 1_000;

/// Why a format's file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The file or folder cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is too large to be one.
    #[error("{}: the file is larger than {FILE_BYTES_MAX} bytes", path.display())]
    Large {
        /// Which.
        path: PathBuf,
    },
    /// There are too many.
    #[error("{}: the folder has more than {FILES_MAX} formats", path.display())]
    Many {
        /// Which.
        path: PathBuf,
    },
    /// It has mistakes.
    #[error("{}", told(path, problems))]
    Mistakes {
        /// Which.
        path: PathBuf,
        /// All of them, in the order of their lines.
        problems: Vec<Problem>,
    },
}

fn told(path: &Path, problems: &[Problem]) -> String {
    let told = problems
        .iter()
        .map(|problem| format!("{}:{}: {}", path.display(), problem.line, problem.message));
    told.collect::<Vec<_>>().join("\n")
}

/// A format compiled from its file.
pub struct Declared {
    name: String,
    aliases: Vec<String>,
    describe: String,
    keys: Keys,
    input: Input,
    plan: Plan,
}

impl Declared {
    /// Compiles `text`.
    pub fn load(text: &str) -> Result<Self, Vec<Problem>> {
        let load::Loaded { name, aliases, describe, keys, input, plan } = load::load(text)?;
        Ok(Self { name, aliases, describe, keys, input, plan })
    }

    /// Reads and compiles the file at `path`.
    pub fn open(path: &Path) -> Result<Self, FormatError> {
        let failed = |source| FormatError::Io { path: path.to_owned(), source };
        if fs::metadata(path).map_err(failed)?.len() > FILE_BYTES_MAX {
            return Err(FormatError::Large { path: path.to_owned() });
        }
        let text = fs::read_to_string(path).map_err(failed)?;
        Self::load(&text)
            .map_err(|problems| FormatError::Mistakes { path: path.to_owned(), problems })
    }
}

impl Format for Declared {
    fn name(&self) -> &str {
        &self.name
    }

    fn aliases(&self) -> Vec<&str> {
        self.aliases.iter().map(String::as_str).collect()
    }

    fn describe(&self) -> &str {
        &self.describe
    }

    fn unread(&self, raw: &[u8]) -> Option<Vec<(String, String)>> {
        let text = text::lossy(raw);
        let mut found = Vec::new();
        // A record that cannot be read has no keys, and decoding says why.
        let _ = self.input.read(&text, &self.keys, &mut |record, _| {
            let unread = record.unread().into_iter().map(|(key, value)| {
                (key.to_owned(), record::text_of(value).unwrap_or("null").to_owned())
            });
            found.extend(unread);
        });
        Some(found)
    }

    fn decode(&self, builder: EventBuilder) -> Event {
        let received = builder.received();
        let mut sheet = Sheet::new(builder);
        let raw = sheet.raw();
        let text = text::lossy(&raw);
        if let Cow::Owned(_) = text {
            sheet.add(fields::TAGS, "invalid_utf8");
        }
        let text = text.trim_matches(['\0', '\r', '\n', '\u{feff}']);
        let mut answer = Ok(());
        let read = self.input.read(text, &self.keys, &mut |record, matched| {
            let mut out = Out::new(&mut sheet, received, self.plan.targets.len());
            answer = self.plan.run(record, matched, &mut out);
        });
        match read.and(answer) {
            Ok(()) => sheet.build(),
            Err(reason) => sheet.fail(&format!("failed to decode the record: {reason}")),
        }
    }
}

/// The formats that the binary carries. They are compiled once in the life of the process.
///
/// # Panics
/// Where a built-in file has mistakes, which a test rules out.
pub(super) fn builtin() -> &'static [Arc<Declared>] {
    static FORMATS: OnceLock<Vec<Arc<Declared>>> = OnceLock::new();
    FORMATS.get_or_init(|| {
        BUILTIN
            .iter()
            .map(|(name, text)| match Declared::load(text) {
                Ok(format) => Arc::new(format),
                Err(problems) => panic!("{}", told(Path::new(name), &problems)),
            })
            .collect()
    })
}

/// The formats in the files `*.toml` of `folder`, in the order of their names.
pub(super) fn folder(folder: &Path) -> Result<Vec<Arc<Declared>>, FormatError> {
    let failed = |source| FormatError::Io { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
        if paths.len() > FILES_MAX {
            return Err(FormatError::Many { path: folder.to_owned() });
        }
    }
    paths.sort();
    paths.iter().map(|path| Declared::open(path).map(Arc::new)).collect()
}
