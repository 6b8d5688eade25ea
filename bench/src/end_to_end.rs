//! From the door to the incident, everything on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use ingest::capture::Capture;
use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc};

use crate::{
    EndToEnd,
    centre::Centre,
    scrape::{self, Samples},
};

/// How long the readers may take to catch up at the end.
const DRAIN_MAX: Duration = Duration::from_secs(900);

/// Bytes of one request at most.
const BATCH_BYTES_MAX: usize = 4 << 20;

#[derive(Default)]
struct Counts {
    accepted: AtomicU64,
    rejected: AtomicU64,
    retried: AtomicU64,
}

pub(crate) async fn run(args: EndToEnd) -> anyhow::Result<()> {
    let (records, unreadable) = read(&args)?;
    let raw_bytes: u64 =
        records.iter().map(|record| record.len() as u64).sum::<u64>() * u64::from(args.repeat);
    let sent = records.len() as u64 * u64::from(args.repeat);
    let centre = Centre::start(args.jacquemart.as_deref(), &args.format, &args.rules)?;
    let http = scrape::client(&centre.socket())?;
    let idle_bytes = centre.memory_bytes("VmRSS")?;

    let counts = Arc::new(Counts::default());
    let cpu_before = centre.cpu_seconds()?;
    let started = Instant::now();
    send(&args, records, &centre, &counts).await?;
    let acknowledged = started.elapsed();
    let end = drained(&http, counts.accepted.load(Ordering::Relaxed)).await?;
    let done = started.elapsed();
    let cpu = centre.cpu_seconds()? - cpu_before;

    let api = |path: &'static str| {
        let http = http.clone();
        async move {
            let answer =
                http.get(format!("http://localhost{path}")).send().await?.error_for_status()?;
            Ok::<Value, anyhow::Error>(answer.json().await?)
        }
    };
    let status = api("/api/v1/status").await?;
    let peak_bytes = centre.memory_bytes("VmHWM")?;
    let split_bytes = centre.stop()?;
    let accepted = counts.accepted.load(Ordering::Relaxed);
    #[expect(clippy::cast_precision_loss, reason = "rates and ratios for people")]
    let result = json!({
        "events": {
            "sent": sent,
            "accepted": accepted,
            "rejected_at_the_door": counts.rejected.load(Ordering::Relaxed),
            "unreadable_in_the_capture": unreadable * u64::from(args.repeat),
            "requests_sent_again": counts.retried.load(Ordering::Relaxed),
            "indexed": end.sum("jacquemart_indexed_events_total"),
            "matched": end.sum("jacquemart_matched_events_total"),
            "undecodable": end.sum("jacquemart_decode_failures_total"),
            "raw_bytes": raw_bytes,
        },
        "rules": end.sum("jacquemart_rules"),
        "rules_refused": end.sum("jacquemart_rules_refused"),
        "detections": end.sum("jacquemart_detections_total"),
        "incidents": end.sum("jacquemart_incidents_total"),
        "counts_of_the_database": status.get("counts"),
        "acknowledged_events_per_second": accepted as f64 / acknowledged.as_secs_f64(),
        "end_to_end_events_per_second": accepted as f64 / done.as_secs_f64(),
        "seconds_to_acknowledge": acknowledged.as_secs_f64(),
        "seconds_until_all_indexed_and_raised": done.as_secs_f64(),
        "cpu_microseconds_per_event": cpu * 1e6 / accepted as f64,
        "receipt_to_detection_p99_below_s": end.quantile_bound("jacquemart_receipt_to_detection_seconds", 0.99).ok(),
        "receipt_to_incident_p99_below_s": end.quantile_bound("jacquemart_receipt_to_incident_seconds", 0.99).ok(),
        "receipt_to_searchable_p99_below_s": end.quantile_bound("jacquemart_receipt_to_searchable_seconds", 0.99).ok(),
        "idle_memory_bytes": idle_bytes,
        "peak_memory_bytes": peak_bytes,
        "split_bytes": split_bytes,
        "split_bytes_per_raw_byte": split_bytes as f64 / raw_bytes as f64,
    });
    print(&args, &result);
    ensure!(
        end.sum("jacquemart_indexed_events_total") == accepted as f64,
        "indexed events differ from accepted ones"
    );
    Ok(())
}

