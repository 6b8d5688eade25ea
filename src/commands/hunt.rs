//! `jacquemart hunt`.

use std::io::Write as _;

use serde_json::Value;

use crate::{
    Exit, Failure,
    cli::{Global, Hunt, Output},
    commands::connect,
    print::{cell, safe},
};

pub(crate) async fn run(global: &Global, args: Hunt) -> Result<Exit, Failure> {
    let client = connect(global, &args.server).await?;
    if client.is_offline() {
        eprintln!("no server runs on this data folder: searching its sealed splits only");
    }
    let mut query = vec![("q", args.query), ("limit", args.limit.to_string())];
    query.extend(args.commune.map(|commune| ("commune", commune.to_string())));
    for (key, value) in
        [("since", args.since), ("from", args.from), ("to", args.to), ("cursor", args.cursor)]
    {
        query.extend(value.map(|value| (key, value)));
    }
    let answer = client.get("/api/v1/events", &query).await?;
    client.close().await;
    print(global.output, &answer)?;
    Ok(Exit::Done)
}

/// JSON is one event a line, so that `jq` and the next command can stream it.
fn print(output: Output, answer: &Value) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let items = answer.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for event in items {
        match output {
            Output::Json => {
                serde_json::to_writer(&mut out, event)?;
                writeln!(out)?;
            }
            Output::Table => writeln!(out, "{}", line(event))?,
        }
    }
    out.flush()?;
    for warning in answer.get("warnings").and_then(Value::as_array).into_iter().flatten() {
        eprintln!("warning: {}", safe(warning.as_str().unwrap_or_default()));
    }
    let total = cell(answer, "total");
    match answer.get("next_cursor").and_then(Value::as_str) {
        Some(cursor) => eprintln!("{} of {total} events; the next: --cursor {cursor}", items.len()),
        None => eprintln!("{} events, the last of {total}", items.len()),
    }
    Ok(())
}

/// One event in one line: when, whose, where, what, and the most telling text it has.
fn line(event: &Value) -> String {
    let first = |paths: &[&str]| {
        paths.iter().map(|path| cell(event, path)).find(|text| !text.is_empty()).unwrap_or_default()
    };
    let detail = first(&[
        "error.message",
        "process.command_line",
        "powershell.file.script_block_text",
        "dns.question.name",
        "registry.path",
        "file.path",
        "dll.path",
        "url.original",
        "process.executable",
        "message",
        "event.original",
    ]);
    let detail: String = detail.chars().take(160).collect();
    format!(
        "{}  {:<16} {:<20} {:<28} {}",
        cell(event, "@timestamp"),
        cell(event, "organization.id"),
        first(&["host.name", "device.id"]),
        first(&["event.action", "event.dataset", "event.kind"]),
        detail
    )
}
