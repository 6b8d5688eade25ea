//! Handing a feed's records to the bus.

use std::sync::Arc;

use bytes::Bytes;
use event::{Context, Feed, Record, Timestamp};

use crate::bus::{AppendError, Appended, Bus, Topic};

/// The bus' form of `raw`, received now from `feed`.
pub(crate) fn encode(
    feed: &Feed,
    received: Timestamp,
    raw: Bytes,
    context: Option<Arc<Context>>,
) -> Bytes {
    Record {
        commune: feed.commune.clone(),
        feed: feed.id.clone(),
        format: feed.format.clone(),
        received,
        raw,
        context,
    }
    .encode()
}

/// A payload that the bus will never take.
#[derive(Debug)]
pub(crate) struct TooLarge {
    /// Its place in what was handed in.
    pub(crate) index: usize,
    /// The bus' words.
    pub(crate) reason: String,
}

/// How far an append came.
#[derive(Debug, Default)]
pub(crate) struct Appending {
    /// So many payloads from the first on are settled: durable, or refused for good.
    pub(crate) settled: usize,
    /// Those of them that were refused.
    pub(crate) refused: Vec<TooLarge>,
    /// Where the others of them landed, in their order.
    pub(crate) landed: Vec<Appended>,
    /// Why the others are not settled, where there are others. They may be tried again.
    pub(crate) failure: Option<AppendError>,
}

/// Appends `payloads` of `feed` in order, in one batch unless the bus finds that too large. A
/// payload that is too large by itself is left out and does not keep the others out.
pub(crate) async fn append(bus: &dyn Bus, feed: &Feed, payloads: &[Bytes]) -> Appending {
    let mut done = Appending::default();
    let mut end = payloads.len();
    while done.settled < payloads.len() {
        let batch = payloads[done.settled..end].to_vec();
        match bus.append(Topic::Records, feed.id.as_str(), batch).await {
            Ok(appended) => {
                done.landed.push(appended);
                done.settled = end;
                end = payloads.len();
            }
            Err(AppendError::TooLarge { index: 0, bytes, max_bytes }) => {
                let reason =
                    format!("it has {bytes} bytes on the bus, which takes at most {max_bytes}");
                done.refused.push(TooLarge { index: done.settled, reason });
                done.settled += 1;
                end = payloads.len();
            }
            // What comes before it fits: that goes first, then it is tried by itself.
            Err(AppendError::TooLarge { index, .. }) if index < end - done.settled => {
                end = done.settled + index;
            }
            Err(error) => {
                done.failure = Some(error);
                break;
            }
        }
    }
    done
}
