//! Warnings that a hostile sender could otherwise make by the million.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// At most one message in so long.
const EVERY: Duration = Duration::from_secs(10);

/// Lets one message through every ten seconds and counts the others.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    last: Mutex<Option<Instant>>,
    held: AtomicU64,
}

impl Quiet {
    /// How many messages were held back since the last one, where this one may be written.
    pub(super) fn may_speak(&self) -> Option<u64> {
        let now = Instant::now();
        // A contended lock means that somebody is speaking right now.
        if let Ok(mut last) = self.last.try_lock()
            && last.is_none_or(|last| now.duration_since(last) >= EVERY)
        {
            *last = Some(now);
            return Some(self.held.swap(0, Ordering::Relaxed));
        }
        self.held.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_of_many_speaks() {
        let quiet = Quiet::default();
        assert_eq!(quiet.may_speak(), Some(0));
        assert!((0..1000).all(|_| quiet.may_speak().is_none()));
        assert_eq!(quiet.held.load(Ordering::Relaxed), 1000);
    }
}
