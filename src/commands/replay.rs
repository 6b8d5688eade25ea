//! `jacquemart replay`.

use std::{
    io::{self, IsTerminal as _},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bytes::Bytes;
use indicatif::{ProgressBar, ProgressStyle};
use ingest::capture::Capture;
use serde::de::IgnoredAny;

use crate::{
    Exit, Failure,
    cli::{Global, Output, Replay},
    commands::load_config,
    print,
    send::Sender,
    serve::LOCAL_KEY,
};

/// Bytes of one request at most, well below the door's default bound.
const BATCH_BYTES_MAX: usize = 4 << 20;

pub(crate) async fn run(global: &Global, args: Replay) -> Result<Exit, Failure> {
    let sender = sender(global, &args)?;
    if args.batch == 0 {
        return Err(Failure::usage("--batch must be at least 1"));
    }
    if args.rate.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
        return Err(Failure::usage("--rate must be above 0"));
    }
    let mut run = Run {
        sender,
        pace: Pace::new(args.rate),
        batch: Vec::new(),
        batch_bytes: 0,
        totals: Totals::default(),
    };
    for _ in 0..args.repeat {
        for path in &args.files {
            let mut capture = Capture::open(path)?;
            let bar = progress(capture.progress().bytes_total());
            while let Some(item) = capture.next() {
                match item {
                    Ok(record) => run.push(record.raw, args.batch, &bar).await?,
                    Err(error) => {
                        run.totals.unreadable += 1;
                        bar.suspend(|| eprintln!("{error}"));
                    }
                }
                bar.set_position(capture.progress().bytes_read());
            }
            run.flush(&bar).await?;
            bar.finish_and_clear();
        }
    }
    run.totals.report(global.output, run.pace.started.elapsed())?;
    let clean = run.totals.refused == 0 && run.totals.unreadable == 0;
    Ok(if clean { Exit::Done } else { Exit::Found })
}

fn sender(global: &Global, args: &Replay) -> Result<Sender, Failure> {
    if let Some(key) = &args.key {
        let config = load_config(global)?;
        let url =
            args.url.clone().unwrap_or_else(|| format!("http://{}", config.ingest.http.listen));
        let http = reqwest::Client::builder().build().context("failed to make a client")?;
        return Ok(Sender::new(http, &url, key));
    }
    let Some(feed) = &args.feed else {
        return Err(Failure::usage("give --feed, or a key in JACQUEMART_FEED_KEY"));
    };
    let socket = load_config(global)?.socket();
    let http = reqwest::Client::builder()
        .unix_socket(socket)
        .build()
        .context("failed to make a client")?;
    Ok(Sender::new(http, "http://localhost", &format!("{LOCAL_KEY}{feed}")))
}

struct Run {
    sender: Sender,
    pace: Pace,
    batch: Vec<Bytes>,
    batch_bytes: usize,
    totals: Totals,
}

impl Run {
    async fn push(
        &mut self,
        raw: Bytes,
        batch_max: usize,
        bar: &ProgressBar,
    ) -> Result<(), Failure> {
        self.totals.read += 1;
        if let Err(error) = serde_json::from_slice::<IgnoredAny>(&raw) {
            self.totals.refused += 1;
            bar.suspend(|| {
                eprintln!("record {}: not sent, as it is no JSON: {error}", self.totals.read);
            });
            return Ok(());
        }
        if self.batch_bytes + raw.len() > BATCH_BYTES_MAX {
            self.flush(bar).await?;
        }
        self.batch_bytes += raw.len();
        self.batch.push(raw);
        if self.batch.len() >= batch_max.min(self.pace.batch_max()) {
            self.flush(bar).await?;
        }
        Ok(())
    }

    async fn flush(&mut self, bar: &ProgressBar) -> Result<(), Failure> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.pace.wait(self.batch.len()).await;
        let taken = self.sender.send(&self.batch).await?;
        for rejected in &taken.rejected {
            bar.suspend(|| {
                eprintln!(
                    "refused: record {} of a batch: {}",
                    rejected.record,
                    print::safe(&rejected.reason)
                );
            });
        }
        self.totals.accepted += taken.accepted;
        self.totals.refused += taken.rejected_count;
        self.totals.bytes += self.batch_bytes as u64;
        bar.set_message(format!("{} accepted", self.totals.accepted));
        self.batch.clear();
        self.batch_bytes = 0;
        Ok(())
    }
}

/// An even rate, counted from the start, so that a slow answer does not lower it.
struct Pace {
    rate: Option<f64>,
    started: Instant,
    sent: f64,
}

impl Pace {
    fn new(rate: Option<f64>) -> Self {
        Self { rate, started: Instant::now(), sent: 0.0 }
    }

    /// A tenth of a second's worth at most, so that the rate is even.
    fn batch_max(&self) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive and saturating"
        )]
        self.rate.map_or(usize::MAX, |rate| ((rate / 10.0) as usize).max(1))
    }

    async fn wait(&mut self, count: usize) {
        if let Some(rate) = self.rate {
            let due = self.started + Duration::from_secs_f64(self.sent / rate);
            tokio::time::sleep_until(due.into()).await;
            #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
            let count = count as f64;
            self.sent += count;
        }
    }
}

#[derive(Default)]
struct Totals {
    read: u64,
    accepted: u64,
    refused: u64,
    unreadable: u64,
    bytes: u64,
}

impl Totals {
    fn report(&self, output: Output, took: Duration) -> Result<(), Failure> {
        let seconds = took.as_secs_f64().max(1e-9);
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let (rate, megabytes) = (self.accepted as f64 / seconds, self.bytes as f64 / seconds / 1e6);
        match output {
            Output::Json => print::json(&serde_json::json!({
                "read": self.read,
                "accepted": self.accepted,
                "refused": self.refused,
                "unreadable": self.unreadable,
                "bytes": self.bytes,
                "seconds": seconds,
                "events_per_second": rate,
            }))?,
            Output::Table => print::outln!(
                "{} records read, {} accepted durably, {} refused, {} unreadable; {seconds:.1} s, {rate:.0} events/s, {megabytes:.1} MB/s",
                self.read,
                self.accepted,
                self.refused,
                self.unreadable
            ),
        }
        Ok(())
    }
}

fn progress(total_bytes: Option<u64>) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = total_bytes.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    match ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {eta} {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
