//! Batches that a sender repeats because it never read the answer.
//!
//! With `Idempotency-Key` (the IETF's draft of that name) a batch that was taken is not taken
//! again: the repeat gets the first answer, marked `Idempotency-Replayed: true`. A key stands for
//! one body of one feed; with another body it is refused, as answering from memory would lose
//! that one. A batch of which nothing, or only the beginning, is on the bus is not remembered.
//!
//! Each feed's last [`KEYS_MAX`] keys are in memory; further ones, and those of earlier runs and other
//! processes, are asked of [`Batches`]. The mark of a batch is on the bus with its last record, so
//! that a batch is known where it is durable, also where the process is killed in between.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::http::HeaderMap;
use event::{BatchMark, BatchState, FeedId};
use sha2::{Digest as _, Sha256};

use super::{answer::Receipt, problem::Refusal};
use crate::Batches;

/// Keys that are remembered of one feed.
const KEYS_MAX: usize = 256;
/// Rejected records that a receipt tells after a restart.
const MARK_REJECTIONS_MAX: usize = 10;
/// Characters of a key.
const KEY_CHARS_MAX: usize = 255;
const HEADER: &str = "idempotency-key";

/// The key that the sender gave to its batch, if any.
pub(super) fn key_of(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().unwrap_or_default();
    let fits = !key.is_empty() && key.len() <= KEY_CHARS_MAX && values.next().is_none();
    fits.then(|| Some(key.to_owned())).ok_or(Refusal::RepeatKey { chars_max: KEY_CHARS_MAX })
}

/// What tells one body from another, however it was compressed.
pub(super) fn digest(body: &[u8]) -> String {
    hex(&Sha256::digest(body))
}

/// In hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// The batches of all feeds that have a key.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    feeds: Mutex<HashMap<FeedId, Keys>>,
}

/// The batches of one feed.
#[derive(Debug, Default)]
struct Keys {
    known: HashMap<String, Known>,
    /// Those that were taken, the oldest first.
    taken: VecDeque<String>,
}

#[derive(Debug)]
struct Known {
    digest: String,
    /// `None` while it is being taken.
    receipt: Option<Receipt>,
}

/// Whether a batch comes for the first time.
#[derive(Debug)]
pub(super) enum Begun {
    First(Taking),
    Again(Receipt),
}

/// A batch that is being taken; forgotten on drop, so that it can be sent again.
#[derive(Debug)]
pub(super) struct Taking {
    repeats: Arc<Repeats>,
    feed: FeedId,
    /// `None` once it is remembered.
    key: Option<String>,
}

impl Repeats {
    fn feeds(&self) -> MutexGuard<'_, HashMap<FeedId, Keys>> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before a batch is taken.
    pub(super) fn begin(
        self: &Arc<Self>,
        feed: &FeedId,
        key: String,
        digest: String,
    ) -> Result<Begun, Refusal> {
        let mut feeds = self.feeds();
        let known = &mut feeds.entry(feed.clone()).or_default().known;
        match known.get(&key) {
            Some(known) if known.digest != digest => Err(Refusal::RepeatDiffers),
            Some(Known { receipt: Some(receipt), .. }) => Ok(Begun::Again(receipt.clone())),
            Some(_) => Err(Refusal::RepeatEarly),
            None => {
                known.insert(key.clone(), Known { digest, receipt: None });
                let repeats = Arc::clone(self);
                Ok(Begun::First(Taking { repeats, feed: feed.clone(), key: Some(key) }))
            }
        }
    }
}

impl Taking {
    /// What is known of the batch from elsewhere: whether it is taken now, or was.
    pub(super) async fn known(self, batches: &dyn Batches, digest: &str) -> Result<Begun, Refusal> {
        let Some(key) = self.key.as_deref() else { return Ok(Begun::First(self)) };
        let state = batches.begin(&self.feed, key, digest).await.map_err(|error| {
            tracing::error!(%error, "failed to look up whether a batch was taken");
            Refusal::Batches
        })?;
        match state {
            BatchState::New => Ok(Begun::First(self)),
            BatchState::Pending { digest: known } | BatchState::Taken { digest: known, .. }
                if known != digest =>
            {
                Err(Refusal::RepeatDiffers)
            }
            BatchState::Pending { .. } => Err(Refusal::RepeatEarly),
            BatchState::Taken { receipt, .. } => {
                let receipt: Receipt = serde_json::from_str(&receipt).map_err(|error| {
                    tracing::error!(%error, "the receipt of a batch is not readable");
                    Refusal::Internal
                })?;
                self.done(&receipt);
                Ok(Begun::Again(receipt))
            }
        }
    }

