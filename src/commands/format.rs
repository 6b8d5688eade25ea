//! `jacquemart format`.

use std::path::{Path, PathBuf};

use event::FormatName;
use ingest::{
    capture::Capture,
    formats::{Declared, Format as _, FormatError, Formats},
};
use serde_json::{Value, json};

use super::offline::{self, Origin};
use crate::{
    Exit, Failure,
    cli::{Format, Global, Output},
    print,
};

pub(crate) fn run(global: &Global, args: Format) -> Result<Exit, Failure> {
    match args {
        Format::List => list(global),
        Format::Check { files } => check(global.output, &files),
        Format::Try { format, records, limit } => try_out(global, &format, &records, limit),
    }
}

fn list(global: &Global) -> Result<Exit, Failure> {
    let formats = offline::formats(global)?;
    let items: Vec<Value> = formats
        .names()
        .into_iter()
        .filter_map(|name| {
            let format = formats.get(name)?;
            Some(json!({
                "name": name,
                "aliases": format.aliases(),
                "describe": format.describe(),
            }))
        })
        .collect();
    let columns = [("NAME", "name"), ("TAKES", "describe"), ("ALSO CALLED", "aliases")];
    print::list(global.output, &json!({ "items": items }), &columns)?;
    Ok(Exit::Done)
}

fn check(output: Output, files: &[PathBuf]) -> Result<Exit, Failure> {
    let mut good = Vec::new();
    let mut problems = Vec::new();
    for file in files {
        match Declared::open(file) {
            Ok(format) => good.push(json!({ "path": file, "name": format.name() })),
            Err(FormatError::Mistakes { path, problems: found }) => {
                problems.extend(found.into_iter().map(|problem| {
                    json!({ "path": path, "line": problem.line, "reason": problem.message })
                }));
            }
            Err(error) => return Err(Failure::usage(error.to_string())),
        }
    }
    let exit = if problems.is_empty() { Exit::Done } else { Exit::Found };
    match output {
        Output::Json => print::json(&json!({ "formats": good, "problems": problems }))?,
        Output::Table => {
            for problem in &problems {
                let text = |key: &str| problem[key].as_str().unwrap_or_default();
                let line = &problem["line"];
                print::outln!(
                    "{}:{line}: {}",
                    print::safe(text("path")),
                    print::safe(text("reason"))
                );
            }
            print::outln!("{} formats load, {} mistakes", good.len(), problems.len());
        }
    }
    Ok(exit)
}

fn try_out(global: &Global, format: &str, records: &Path, limit: usize) -> Result<Exit, Failure> {
    let file = Path::new(format);
    let (formats, name) = if file.extension().is_some_and(|extension| extension == "toml") {
        let declared = Declared::open(file).map_err(|error| Failure::usage(error.to_string()))?;
        let name = declared.name().to_owned();
        (Formats::builtin().with(declared), name)
    } else {
        (offline::formats(global)?, format.to_owned())
    };
    let name = FormatName::new(&name).map_err(|error| Failure::usage(error.to_string()))?;
    offline::known_format(&formats, &name)?;
    let origin = Origin::new(name.clone());
    let mut failed = 0u64;
    for (number, item) in (1..).zip(Capture::open(records)?.take(limit)) {
        let raw = item?.raw;
        let event = origin.decode(&formats, 0, number, raw.clone());
        failed += u64::from(event.is_pipeline_error());
        let unread = formats.get(name.as_str()).and_then(|format| format.unread(&raw));
        let fields: Vec<(&str, Value)> =
            event.iter().map(|(field, value)| (field.name(), value.to_json())).collect();
        match global.output {
            Output::Json => {
                let unread: Option<Vec<&str>> =
                    unread.as_ref().map(|keys| keys.iter().map(|(key, _)| key.as_str()).collect());
                print::json(&json!({ "event": event.to_json(), "unread": unread }))?;
            }
            Output::Table => {
                print::outln!("record {number}");
                print::outln!("  @timestamp = {}", event.timestamp());
                for (field, value) in fields {
                    print::outln!("  {field} = {}", print::safe(&value.to_string()));
                }
                if let Some(unread) = unread.filter(|unread| !unread.is_empty()) {
                    print::outln!("  keys that the format does not read (kept all the same):");
                    for (key, value) in unread {
                        print::outln!("    {} = {}", print::safe(&key), print::safe(&value));
                    }
                }
            }
        }
    }
    Ok(if failed == 0 { Exit::Done } else { Exit::Found })
}
