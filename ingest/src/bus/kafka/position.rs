//! Where a payload stands: its message's offset and its number in the message, as one number.

/// Bits of the number within the message.
const INDEX_BITS: u32 = 16;

/// Payloads that one message has at most. One less than the numbers there are, so that the
/// place behind the last one has a number too.
pub(super) const PAYLOADS_MAX: usize = (1 << INDEX_BITS) - 1;

/// The offset that the rest of the program sees: it grows with the message's offset, then with
/// the number within it.
pub(super) fn pack(offset: i64, index: usize) -> u64 {
    let offset = u64::try_from(offset).unwrap_or(0);
    (offset << INDEX_BITS) | (index as u64 & (PAYLOADS_MAX as u64))
}

/// The message's offset and the number within it.
pub(super) fn unpack(position: u64) -> (i64, usize) {
    let index = position & (PAYLOADS_MAX as u64);
    #[expect(clippy::cast_possible_wrap, reason = "48 bits are left")]
    let offset = (position >> INDEX_BITS) as i64;
    (offset, usize::try_from(index).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_in_order_and_come_back() {
        let places = [(0, 0), (0, 1), (0, PAYLOADS_MAX), (1, 0), (1 << 40, 7)];
        let packed: Vec<u64> = places.iter().map(|(at, index)| pack(*at, *index)).collect();
        assert!(packed.is_sorted());
        assert_eq!(packed.into_iter().map(unpack).collect::<Vec<_>>(), places);
    }
}
