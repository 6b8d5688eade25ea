//! `jacquemart indicator`.

use std::time::Duration;

use anyhow::Context as _;
use ingest::intel::{Keeper, Options};
use serde_json::json;

use crate::{
    Exit, Failure,
    cli::{Global, Indicator, IndicatorImport, Output},
    commands::{connect, load_config},
    indicators::{self, ImportSettings},
    print,
};

const COLUMNS: [print::Column; 8] = [
    ("TYPE", "type"),
    ("VALUE", "value"),
    ("SOURCE", "source"),
    ("LEVEL", "level"),
    ("VALID", "valid"),
    ("UNTIL", "valid_until"),
    ("TLP", "tlp"),
    ("DESCRIPTION", "description"),
];

const SOURCE_COLUMNS: [print::Column; 7] = [
    ("SOURCE", "name"),
    ("KIND", "kind"),
    ("INDICATORS", "indicators"),
    ("REFUSED", "refused"),
    ("CHANGED", "changed"),
    ("ANSWERED", "succeeded"),
    ("ERROR", "error"),
];

pub(crate) async fn run(global: &Global, args: Indicator) -> Result<Exit, Failure> {
    match args {
        Indicator::Import(args) => import(global, &args),
        Indicator::Remove { source } => remove(global, &source),
        Indicator::List { source, limit, cursor, server } => {
            let client = connect(global, &server).await?;
            let mut query = vec![("limit", limit.to_string())];
            query.extend(source.map(|source| ("source", source.to_string())));
            query.extend(cursor.map(|cursor| ("cursor", cursor)));
            let answer = client.get("/api/v1/indicators", &query).await?;
            client.close().await;
            print::list(global.output, &answer, &COLUMNS)?;
            Ok(Exit::Done)
        }
        Indicator::Show { value, server } => {
            let client = connect(global, &server).await?;
            let answer = client.get("/api/v1/indicators", &[("value", value)]).await?;
            client.close().await;
            let none = answer["items"].as_array().is_none_or(Vec::is_empty);
            print::list(global.output, &answer, &COLUMNS)?;
            Ok(if none { Exit::NotFound } else { Exit::Done })
        }
        Indicator::Sources { server } => {
            let client = connect(global, &server).await?;
            let answer = client.get("/api/v1/indicators/sources", &[]).await?;
            client.close().await;
            print::list(global.output, &answer, &SOURCE_COLUMNS)?;
            Ok(Exit::Done)
        }
    }
}

/// The folder of indicators, which a server that runs watches.
fn keeper(global: &Global) -> Result<(Keeper, crate::config::Config), Failure> {
    let config = load_config(global)?;
    if !config.data_dir.exists() {
        return Err(Failure::usage(format!(
            "there is no data folder at {}; say where it is with --data-dir or --config",
            config.data_dir.display()
        )));
    }
    let folder = indicators::folder(&config.data_dir);
    let keeper = Keeper::open(folder, config.indicators.indicators_max)
        .context("failed to open the folder of indicators")?;
    Ok((keeper, config))
}

fn is_configured(config: &crate::config::Config, source: &event::IndicatorSourceId) -> bool {
    config.indicators.sources.iter().any(|configured| configured.name == *source)
}

fn import(global: &Global, args: &IndicatorImport) -> Result<Exit, Failure> {
    let (keeper, config) = keeper(global)?;
    if is_configured(&config, &args.source) {
        return Err(Failure::usage(format!(
            "{} is a source of the configuration and would be overwritten by it; take another name",
            args.source
        )));
    }
    let options = Options {
        types: args.r#type.clone(),
        tlp: args.tlp,
        confidence: args.confidence,
        valid_for: args.valid_days.map(|days| Duration::from_hours(24) * days),
    };
    let settings = ImportSettings {
        level: args.level,
        subdomains: !args.exact_domains,
        communes: args.commune.clone(),
    };
    let shape = (args.format, &options);
    let kept = indicators::import(&keeper, &args.source, &args.file, shape, &settings, args.add)
        .context("failed to import")?;
    match global.output {
        Output::Json => print::json(&json!({
            "source": args.source,
            "indicators": kept.indicators,
            "refused": kept.refused_total,
            "refusals": kept.refused.iter().map(|refused| json!({
                "place": refused.place, "reason": refused.reason,
            })).collect::<Vec<_>>(),
        }))?,
        Output::Table => {
            for refused in &kept.refused {
                print::outln!("refused  {}", print::safe(&indicators::told(refused)));
            }
            let more = kept.refused_total.saturating_sub(kept.refused.len() as u64);
            if more > 0 {
                print::outln!("refused  and {more} more");
            }
            print::outln!(
                "{}: {} indicators, {} refused; a server that runs takes them within seconds",
                args.source,
                kept.indicators,
                kept.refused_total
            );
        }
    }
    Ok(Exit::Done)
}

fn remove(global: &Global, source: &event::IndicatorSourceId) -> Result<Exit, Failure> {
    let (keeper, config) = keeper(global)?;
    if is_configured(&config, source) {
        return Err(Failure::usage(format!(
            "{source} is a source of the configuration and would come back; take it out there"
        )));
    }
    if keeper.remove(source).context("failed to remove")? {
        print::outln!("{source} is gone; a server that runs follows within seconds");
        return Ok(Exit::Done);
    }
    eprintln!("there is no source {source}");
    Ok(Exit::NotFound)
}
