//! The texts that a slot looks for, and how they are compared with what is searched.
//!
//! What is searched is either ASCII as it came or, beyond ASCII, folded. Needles are folded.
//! Invariant: on such text, comparing without regard to ASCII case is comparing folded forms.
//! Where the text is ASCII, its folding only lowers letters, and a needle with any other
//! character is nowhere in it by either comparison; where it is folded, neither side has an
//! upper-case ASCII letter left. So nothing has to be copied to be searched.

/// Folds the case of ASCII letters in eight bytes, and some other bits with them: equal texts
/// stay equal, and a few different ones become so.
pub(super) const LOWER: u64 = 0x2020_2020_2020_2020;

/// Texts and the rules that each makes candidates.
#[derive(Debug, Default)]
pub(super) struct Needles {
    bytes: Vec<u8>,
    /// By needle: where its bytes end.
    ends: Vec<u32>,
    rules: Vec<u32>,
    /// By needle: where its rules end.
    rule_ends: Vec<u32>,
}

impl Needles {
    /// Adds a needle and gives its number.
    pub(super) fn add(&mut self, text: &str, rules: &[u32]) -> u32 {
        self.bytes.extend_from_slice(text.as_bytes());
        self.ends.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
        self.rules.extend_from_slice(rules);
        self.rule_ends.push(u32::try_from(self.rules.len()).unwrap_or(u32::MAX));
        u32::try_from(self.ends.len() - 1).unwrap_or(u32::MAX)
    }

    fn range(ends: &[u32], number: usize) -> std::ops::Range<usize> {
        let from = number.checked_sub(1).map_or(0, |before| ends[before]);
        from as usize..ends[number] as usize
    }

    pub(super) fn text(&self, number: u32) -> &[u8] {
        &self.bytes[Self::range(&self.ends, number as usize)]
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Its rules.
    pub(super) fn rules(&self, number: u32) -> &[u32] {
        &self.rules[Self::range(&self.rule_ends, number as usize)]
    }

    /// Whether one of them has only characters that numbers and truth values are written with.
    pub(super) fn is_numeric(&self) -> bool {
        (0..self.ends.len()).any(|number| {
            let text = &self.bytes[Self::range(&self.ends, number)];
            text.iter().all(|byte| b"0123456789+-.einfatrusl".contains(byte))
        })
    }

    /// The rules of all needles, some more than once.
    pub(super) fn all_rules(&self) -> &[u32] {
        &self.rules
    }

    /// Whether the needle is all of `text`.
    pub(super) fn is(&self, number: u32, text: &[u8]) -> bool {
        text.eq_ignore_ascii_case(self.text(number))
    }

    /// Whether `text` begins with the needle.
    pub(super) fn begins(&self, number: u32, text: &[u8]) -> bool {
        let needle = self.text(number);
        text.get(..needle.len()).is_some_and(|part| part.eq_ignore_ascii_case(needle))
    }

    /// Whether `text` ends with the needle.
    pub(super) fn ends(&self, number: u32, text: &[u8]) -> bool {
        let needle = self.text(number);
        text.len()
            .checked_sub(needle.len())
            .and_then(|from| text.get(from..))
            .is_some_and(|part| part.eq_ignore_ascii_case(needle))
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes.capacity()
            + 4 * (self.ends.capacity() + self.rules.capacity() + self.rule_ends.capacity())
    }
}

/// A number that equal texts have alike, whatever the case of their ASCII letters.
pub(super) fn digest(text: &[u8]) -> u64 {
    let mut sum = text.len() as u64;
    let mut chunks = text.chunks_exact(8);
    for chunk in &mut chunks {
        let word = chunk.try_into().map_or(0, u64::from_le_bytes) | LOWER;
        sum = (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        sum ^= sum >> 32;
    }
    let mut last = [0; 8];
    let rest = chunks.remainder();
    last[..rest.len()].copy_from_slice(rest);
    sum = (sum ^ (u64::from_le_bytes(last) | LOWER)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    sum ^ (sum >> 32)
}

/// The first (or, of what is given reversed by the caller, last) bytes as a number: up to eight.
pub(super) fn edge(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    let len = bytes.len().min(8);
    word[..len].copy_from_slice(&bytes[..len]);
    u64::from_le_bytes(word) | LOWER
}
