//! One sender's connection.

use std::{net::SocketAddr, ops::ControlFlow, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use event::Timestamp;
use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Open,
    frame::{FrameError, Framer},
    message::Message,
    pending::{Pending, RECORD_OVERHEAD_BYTES, Share},
};
use crate::{
    bus::AppendError,
    collect::append::{append, encode},
};

/// What one read asks for.
const READ_BYTES: usize = 16 << 10;

/// What is still read when the listener closes: bytes that had arrived by then.
const LAST_BYTES_MAX: usize = 1 << 20;

/// How long the bytes that had arrived by then may take to show.
const LAST_WAIT: Duration = Duration::from_millis(20);

/// Waits between two tries to append, growing.
const RETRY_MIN: Duration = Duration::from_millis(10);
const RETRY_MAX: Duration = Duration::from_secs(1);

pub(super) struct Connection {
    open: Arc<Open>,
    stream: TcpStream,
    peer: SocketAddr,
    cancel: CancellationToken,
    framer: Framer,
    buffer: BytesMut,
    pending: Pending,
    /// Messages in a row that were nobody's.
    wrong_keys: u32,
    /// When to give up, once the listener closes.
    deadline: Option<Instant>,
}

/// The connection is to end.
struct End;

impl Connection {
    pub(super) fn new(
        open: Arc<Open>,
        stream: TcpStream,
        peer: SocketAddr,
        cancel: CancellationToken,
    ) -> Self {
        let limits = &open.door.limits;
        let framer = Framer::new(limits.frame_bytes_max, limits.skipped_bytes_max);
        Self {
            framer,
            open,
            stream,
            peer,
            cancel,
            buffer: BytesMut::new(),
            pending: Pending::default(),
            wrong_keys: 0,
            deadline: None,
        }
    }

    /// Reads until the sender ends, misbehaves or is silent for too long, or the listener
    /// closes; then appends what is left.
    pub(super) async fn run(mut self) {
        while self.step().await.is_continue() {}
        self.flush().await;
    }

