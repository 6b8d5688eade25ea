//! A group's reader: from memory at the tail, from the segments behind it.

use std::{collections::VecDeque, io, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{sync::watch, time::Instant};

use super::{
    frame::{Frame, Payloads},
    lock,
    log::{Log, Tail},
    scan::{Item, Scanner},
    segment::Segment,
};
use crate::bus::{Batch, BusError, Entry, PollLimit, Polled, Reader};

/// Bytes of frames that one read from the disk gives, unless one frame alone is larger.
const READ_BYTES_MAX: usize = 1 << 20;

/// The live reader of one group.
pub(super) struct JournalReader {
    log: Arc<Log>,
    /// The group's place in the topic's groups.
    place: usize,
    /// The offset to give next.
    next: u64,
    /// Where to read on; unknown after a seek and at the start.
    at: Option<Place>,
    /// What was read and not given yet.
    ready: VecDeque<Payloads>,
    announced: bool,
    tail: watch::Receiver<Tail>,
}

/// A place between two frames.
#[derive(Clone)]
struct Place {
    segment: Arc<Segment>,
    pos: u64,
    /// Frames from here on begin with this offset or a later one.
    floor: u64,
}

/// What a read of the disk gave.
struct Read {
    frames: Vec<Frame>,
    at: Option<Place>,
    /// There is nothing to give before this offset, apart from `frames`.
    next: u64,
}

impl JournalReader {
    /// Begins where the group committed. The caller has marked the group as having a reader.
    pub(super) fn new(log: Arc<Log>, place: usize) -> Self {
        let next = lock(&log.state).groups[place].committed;
        let tail = log.tail.subscribe();
        Self { log, place, next, at: None, ready: VecDeque::new(), announced: false, tail }
    }

    /// Takes from `ready` what the limit allows, of what is before `end`.
    ///
    /// Invariant: nothing from the tail's end on is given. Frames come to the cache and to the
    /// segment a moment before the tail moves over them, and a commit counts up to the tail only.
    fn take(&mut self, limit: PollLimit, end: u64) -> Option<Batch> {
        let mut entries = Vec::new();
        let mut bytes = 0;
        while let Some(payloads) = self.ready.front_mut() {
            let Some((offset, size)) = payloads.peek() else {
                self.ready.pop_front();
                continue;
            };
            if offset >= end {
                // What is ready follows `next` without a record between them.
                self.next = self.next.max(end);
                break;
            }
            // The reader may have begun in the middle of the frame.
            let is_wanted = offset >= self.next;
            let has_room = entries.len() < limit.records_max && bytes + size <= limit.bytes_max;
            if is_wanted && !has_room && !entries.is_empty() {
                break;
            }
            if let Some((offset, payload)) = payloads.take()
                && is_wanted
            {
                bytes += size;
                self.next = offset + 1;
                entries.push(Entry { offset, payload });
            }
        }
        (!entries.is_empty()).then_some(Batch { partition: 0, entries })
    }

    /// Makes frames ready that the cache holds, enough for one batch.
    fn fill_from_cache(&mut self, limit: PollLimit) {
        let cache = lock(&self.log.cache);
        let mut next = self.ready.back().map_or(self.next, |last| last.frame().next_offset());
        let mut bytes: usize = self.ready.iter().map(|ready| ready.frame().bytes()).sum();
        let mut records =
            self.ready.iter().map(|ready| ready.frame().count as usize).sum::<usize>();
        let enough = limit.bytes_max.min(READ_BYTES_MAX);
        while self.ready.is_empty() || (bytes < enough && records < limit.records_max) {
            let Some(frame) = cache.get(next) else { break };
            next = frame.next_offset();
            bytes += frame.bytes();
            records += frame.count as usize;
            self.ready.push_back(frame.payloads());
            self.at = None;
        }
    }

    async fn fill_from_disk(&mut self) -> Result<(), BusError> {
        let (log, at, next) = (Arc::clone(&self.log), self.at.clone(), self.next);
        let task = tokio::task::spawn_blocking(move || {
            read(&log, at, next).map_err(|source| log.io_error(source))
        });
        // Nothing of the reader changes before the read has ended, so dropping the call loses
        // nothing.
        let read = task.await.map_err(|_| BusError::Stopped)??;
        self.ready.extend(read.frames.into_iter().map(Frame::payloads));
        self.at = read.at;
        if self.ready.is_empty() {
            self.next = self.next.max(read.next);
        }
        Ok(())
    }

    async fn next_batch(&mut self, limit: PollLimit) -> Result<Option<Batch>, BusError> {
        loop {
            let end = self.tail.borrow().end;
            self.fill_from_cache(limit);
            if let Some(batch) = self.take(limit, end) {
                return Ok(Some(batch));
            }
            if self.next >= end {
                return Ok(None);
            }
            self.fill_from_disk().await?;
        }
    }

    fn check_partition(&self, partition: u32) -> Result<(), BusError> {
        if partition == 0 {
            return Ok(());
        }
        Err(BusError::Refused(format!(
            "topic {} has no partition {partition}; the journal has partition 0 only",
            self.log.home.topic.as_str()
        )))
    }
}

#[async_trait]
impl Reader for JournalReader {
    async fn poll(&mut self, limit: PollLimit, wait: Duration) -> Result<Polled, BusError> {
        if !self.announced {
            self.announced = true;
            return Ok(Polled::Assigned(vec![0]));
        }
        let deadline = Instant::now().checked_add(wait);
        loop {
            let tail = *self.tail.borrow_and_update();
            if let Some(batch) = self.next_batch(limit).await? {
                return Ok(Polled::Batch(batch));
            }
            if tail.closed {
                return Err(BusError::Stopped);
            }
            let changed = self.tail.changed();
            let result = match deadline {
                Some(deadline) => match tokio::time::timeout_at(deadline, changed).await {
                    Ok(result) => result,
                    Err(_) => return Ok(Polled::Idle),
                },
                None => changed.await,
            };
            result.map_err(|_| BusError::Stopped)?;
        }
    }

    async fn seek(&mut self, partition: u32, offset: u64) -> Result<(), BusError> {
        self.check_partition(partition)?;
        let oldest = lock(&self.log.state).segments.front().map_or(0, |segment| segment.base);
        let end = self.tail.borrow().end;
        self.next = offset.max(oldest).min(end);
        self.at = None;
        self.ready.clear();
        Ok(())
    }

    async fn commit(&mut self, partition: u32, next: u64) -> Result<(), BusError> {
        self.check_partition(partition)?;
        let (log, place) = (Arc::clone(&self.log), self.place);
        let task = tokio::task::spawn_blocking(move || {
            log.commit(place, next).map_err(|source| log.io_error(source))
        });
        task.await.map_err(|_| BusError::Stopped)?
    }
}

impl Drop for JournalReader {
    fn drop(&mut self) {
        lock(&self.log.state).groups[self.place].has_reader = false;
    }
}

impl Log {
    fn io_error(&self, source: io::Error) -> BusError {
        BusError::Io { path: self.home.dir.display().to_string(), source }
    }
}

/// Reads frames with `next` and later offsets, from `at` or where the index says. Blocks.
fn read(log: &Log, at: Option<Place>, next: u64) -> io::Result<Read> {
    // Taken before any segment's end, so that what is below it is seen.
    let tail = log.tail.borrow().end;
    let Some(mut place) = at.or_else(|| locate(log, next)) else {
        return Ok(Read { frames: Vec::new(), at: None, next: tail });
    };
    let mut frames = Vec::new();
    let mut bytes = 0;
    loop {
        let limit = place.segment.end();
        let mut scanner = Scanner::new(Arc::clone(&place.segment), place.pos, limit, place.floor);
        while frames.is_empty() || (bytes < READ_BYTES_MAX && scanner.has_chunk()) {
            match scanner.next()? {
                Item::Data(header, frame) => {
                    place.segment.note(header.first, header.pos);
                    place.floor = header.next_offset();
                    if frame.next_offset() > next {
                        bytes += frame.bytes();
                        frames.push(frame);
                    }
                }
                Item::Mark(header) | Item::Gap(header) => place.floor = header.next_offset(),
                Item::Bad(header) => {
                    let (pos, floor) = (scanner.pos(), place.floor);
                    let pos = log.mend(&place.segment, pos, limit, floor, header)?;
                    scanner = Scanner::new(Arc::clone(&place.segment), pos, limit, floor);
                }
                Item::End => break,
            }
        }
        place.pos = scanner.pos();
        if !frames.is_empty() {
            return Ok(Read { frames, at: Some(place), next });
        }
        // A segment grows no more once another follows it, and then its end is final.
        match log.segment_after(place.segment.base) {
            Some(_) if place.pos < place.segment.end() => {}
            Some(following) => place = Place::start(following),
            None if place.pos < place.segment.end() => {}
            None => return Ok(Read { frames, at: Some(place), next: tail }),
        }
    }
}

fn locate(log: &Log, next: u64) -> Option<Place> {
    let segment = log.segment_at(next)?;
    let (floor, pos) = segment.near(next);
    Some(Place { segment, pos, floor })
}

impl Place {
    fn start(segment: Arc<Segment>) -> Self {
        let floor = segment.base;
        Self { segment, pos: super::segment::SEGMENT_HEADER_BYTES, floor }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::bus::{
        Bus, Group, Topic,
        journal::{Journal, JournalConfig},
    };

    /// Frames are in the cache and in the segment before the tail says so; a reader that gave
    /// them then would see its commit cut back to the tail.
    #[tokio::test]
    async fn nothing_is_given_before_the_tail_has_moved_over_it() {
        let dir = tempfile::tempdir().unwrap();
        for cache_bytes in [1 << 20, 0] {
            let dir = dir.path().join(cache_bytes.to_string());
            let mut config = JournalConfig::new(dir);
            config.tail_cache_bytes_max = cache_bytes;
            let journal = Journal::open(config).unwrap();
            let payloads = vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")];
            journal.append(Topic::Records, "key", payloads).await.unwrap();
            let tail = &journal.log(Topic::Records).tail;
            tail.send_modify(|tail| tail.end = 1);
            let mut reader = journal.reader(Topic::Records, Group::Detect).await.unwrap();
            let limit = PollLimit { records_max: 10, bytes_max: 1 << 20 };
            assert!(matches!(
                reader.poll(limit, Duration::ZERO).await.unwrap(),
                Polled::Assigned(_)
            ));
            for (end, given) in [(1, Some(0)), (1, None), (2, Some(1)), (2, None)] {
                tail.send_modify(|tail| tail.end = end);
                match reader.poll(limit, Duration::ZERO).await.unwrap() {
                    Polled::Batch(batch) => {
                        let offsets: Vec<_> =
                            batch.entries.iter().map(|entry| entry.offset).collect();
                        assert_eq!(offsets, Vec::from_iter(given));
                        reader.commit(0, batch.next()).await.unwrap();
                        let status = journal.status().await;
                        let lag = status.lags.iter().find(|lag| lag.group == Group::Detect);
                        assert_eq!(lag.unwrap().committed, end);
                    }
                    _ => assert_eq!(given, None),
                }
            }
        }
    }
}