    /// The mark that goes onto the bus with the last record, where the batch comes to `receipt`.
    pub(super) fn mark(&self, digest: &str, receipt: &Receipt) -> Option<BatchMark> {
        let mut receipt = receipt.clone();
        receipt.rejected.truncate(MARK_REJECTIONS_MAX);
        Some(BatchMark {
            key: self.key.clone()?,
            digest: digest.to_owned(),
            // Of numbers and texts; it cannot fail to be written.
            receipt: serde_json::to_string(&receipt).unwrap_or_default(),
        })
    }

    /// Nothing of the batch is on the bus.
    pub(super) async fn undone(self, batches: &dyn Batches) {
        let Some(key) = self.key.as_deref() else { return };
        if let Err(error) = batches.forget(&self.feed, key).await {
            tracing::warn!(%error, "failed to forget a batch; it is told to wait for a minute");
        }
    }

    /// The batch is on the bus.
    pub(super) fn done(mut self, receipt: &Receipt) {
        let Some(key) = self.key.take() else { return };
        let mut feeds = self.repeats.feeds();
        let keys = feeds.entry(self.feed.clone()).or_default();
        if let Some(known) = keys.known.get_mut(&key) {
            known.receipt = Some(receipt.clone());
            keys.taken.push_back(key);
        }
        if keys.taken.len() > KEYS_MAX
            && let Some(oldest) = keys.taken.pop_front()
        {
            keys.known.remove(&oldest);
        }
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        let Some(key) = self.key.take() else { return };
        if let Some(keys) = self.repeats.feeds().get_mut(&self.feed) {
            keys.known.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(repeats: &Arc<Repeats>, feed: &FeedId, key: &str) -> Taking {
        match repeats.begin(feed, key.to_owned(), digest(b"a")) {
            Ok(Begun::First(taking)) => taking,
            other => panic!("{key}: {other:?}"),
        }
    }

    #[test]
    fn what_was_taken_is_remembered_and_what_was_not_is_free() {
        let repeats = Arc::new(Repeats::default());
        let (dijon, talant) = (FeedId::new("dijon").unwrap(), FeedId::new("talant").unwrap());
        let begin = |feed: &FeedId, body: &[u8]| repeats.begin(feed, "k".to_owned(), digest(body));

        let taking = first(&repeats, &dijon, "k");
        assert!(matches!(begin(&dijon, b"a"), Err(Refusal::RepeatEarly)));
        drop(taking);
        let receipt = Receipt { accepted: 7, ..Receipt::default() };
        first(&repeats, &dijon, "k").done(&receipt);
        assert!(matches!(begin(&dijon, b"a"), Ok(Begun::Again(again)) if again == receipt));
        assert!(matches!(begin(&dijon, b"b"), Err(Refusal::RepeatDiffers)));
        // Another feed's keys are its own.
        assert!(matches!(begin(&talant, b"b"), Ok(Begun::First(_))));
    }

    #[test]
    fn each_feed_has_a_bounded_memory() {
        let repeats = Arc::new(Repeats::default());
        let (dijon, talant) = (FeedId::new("dijon").unwrap(), FeedId::new("talant").unwrap());
        first(&repeats, &talant, "k0").done(&Receipt::default());
        for n in 0..=KEYS_MAX {
            first(&repeats, &dijon, &format!("k{n}")).done(&Receipt::default());
        }
        let known = |feed: &FeedId, key: &str| repeats.feeds()[feed].known.contains_key(key);
        assert!(!known(&dijon, "k0") && known(&dijon, "k1") && known(&talant, "k0"));
        assert_eq!(repeats.feeds()[&dijon].known.len(), KEYS_MAX);
    }
}
