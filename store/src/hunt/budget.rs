//! How long a hunt may go on.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use tantivy::TantivyError;

/// Checked again and again by whatever loops; once over, everything of the hunt stops.
pub(crate) struct Budget {
    time_max: Duration,
    deadline: Instant,
    cancelled: AtomicBool,
}

impl Budget {
    pub(crate) fn new(time_max: Duration) -> Self {
        Self { time_max, deadline: Instant::now() + time_max, cancelled: AtomicBool::new(false) }
    }

    /// Stops the hunt: nobody waits for its answer.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed) || Instant::now() >= self.deadline
    }

    /// For loops inside of tantivy.
    pub(crate) fn check(&self) -> tantivy::Result<()> {
        if self.is_over() {
            return Err(TantivyError::InternalError("the time for this hunt is over".to_owned()));
        }
        Ok(())
    }

    pub(crate) fn time_max(&self) -> Duration {
        self.time_max
    }
}
