//! What the journal does in a second, beside the loop that everyone writes first, on the same
//! disk in the same run:
//!
//! ```text
//! cargo run --release -p ingest --example journal_bench -- [FOLDER]
//! ```
//!
//! The folder decides which disk is measured; default is the temporary one. Both take turns, so
//! that a slow moment meets both, and each figure is the median with the least and the most of
//! all runs: where these overlap, the run has not shown a difference.

use std::{
    fs::File,
    io::Write,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use ingest::bus::{
    Bus, Group, PollLimit, Polled, Topic,
    journal::{Journal, JournalConfig},
};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const RUNS: usize = 7;
const RECORD_BYTES: usize = 1 << 10;
const BATCH_RECORDS: usize = 1 << 10;
const BATCHES: usize = 256;
const PRODUCERS: usize = 64;
const REQUEST_RECORDS: usize = 16;
const SPAN: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> Outcome<()> {
    let folder = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, Into::into);
    let mut naive_rate = Vec::new();
    let mut journal_rate = Vec::new();
    let mut read_rate = Vec::new();
    let mut naive_requests = Vec::new();
    let mut journal_requests = Vec::new();
    let mut fsyncs = Vec::new();
    for _ in 0..RUNS {
        naive_rate.push(in_folder(&folder, naive_batches)?);
        let dir = tempfile::tempdir_in(&folder)?;
        let (written, read) = journal_batches(dir.path()).await?;
        journal_rate.push(written);
        read_rate.push(read);
        naive_requests.push(in_folder(&folder, naive_appends)?);
        let dir = tempfile::tempdir_in(&folder)?;
        let (requests, syncs) = journal_appends(dir.path()).await?;
        journal_requests.push(requests);
        fsyncs.push(syncs);
    }
    println!("{RUNS} runs: median (least to most)");
    println!("1 KiB records in 1 MiB batches, one writer, each batch durable before the next");
    print("write_all + sync_data, MB/s", naive_rate);
    print("journal, MB/s", journal_rate);
    print("journal read back through the page cache, MB/s", read_rate);
    println!("16 KiB requests, each acknowledged once durable");
    print("write_all + sync_data, one writer, requests/s", naive_requests);
    print(&format!("journal, {PRODUCERS} producers, requests/s"), journal_requests);
    print("journal, fsyncs/s", fsyncs);
    Ok(())
}

fn print(what: &str, mut rates: Vec<f64>) {
    rates.sort_by(f64::total_cmp);
    if let [least, .., most] = rates[..] {
        let median = rates[rates.len() / 2];
        println!("  {what:48} {median:8.0} ({least:.0} to {most:.0})");
    }
}

fn in_folder(folder: &Path, run: fn(&mut File) -> std::io::Result<f64>) -> Outcome<f64> {
    let mut file = tempfile::tempfile_in(folder)?;
    Ok(run(&mut file)?)
}

fn megabytes_per_second(bytes: usize, took: Duration) -> f64 {
    bytes as f64 / 1e6 / took.as_secs_f64()
}

fn naive_batches(file: &mut File) -> std::io::Result<f64> {
    let batch = vec![0x5a; RECORD_BYTES * BATCH_RECORDS];
    let begun = Instant::now();
    for _ in 0..BATCHES {
        file.write_all(&batch)?;
        file.sync_data()?;
    }
    Ok(megabytes_per_second(BATCHES * batch.len(), begun.elapsed()))
}

fn naive_appends(file: &mut File) -> std::io::Result<f64> {
    let request = vec![0x5a; RECORD_BYTES * REQUEST_RECORDS];
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < SPAN {
        file.write_all(&request)?;
        file.sync_data()?;
        count += 1;
    }
    Ok(f64::from(count) / begun.elapsed().as_secs_f64())
}

fn records(count: usize) -> Vec<Bytes> {
    let record = Bytes::from(vec![0x5a; RECORD_BYTES]);
    vec![record; count]
}

/// MB/s written, and read back without the tail cache.
async fn journal_batches(dir: &Path) -> Outcome<(f64, f64)> {
    let config = JournalConfig { tail_cache_bytes_max: 0, ..JournalConfig::new(dir) };
    let journal = Journal::open(config)?;
    let batch = records(BATCH_RECORDS);
    let bytes = BATCHES * BATCH_RECORDS * RECORD_BYTES;
    let begun = Instant::now();
    for _ in 0..BATCHES {
        journal.append(Topic::Records, "bench", batch.clone()).await?;
    }
    let written = megabytes_per_second(bytes, begun.elapsed());

    let mut reader = journal.reader(Topic::Records, Group::Detect).await?;
    let limit = PollLimit { records_max: 4096, bytes_max: 4 << 20 };
    let begun = Instant::now();
    let mut left = BATCHES * BATCH_RECORDS;
    while left > 0 {
        if let Polled::Batch(batch) = reader.poll(limit, SPAN).await? {
            left -= batch.entries.len();
        }
    }
    Ok((written, megabytes_per_second(bytes, begun.elapsed())))
}

/// Acknowledged requests and fsyncs per second.
async fn journal_appends(dir: &Path) -> Outcome<(f64, f64)> {
    let journal = Journal::open(JournalConfig::new(dir))?;
    let before = journal.metrics();
    let begun = Instant::now();
    let mut producers = tokio::task::JoinSet::new();
    for producer in 0..PRODUCERS {
        let journal = Arc::clone(&journal);
        producers.spawn(async move {
            let request = records(REQUEST_RECORDS);
            let key = producer.to_string();
            while begun.elapsed() < SPAN {
                journal.append(Topic::Records, &key, request.clone()).await?;
            }
            Outcome::Ok(())
        });
    }
    while let Some(done) = producers.join_next().await {
        done??;
    }
    let took = begun.elapsed().as_secs_f64();
    let after = journal.metrics();
    let rate = |count: u64| count as f64 / took;
    Ok((rate(after.batches - before.batches), rate(after.fsyncs - before.fsyncs)))
}
