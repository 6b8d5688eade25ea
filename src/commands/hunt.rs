//! `jacquemart hunt`.

use std::io::Write as _;

use serde_json::Value;

use crate::{
    Exit, Failure,
    cli::{Global, Hunt, Output},
    commands::connect,
    print::{cell, safe},
};

/// Events on a page where the command does not say.
const LIMIT: usize = 100;
/// The longest bar of a histogram, in characters.
const BAR_MAX: u64 = 50;

pub(crate) async fn run(global: &Global, args: Hunt) -> Result<Exit, Failure> {
    let client = connect(global, &args.server).await?;
    if client.is_offline() {
        eprintln!("no server runs on this data folder: searching its sealed splits only");
    }
    let counts = args.top.is_some() || args.histogram.is_some();
    let mut query = vec![("q", args.query)];
    query.extend(args.commune.map(|commune| ("commune", commune.to_string())));
    for (key, value) in [
        ("since", args.since),
        ("from", args.from),
        ("to", args.to),
        ("cursor", args.cursor),
        ("field", args.top),
        ("interval", args.histogram),
    ] {
        query.extend(value.map(|value| (key, value)));
    }
    let answer = if counts {
        query.extend(args.limit.map(|limit| ("top", limit.to_string())));
        client.get("/api/v1/events/statistics", &query).await?
    } else {
        query.push(("limit", args.limit.unwrap_or(LIMIT).to_string()));
        client.get("/api/v1/events", &query).await?
    };
    client.close().await;
    match (counts, global.output) {
        (false, output) => print(output, &answer)?,
        (true, Output::Json) => crate::print::outln!("{answer}"),
        (true, Output::Table) => print_counts(&answer)?,
    }
    Ok(Exit::Done)
}

/// A histogram with bars, then each field's values.
fn print_counts(answer: &Value) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let number = |value: &Value, key: &str| value.get(key).and_then(Value::as_u64).unwrap_or(0);
    let list = |value: &Value, key: &str| {
        value.get(key).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let buckets = list(answer.get("histogram").unwrap_or(&Value::Null), "buckets");
    let highest = buckets.iter().map(|bar| number(bar, "count")).max().unwrap_or(0).max(1);
    for bar in &buckets {
        let count = number(bar, "count");
        // What is there at all is seen.
        let length = (count * BAR_MAX).div_ceil(highest);
        let drawn = "█".repeat(usize::try_from(length).unwrap_or_default());
        writeln!(out, "{:<24} {count:>10}  {drawn}", cell(bar, "from"))?;
    }
    for (index, field) in list(answer, "fields").iter().enumerate() {
        if index > 0 || !buckets.is_empty() {
            writeln!(out)?;
        }
        let (events, distinct) = (number(field, "events"), number(field, "distinct"));
        writeln!(out, "{}: {distinct} values in {events} events", cell(field, "field"))?;
        for value in list(field, "values") {
            let text: String = cell(&value, "value").chars().take(160).collect();
            writeln!(out, "{:>10}  {text}", number(&value, "count"))?;
        }
        match number(field, "longer") {
            0 => {}
            longer => writeln!(out, "{longer:>10}  (longer than 1,024 bytes)")?,
        }
    }
    out.flush()?;
    warn(answer);
    eprintln!("{} events", cell(answer, "total"));
    Ok(())
}

fn warn(answer: &Value) {
    for warning in answer.get("warnings").and_then(Value::as_array).into_iter().flatten() {
        eprintln!("warning: {}", safe(warning.as_str().unwrap_or_default()));
    }
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
    warn(answer);
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
