//! From a body to records on the bus.

use std::sync::Arc;

use axum::body::Bytes;
use event::{BatchMark, BusId, Context, EventId, Feed, Timestamp};

use super::{
    answer::{Receipt, Rejection},
    buffer::Buffer,
    coding::Coding,
    limits::HttpLimits,
    problem::Refusal,
    repeat,
    split::{Fault, Piece, Pieces, SplitLimits, Unsplittable},
};
use crate::{
    bus::{AppendError, Bus},
    collect::{
        admission::{Admission, Admitted},
        append::{Appending, append, encode},
        meter::CollectMetrics,
    },
    quota::Load,
};

/// What a record takes in memory beside its bytes: its place, its envelope, its handle.
const RECORD_OVERHEAD_BYTES: usize = 192;

/// What a record's envelope takes on the bus, about.
const ENVELOPE_BYTES: usize = 64;

/// A body with its records found, and the part of the budget that they take.
pub(super) struct Batch {
    body: Bytes,
    pieces: Pieces,
    admitted: Arc<Admitted>,
}

impl Batch {
    /// What tells its body from another, however it was compressed.
    pub(super) async fn digest(&self, limits: &HttpLimits) -> Result<String, Refusal> {
        if self.body.len() <= limits.inline_bytes_max {
            return Ok(repeat::digest(&self.body));
        }
        let body = self.body.clone();
        tokio::task::spawn_blocking(move || repeat::digest(&body)).await.map_err(|error| {
            tracing::error!(%error, "failed to digest a body");
            Refusal::Internal
        })
    }

    /// What quotas are charged for it, where it is `feed`'s.
    pub(super) fn share<'a>(&self, feed: &'a Feed) -> Load<'a> {
        let good = &self.pieces.good;
        let bytes: usize = good.iter().map(|piece| piece.range.len()).sum();
        Load { feed, records: good.len() as u64, bytes: bytes as u64 }
    }

    /// The records of the same body that `keep` says, of which `faults` were turned away.
    pub(super) fn only(&self, faults: [u64; Fault::ALL.len()], keep: impl Fn(u64) -> bool) -> Self {
        let Pieces { good, rejected, .. } = &self.pieces;
        let pieces = Pieces {
            good: good.iter().filter(|piece| keep(piece.record)).cloned().collect(),
            rejected: rejected.iter().filter(|one| keep(one.record)).cloned().collect(),
            faults,
        };
        Self { body: self.body.clone(), pieces, admitted: Arc::clone(&self.admitted) }
    }
}

/// How a protocol's bodies hold records.
pub(super) trait Split: Clone + Send + Sync + 'static {
    /// What the protocol's answer needs to know of the records besides.
    type Notes: Send + 'static;

    /// Whether its senders may give a batch an `Idempotency-Key`.
    const REPEATABLE: bool = false;

    /// Finds the records of a body.
    fn split(&self, body: &[u8], limits: SplitLimits) -> Result<Found<Self::Notes>, Unsplittable>;
}

/// The records of a body.
#[derive(Debug)]
pub(super) struct Found<N> {
    /// Where they are.
    pub(super) pieces: Pieces,
    /// What they are in, never longer than the body but for event files; `None` where it is the body itself.
    pub(super) text: Option<Vec<u8>>,
    /// See [`Split::Notes`].
    pub(super) notes: N,
}

/// How a protocol takes its bodies.
pub(super) struct Way<'a, S> {
    pub(super) limits: &'a HttpLimits,
    pub(super) split: S,
    /// Whether the answer tells the events' ids.
    pub(super) ids: bool,
}

/// Undoes the coding and finds the records. What takes long happens off the async workers.
pub(super) async fn unpack<S: Split>(
    body: Buffer,
    coding: Coding,
    way: &Way<'_, S>,
    admission: &Admission,
) -> Result<(Batch, S::Notes), Refusal> {
    let limits = way.limits;
    if coding == Coding::Identity && body.as_slice().len() <= limits.inline_bytes_max {
        return unpack_now(body, coding, &way.split, limits, admission);
    }
    let (split, limits, admission) = (way.split.clone(), limits.clone(), admission.clone());
    tokio::task::spawn_blocking(move || unpack_now(body, coding, &split, &limits, &admission))
        .await
        .map_err(|error| {
            tracing::error!(%error, "failed to unpack a body");
            Refusal::Internal
        })?
}

