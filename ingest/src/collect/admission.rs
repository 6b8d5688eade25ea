//! The bound on what all doors hold in memory together.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A budget of bytes that the doors share. What is read from a socket is charged before it is
/// kept and given back once it is on the bus or thrown away, so that many large senders at once
/// are told to wait instead of filling the memory.
#[derive(Clone, Debug)]
pub struct Admission {
    budget: Arc<Semaphore>,
    in_flight_bytes_max: usize,
}

impl Admission {
    /// A budget of `in_flight_bytes_max`, at most 4 GiB.
    pub fn new(in_flight_bytes_max: usize) -> Self {
        let in_flight_bytes_max = in_flight_bytes_max.min(u32::MAX as usize);
        Self { budget: Arc::new(Semaphore::new(in_flight_bytes_max)), in_flight_bytes_max }
    }

    /// `bytes` of the budget, or `None` where so much is not free now.
    pub fn try_acquire(&self, bytes: usize) -> Option<Admitted> {
        let permit = self.budget.clone().try_acquire_many_owned(u32::try_from(bytes).ok()?).ok()?;
        Some(Admitted { permit })
    }

    /// `bytes` of the budget, waiting until they are free. To wait while holding some of the
    /// budget may wait forever; more than the whole budget is taken as the whole budget.
    pub async fn acquire(&self, bytes: usize) -> Admitted {
        let bytes = bytes.min(self.in_flight_bytes_max);
        let permit = self
            .budget
            .clone()
            .acquire_many_owned(u32::try_from(bytes).unwrap_or(u32::MAX))
            .await
            .expect("the semaphore is never closed");
        Admitted { permit }
    }

    /// Bytes that are in use.
    pub fn used_bytes(&self) -> usize {
        self.in_flight_bytes_max.saturating_sub(self.budget.available_permits())
    }

    /// The whole budget.
    pub fn in_flight_bytes_max(&self) -> usize {
        self.in_flight_bytes_max
    }
}

/// A part of the budget, given back on drop.
#[derive(Debug)]
pub struct Admitted {
    permit: OwnedSemaphorePermit,
}

impl Admitted {
    /// Takes `bytes` more, or nothing and gives `false` where so much is not free now.
    #[must_use]
    pub fn try_grow(&mut self, bytes: usize) -> bool {
        let Ok(bytes) = u32::try_from(bytes) else { return false };
        match self.permit.semaphore().clone().try_acquire_many_owned(bytes) {
            Ok(more) => {
                self.permit.merge(more);
                true
            }
            Err(_) => false,
        }
    }

    /// Gives back all but `bytes`.
    pub fn shrink_to(&mut self, bytes: usize) {
        drop(self.permit.split(self.permit.num_permits().saturating_sub(bytes)));
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.permit.num_permits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_dropped_is_free_again() {
        let admission = Admission::new(100);
        let mut first = admission.try_acquire(60).unwrap();
        assert!(admission.try_acquire(41).is_none());
        assert!(!first.try_grow(41));
        assert!(first.try_grow(40));
        assert_eq!(admission.used_bytes(), 100);
        first.shrink_to(10);
        assert_eq!((first.bytes(), admission.used_bytes()), (10, 10));
        drop(first);
        assert_eq!(admission.acquire(1000).await.bytes(), 100);
        assert_eq!(admission.used_bytes(), 0);
    }

    #[test]
    fn more_than_the_budget_is_never_granted() {
        let admission = Admission::new(100);
        assert!(admission.try_acquire(usize::MAX).is_none());
        assert!(admission.try_acquire(101).is_none());
    }
}