    /// Waits for whatever comes first.
    async fn step(&mut self) -> ControlFlow<End> {
        let limits = &self.open.door.limits;
        let idle_until = Instant::now() + limits.idle_time_max;
        let flush_at = self.pending.since.map_or(idle_until, |since| since + limits.batch_time_max);
        self.buffer.reserve(READ_BYTES);
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => self.take_last().await,
            read = self.stream.read_buf(&mut self.buffer) => match read {
                Ok(0) => self.take_end().await,
                Ok(_) => self.take_frames().await,
                Err(error) => {
                    tracing::debug!(peer = %self.peer, %error, "a syslog connection broke off");
                    self.take_end().await
                }
            },
            () = sleep_until(flush_at) => {
                if self.pending.is_empty() {
                    tracing::debug!(peer = %self.peer, "a syslog connection was silent too long");
                    self.leave_rest();
                    return ControlFlow::Break(End);
                }
                self.flush().await;
                ControlFlow::Continue(())
            }
        }
    }

    /// The whole messages in the buffer.
    async fn take_frames(&mut self) -> ControlFlow<End> {
        while let Some(frame) = self.framer.next(&mut self.buffer) {
            self.take(frame).await?;
        }
        let limits = &self.open.door.limits;
        let is_due =
            self.pending.since.is_some_and(|since| since.elapsed() >= limits.batch_time_max);
        if is_due {
            self.flush().await;
        }
        ControlFlow::Continue(())
    }

    /// What is in the buffer when no more will come.
    async fn take_end(&mut self) -> ControlFlow<End> {
        self.take_frames().await?;
        if let Some(frame) = self.framer.finish(&mut self.buffer) {
            self.take(frame).await?;
        }
        ControlFlow::Break(End)
    }

    /// What had arrived when the listener closed, which its sender thinks delivered.
    async fn take_last(&mut self) -> ControlFlow<End> {
        let mut seen = 0;
        while seen < LAST_BYTES_MAX {
            self.buffer.reserve(READ_BYTES);
            // Not a mere try: what has arrived shows only once the runtime has had a turn.
            match timeout(LAST_WAIT, self.stream.read_buf(&mut self.buffer)).await {
                Ok(Ok(0)) => return self.take_end().await,
                Ok(Ok(n)) => seen += n,
                Ok(Err(_)) | Err(_) => break,
            }
            self.take_frames().await?;
        }
        self.leave_rest();
        ControlFlow::Break(End)
    }

    /// Counts the piece of a message that nobody will complete.
    fn leave_rest(&mut self) {
        if !self.buffer.is_empty() {
            self.open.door.metrics.rejected(None, "frame-truncated", 1);
            self.buffer.clear();
        }
    }

    async fn take(&mut self, frame: Result<Bytes, FrameError>) -> ControlFlow<End> {
        match frame {
            Ok(line) if line.is_empty() => ControlFlow::Continue(()),
            Ok(line) => self.take_line(line).await,
            Err(error) => {
                let (reason, next) = match error {
                    FrameError::TooLarge { .. } => ("frame-too-large", ControlFlow::Continue(())),
                    FrameError::Lost { .. } => ("frame-lost", ControlFlow::Break(End)),
                    FrameError::Truncated { .. } => ("frame-truncated", ControlFlow::Break(End)),
                };
                self.open.door.metrics.rejected(None, reason, 1);
                self.open.warn(self.peer, &error);
                next
            }
        }
    }

    async fn take_line(&mut self, line: Bytes) -> ControlFlow<End> {
        let received = Timestamp::now();
        let message = Message::parse(line);
        let (feed, key) = match self.open.route(&message) {
            Ok(routed) => routed,
            Err(unrouted) => {
                self.open.door.metrics.rejected(None, unrouted.reason(), 1);
                self.open.warn(self.peer, &unrouted);
                self.wrong_keys += 1;
                return if self.wrong_keys < self.open.door.limits.wrong_keys_max {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(End)
                };
            }
        };
        self.wrong_keys = 0;
        let raw = message.into_record(key.as_deref());
        let raw_bytes = raw.len();
        let payload = encode(&feed, received, raw);
        self.admit(payload.len() + RECORD_OVERHEAD_BYTES).await;
        self.pending.push(feed, payload, raw_bytes);
        let limits = &self.open.door.limits;
        if self.pending.records >= limits.batch_records_max
            || self.pending.bytes >= limits.batch_bytes_max
        {
            self.flush().await;
        }
        ControlFlow::Continue(())
    }

    /// Takes `bytes` of the budget. Whoever has to wait for it holds none of it, so that some
    /// connection can always go on.
    async fn admit(&mut self, bytes: usize) {
        if !self.pending.is_empty() && self.pending.try_grow(bytes) {
            return;
        }
        self.flush().await;
        let admitted = self.open.door.admission.acquire(bytes).await;
        self.pending.admit(admitted);
    }

    /// Appends what is pending, trying until the bus takes it. Nothing is read meanwhile.
    async fn flush(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        for share in &pending.shares {
            self.append(share).await;
        }
    }

    async fn append(&mut self, share: &Share) {
        let (mut from, mut pause) = (0, RETRY_MIN);
        while from < share.payloads.len() {
            let door = &self.open.door;
            let done = append(door.bus.as_ref(), &share.feed, &share.payloads[from..]).await;

            let settled = from + done.settled;
            let mut bytes: u64 = share.raw_bytes[from..settled].iter().sum();
            for refused in &done.refused {
                bytes -= share.raw_bytes[from + refused.index];
                door.metrics.rejected(Some(&share.feed), "record-too-large", 1);
                self.open.warn(self.peer, &refused.reason);
            }
            let accepted = done.settled - done.refused.len();
            if accepted > 0 {
                door.metrics.accepted(&share.feed, accepted as u64, bytes);
                pause = RETRY_MIN;
            }
            from = settled;
            let Some(error) = done.failure else { continue };
            self.open.warn(self.peer, &error);
            if self.wait(pause).await.is_break() {
                let lost = share.payloads.len() - from;
                tell_lost(&self.open, share, lost, &error);
                return;
            }
            pause = (pause * 2).min(RETRY_MAX);
        }
    }

    /// Waits before the next try; breaks once the listener has been closing for too long.
    async fn wait(&mut self, pause: Duration) -> ControlFlow<End> {
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
            return ControlFlow::Break(End);
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
