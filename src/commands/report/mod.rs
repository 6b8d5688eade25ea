//! `jacquemart report`.

mod flat;
mod html;
mod page;

use std::io::Write as _;

use anyhow::Context as _;
use event::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::connect;
use crate::{
    Exit, Failure,
    cli::{Global, Report, ReportFormat, ReportOutput},
    print::{self, Column},
};

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("COMMUNE", "commune"),
    ("FROM", "from"),
    ("TO", "to"),
    ("MADE", "made"),
    ("BY", "by"),
    ("SHA-256", "digest"),
];

pub(crate) async fn run(global: &Global, args: Report) -> Result<Exit, Failure> {
    match args {
        Report::Activity { commune, month, from, to, anew, output, server } => {
            let [from, to] = period(month.as_deref(), from.as_deref(), to.as_deref())?;
            let client = connect(global, &server).await?;
            let body = json!({"commune": commune, "from": from, "to": to, "anew": anew});
            let report = client.send(Method::POST, "/api/v1/reports", body).await?;
            client.close().await;
            write(&report, &output)?;
        }
        Report::List { server } => {
            let client = connect(global, &server).await?;
            let answer = client.get("/api/v1/reports", &[]).await?;
            client.close().await;
            print::list(global.output, &answer, COLUMNS)?;
        }
        Report::Show { id, output, server } => {
            let client = connect(global, &server).await?;
            let report = client.get(&format!("/api/v1/reports/{id}"), &[]).await?;
            client.close().await;
            write(&report, &output)?;
        }
    }
    Ok(Exit::Done)
}

fn period(
    month: Option<&str>,
    from: Option<&str>,
    to: Option<&str>,
) -> Result<[Timestamp; 2], Failure> {
    let parse = |text: &str| {
        Timestamp::parse(text).ok_or_else(|| {
            Failure::usage(format!("{text:?} is no day or time; write e.g. 2026-10-01"))
        })
    };
    match (month, from, to) {
        (Some(month), ..) => {
            let begin = parse(&format!("{month}-01")).map_err(|_| {
                Failure::usage(format!("{month:?} is no month; write e.g. 2026-10"))
            })?;
            Ok([begin, begin.next_month()])
        }
        (None, Some(from), Some(to)) => Ok([parse(from)?, parse(to)?]),
        // Refused before.
        _ => Err(Failure::usage("give --month, or --from and --to".to_owned())),
    }
}

fn write(report: &Value, output: &ReportOutput) -> Result<(), Failure> {
    let text = match output.format {
        // The very text that the digest is of.
        ReportFormat::Json => report["figures"].to_string(),
        ReportFormat::Csv => flat::csv(&report["figures"])?,
        ReportFormat::Html => html::html(report),
    };
    match &output.out {
        Some(path) => {
            std::fs::write(path, text)
                .with_context(|| format!("failed to write {}", path.display()))?;
            let (id, digest) = (print::cell(report, "id"), print::cell(report, "digest"));
            print::outln!(
                "wrote report {id} (SHA-256 of its figures {digest}) to {}",
                path.display()
            );
        }
        None => std::io::stdout().lock().write_all(text.as_bytes())?,
    }
    Ok(())
}
