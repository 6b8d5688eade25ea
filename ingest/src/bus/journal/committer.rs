//! The one thread that writes a topic: takes all batches that wait, writes them together,
//! syncs once, and only then acknowledges them.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;

use super::{
    disk::is_out_of_space,
    frame::{Frame, HEADER_BYTES, Header, encode_data, encode_mark},
    lock,
    log::{Log, spot},
    segment::{Previous, SEGMENT_HEADER_BYTES, Segment},
    state::Pending,
};
use crate::bus::{AppendError, Appended};

const HEADER: u64 = HEADER_BYTES as u64;

/// Where the log ends.
pub(super) struct End {
    pub(super) segment: Arc<Segment>,
    /// The next frame goes here.
    pub(super) pos: u64,
    /// Everything below is fsynced.
    pub(super) durable: u64,
    /// Bytes that the segment was allocated with.
    pub(super) capacity: u64,
    /// The next offset.
    pub(super) next: u64,
}

/// Writes one topic until its log closes or fails.
pub(super) struct Committer {
    log: Arc<Log>,
    end: End,
}

/// Batches that are encoded and wait for the same write and sync.
#[derive(Default)]
struct Flight {
    buffer: Vec<u8>,
    batches: Vec<(Pending, Header)>,
}

/// The journal stopped itself; every batch was told.
struct Stopped;

/// Stops the log where the thread ends by a panic, so that no caller waits for ever.
struct StopOnPanic<'a>(&'a Log);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop("its committer failed");
        }
        self.0.end_close();
    }
}

impl Committer {
    pub(super) fn new(log: Arc<Log>, end: End) -> Self {
        Self { log, end }
    }

    /// The thread's body.
    pub(super) fn run(mut self) {
        let log = Arc::clone(&self.log);
        let _guard = StopOnPanic(&log);
        let mut failed = false;
        while let Some(group) = log.take_group() {
            if failed {
                // Nothing is admitted to a stopped log, so this is what raced with the stop.
                self.refuse_all(group.into_iter());
                continue;
            }
            failed = self.commit(group).is_err();
        }
    }

    fn commit(&mut self, group: Vec<Pending>) -> Result<(), Stopped> {
        let mut flight = Flight::default();
        let bytes: u64 = group.iter().map(|pending| pending.bytes).sum();
        flight.buffer.reserve(usize::try_from(bytes).unwrap_or_default());
        let mut waiting = group.into_iter();
        while let Some(pending) = waiting.next() {
            if pending.is_abandoned() {
                self.log.refuse(pending, AppendError::Stopped("the caller left".to_owned()));
                continue;
            }
            let end = self.end.pos + flight.buffer.len() as u64;
            if end + pending.bytes + HEADER > self.end.capacity {
                let rolled = self.flush(&mut flight).and_then(|()| self.roll(pending.bytes));
                match rolled {
                    Ok(None) => {}
                    Ok(Some(error)) => {
                        self.log.refuse(pending, error);
                        continue;
                    }
                    Err(Stopped) => {
                        self.refuse_all(std::iter::once(pending).chain(waiting));
                        return Err(Stopped);
                    }
                }
            }
            self.encode(&mut flight, pending);
        }
        self.flush(&mut flight)
    }

    fn encode(&mut self, flight: &mut Flight, pending: Pending) {
        let pos = self.end.pos + flight.buffer.len() as u64;
        let spot = spot(&self.end.segment, self.end.next, pos, self.end.durable);
        let header = encode_data(&mut flight.buffer, &pending.payloads, spot);
        self.end.next = header.next_offset();
        flight.batches.push((pending, header));
    }

    /// Makes what is in flight durable and acknowledges it.
    fn flush(&mut self, flight: &mut Flight) -> Result<(), Stopped> {
        let Flight { buffer, batches } = std::mem::take(flight);
        let Some((_, first)) = batches.first() else {
            return Ok(());
        };
        let first = first.first;
        let segment = Arc::clone(&self.end.segment);
        if let Err(error) = self.log.home.disk.write_all_at(&segment.file, &buffer, self.end.pos) {
            return self.write_failed(batches, first, &error);
        }
        self.log.count_fsync();
        if let Err(error) = self.log.home.disk.sync_data(&segment.file) {
            // After a failed fsync nobody knows what is on the disk (LWN 752063), so trying
            // again would prove nothing.
            return self.fail(batches, &format!("fsync of {}: {error}", segment.path.display()));
        }
        self.end.pos += buffer.len() as u64;
        self.end.durable = self.end.pos;
        let marked = self.mark();
        self.publish(&segment, &Bytes::from(buffer), batches);
        marked.map_err(|error| {
            self.log.stop(&format!("write to {}: {error}", segment.path.display()));
            Stopped
        })
    }

