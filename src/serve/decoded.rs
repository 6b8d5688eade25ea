//! Decoding once for two readers.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use event::{BusId, Decode, Event, EventId, Record};
use ingest::bus::{Batch, Entry};
use rayon::prelude::*;

use super::{dead_letter::DeadLetters, matching::Pool};
use crate::metrics::Metrics;

/// Bytes of events that wait for their second reader at most. Past it the second reader
/// decodes again, which costs time but nothing else.
const WAITING_BYTES_MAX: usize = 64 << 20;

/// Decoded events, each kept until both readers of topic `records` had it.
pub(crate) struct Decoded {
    bus: BusId,
    decode: Arc<dyn Decode>,
    pool: Arc<Pool>,
    waiting: Mutex<Waiting>,
    /// Held while a batch is decoded, so that the reader that comes second finds it done.
    turn: tokio::sync::Mutex<()>,
    dead_letters: Arc<DeadLetters>,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Waiting {
    events: HashMap<(u32, u64), Arc<Event>>,
    bytes: usize,
}

impl Waiting {
    fn take(&mut self, key: (u32, u64)) -> Option<Arc<Event>> {
        let event = self.events.remove(&key)?;
        self.bytes -= event.size_bytes();
        Some(event)
    }

    fn leave(&mut self, key: (u32, u64), event: &Arc<Event>) {
        if self.bytes < WAITING_BYTES_MAX && self.events.insert(key, Arc::clone(event)).is_none() {
            self.bytes += event.size_bytes();
        }
    }
}

impl Decoded {
    pub(crate) fn new(
        bus: BusId,
        decode: Arc<dyn Decode>,
        pool: Arc<Pool>,
        dead_letters: Arc<DeadLetters>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            bus,
            decode,
            pool,
            waiting: Mutex::default(),
            turn: tokio::sync::Mutex::new(()),
            dead_letters,
            metrics,
        }
    }

    /// The events of `batch`, in its order. A payload that is no record this version can read
    /// goes to the dead letters, where it is kept with the reason, and gives no event.
    pub(crate) async fn events(&self, batch: &Batch) -> std::io::Result<Vec<Arc<Event>>> {
        let _turn = self.turn.lock().await;
        let mut events: Vec<Option<Arc<Event>>> = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            batch.entries.iter().map(|e| waiting.take((batch.partition, e.offset))).collect()
        };
        let missing: Vec<(usize, Entry)> = events
            .iter()
            .zip(&batch.entries)
            .enumerate()
            .filter(|(_, (event, _))| event.is_none())
            .map(|(index, (_, entry))| (index, entry.clone()))
            .collect();
        if missing.is_empty() {
            return Ok(events.into_iter().flatten().collect());
        }
        let (bus, partition, decode) = (self.bus, batch.partition, Arc::clone(&self.decode));
        let decoded = self
            .pool
            .run(move || {
                missing
                    .into_par_iter()
                    .with_min_len(16)
                    .map(|(index, entry)| (index, decode_entry(&*decode, bus, partition, entry)))
                    .collect::<Vec<_>>()
            })
            .await;
        for (index, result) in decoded {
            match result {
                Ok(event) => {
                    if event.is_pipeline_error() {
                        let labels = [event.commune().as_str(), event.feed().as_str()];
                        self.metrics.decode_failures.with_label_values(&labels).inc();
                    }
                    let key = (partition, batch.entries[index].offset);
                    self.waiting.lock().unwrap_or_else(PoisonError::into_inner).leave(key, &event);
                    events[index] = Some(event);
                }
                Err((entry, error)) => {
                    self.dead_letters.keep("records", partition, &entry, &error.to_string())?;
                }
            }
        }
        Ok(events.into_iter().flatten().collect())
    }
}

fn decode_entry(
    decode: &dyn Decode,
    bus: BusId,
    partition: u32,
    entry: Entry,
) -> Result<Arc<Event>, (Entry, event::RecordError)> {
    match Record::decode(entry.payload.clone()) {
        Ok(record) => {
            let id = EventId::of(bus, partition, entry.offset, record.received);
            Ok(Arc::new(decode.decode(record, id)))
        }
        Err(error) => Err((entry, error)),
    }
}
