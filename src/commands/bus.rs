//! `jacquemart bus`.

use crate::{
    Exit, Failure,
    cli::{Bus as Args, Global},
    commands::load_config,
    config::Config,
    print,
};

pub(crate) async fn run(global: &Global, args: &Args) -> Result<Exit, Failure> {
    let config = load_config(global)?;
    let url = config.bus_url();
    match url.split_once("://") {
        Some(("kafka", brokers)) => on_kafka(&config, brokers, args).await,
        _ => {
            print::outln!("{url}: the journal is created when it is first opened; nothing to do");
            Ok(Exit::Done)
        }
    }
}

#[cfg(not(feature = "kafka"))]
async fn on_kafka(_config: &Config, _brokers: &str, _args: &Args) -> Result<Exit, Failure> {
    Err(crate::wire::bus::without_kafka())
}

#[cfg(feature = "kafka")]
async fn on_kafka(config: &Config, brokers: &str, args: &Args) -> Result<Exit, Failure> {
    use anyhow::Context as _;
    use ingest::bus::kafka::{check, init};

    use crate::wire::bus::kafka;

    let reach = kafka::config(&config.kafka, brokers)?;
    let plan = kafka::plan(&config.kafka);
    match args {
        Args::Init => {
            let done = init(&reach, &plan).await.context("failed to create the topics")?;
            for line in &done {
                print::outln!("{line}");
            }
            if done.is_empty() {
                print::outln!("all topics are there already; `jacquemart bus check` looks at them");
            }
            Ok(Exit::Done)
        }
        Args::Check => {
            let findings = check(&reach, &plan).await.context("failed to look at the topics")?;
            for finding in &findings {
                print::outln!("{finding}");
            }
            let is_right = findings.iter().all(|finding| finding.ok);
            Ok(if is_right { Exit::Done } else { Exit::Found })
        }
    }
}
