//! Sets of documents of one segment.

/// A set of documents, one bit each.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Docs {
    bits: Vec<u64>,
}

impl Docs {
    /// None of `max` documents.
    pub(crate) fn none(max: u32) -> Self {
        Self { bits: vec![0; max.div_ceil(64) as usize] }
    }

    /// All of `max` documents.
    pub(crate) fn all(max: u32) -> Self {
        let mut all = Self { bits: vec![u64::MAX; max.div_ceil(64) as usize] };
        if let (Some(last), used @ 1..) = (all.bits.last_mut(), max % 64) {
            *last = (1 << used) - 1;
        }
        all
    }

    #[inline]
    pub(crate) fn insert(&mut self, doc: u32) {
        if let Some(word) = self.bits.get_mut(doc as usize / 64) {
            *word |= 1 << (doc % 64);
        }
    }

    #[inline]
    pub(crate) fn contains(&self, doc: u32) -> bool {
        self.bits.get(doc as usize / 64).is_some_and(|word| word >> (doc % 64) & 1 == 1)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bits.iter().all(|word| *word == 0)
    }

    pub(crate) fn len(&self) -> u64 {
        self.bits.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    pub(crate) fn and(mut self, other: &Self) -> Self {
        self.bits.iter_mut().zip(&other.bits).for_each(|(a, b)| *a &= b);
        self
    }

    pub(crate) fn or(mut self, other: &Self) -> Self {
        self.bits.iter_mut().zip(&other.bits).for_each(|(a, b)| *a |= b);
        self
    }

    pub(crate) fn without(mut self, other: &Self) -> Self {
        self.bits.iter_mut().zip(&other.bits).for_each(|(a, b)| *a &= !b);
        self
    }

    /// The documents, growing.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        self.bits.iter().zip(0u32..).flat_map(|(word, index)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros();
                left &= left.checked_sub(1)?;
                Some(index * 64 + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in() {
        for max in [0, 1, 63, 64, 65, 200] {
            assert_eq!(Docs::all(max).iter().collect::<Vec<_>>(), (0..max).collect::<Vec<_>>());
            assert_eq!(Docs::all(max).len(), u64::from(max));
            assert!(Docs::none(max).is_empty());
        }
        let mut some = Docs::none(130);
        [0, 63, 64, 129, 500].into_iter().for_each(|doc| some.insert(doc));
        assert_eq!(some.iter().collect::<Vec<_>>(), [0, 63, 64, 129]);
        assert!(some.contains(64) && !some.contains(65) && !some.contains(500));
        assert_eq!(Docs::all(130).without(&some).len(), 126);
    }
}
