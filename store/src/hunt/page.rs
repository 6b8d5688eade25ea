//! The newest hits, and where the next page begins.

use std::{cmp::Reverse, collections::BinaryHeap};

use event::{EventId, Timestamp};

use super::HuntError;

/// Where a hit stands in the order of answers: by `@timestamp`, then by event id, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) time: Timestamp,
    pub(crate) id: EventId,
}

const VERSION: u8 = 1;
const CURSOR_BYTES: usize = 1 + 8 + 16 + 4;

impl Key {
    /// As the cursor of what comes after it.
    pub(crate) fn to_cursor(self) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(self.time.as_nanos().to_be_bytes());
        bytes.extend(self.id.as_bytes());
        bytes.extend(crc32c::crc32c(&bytes).to_be_bytes());
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads what [`to_cursor`](Self::to_cursor) wrote.
    pub(crate) fn from_cursor(cursor: &str) -> Result<Self, HuntError> {
        let bytes =
            unhex(cursor).filter(|bytes| bytes.len() == CURSOR_BYTES && bytes[0] == VERSION);
        let bytes = bytes.ok_or(HuntError::Cursor)?;
        let (body, sum) = bytes.split_at(CURSOR_BYTES - 4);
        if crc32c::crc32c(body).to_be_bytes() != sum {
            return Err(HuntError::Cursor);
        }
        let (time, id) = body[1..].split_at(8);
        let time = <[u8; 8]>::try_from(time).map_err(|_| HuntError::Cursor)?;
        let id = <[u8; 16]>::try_from(id).map_err(|_| HuntError::Cursor)?;
        Ok(Self {
            time: Timestamp::from_nanos(i64::from_be_bytes(time)),
            id: EventId::from_bytes(id),
        })
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let digits = digits?;
    if digits.len() % 2 != 0 {
        return None;
    }
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok()).collect()
}

/// Keeps the newest `limit` hits that come after `after`.
pub(crate) struct Newest<P> {
    limit: usize,
    after: Option<Key>,
    hits: BinaryHeap<Reverse<Hit<P>>>,
}

struct Hit<P> {
    key: Key,
    place: P,
}

impl<P> PartialEq for Hit<P> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}
impl<P> Eq for Hit<P> {}
impl<P> PartialOrd for Hit<P> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<P> Ord for Hit<P> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

impl<P> Newest<P> {
    pub(crate) fn new(limit: usize, after: Option<Key>) -> Self {
        Self { limit, after, hits: BinaryHeap::with_capacity(limit + 1) }
    }

    /// Whether a hit of this time could be kept, to save reading its id.
    pub(crate) fn wants(&self, time: Timestamp) -> bool {
        self.after.is_none_or(|after| time <= after.time)
            && (self.hits.len() < self.limit
                || self.hits.peek().is_none_or(|Reverse(oldest)| time >= oldest.key.time))
    }

    pub(crate) fn offer(&mut self, key: Key, place: impl FnOnce() -> P) {
        if self.after.is_some_and(|after| key >= after) {
            return;
        }
        if self.hits.len() == self.limit {
            match self.hits.peek() {
                Some(Reverse(oldest)) if oldest.key < key => {
                    self.hits.pop();
                }
                _ => return,
            }
        }
        self.hits.push(Reverse(Hit { key, place: place() }));
    }

    /// The hits, newest first.
    pub(crate) fn into_hits(self) -> Vec<(Key, P)> {
        let sorted = self.hits.into_sorted_vec();
        sorted.into_iter().map(|Reverse(hit)| (hit.key, hit.place)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_and_others_do_not() {
        let key = Key { time: Timestamp::from_nanos(-5), id: EventId::from_bytes([9; 16]) };
        let cursor = key.to_cursor();
        assert_eq!(Key::from_cursor(&cursor).unwrap(), key);
        for bad in ["", "é", "00", &cursor[1..], &cursor.replace('9', "8")] {
            assert!(Key::from_cursor(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn keeps_the_newest() {
        let key = |n| Key { time: Timestamp::from_nanos(n), id: EventId::from_bytes([0; 16]) };
        let mut newest = Newest::new(2, Some(key(7)));
        for n in [3, 9, 1, 7, 5, 4] {
            if newest.wants(Timestamp::from_nanos(n)) {
                newest.offer(key(n), || n);
            }
        }
        assert_eq!(newest.into_hits().into_iter().map(|(_, n)| n).collect::<Vec<_>>(), [5, 4]);
    }
}
