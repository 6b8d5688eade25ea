//! `jacquemart demo`: an attack on six communes, caught in front of your eyes.
//!
//! Everything is real: a server with the embedded backends in a temporary folder, feeds with
//! keys, events over HTTP on loopback, answers from the API. Only the attack is played, from a
//! capture whose labels say which event belongs to which stage, so that the summary can tell
//! the truth about what was missed.

mod capture;
mod play;
mod report;
mod view;
mod watch;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use capture::Capture;
use reqwest::Method;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    Exit, Failure,
    cli::{Demo, Global, Server as ServerFlags},
    client::Client,
    config::Config,
    print,
    serve::Server,
    wire::{OpenMode, Wired},
};

/// How long the end waits for the last event to be found.
const SETTLE_MAX: Duration = Duration::from_secs(30);

pub(crate) async fn run(global: &Global, args: Demo) -> Result<Exit, Failure> {
    let started = Instant::now();
    if !args.speed.is_finite() || args.speed <= 0.0 {
        return Err(Failure::usage("--speed must be above 0"));
    }
    let capture = Capture::load(args.capture.as_deref())?;
    let folder = tempfile::Builder::new()
        .prefix("jacquemart-demo-")
        .tempdir()
        .context("failed to make a temporary folder")?;
    let config = config(global, folder.path())?;
    let wired = Wired::open(&config, OpenMode::Serve).await?;
    let rules = wired.rules.in_force().now().rules().len();
    let server = Server::start(&config, wired).await?;

    let outcome = play_and_watch(&config, &server, &capture, &args, rules, started).await;
    if let Ok((report, _)) = &outcome {
        if args.json {
            print::json(&report.to_json())?;
        } else {
            report.print();
        }
    }
    if let (Ok((_, access)), true) = (&outcome, args.keep) {
        access.print(&server);
        println!("\nthe server keeps running in {}; Ctrl-C ends it", folder.path().display());
        tokio::signal::ctrl_c().await.context("failed to wait for Ctrl-C")?;
    } else if let (Ok((_, access)), false) = (&outcome, args.json) {
        access.print(&server);
        println!("\n(the server has stopped; --keep leaves it running)");
    }
    server.drain().await?;
    let (report, _) = outcome?;
    Ok(if report.is_clean() { Exit::Done } else { Exit::Found })
}

/// The embedded default in `folder`, on free ports of loopback.
fn config(global: &Global, folder: &std::path::Path) -> Result<Config, Failure> {
    let mut sets = vec![
        "ingest.http.listen=127.0.0.1:0".to_owned(),
        "api.listen=127.0.0.1:0".to_owned(),
        "log.filter=warn".to_owned(),
    ];
    sets.extend(global.set.iter().cloned());
    let nothing = folder.join("jacquemart.toml");
    std::fs::write(&nothing, "").context("failed to write to the temporary folder")?;
    Config::load(Some(&nothing), std::iter::empty(), &sets, Some(folder))
        .map_err(|error| Failure::new(Exit::Usage, error.into()))
}

/// The tokens of two callers, to try the API with.
struct Access {
    soc: String,
    commune: String,
    commune_name: String,
    soc_incidents: usize,
    commune_incidents: usize,
}

impl Access {
    fn print(&self, server: &Server) {
        let api = server.api_address();
        println!("\nAsk the API as the SOC, which sees all {} incidents:", self.soc_incidents);
        println!("  curl -H 'Authorization: Bearer {}' http://{api}/api/v1/incidents", self.soc);
        println!("and as {}, which sees its own {}:", self.commune_name, self.commune_incidents);
        println!(
            "  curl -H 'Authorization: Bearer {}' http://{api}/api/v1/incidents",
            self.commune
        );
        println!("or search events from this terminal:");
        println!(
            "  JACQUEMART_TOKEN={} jacquemart hunt 'powershell' --since 1h --url http://{api}",
            self.soc
        );
    }
}

async fn play_and_watch(
    config: &Config,
    server: &Server,
    capture: &Capture,
    args: &Demo,
    rules: usize,
    started: Instant,
) -> Result<(report::Report, Access), Failure> {
    let client = Client::connect(config, &ServerFlags { url: None, token: None }).await?;
    let keys = onboard(&client, capture).await?;
    let soc = token(&client, "demo-soc", "analyst", None).await?;
    let chosen = capture.commune_to_show();
    let commune = token(&client, "demo-commune", "reader", Some(chosen.id.as_str())).await?;
    let ready_ms = started.elapsed().as_millis();

    let live = !args.headless && !args.json;
    let done = CancellationToken::new();
    let board = watch::Board::new(capture);
    let as_soc = watch::Api::new(server.api_address(), &soc)?;
    let watching = watch::run(&board, &as_soc, &done);
    let showing = view::run(live, &board, capture, rules, &done);
    let playing = async {
        let sent = play::run(capture, &keys, server.ingest_address(), args.speed, &board).await;
        let settled = match &sent {
            Ok(sent) => watch::settle(&board, &as_soc, sent.accepted, SETTLE_MAX).await,
            Err(_) => Ok(0),
        };
        done.cancel();
        Ok::<_, Failure>((sent?, settled?))
    };
    let (played, watched, ()) = tokio::join!(playing, watching, showing);
    watched?;
    let (sent, found) = played?;

    let as_commune = watch::Api::new(server.api_address(), &commune)?;
    let access = Access {
        soc_incidents: as_soc.incidents().await?.len(),
        commune_incidents: as_commune.incidents().await?.len(),
        soc,
        commune,
        commune_name: chosen.name.clone(),
    };
    let report = report::Report::new(capture, &board, &sent, found, ready_ms, started.elapsed());
    Ok((report, access))
}

/// Creates the capture's communes and feeds; the feeds' keys in the capture's order.
async fn onboard(client: &Client, capture: &Capture) -> Result<Vec<String>, Failure> {
    for commune in &capture.communes {
        client
            .send(Method::POST, "/api/v1/communes", json!({"id": commune.id, "name": commune.name}))
            .await?;
    }
    let mut keys = Vec::new();
    for feed in &capture.feeds {
        let body = json!({"id": feed.id, "commune": feed.commune, "format": feed.format, "name": feed.name});
        let added = client.send(Method::POST, "/api/v1/feeds", body).await?;
        keys.push(text(&added, "key")?);
    }
    Ok(keys)
}

async fn token(
    client: &Client,
    name: &str,
    role: &str,
    commune: Option<&str>,
) -> Result<String, Failure> {
    let communes = commune.map(|commune| vec![commune]);
    let body = json!({"name": name, "role": role, "communes": communes});
    let added = client.send(Method::POST, "/api/v1/tokens", body).await?;
    text(&added, "secret")
}

fn text(value: &Value, key: &str) -> Result<String, Failure> {
    let text = value
        .get(key)
        .and_then(Value::as_str)
        .with_context(|| format!("the answer has no {key:?}"))?;
    Ok(text.to_owned())
}
