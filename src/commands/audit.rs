//! `jacquemart audit`.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use serde_json::json;
use store::audit::{Checked, Fault, FaultKind, PublicKey, verify};

use crate::{
    Exit, Failure,
    cli::{Audit, Global, Output},
    commands::{connect, load_config},
    print,
};

const COLUMNS: [print::Column; 9] = [
    ("SEQ", "seq"),
    ("AT", "at"),
    ("BY", "by"),
    ("FROM", "from"),
    ("ACTION", "action"),
    ("PHASE", "phase"),
    ("STATUS", "status"),
    ("OBJECT", "object"),
    ("QUERY", "query"),
];

pub(crate) async fn run(global: &Global, args: Audit) -> Result<Exit, Failure> {
    match args {
        Audit::List { from, to, by, action, object, limit, cursor, server } => {
            let client = connect(global, &server).await?;
            let mut query = vec![("limit", limit.to_string())];
            for (name, text) in [
                ("from", from),
                ("to", to),
                ("by", by),
                ("action", action),
                ("object", object),
                ("cursor", cursor),
            ] {
                query.extend(text.map(|text| (name, text)));
            }
            let answer = client.get("/api/v1/audit", &query).await?;
            client.close().await;
            print::list(global.output, &answer, &COLUMNS)?;
            Ok(Exit::Done)
        }
        Audit::Verify { folder, key, head } => {
            let config = load_config(global)?;
            let trail = config.audit.trail(&config.data_dir);
            let folder = folder.unwrap_or_else(|| trail.folder.clone());
            let key = match key {
                Some(text) => PublicKey::parse(&text)
                    .ok_or_else(|| Failure::usage("--key: it has 64 hexadecimal digits"))?,
                None => public_key(&trail.key)?,
            };
            let outcome = check(&folder, &key, head.as_deref())?;
            show(global.output, &folder, outcome)
        }
        Audit::Key => {
            let config = load_config(global)?;
            let key = public_key(&config.audit.trail(&config.data_dir).key)?;
            match global.output {
                Output::Json => print::json(&json!({"key": key.to_string()}))?,
                Output::Table => print::outln!("{key}"),
            }
            Ok(Exit::Done)
        }
    }
}

fn public_key(path: &Path) -> Result<PublicKey, Failure> {
    PublicKey::of_key_file(path).map_err(|error| {
        Failure::new(Exit::Unreachable, error.into()).context("failed to read the trail's key")
    })
}

/// A server that runs may be writing the last line just now.
fn check(
    folder: &Path,
    key: &PublicKey,
    head: Option<&str>,
) -> Result<Result<Checked, Fault>, Failure> {
    let look = || verify(folder, key, head).context("failed to read the audit trail");
    let mut outcome = look()?;
    for _ in 0..10 {
        if !matches!(&outcome, Err(fault) if fault.kind == FaultKind::Torn) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
        outcome = look()?;
    }
    Ok(outcome)
}

fn show(output: Output, folder: &Path, outcome: Result<Checked, Fault>) -> Result<Exit, Failure> {
    match outcome {
        Ok(checked) => {
            let (first, last) = checked.span.unzip();
            match output {
                Output::Json => print::json(&json!({
                    "whole": true, "records": checked.records, "first": first, "last": last,
                    "seals": checked.seals, "unsealed": checked.unsealed, "head": checked.head,
                }))?,
                Output::Table => {
                    print::outln!(
                        "whole: {} records, {} seals, {} not sealed yet",
                        checked.records,
                        checked.seals,
                        checked.unsealed
                    );
                    if let (Some(first), Some(last)) = (first, last) {
                        print::outln!("from {first} to {last}");
                    }
                    print::outln!("head {}", checked.head);
                }
            }
            if checked.records == 0 {
                eprintln!("there is no record in {}", folder.display());
                return Ok(Exit::Found);
            }
            Ok(Exit::Done)
        }
        Err(fault) => {
            let Fault { file, line, seq, kind } = &fault;
            match output {
                Output::Json => print::json(&json!({
                    "whole": false, "file": file, "line": line, "seq": seq,
                    "reason": kind.to_string(),
                }))?,
                Output::Table => {
                    eprintln!("{}, line {line}: record {seq}: {kind}", file.display());
                }
            }
            Ok(Exit::Found)
        }
    }
}
