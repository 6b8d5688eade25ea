//! Sending the capture's events when they are due.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use event::Timestamp;
use tokio::time::Instant;

use super::{capture::Capture, watch::Board};
use crate::{Exit, Failure, send::Sender};

/// How far apart batches are.
const TICK: Duration = Duration::from_millis(50);

/// What was sent.
pub(super) struct Sent {
    pub(super) events: u64,
    pub(super) accepted: u64,
    pub(super) rejected: u64,
    pub(super) took: Duration,
}

pub(super) async fn run(
    capture: &Capture,
    keys: &[String],
    ingest: SocketAddr,
    speed: f64,
    board: &Board,
) -> Result<Sent, Failure> {
    let http = reqwest::Client::builder().build().context("failed to make a client")?;
    let base = format!("http://{ingest}");
    let senders: Vec<Sender> =
        keys.iter().map(|key| Sender::new(http.clone(), &base, key)).collect();
    let started = Instant::now();
    let mut sent = Sent { events: 0, accepted: 0, rejected: 0, took: Duration::ZERO };
    let mut next = 0;
    while next < capture.events.len() {
        let mut due: BTreeMap<usize, Vec<Bytes>> = BTreeMap::new();
        let now = Timestamp::now();
        while let Some(event) = capture.events.get(next) {
            if started.elapsed().mul_f64(speed) < Duration::from_millis(event.at_ms) {
                break;
            }
            let record = event.at(now);
            board.sending(&record, event.stage);
            due.entry(event.feed).or_default().push(record.into());
            next += 1;
        }
        let batches = due.into_iter().map(|(feed, records)| {
            let sender = senders[feed].clone();
            async move { sender.send(&records).await.map(|taken| (records.len() as u64, taken)) }
        });
        for outcome in futures::future::join_all(batches).await {
            let (count, taken) = outcome?;
            sent.events += count;
            sent.accepted += taken.accepted;
            sent.rejected += taken.rejected_count;
            board.accepted(taken.accepted);
            if let Some(rejected) = taken.rejected.first() {
                return Err(Failure::new(
                    Exit::Failed,
                    anyhow!("the server refused an event of the capture: {}", rejected.reason),
                ));
            }
        }
        tokio::time::sleep(TICK).await;
    }
    sent.took = started.elapsed();
    Ok(sent)
}
