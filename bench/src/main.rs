//! Replays captures into a centre that runs as a process of its own, and measures it.
//!
//! Every figure that the project publishes is printed by a command here or by an example of the
//! crate that it is about, so that anyone can run it again.

mod centre;
mod decode;
mod end_to_end;
mod engine;
mod incidents;
mod scrape;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Measures Jacquemart.
#[derive(Debug, Parser)]
#[command(name = "bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Replay a capture into `jacquemart serve` through its HTTP door, with all rules, and say
    /// what came of it: counts, rates, latencies, memory, disk
    EndToEnd(EndToEnd),
    /// Raise many detections into incidents, then ask the API for them: how fast they are raised,
    /// listed, filtered, opened and changed
    Incidents(Incidents),
    /// Decode the shared records of Cloud Funnel, Windows, FortiGate and PRADEO on one core, beside
    /// `serde_json` parsing the same
    Decode(Decode),
    /// Measure the detection engine beside rsigma and sigma-rust, in one interleaved run on
    /// processor time over the shared Windows captures; builds the peers the first time
    Engine(Engine),
}

#[derive(Debug, clap::Args)]
struct Decode {
    /// The shared corpora
    #[arg(long, env = "JACQUEMART_CORPORA", default_value = "../shared/corpora")]
    corpora: PathBuf,
    /// Rounds, of which the best counts
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// The results as JSON, below
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Engine {
    /// Handed on: `--step N`, `--rounds N`, `--sigma-rust-step N`, `--no-curve`,
    /// `--only-curve`, `--json`; `--help` explains them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct EndToEnd {
    /// The capture: NDJSON, JSON or EVTX; plain, gzip or zstd
    #[arg(long, default_value = "../shared/corpora/captures/windows-attacks.ndjson.zst")]
    capture: PathBuf,
    /// What its records are
    #[arg(long, default_value = "windows")]
    format: String,
    /// Rule files and folders, beside the built-in rules; may be repeated
    #[arg(long)]
    rules: Vec<PathBuf>,
    /// Events a second; without it as fast as the server takes them
    #[arg(long)]
    rate: Option<f64>,
    /// Send the capture so many times over
    #[arg(long, default_value_t = 1)]
    repeat: u32,
    /// How many requests are under way at once
    #[arg(long, default_value_t = 2)]
    senders: usize,
    /// Events in one request
    #[arg(long, default_value_t = 1_000)]
    batch: usize,
    /// The binary; without it the one built beside this program
    #[arg(long)]
    jacquemart: Option<PathBuf>,
    /// The result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Incidents {
    /// How many incidents
    #[arg(long, default_value_t = 100_000)]
    incidents: u64,
    /// How many detections each has
    #[arg(long, default_value_t = 10)]
    detections_each: u64,
    /// How often each question is asked, each time another incident, commune or text
    #[arg(long, default_value_t = 200)]
    samples: usize,
    /// The binary; without it the one built beside this program
    #[arg(long)]
    jacquemart: Option<PathBuf>,
    /// The result as JSON
    #[arg(long)]
    json: bool,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Decode(args) => decode::run(&args),
        Command::Engine(args) => engine::run(&args.args),
        Command::Incidents(args) => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?
            .block_on(incidents::run(args)),
        Command::EndToEnd(args) => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?
            .block_on(end_to_end::run(args)),
    }
}
