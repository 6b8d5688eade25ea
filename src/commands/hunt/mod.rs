//! `jacquemart hunt`.

mod counts;
mod table;

use std::io::Write as _;

use serde_json::Value;

use self::table::Table;
use crate::{
    Exit, Failure,
    cli::{Global, Hunt, Output},
    client::Client,
    commands::{connect, saved_hunt},
    print::{cell, safe, text},
};

/// Events that are listed where the command does not say, and those of a page of all.
const LIMIT: usize = 100;
const PAGE: usize = 1_000;
pub(crate) async fn run(global: &Global, args: Hunt) -> Result<Exit, Failure> {
    let client = connect(global, &args.server).await?;
    if client.is_offline() {
        eprintln!("no server runs on this data folder: searching its sealed splits only");
    }
    let mut query = vec![("q", args.query.clone())];
    query.extend(args.within.query());
    if let Some(saved) = &args.saved {
        let saved = saved_hunt::find(&client, saved).await?;
        let of_it = text(&saved, "query");
        query[0].1 = match args.query.trim() {
            "" => of_it,
            narrower => format!("({of_it}) and ({narrower})"),
        };
        let commune = text(&saved, "commune");
        if args.within.commune.is_none() && !commune.is_empty() {
            query.push(("commune", commune));
        }
    }
    let outcome = if args.top.is_some() || args.histogram.is_some() {
        count(global.output, &client, query, &args).await
    } else {
        list(global.output, &client, query, &args).await
    };
    client.close().await;
    outcome?;
    Ok(Exit::Done)
}

async fn count(
    output: Output,
    client: &Client,
    mut query: Vec<(&str, String)>,
    args: &Hunt,
) -> Result<(), Failure> {
    query.extend(args.top.clone().map(|fields| ("field", fields)));
    query.extend(args.histogram.clone().map(|interval| ("interval", interval)));
    query.extend(args.limit.map(|limit| ("top", limit.to_string())));
    let answer = client.get("/api/v1/events/statistics", &query).await?;
    match output {
        Output::Json => crate::print::outln!("{answer}"),
        Output::Table => counts::print(&answer)?,
    }
    Ok(())
}

/// One page, or with `--all` one after the other. Pages share the first one's time.
async fn list(
    output: Output,
    client: &Client,
    mut query: Vec<(&str, String)>,
    args: &Hunt,
) -> Result<(), Failure> {
    let page_max = if args.all { PAGE } else { args.limit.unwrap_or(LIMIT) };
    query.push(("limit", page_max.to_string()));
    let mut shape = match &args.csv {
        Some(columns) => Shape::Csv(Table::new(columns)?),
        None if output == Output::Json => Shape::Json,
        None => Shape::Lines,
    };
    let (mut cursor, mut listed) = (args.cursor.clone(), 0);
    loop {
        let mut asked = query.clone();
        asked.extend(cursor.clone().map(|cursor| ("cursor", cursor)));
        let answer = client.get("/api/v1/events", &asked).await?;
        let events = answer.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        shape.print(events)?;
        listed += events.len();
        warn(&answer);
        cursor = answer.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        let total = cell(&answer, "total");
        match &cursor {
            Some(_) if args.all => {}
            Some(next) => {
                eprintln!("{listed} of {total} events; the next: --cursor {next}");
                return Ok(());
            }
            None => {
                eprintln!("{listed} events, the last of {total}");
                return Ok(());
            }
        }
    }
}

/// Prints one page of events.
pub(crate) fn print_page(output: Output, answer: &Value) -> std::io::Result<()> {
    let mut shape = if output == Output::Json { Shape::Json } else { Shape::Lines };
    let events = answer.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    shape.print(events)?;
    warn(answer);
    let (listed, total) = (events.len(), cell(answer, "total"));
    match answer.get("next_cursor").and_then(Value::as_str) {
        Some(next) => eprintln!("{listed} of {total} events; the next: --cursor {}", safe(next)),
        None => eprintln!("{listed} events, the last of {total}"),
    }
    Ok(())
}

/// How events are written.
enum Shape {
    /// One line each, for people.
    Lines,
    /// JSON, one event a line, so that `jq` and the next command can stream it.
    Json,
    /// Some fields, for spreadsheets.
    Csv(Table),
}

impl Shape {
    fn print(&mut self, events: &[Value]) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        for event in events {
            match self {
                Self::Lines => writeln!(out, "{}", line(event))?,
                Self::Json => {
                    serde_json::to_writer(&mut out, event)?;
                    writeln!(out)?;
                }
                Self::Csv(table) => table.write(event, &mut out)?,
            }
        }
        out.flush()
    }
}

fn warn(answer: &Value) {
    for warning in answer.get("warnings").and_then(Value::as_array).into_iter().flatten() {
        eprintln!("warning: {}", safe(warning.as_str().unwrap_or_default()));
    }
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
