//! From a message to the bus, whatever it came by.

use std::{net::SocketAddr, ops::ControlFlow, sync::Arc, time::Duration};

use bytes::Bytes;
use event::{Feed, Timestamp};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    Open, Unrouted,
    message::Message,
    pending::{Pending, RECORD_OVERHEAD_BYTES, Share},
};
use crate::{
    bus::AppendError,
    collect::append::{append, encode},
    quota::Load,
};

/// Waits between two tries to append, growing.
const RETRY_MIN: Duration = Duration::from_millis(10);
const RETRY_MAX: Duration = Duration::from_secs(1);

/// What becomes of a message whose feed or commune is over its quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OverQuota {
    /// Nothing is read until it may come, which slows its sender.
    Waits,
    /// It is dropped, as its sender cannot be slowed and its neighbours may not be.
    Drops,
}

/// After so long a quota is looked at again, as it may have been raised.
const QUOTA_WAIT_MAX: Duration = Duration::from_secs(5);

/// Messages on their way to the bus.
pub(super) struct Sink {
    open: Arc<Open>,
    cancel: CancellationToken,
    over_quota: OverQuota,
    pending: Pending,
    /// When to give up, once the listener closes.
    deadline: Option<Instant>,
}

impl Sink {
    pub(super) fn new(open: Arc<Open>, cancel: CancellationToken, over_quota: OverQuota) -> Self {
        Self { open, cancel, over_quota, pending: Pending::default(), deadline: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// When what is pending is to be appended.
    pub(super) fn due(&self) -> Option<Instant> {
        self.pending.since.map(|since| since + self.open.door.limits.batch_time_max)
    }

    /// Takes a message of `peer`; one that is nobody's is counted and logged.
    pub(super) async fn take(&mut self, peer: SocketAddr, line: Bytes) -> Result<(), Unrouted> {
        let received = Timestamp::now();
        let message = Message::parse(line);
        let (feed, key) = self.open.route(&message).inspect_err(|unrouted| {
            self.open.door.metrics.rejected(None, unrouted.reason(), 1);
            self.open.warn(peer, unrouted);
        })?;
        let raw = message.into_record(key.as_deref());
        let raw_bytes = raw.len();
        if self.charge(peer, &feed, raw_bytes).await.is_break() {
            return Ok(());
        }
        let payload = encode(&feed, received, raw, None);
        self.admit(peer, payload.len() + RECORD_OVERHEAD_BYTES).await;
        self.pending.push(feed, payload, raw_bytes);
        let limits = &self.open.door.limits;
        if self.pending.records >= limits.batch_records_max
            || self.pending.bytes >= limits.batch_bytes_max
        {
            self.flush(peer).await;
        }
        Ok(())
    }

    /// Charges the quotas for one message; breaks where it is dropped. Whoever waits holds nothing
    /// of the budget of memory meanwhile, so that no other sender is slowed.
    async fn charge(&mut self, peer: SocketAddr, feed: &Feed, bytes: usize) -> ControlFlow<()> {
        let load = Load { feed, records: 1, bytes: bytes as u64 };
        while let Err(over) = self.open.door.feeds.admit(&[load]) {
            self.open.warn(peer, &over);
            match self.over_quota {
                OverQuota::Drops => {
                    self.open.door.metrics.rejected(Some(feed), "over-quota", 1);
                    return ControlFlow::Break(());
                }
                // What was read when the listener closes its sender thinks delivered.
                OverQuota::Waits if self.cancel.is_cancelled() => break,
                OverQuota::Waits => {
                    self.flush(peer).await;
                    tokio::select! {
                        () = self.cancel.cancelled() => {}
                        () = sleep(over.wait.min(QUOTA_WAIT_MAX)) => {}
                    }
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Takes `bytes` of the budget. Whoever has to wait for it holds none of it, so that some
    /// connection can always go on.
    async fn admit(&mut self, peer: SocketAddr, bytes: usize) {
        if !self.pending.is_empty() && self.pending.try_grow(bytes) {
            return;
        }
        self.flush(peer).await;
        let admitted = self.open.door.admission.acquire(bytes).await;
        self.pending.admit(admitted);
    }

    /// Appends what is pending, trying until the bus takes it. Nothing is read meanwhile.
    pub(super) async fn flush(&mut self, peer: SocketAddr) {
        let pending = std::mem::take(&mut self.pending);
        for share in &pending.shares {
            self.append(peer, share).await;
        }
    }

    async fn append(&mut self, peer: SocketAddr, share: &Share) {
        let (mut from, mut pause) = (0, RETRY_MIN);
        while from < share.payloads.len() {
            let door = &self.open.door;
            let done = append(door.bus.as_ref(), &share.feed, &share.payloads[from..]).await;

            let settled = from + done.settled;
            let mut bytes: u64 = share.raw_bytes[from..settled].iter().sum();
            for refused in &done.refused {
                bytes -= share.raw_bytes[from + refused.index];
                door.metrics.rejected(Some(&share.feed), "record-too-large", 1);
                self.open.warn(peer, &refused.reason);
            }
            let accepted = done.settled - done.refused.len();
            if accepted > 0 {
                door.metrics.accepted(&share.feed, accepted as u64, bytes);
                pause = RETRY_MIN;
            }
            from = settled;
            let Some(error) = done.failure else { continue };
            self.open.warn(peer, &error);
            if self.wait(pause).await.is_break() {
                let lost = share.payloads.len() - from;
                tell_lost(&self.open, share, lost, &error);
                return;
            }
            pause = (pause * 2).min(RETRY_MAX);
        }
    }

    /// Waits before the next try; breaks once the listener has been closing for too long.
    async fn wait(&mut self, pause: Duration) -> ControlFlow<()> {
        if !self.cancel.is_cancelled() {
            tokio::select! {
                () = self.cancel.cancelled() => {}
                () = sleep(pause) => {}
            }
            return ControlFlow::Continue(());
        }
        let now = Instant::now();
        let patience = self.open.door.limits.close_time_max;
        let deadline = *self.deadline.get_or_insert(now + patience);
        if now >= deadline {
            return ControlFlow::Break(());
        }
        sleep_until(deadline.min(now + pause)).await;
        ControlFlow::Continue(())
    }
}

/// The one place where what was read is given up, which must not go unseen.
fn tell_lost(open: &Open, share: &Share, lost: usize, error: &AppendError) {
    open.door.metrics.rejected(Some(&share.feed), "lost-at-close", lost as u64);
    tracing::error!(
        feed = %share.feed.id, lost, %error,
        "failed to append the last syslog records before closing"
    );
}
