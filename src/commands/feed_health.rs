//! `jacquemart feed status` and `feed wait`: whether a feed is alive, and what keeps it from being.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use event::{FeedId, Timestamp};
use reqwest::Method;
use serde_json::Value;

use crate::{
    Exit, Failure,
    cli::{DeviceState, Global, Output, Server},
    client::Client,
    commands::connect,
    print::{self, safe},
    sse::Events,
};

/// How long after the connection broke it is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// What the first column of a CSV of devices is called.
const HEADINGS: [&str; 8] =
    ["nom", "name", "hostname", "host", "device", "appareil", "poste", "équipement"];
/// A feed whose last record is older is waited for anew.
const OLD: Duration = Duration::from_secs(600);
/// What `wait` says where it never learnt how the feed does.
const UNREACHABLE: &str = "the centre did not say how the feed does";
/// A clock that is off by more is named.
const CLOCK_OFF_MS: i64 = 3_600_000;

async fn health(client: &Client, id: &str) -> Result<Value, Failure> {
    client.get(&format!("/api/v1/feeds/{id}/health"), &[]).await
}

/// A client of a running centre: only that knows how feeds do.
async fn running(global: &Global, server: &Server) -> Result<Client, Failure> {
    let client = connect(global, server).await?;
    if client.is_offline() {
        client.close().await;
        return Err(Failure::new(
            Exit::Unreachable,
            anyhow::anyhow!(
                "the centre does not run here, so nobody knows how feeds do; start it with \
                 `jacquemart serve`, or name another with --url"
            ),
        ));
    }
    Ok(client)
}

pub(super) async fn status(
    global: &Global,
    id: Option<FeedId>,
    server: &Server,
) -> Result<Exit, Failure> {
    let client = running(global, server).await?;
    let outcome = match id {
        Some(id) => one(global, &client, &id).await,
        None => all(global, &client).await,
    };
    client.close().await;
    outcome.map(|()| Exit::Done)
}

async fn all(global: &Global, client: &Client) -> Result<(), Failure> {
    let feeds = client.get("/api/v1/feeds", &[]).await?;
    let mut items = Vec::new();
    for feed in feeds["items"].as_array().into_iter().flatten() {
        items.push(health(client, feed["id"].as_str().unwrap_or_default()).await?);
    }
    let columns = [
        ("ID", "id"),
        ("COMMUNE", "commune"),
        ("FORMAT", "format"),
        ("RECORDS", "health.records"),
        ("LAST", "health.last_received"),
        ("SILENT", "health.is_silent"),
        ("EVENTS", "health.decoded"),
        ("FAILED", "health.failed"),
        ("LAG MS", "health.lag_ms"),
        ("DEVICES", "health.devices"),
        ("FIRST USABLE", "health.first_usable"),
    ];
    print::list(global.output, &serde_json::json!({ "items": items }), &columns)?;
    Ok(())
}

async fn one(global: &Global, client: &Client, id: &FeedId) -> Result<(), Failure> {
    let told = health(client, id.as_str()).await?;
    if global.output == Output::Json {
        print::json(&told)?;
        return Ok(());
    }
    for (what, path) in [
        ("feed", "id"),
        ("commune", "commune"),
        ("format", "format"),
        ("counted since", "health.since"),
        ("records", "health.records"),
        ("bytes", "health.bytes"),
        ("first received", "health.first_received"),
        ("last received", "health.last_received"),
        ("silent for too long", "health.is_silent"),
        ("events", "health.decoded"),
        ("partly decoded", "health.partly_decoded"),
        ("failed", "health.failed"),
        ("latest event", "health.last_event"),
        ("lag of the last, ms", "health.lag_ms"),
        ("devices", "health.devices"),
        ("keys not read", "health.unmapped"),
        ("declared devices", "inventory.declared"),
        ("of them never seen", "inventory.missing"),
        ("seen, not declared", "inventory.unknown"),
        ("first that a rule can use", "health.first_usable"),
    ] {
        print::outln!("{what:<26} {}", safe(&print::cell(&told, path)));
    }
    if !told["health"]["pull"].is_null() {
        for (what, path) in [
            ("vendor asked", "health.pull.last_success"),
            ("vendor not asked", "health.pull.last_failure"),
            ("because", "health.pull.error"),
            ("the token expires", "health.pull.token_expires"),
        ] {
            print::outln!("{what:<26} {}", safe(&print::cell(&told, path)));
        }
    }
    for (reason, count) in counts(&told["health"]["refused"]) {
        print::outln!("{:<26} {count}", format!("refused, {reason}"));
    }
    for failure in told["health"]["failures"].as_array().into_iter().flatten() {
        print::outln!(
            "\n{} {}",
            print::cell(failure, "received"),
            safe(&print::cell(failure, "reason"))
        );
        print::outln!("  {}", safe(&print::cell(failure, "raw")));
    }
    Ok(())
}

