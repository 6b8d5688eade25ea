//! Matches held until those before them in time can no longer come, and let go in order.
//!
//! Time here is the collectors' clock: the latest receipt seen, or a tick. A match is held for
//! the allowed lateness after it came, then let go with all that happened before it. So where
//! every match comes at most that much later than those that happened after it, they leave
//! exactly in the order in which they happened, whatever the dates on them: a capture replayed
//! today is ordered as well as what happens now. One that comes later still leaves at once, and
//! finds its place by its own time in the state of its group.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, VecDeque},
    sync::Arc,
};

use event::Contribution;

/// Receipts this close together are let go together, by the latest of them.
const STEP_NS: i64 = 50_000_000;

/// A match and when it happened.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) at: i64,
    pub(super) contribution: Arc<Contribution>,
}

impl Held {
    /// When a match happened: by its own account, but never after it was received, so that no
    /// clock that is ahead holds it back.
    fn of(contribution: Arc<Contribution>) -> Self {
        let at = contribution.timestamp.min(contribution.received).as_nanos();
        Self { at, contribution }
    }
}

impl Ord for Held {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (&self.contribution, &other.contribution);
        (self.at, a.event_id, &a.rule).cmp(&(other.at, b.event_id, &b.rule))
    }
}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Held {}

#[derive(Debug)]
pub(super) struct Hold {
    lateness_ns: i64,
    held_max: usize,
    /// The latest receipt or tick.
    pub(super) clock: i64,
    /// Everything that happened before was let go.
    pub(super) settled: i64,
    /// In order: what came in order, which most does.
    queue: VecDeque<Held>,
    /// What came out of order.
    stray: BinaryHeap<Reverse<Held>>,
    /// In order: when something came.
    arrivals: VecDeque<Step>,
}

/// Matches that came close together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The receipt of the first and of the last.
    pub(super) first: i64,
    pub(super) last: i64,
    /// When the latest of them happened.
    pub(super) latest: i64,
}

impl Hold {
    pub(super) fn new(lateness_ns: i64, held_max: usize) -> Self {
        Self {
            lateness_ns: lateness_ns.max(0),
            held_max: held_max.max(1),
            clock: i64::MIN,
            settled: i64::MIN,
            queue: VecDeque::new(),
            stray: BinaryHeap::new(),
            arrivals: VecDeque::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len() + self.stray.len()
    }

    /// Moves the clock on; what is due can be taken with [`next`](Self::next) then.
    pub(super) fn advance(&mut self, now: i64) {
        self.clock = self.clock.max(now);
        while let Some(step) = self.arrivals.front() {
            if self.clock.saturating_sub(step.last) <= self.lateness_ns {
                return;
            }
            self.settled = self.settled.max(step.latest);
            self.arrivals.pop_front();
        }
    }

    /// Takes a match in, after the clock was moved to its receipt.
    pub(super) fn push(&mut self, contribution: Arc<Contribution>) {
        let held = Held::of(contribution);
        if held.at >= self.settled {
            match self.arrivals.back_mut() {
                Some(step) if step.first / STEP_NS == self.clock / STEP_NS => {
                    // Its last receipt counts, so a step is let go a little later than need be
                    // and never earlier.
                    step.last = self.clock;
                    step.latest = step.latest.max(held.at);
                }
                _ => self.arrivals.push_back(Step {
                    first: self.clock,
                    last: self.clock,
                    latest: held.at,
                }),
            }
        }
        if self.queue.back().is_none_or(|last| *last <= held) {
            self.queue.push_back(held);
        } else {
            self.stray.push(Reverse(held));
        }
    }

    /// The next match to leave: due, late, or too many to hold.
    pub(super) fn next(&mut self) -> Option<(Held, Leaves)> {
        let queued = match (self.queue.front(), self.stray.peek()) {
            (None, None) => return None,
            (Some(queued), Some(Reverse(stray))) => queued <= stray,
            (queued, _) => queued.is_some(),
        };
        let at = if queued {
            self.queue.front().map(|held| held.at)
        } else {
            self.stray.peek().map(|held| held.0.at)
        }?;
        let leaves = if at <= self.settled {
            Leaves::Due
        } else if self.len() > self.held_max {
            self.settled = at;
            Leaves::Forced
        } else {
            return None;
        };
        let held =
            if queued { self.queue.pop_front() } else { self.stray.pop().map(|held| held.0) };
        held.map(|held| (held, leaves))
    }

    /// Lets everything go.
    pub(super) fn settle_all(&mut self) {
        self.arrivals.clear();
        self.settled = i64::MAX;
    }

    /// When the clock next has to move for something to leave.
    pub(super) fn next_due(&self) -> Option<i64> {
        let step = self.arrivals.front()?;
        Some(step.last.saturating_add(self.lateness_ns).saturating_add(1))
    }

    /// What a snapshot keeps: the held matches in order and the arrivals.
    pub(super) fn parts(&self) -> (Vec<&Held>, impl ExactSizeIterator<Item = &Step>) {
        let mut held: Vec<&Held> =
            self.queue.iter().chain(self.stray.iter().map(|held| &held.0)).collect();
        held.sort_unstable();
        (held, self.arrivals.iter())
    }

    /// The reverse of [`parts`](Self::parts).
    pub(super) fn restore(
        &mut self,
        clock: i64,
        settled: i64,
        held: impl IntoIterator<Item = Contribution>,
        arrivals: impl IntoIterator<Item = Step>,
    ) {
        self.clock = clock;
        self.settled = settled;
        self.queue = held.into_iter().map(|held| Held::of(Arc::new(held))).collect();
        self.stray.clear();
        self.arrivals = arrivals.into_iter().collect();
    }
}

/// Why a match leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaves {
    /// Its time has come.
    Due,
    /// More are held than may be.
    Forced,
}
