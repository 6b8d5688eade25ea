//! Lists found by a number: an open-addressing table that is built once and never changes.
//!
//! Smaller and faster than a `HashMap` of vectors: one cache line for a number that is not
//! there, two for one that is, and three allocations however many lists.

/// Marks a place that holds no key.
const FREE: u32 = u32::MAX;

/// Values by key, in the order they were given.
#[derive(Debug)]
pub(super) struct Index<V> {
    /// By place: which key it holds.
    places: Box<[u32]>,
    /// Bits of the product that number the places.
    shift: u32,
    keys: Box<[u64]>,
    /// By key: where its values begin; one more at the end.
    starts: Box<[u32]>,
    values: Box<[V]>,
}

impl<V> Index<V> {
    pub(super) fn new(mut pairs: Vec<(u64, V)>) -> Self {
        pairs.sort_by_key(|(key, _)| *key);
        let mut keys: Vec<u64> = Vec::new();
        let mut starts = Vec::new();
        let mut values = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            if keys.last() != Some(&key) {
                keys.push(key);
                starts.push(u32::try_from(values.len()).unwrap_or(u32::MAX));
            }
            values.push(value);
        }
        starts.push(u32::try_from(values.len()).unwrap_or(u32::MAX));
        // Half full at most, so that a search ends soon.
        let size = (keys.len() * 2).next_power_of_two().max(2);
        let shift = 64 - size.trailing_zeros();
        let mut places = vec![FREE; size];
        for (number, key) in (0..).zip(&keys) {
            let mut place = hashed(*key, shift);
            while places[place] != FREE {
                place = (place + 1) % size;
            }
            places[place] = number;
        }
        Self {
            places: places.into(),
            shift,
            keys: keys.into(),
            starts: starts.into(),
            values: values.into(),
        }
    }

    /// The values under `key`, in the order they were given.
    #[inline]
    pub(super) fn get(&self, key: u64) -> &[V] {
        let mut place = hashed(key, self.shift);
        loop {
            let number = match self.places.get(place) {
                Some(number) if *number != FREE => *number as usize,
                _ => return &[],
            };
            if self.keys.get(number) == Some(&key) {
                let from = self.starts[number] as usize;
                return &self.values[from..self.starts[number + 1] as usize];
            }
            place = (place + 1) % self.places.len();
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.places)
            + size_of_val(&*self.keys)
            + size_of_val(&*self.starts)
            + size_of_val(&*self.values)
    }
}

/// The first place to look for a key.
fn hashed(key: u64, shift: u32) -> usize {
    // Fibonacci hashing; the upper bits of the product are the well mixed ones.
    let mixed = (key ^ (key >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(mixed >> shift).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn finds_what_a_map_finds(pairs in prop::collection::vec((0..64_u64, any::<u16>()), 0..200)) {
            let mut meant: BTreeMap<u64, Vec<u16>> = BTreeMap::new();
            for (key, value) in &pairs {
                meant.entry(*key << 40).or_default().push(*value);
            }
            let index = Index::new(pairs.iter().map(|(key, value)| (*key << 40, *value)).collect());
            for key in (0..70).map(|key| key << 40) {
                prop_assert_eq!(index.get(key), meant.get(&key).map_or(&[][..], Vec::as_slice));
            }
        }
    }
}