pub(super) async fn rules(
    global: &Global,
    id: &FeedId,
    lacking: bool,
    server: &Server,
) -> Result<Exit, Failure> {
    let client = running(global, server).await?;
    let path = format!("/api/v1/feeds/{id}/rules");
    let query = if lacking { vec![("can_fire", "false".to_owned())] } else { Vec::new() };
    let answer = client.get(&path, &query).await;
    client.close().await;
    let columns = [
        ("ID", "id"),
        ("LEVEL", "level"),
        ("CAN FIRE", "can_fire"),
        ("LACKS", "lacks"),
        ("TITLE", "title"),
    ];
    print::list(global.output, &answer?, &columns)?;
    Ok(Exit::Done)
}

pub(super) async fn devices(
    global: &Global,
    id: &FeedId,
    state: Option<DeviceState>,
    server: &Server,
) -> Result<Exit, Failure> {
    let client = connect(global, server).await?;
    let path = format!("/api/v1/feeds/{id}/devices");
    let query: Vec<_> =
        state.into_iter().map(|state| ("state", state.as_str().to_owned())).collect();
    let answer = client.get(&path, &query).await;
    client.close().await;
    let columns = [
        ("NAME", "name"),
        ("STATE", "state"),
        ("FIRST SEEN", "first_seen"),
        ("LAST SEEN", "last_seen"),
        ("DECLARED", "declared"),
    ];
    print::list(global.output, &answer?, &columns)?;
    Ok(Exit::Done)
}

/// Declares the devices that `file` names, one a line; the first column of a CSV.
pub(super) async fn declare(
    global: &Global,
    id: &FeedId,
    file: &Path,
    server: &Server,
) -> Result<Exit, Failure> {
    let text = match file.to_str() {
        Some("-") => std::io::read_to_string(std::io::stdin()).context("failed to read stdin"),
        _ => std::fs::read_to_string(file)
            .with_context(|| format!("failed to read {}", file.display())),
    }?;
    let names = names_of(&text);
    let client = connect(global, server).await?;
    let path = format!("/api/v1/feeds/{id}/inventory");
    let answer = client.send(Method::PUT, &path, serde_json::json!({ "devices": names })).await;
    client.close().await;
    let answer = answer?;
    match global.output {
        Output::Json => print::json(&answer)?,
        Output::Table => print::outln!(
            "{} devices declared, {} of them never seen; {} seen that are not declared",
            print::cell(&answer, "declared"),
            print::cell(&answer, "missing"),
            print::cell(&answer, "unknown")
        ),
    }
    Ok(Exit::Done)
}

/// The first column of each line, without blank lines, comments and a heading.
fn names_of(text: &str) -> Vec<&str> {
    let lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    lines
        .filter_map(|(index, line)| {
            let mut cells = line.split([',', ';', '\t']);
            let name = cells.next().unwrap_or_default().trim().trim_matches('"');
            let is_heading = index == 0
                && cells.next().is_some()
                && HEADINGS.iter().any(|heading| name.eq_ignore_ascii_case(heading));
            (!name.is_empty() && !name.starts_with('#') && !is_heading).then_some(name)
        })
        .collect()
}

fn counts(value: &Value) -> BTreeMap<String, u64> {
    let pairs = value.as_object().into_iter().flatten();
    pairs.filter_map(|(key, count)| Some((key.clone(), count.as_u64()?))).collect()
}