    /// Notes, before anyone is told, that the frames up to here are durable. The mark itself is
    /// not synced: it outlives a killed process, and after it a damaged frame cannot pass for
    /// a torn one.
    fn mark(&mut self) -> io::Result<()> {
        let End { segment, pos, durable, next, .. } = &self.end;
        let bytes = encode_mark(spot(segment, *next, *pos, *durable));
        match self.log.home.disk.write_all_at(&segment.file, &bytes, *pos) {
            Ok(()) => self.end.pos += HEADER,
            // The mark is a help only; what comes next takes its place.
            Err(error) if is_out_of_space(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn publish(&self, segment: &Segment, buffer: &Bytes, batches: Vec<(Pending, Header)>) {
        let start = batches.first().map_or(0, |(_, header)| header.pos);
        let counters = &self.log.counters;
        let frames = batches.iter().map(|(_, header)| {
            segment.note(header.first, header.pos);
            counters.batches.fetch_add(1, Ordering::Relaxed);
            counters.payloads.fetch_add(u64::from(header.count), Ordering::Relaxed);
            counters.bytes.fetch_add(header.frame_bytes(), Ordering::Relaxed);
            let at = (header.pos - start) as usize + HEADER_BYTES;
            Frame::written(header, buffer.slice(at..at + header.body_bytes as usize))
        });
        let frames = frames.collect();
        self.log.publish(segment, self.end.durable, self.end.next, frames);
        for (pending, header) in batches {
            let count = u64::from(header.count);
            pending.settle(Ok(Appended { partition: 0, first: header.first, count }));
        }
    }

    /// A write failed. Where only space is missing and what was written can be taken back,
    /// the batches are refused and later ones may come; else the journal stops.
    fn write_failed(
        &mut self,
        batches: Vec<(Pending, Header)>,
        first: u64,
        error: &io::Error,
    ) -> Result<(), Stopped> {
        let segment = Arc::clone(&self.end.segment);
        let what = format!("write to {}", segment.path.display());
        if is_out_of_space(error) && segment.file.set_len(self.end.durable).is_ok() {
            self.end.pos = self.end.durable;
            self.end.next = first;
            for (pending, _) in batches {
                let full = self.log.pause_for_space(&what, error);
                self.log.refuse(pending, full);
            }
            return Ok(());
        }
        self.fail(batches, &format!("{what}: {error}"))
    }

    fn fail(&mut self, batches: Vec<(Pending, Header)>, reason: &str) -> Result<(), Stopped> {
        // What was refused should not be read after a restart either. This is an attempt: the
        // disk has just shown that it fails.
        if let Err(error) = self.end.segment.file.set_len(self.end.durable) {
            tracing::warn!(%error, "what was refused could not be taken back from the journal");
        }
        self.log.stop(reason);
        self.refuse_all(batches.into_iter().map(|(pending, _)| pending));
        Err(Stopped)
    }

    fn refuse_all(&self, batches: impl Iterator<Item = Pending>) {
        let reason = lock(&self.log.state).refusal().unwrap_or_default();
        for pending in batches {
            pending.settle(Err(AppendError::Stopped(reason.clone())));
        }
    }

    /// Begins the next segment, large enough for a frame of `bytes`. Says why the batch must
    /// be refused where the disk has no room for it; the present segment then goes on.
    fn roll(&mut self, bytes: u64) -> Result<Option<AppendError>, Stopped> {
        let home = &self.log.home;
        let old = Arc::clone(&self.end.segment);
        let previous = Previous { base: old.base, end: self.end.durable };
        let capacity = home.segment_bytes.max(SEGMENT_HEADER_BYTES + bytes + HEADER);
        let start_bytes = old.start_bytes + self.end.durable;
        let what = || format!("new segment {}", home.path(self.end.next).display());
        let new = match home.create(self.end.next, start_bytes, previous, capacity) {
            Ok(new) => Arc::new(new),
            Err(error) if is_out_of_space(&error) => {
                return Ok(Some(self.log.pause_for_space(&what(), &error)));
            }
            Err(error) => {
                self.log.stop(&format!("{}: {error}", what()));
                return Err(Stopped);
            }
        };
        self.log.count_fsync();
        // Gives the unused space back. Where it fails nothing is lost: the new segment's
        // header says where the old one ends.
        if let Err(error) = old.file.set_len(self.end.durable) {
            tracing::warn!(path = %old.path.display(), %error, "a full segment keeps its unused space");
        }
        let mut state = lock(&self.log.state);
        state.segments.push_back(Arc::clone(&new));
        state.end_bytes = start_bytes + SEGMENT_HEADER_BYTES;
        let passed = self.log.take_passed(&mut state);
        drop(state);
        self.log.remove(&passed);
        self.end = End {
            segment: new,
            pos: SEGMENT_HEADER_BYTES,
            durable: SEGMENT_HEADER_BYTES,
            capacity,
            next: self.end.next,
        };
        Ok(None)
    }
}