fn read(args: &EndToEnd) -> anyhow::Result<(Vec<Bytes>, u64)> {
    let capture = Capture::open(&args.capture)?;
    let mut records = Vec::new();
    let mut unreadable = 0;
    for item in capture {
        match item {
            Ok(record) => records.push(record.raw),
            Err(error) => {
                unreadable += 1;
                eprintln!("{error}");
            }
        }
    }
    ensure!(!records.is_empty(), "{} holds no records", args.capture.display());
    Ok((records, unreadable))
}

async fn send(
    args: &EndToEnd,
    records: Vec<Bytes>,
    centre: &Centre,
    counts: &Arc<Counts>,
) -> anyhow::Result<()> {
    let (batches, source) = mpsc::channel::<Vec<Bytes>>(4);
    let source = Arc::new(Mutex::new(source));
    let mut senders = tokio::task::JoinSet::<anyhow::Result<()>>::new();
    for _ in 0..args.senders.max(1) {
        let (source, counts) = (Arc::clone(&source), Arc::clone(counts));
        let (url, key) = (format!("{}/ingest", centre.ingest), centre.key.clone());
        senders.spawn(async move {
            let http = reqwest::Client::new();
            loop {
                let batch = source.lock().await.recv().await;
                let Some(batch) = batch else { return Ok(()) };
                post(&http, &url, &key, &batch, &counts).await?;
            }
        });
    }
    let started = Instant::now();
    let mut due = 0.0;
    'all: for _ in 0..args.repeat {
        let mut rest = &records[..];
        while !rest.is_empty() {
            let mut bytes = 0;
            let take = rest
                .iter()
                .take(args.batch.max(1))
                .take_while(|record| {
                    bytes += record.len();
                    bytes <= BATCH_BYTES_MAX
                })
                .count()
                .max(1);
            if let Some(rate) = args.rate {
                tokio::time::sleep_until((started + Duration::from_secs_f64(due / rate)).into())
                    .await;
                #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
                let count = take as f64;
                due += count;
            }
            if batches.send(rest[..take].to_vec()).await.is_err() {
                break 'all;
            }
            rest = &rest[take..];
        }
    }
    drop(batches);
    while let Some(sender) = senders.join_next().await {
        sender.context("a sender panicked")??;
    }
    Ok(())
}

async fn post(
    http: &reqwest::Client,
    url: &str,
    key: &str,
    batch: &[Bytes],
    counts: &Counts,
) -> anyhow::Result<()> {
    let mut body = batch.join(&b'\n');
    body.push(b'\n');
    let body = Bytes::from(body);
    loop {
        let answer = http.post(url).bearer_auth(key).body(body.clone()).send().await?;
        let status = answer.status().as_u16();
        if status == 429 || status == 503 {
            counts.retried.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        }
        let answer: Value = answer.json().await?;
        ensure!(answer.get("accepted").is_some(), "the server answered {status}: {answer}");
        counts.accepted.fetch_add(answer["accepted"].as_u64().unwrap_or(0), Ordering::Relaxed);
        counts
            .rejected
            .fetch_add(answer["rejected_count"].as_u64().unwrap_or(0), Ordering::Relaxed);
        return Ok(());
    }
}

/// Waits until every accepted event is matched and indexed and every detection is raised.
async fn drained(http: &reqwest::Client, accepted: u64) -> anyhow::Result<Samples> {
    let until = Instant::now() + DRAIN_MAX;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let accepted = accepted as f64;
    loop {
        let samples = Samples::take(http).await?;
        let matched = samples.sum("jacquemart_matched_events_total") >= accepted;
        let indexed = samples.sum("jacquemart_indexed_events_total") >= accepted;
        let raised = samples.sum("jacquemart_receipt_to_detection_seconds_count")
            <= samples.sum("jacquemart_raised_detections_total");
        if matched && indexed && raised {
            return Ok(samples);
        }
        ensure!(Instant::now() < until, "the readers do not catch up");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn print(args: &EndToEnd, result: &Value) {
    if args.json {
        println!("{result:#}");
        return;
    }
    let Some(result) = result.as_object() else { return };
    for (name, value) in result {
        match value {
            Value::Object(inner) => {
                for (key, value) in inner {
                    println!("{name}.{key} {value}");
                }
            }
            value => println!("{name} {value}"),
        }
    }
}