/// Looks at each change of the feed's health until the last step is done.
async fn follow(client: &Client, id: &FeedId, wait: &mut Option<Wait>) -> Result<(), Failure> {
    let path = format!("/api/v1/feeds/{id}/health/stream");
    loop {
        match client.follow(&path, &[], None).await {
            Ok(mut response) => {
                let mut events = Events::default();
                while let Ok(Some(chunk)) = response.chunk().await {
                    for event in events.push(&chunk)? {
                        let told = serde_json::from_str(&event.data)
                            .context("failed to read how the feed does")?;
                        let wait = match wait {
                            Some(wait) => wait,
                            None => wait.insert(Wait::begin(&told)?),
                        };
                        if wait.look(&told)? {
                            return Ok(());
                        }
                    }
                }
            }
            // A centre that restarts meanwhile is waited for.
            Err(failure) if wait.is_some() && failure.exit() == Exit::Unreachable => {}
            Err(failure) => return Err(failure),
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// What `wait` has said already.
struct Wait {
    format: String,
    said: BTreeMap<String, u64>,
    /// What had been refused before.
    refused: BTreeMap<String, u64>,
    /// What had been counted before, of a feed that sent nothing for a while.
    before: BTreeMap<String, u64>,
    step: usize,
}

pub(super) async fn wait(
    global: &Global,
    id: &FeedId,
    timeout: Duration,
    server: &Server,
) -> Result<Exit, Failure> {
    let client = running(global, server).await?;
    let until = Instant::now() + timeout;
    let mut wait: Option<Wait> = None;
    let followed = tokio::time::timeout_at(until.into(), follow(&client, id, &mut wait)).await;
    let outcome = match followed {
        Ok(outcome) => outcome.map(|()| Exit::Done),
        Err(_) => {
            let missing = wait.as_ref().map_or(UNREACHABLE, Wait::missing);
            print::outln!("the time is over: {missing}");
            Ok(Exit::Found)
        }
    };
    client.close().await;
    outcome
}

impl Wait {
    fn begin(told: &Value) -> Result<Self, Failure> {
        let health = &told["health"];
        let last = health["last_received"].as_str().and_then(Timestamp::parse);
        let is_old = last.is_some_and(|last| Timestamp::now().since(last) > OLD);
        if is_old {
            let last = print::cell(health, "last_received");
            print::outln!("nothing came since {last}; waiting for the next record");
        }
        Ok(Self {
            before: if is_old { counts(health) } else { BTreeMap::new() },
            format: print::cell(told, "format"),
            said: BTreeMap::new(),
            refused: counts(&told["refused_unknown"]),
            step: 0,
        })
    }

    fn missing(&self) -> &'static str {
        match self.step {
            0 => {
                "no request with this feed's key arrived; is the address right, does its name \
                 resolve, is the port open, is TLS accepted, and does the shipper run?"
            }
            1 => "records came, and none of them could be decoded",
            _ => "events came, and no rule in force is for such events",
        }
    }

    /// Says what is new; whether the last step is done.
    fn look(&mut self, told: &Value) -> Result<bool, Failure> {
        let health = &told["health"];
        let count = |name: &str| {
            let before = self.before.get(name).copied().unwrap_or_default();
            health[name].as_u64().unwrap_or_default().saturating_sub(before)
        };
        let (records, decoded, failed) = (count("records"), count("decoded"), count("failed"));
        if self.step == 0 {
            self.refusals(told)?;
        }
        let error = print::cell(&health["pull"], "error");
        if self.step == 0 && !error.is_empty() && self.say(&format!("pull {error}"), 1) {
            print::outln!("the vendor's API could not be asked: {}", safe(&error));
        }
        let asked = !health["pull"]["last_success"].is_null();
        if self.step == 0 && asked && records == 0 && self.say("pull", 1) {
            print::outln!("the vendor's API was asked, and has nothing new");
        }
        if self.step == 0 && records > 0 {
            self.step = 1;
            let (which, at) = match self.before.is_empty() {
                true => ("first", "first_received"),
                false => ("last", "last_received"),
            };
            let at = print::cell(health, at);
            print::outln!("connected and authenticated: the {which} record came at {at}");
        }
        if self.step == 1 && decoded > 0 {
            self.step = 2;
            print::outln!("decoded: {decoded} of {records} records are events");
        }
        if failed > 0 && self.say("failed", failed) {
            let last = &health["failures"][0];
            print::outln!(
                "{failed} records could not be decoded as {}: {}",
                safe(&self.format),
                safe(&print::cell(last, "reason"))
            );
            print::outln!(
                "  one begins: {}",
                safe(&print::cell(last, "raw")).chars().take(200).collect::<String>()
            );
            print::outln!(
                "  is {} what this source sends? `jacquemart format try` shows what a format makes of it",
                safe(&self.format)
            );
        }
        let lag = health["lag_ms"].as_i64().unwrap_or_default();
        if lag.abs() > CLOCK_OFF_MS && self.say("clock", 1) {
            let hours = lag.unsigned_abs() / 3_600_000;
            let side = if lag > 0 { "before" } else { "after" };
            print::outln!(
                "the last event says it happened {hours} h {side} it came: is it an old one, or are \
                 the source's clock and time zone right?"
            );
        }
        if self.step == 2 && !health["first_usable"].is_null() {
            let first = print::cell(health, "first_usable");
            print::outln!("in use: the first event that rules can use came at {first}");
            return Ok(true);
        }
        if self.step == 2 && self.say("unusable", 1) {
            print::outln!(
                "no event yet that a rule in force is for; `jacquemart rules coverage --format {}` \
                 says which rules this format can feed",
                safe(&self.format)
            );
        }
        Ok(false)
    }

    /// What was turned away meanwhile: of this feed, and without anyone knowing whose it is.
    fn refusals(&mut self, told: &Value) -> Result<(), Failure> {
        for (reason, count) in counts(&told["health"]["refused"]) {
            if self.say(&format!("own {reason}"), count) {
                print::outln!("authenticated, but refused {count} times: {}", safe(&reason));
            }
        }
        for (reason, count) in counts(&told["refused_unknown"]) {
            let count = count - self.refused.get(&reason).copied().unwrap_or_default().min(count);
            if count > 0 && self.say(&format!("any {reason}"), count) {
                let hint = match reason.as_str() {
                    "key-wrong" => "with a key that opens no feed: compare it, or `feed rotate` it",
                    "key-missing" => "without a key: the shipper must send this feed's",
                    _ => "before anyone knew whose they are",
                };
                print::outln!(
                    "connected, but {count} requests were refused ({}), {hint}",
                    safe(&reason)
                );
            }
        }
        Ok(())
    }

    /// Whether this is news: said for the first time, or tenfold since.
    fn say(&mut self, what: &str, count: u64) -> bool {
        let said = self.said.entry(what.to_owned()).or_default();
        let is_news = *said == 0 || count >= said.saturating_mul(10);
        if is_news {
            *said = count;
        }
        is_news
    }
}
