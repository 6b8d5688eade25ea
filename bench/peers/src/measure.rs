//! Time on the processor, and what is made of it.

use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

/// Which clock a contender is measured by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// Time that this thread had a core: what one core does, whatever else the machine does.
    Thread,
    /// Time that all threads had cores, and the time that passed.
    Process,
}

/// What one run took, in seconds.
#[derive(Clone, Copy, Default)]
pub(crate) struct Took {
    /// On the processor.
    pub(crate) cpu: f64,
    /// On the wall.
    pub(crate) wall: f64,
}

impl Took {
    /// What one of so many passes took.
    pub(crate) fn over(self, passes: usize) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "there are a few")]
        let passes = passes.max(1) as f64;
        Self { cpu: self.cpu / passes, wall: self.wall / passes }
    }
}

impl Clock {
    fn now(self) -> f64 {
        let id = match self {
            Self::Thread => ClockId::ThreadCPUTime,
            Self::Process => ClockId::ProcessCPUTime,
        };
        let now = clock_gettime(id);
        #[expect(clippy::cast_precision_loss, reason = "a benchmark runs for no 200 days")]
        let seconds = now.tv_sec as f64 + now.tv_nsec as f64 / 1e9;
        seconds
    }

    /// Runs `work` and says what it took, with its result.
    pub(crate) fn time<T>(self, work: impl FnOnce() -> T) -> (Took, T) {
        let (wall, cpu) = (Instant::now(), self.now());
        let result = work();
        let cpu = self.now() - cpu;
        (Took { cpu, wall: wall.elapsed().as_secs_f64() }, result)
    }
}

/// Median, least and greatest.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of at least one value; all zero otherwise.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (Some(min), Some(max)) = (values.first(), values.last()) else {
            return Self::default();
        };
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            0 => f64::midpoint(values[middle - 1], values[middle]),
            _ => values[middle],
        };
        Self { median, min: *min, max: *max }
    }

    pub(crate) fn to_json(self) -> serde_json::Value {
        serde_json::json!({"median": self.median, "min": self.min, "max": self.max})
    }
}