fn unpack_now<S: Split>(
    body: Buffer,
    coding: Coding,
    split: &S,
    limits: &HttpLimits,
    admission: &Admission,
) -> Result<(Batch, S::Notes), Refusal> {
    let (body, mut admitted) = coding.undo(body, limits, admission)?.into_parts();
    let split_limits = SplitLimits {
        record_bytes_max: limits.record_bytes_max,
        batch_records_max: limits.batch_records_max,
        rejections_max: limits.answer_rejections_max,
    };
    let Found { pieces, text, notes } =
        split.split(&body, split_limits).map_err(|error| match error {
            Unsplittable::TooManyRecords => {
                Refusal::TooManyRecords { records_max: limits.batch_records_max }
            }
            Unsplittable::Utf16 => Refusal::Utf16,
            Unsplittable::Shape(reason) => Refusal::Shape(reason),
        })?;
    // For a moment both are there: less than what is being read is worth counting for.
    let grown = text.as_ref().map_or(0, |text| text.len().saturating_sub(body.len()));
    let body = text.unwrap_or(body);
    // One append's worth is encoded at a time, so that is all that the copies ever take.
    let contexts: usize =
        pieces.good.iter().filter_map(|piece| piece.context.as_ref()).map(|one| one.bytes()).sum();
    let overhead = pieces.good.len() * RECORD_OVERHEAD_BYTES + contexts + grown;
    if !admitted.try_grow(body.len().min(limits.append_bytes_max) + overhead) {
        return Err(Refusal::Busy { retry: limits.busy_retry_after });
    }
    Ok((Batch { body: body.into(), pieces, admitted: Arc::new(admitted) }, notes))
}

/// Appends the records in as few batches as the bounds allow and tells what became of each.
pub(super) async fn hand_over<S>(
    batch: Batch,
    bus: &dyn Bus,
    feed: &Arc<Feed>,
    way: &Way<'_, S>,
    metrics: &CollectMetrics,
) -> Result<Receipt, Refusal> {
    hand_over_marked(batch, bus, feed, (way, metrics), |_| None).await
}

