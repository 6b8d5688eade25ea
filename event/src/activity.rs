//! When something was there: four weeks in steps of five minutes.

use crate::Timestamp;

/// Seconds of a slot.
const SLOT_S: i64 = 300;
/// Slots of a day.
pub const SLOTS_A_DAY: i64 = 86_400 / SLOT_S;
/// Slots that are kept.
pub const SLOTS_KEPT: i64 = 28 * SLOTS_A_DAY;
const WORDS: usize = SLOTS_KEPT as usize / 64;

/// The five minutes that a moment is in, counted from 1970.
pub fn slot_of(time: Timestamp) -> i64 {
    time.as_millis().div_euclid(SLOT_S * 1_000)
}

/// In which of the last four weeks' slots something was there.
#[derive(Clone, PartialEq, Eq)]
pub struct Slots {
    /// The latest slot that is known of; those more than [`SLOTS_KEPT`] before it are forgotten.
    newest: i64,
    /// By slot modulo [`SLOTS_KEPT`].
    bits: Box<[u64; WORDS]>,
}

impl std::fmt::Debug for Slots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let set: u32 = self.bits.iter().map(|word| word.count_ones()).sum();
        f.debug_struct("Slots").field("newest", &self.newest).field("set", &set).finish()
    }
}

impl Default for Slots {
    fn default() -> Self {
        Self { newest: 0, bits: Box::new([0; WORDS]) }
    }
}

fn place(slot: i64) -> (usize, u64) {
    let at = slot.rem_euclid(SLOTS_KEPT);
    (usize::try_from(at / 64).unwrap_or(0), 1 << (at % 64))
}

impl Slots {
    /// The latest slot that is known of.
    pub fn newest(&self) -> i64 {
        self.newest
    }

    /// The first slot that is still known of.
    pub fn oldest(&self) -> i64 {
        self.newest - SLOTS_KEPT + 1
    }

    /// Something was there.
    pub fn set(&mut self, slot: i64) {
        self.advance(slot);
        if slot >= self.oldest() {
            let (word, bit) = place(slot);
            self.bits[word] |= bit;
        }
    }

    /// Whether something was there; `false` for what is not known of.
    pub fn get(&self, slot: i64) -> bool {
        let (word, bit) = place(slot);
        (self.oldest()..=self.newest).contains(&slot) && self.bits[word] & bit != 0
    }

    /// Adds what `other` knows.
    pub fn merge(&mut self, other: &Self) {
        self.advance(other.newest);
        let from = other.oldest().max(self.oldest());
        for slot in (from..=other.newest).filter(|slot| other.get(*slot)) {
            let (word, bit) = place(slot);
            self.bits[word] |= bit;
        }
    }

    fn advance(&mut self, newest: i64) {
        if newest <= self.newest {
            return;
        }
        if newest - self.newest >= SLOTS_KEPT {
            self.bits.fill(0);
        } else {
            for slot in self.newest + 1..=newest {
                let (word, bit) = place(slot);
                self.bits[word] &= !bit;
            }
        }
        self.newest = newest;
    }

    /// As bytes, for a database.
    pub fn to_bytes(&self) -> Vec<u8> {
        let words = self.bits.iter().flat_map(|word| word.to_le_bytes());
        self.newest.to_le_bytes().into_iter().chain(words).collect()
    }

    /// What [`to_bytes`](Self::to_bytes) gave; `None` where it is something else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut words = bytes.chunks_exact(8).map(|chunk| chunk.try_into().ok());
        let newest = i64::from_le_bytes(words.next()??);
        let mut bits = Box::new([0; WORDS]);
        for word in bits.iter_mut() {
            *word = u64::from_le_bytes(words.next()??);
        }
        (bytes.len() == 8 * (WORDS + 1)).then_some(Self { newest, bits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_weeks_are_kept_and_older_ones_forgotten() {
        let mut slots = Slots::default();
        let begin = slot_of(Timestamp::from_secs(1_800_000_000));
        for n in (0..3 * SLOTS_KEPT).step_by(7) {
            slots.set(begin + n);
            assert!(slots.get(begin + n));
            assert!(!slots.get(begin + n - SLOTS_KEPT));
            assert_eq!(slots.get(begin + n - 7), n > 0);
            assert!(!slots.get(begin + n - 1));
        }
        // What comes late is taken while it is known of.
        let newest = slots.newest();
        slots.set(newest - 3);
        assert!(slots.get(newest - 3));
        slots.set(newest - 2 * SLOTS_KEPT);
        assert!(!slots.get(newest - 2 * SLOTS_KEPT));
        let bytes = slots.to_bytes();
        assert_eq!(Slots::from_bytes(&bytes), Some(slots));
        assert_eq!(Slots::from_bytes(&bytes[1..]), None);
        assert_eq!(Slots::from_bytes(b""), None);
    }

    #[test]
    fn merging_is_as_if_one_had_seen_all() {
        let begin = slot_of(Timestamp::from_secs(1_800_000_000));
        let (mut all, mut even, mut odd) = (Slots::default(), Slots::default(), Slots::default());
        for n in (0..SLOTS_KEPT + 500).step_by(3) {
            all.set(begin + n);
            if n % 2 == 0 { even.set(begin + n) } else { odd.set(begin + n) }
        }
        let (mut one, mut other) = (even.clone(), odd.clone());
        one.merge(&odd);
        other.merge(&even);
        assert_eq!((&one, &other), (&all, &all));
        one.merge(&Slots::default());
        assert_eq!(one, all);
    }
}
