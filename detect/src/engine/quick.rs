//! A hasher for keys that are a few numbers of our own making: no sender chooses them, so
//! nothing has to be defended against.

use std::hash::{BuildHasher, Hasher};

/// Builds [`QuickHasher`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quick;

/// Multiplies and folds.
pub(super) struct QuickHasher(u64);

impl BuildHasher for Quick {
    type Hasher = QuickHasher;

    fn build_hasher(&self) -> QuickHasher {
        QuickHasher(0)
    }
}

impl Hasher for QuickHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}