/// The same, with what `mark` makes of the receipt beside the last record, so that it is durable
/// exactly when all of them are.
pub(super) async fn hand_over_marked<S>(
    batch: Batch,
    bus: &dyn Bus,
    feed: &Arc<Feed>,
    (way, metrics): (&Way<'_, S>, &CollectMetrics),
    mark: impl Fn(&Receipt) -> Option<BatchMark>,
) -> Result<Receipt, Refusal> {
    let limits = way.limits;
    let Batch { body, pieces, .. } = &batch;
    for (fault, count) in Fault::ALL.iter().zip(pieces.faults).filter(|(_, count)| *count > 0) {
        metrics.rejected(Some(feed), fault.as_str(), count);
    }
    let mut receipt = Receipt {
        rejected_count: pieces.rejected_count(),
        rejected: pieces.rejected.clone(),
        ..Receipt::default()
    };
    let encoded_bytes = pieces.good.iter().map(|piece| piece.bytes() + ENVELOPE_BYTES).sum();
    // To stop halfway burdens the sender, so it is avoided where it can be foreseen.
    let failure = match chunk_len(&pieces.good, limits) < pieces.good.len() {
        true if !bus.has_room(encoded_bytes) => Some(why_no_room(bus).await),
        _ => {
            let with = (way, metrics, &mark);
            append_all(body, &pieces.good, bus, feed, with, &mut receipt).await
        }
    };
    receipt.rejected.sort_by_key(|rejection| rejection.record);
    receipt.rejected.truncate(limits.answer_rejections_max);
    match failure {
        Some(error) => Err(Refusal::Bus {
            error,
            retry: limits.bus_retry_after,
            receipt: Some(Box::new(receipt)),
        }),
        None if receipt.accepted == 0 && receipt.rejected_count > 0 => {
            Err(Refusal::NothingAcceptable(Box::new(receipt)))
        }
        None => Ok(receipt),
    }
}

/// What the bus says of itself when it has no room.
pub(super) async fn why_no_room(bus: &dyn Bus) -> AppendError {
    let status = bus.status().await;
    match status.stopped {
        Some(reason) => AppendError::Stopped(reason),
        None => AppendError::Full { used_bytes: status.used_bytes, max_bytes: status.max_bytes },
    }
}

async fn append_all<S>(
    body: &Bytes,
    pieces: &[Piece],
    bus: &dyn Bus,
    feed: &Arc<Feed>,
    (way, metrics, mark): (&Way<'_, S>, &CollectMetrics, impl Fn(&Receipt) -> Option<BatchMark>),
    receipt: &mut Receipt,
) -> Option<AppendError> {
    let received = Timestamp::now();
    let mut left = pieces;
    while !left.is_empty() {
        let (chunk, rest) = left.split_at(chunk_len(left, way.limits));
        let last = if rest.is_empty() { chunk.len() - 1 } else { chunk.len() };
        let batch = rest.is_empty().then(|| {
            let accepted = receipt.accepted + chunk.len() as u64;
            mark(&Receipt { accepted, ..receipt.clone() })
        });
        let ends = batch.flatten().map(Box::new);
        let payloads: Vec<Bytes> = chunk
            .iter()
            .enumerate()
            .map(|(index, piece)| {
                let context = match &ends {
                    Some(batch) if index == last => {
                        let context = piece.context.as_deref().cloned().unwrap_or_default();
                        Some(Arc::new(Context { batch: Some(batch.clone()), ..context }))
                    }
                    _ => piece.context.clone(),
                };
                encode(feed, received, body.slice(piece.range.clone()), context)
            })
            .collect();
        let done = append(bus, feed, &payloads).await;

        let accepted = (done.settled - done.refused.len()) as u64;
        let settled_bytes: usize = chunk[..done.settled].iter().map(|p| p.range.len()).sum();
        let refused_bytes: usize = done.refused.iter().map(|r| chunk[r.index].range.len()).sum();
        if accepted > 0 {
            metrics.accepted(feed, accepted, (settled_bytes - refused_bytes) as u64);
        }
        receipt.accepted += accepted;
        if way.ids {
            receipt.ids.extend(ids(chunk, &done, bus.id(), received));
        }
        for refused in done.refused {
            let Piece { record, line, .. } = chunk[refused.index];
            metrics.rejected(Some(feed), Fault::TooLarge.as_str(), 1);
            receipt.rejected_count += 1;
            receipt.rejected.push(Rejection { record, line, reason: refused.reason });
        }
        if let Some(error) = done.failure {
            let resume = chunk.get(done.settled);
            receipt.resume_at_record = resume.map(|piece| piece.record);
            receipt.resume_at_line = resume.map(|piece| piece.line);
            return Some(error);
        }
        left = rest;
    }
    None
}

/// The records of `chunk` that landed, with the ids that their events will have.
fn ids(
    chunk: &[Piece],
    done: &Appending,
    bus: BusId,
    received: Timestamp,
) -> impl Iterator<Item = (u64, EventId)> {
    let places = done.landed.iter().flat_map(|landed| {
        (landed.first..landed.first + landed.count).map(|offset| (landed.partition, offset))
    });
    let mut refused = done.refused.iter().map(|refused| refused.index).peekable();
    let records = chunk[..done.settled]
        .iter()
        .enumerate()
        .filter(move |(index, _)| refused.next_if_eq(index).is_none())
        .map(|(_, piece)| piece.record);
    records.zip(places).map(move |(record, (partition, offset))| {
        (record, EventId::of(bus, partition, offset, received))
    })
}

/// How many of `pieces` go into the next append; at least one.
fn chunk_len(pieces: &[Piece], limits: &HttpLimits) -> usize {
    let mut bytes = 0;
    let fitting = pieces
        .iter()
        .take(limits.append_records_max)
        .take_while(|piece| {
            bytes += piece.bytes() + RECORD_OVERHEAD_BYTES;
            bytes <= limits.append_bytes_max
        })
        .count();
    fitting.max(1)
}
