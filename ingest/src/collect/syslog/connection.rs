//! One sender's connection.

use std::{net::SocketAddr, ops::ControlFlow, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Open,
    frame::{FrameError, Framer},
    sink::{OverQuota, Sink},
};

/// What one read asks for.
const READ_BYTES: usize = 16 << 10;

/// What is still read when the listener closes: bytes that had arrived by then.
const LAST_BYTES_MAX: usize = 1 << 20;

/// How long the bytes that had arrived by then may take to show.
const LAST_WAIT: Duration = Duration::from_millis(20);

pub(super) struct Connection<S> {
    open: Arc<Open>,
    stream: S,
    peer: SocketAddr,
    cancel: CancellationToken,
    framer: Framer,
    buffer: BytesMut,
    sink: Sink,
    /// Messages in a row that were nobody's.
    wrong_keys: u32,
}

/// The connection is to end.
struct End;

impl<S: AsyncRead + Unpin> Connection<S> {
    pub(super) fn new(
        open: Arc<Open>,
        stream: S,
        peer: SocketAddr,
        cancel: CancellationToken,
    ) -> Self {
        let limits = &open.door.limits;
        let framer = Framer::new(limits.frame_bytes_max, limits.skipped_bytes_max);
        Self {
            framer,
            sink: Sink::new(Arc::clone(&open), cancel.clone(), OverQuota::Waits),
            open,
            stream,
            peer,
            cancel,
            buffer: BytesMut::new(),
            wrong_keys: 0,
        }
    }

    /// Reads until the sender ends, misbehaves or is silent for too long, or the listener
    /// closes; then appends what is left.
    pub(super) async fn run(mut self) {
        while self.step().await.is_continue() {}
        self.sink.flush(self.peer).await;
    }

    /// Waits for whatever comes first.
    async fn step(&mut self) -> ControlFlow<End> {
        let limits = &self.open.door.limits;
        let idle_until = Instant::now() + limits.idle_time_max;
        let flush_at = self.sink.due().unwrap_or(idle_until);
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
                if self.sink.is_empty() {
                    tracing::debug!(peer = %self.peer, "a syslog connection was silent too long");
                    self.leave_rest();
                    return ControlFlow::Break(End);
                }
                self.sink.flush(self.peer).await;
                ControlFlow::Continue(())
            }
        }
    }

    /// The whole messages in the buffer.
    async fn take_frames(&mut self) -> ControlFlow<End> {
        while let Some(frame) = self.framer.next(&mut self.buffer) {
            self.take(frame).await?;
        }
        if self.sink.due().is_some_and(|due| Instant::now() >= due) {
            self.sink.flush(self.peer).await;
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
        if self.sink.take(self.peer, line).await.is_ok() {
            self.wrong_keys = 0;
            return ControlFlow::Continue(());
        }
        self.wrong_keys += 1;
        if self.wrong_keys < self.open.door.limits.wrong_keys_max {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(End)
        }
    }
}
