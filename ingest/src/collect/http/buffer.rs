//! A byte buffer that pays for itself before it grows.

use crate::collect::admission::{Admission, Admitted};

/// Why bytes were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRoom {
    /// The buffer would pass its own bound.
    Bound,
    /// The budget of all doors is used up now.
    Budget,
}

/// Bytes with the part of the budget that they take. The allocation is never larger than the
/// bound, nor than what was granted.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    bytes_max: usize,
    admitted: Admitted,
}

impl Buffer {
    /// An empty buffer of at most `bytes_max`; `None` where nothing at all is free now.
    pub(super) fn new(bytes_max: usize, admission: &Admission) -> Option<Self> {
        Some(Self { bytes: Vec::new(), bytes_max, admitted: admission.try_acquire(0)? })
    }

    /// Adds `more`, or nothing.
    pub(super) fn push(&mut self, more: &[u8]) -> Result<(), NoRoom> {
        let len = self.bytes.len() + more.len();
        if len > self.bytes_max {
            return Err(NoRoom::Bound);
        }
        let capacity = self.bytes.capacity();
        if len > capacity {
            // Doubling keeps copying linear; near the end of the budget it makes do with less.
            let doubled = (capacity * 2).clamp(len, self.bytes_max);
            let target = [doubled, len]
                .into_iter()
                .find(|target| self.admitted.try_grow(target - self.admitted.bytes().min(*target)))
                .ok_or(NoRoom::Budget)?;
            self.bytes.reserve_exact(target - self.bytes.len());
        }
        self.bytes.extend_from_slice(more);
        Ok(())
    }

    /// The bytes.
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes, and what they take of the budget.
    pub(super) fn into_parts(self) -> (Vec<u8>, Admitted) {
        (self.bytes, self.admitted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stops_at_its_bound_and_at_the_budget() {
        let admission = Admission::new(1000);
        let mut buffer = Buffer::new(600, &admission).unwrap();
        assert_eq!(buffer.push(&[0; 400]), Ok(()));
        assert_eq!(buffer.push(&[0; 201]), Err(NoRoom::Bound));
        let other = admission.try_acquire(450).unwrap();
        assert_eq!(buffer.push(&[0; 200]), Err(NoRoom::Budget));
        assert_eq!(buffer.push(&[0; 150]), Ok(()));
        drop(other);
        assert_eq!(buffer.push(&[0; 50]), Ok(()));
        assert_eq!(admission.used_bytes(), 600);
        assert_eq!(buffer.into_parts().0.len(), 600);
        assert_eq!(admission.used_bytes(), 0);
    }
}
