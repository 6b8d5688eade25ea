//! One append as one Kafka message.
//!
//! ```text
//!  0  "JQB"   3  version u8 (1)   4  payloads u32
//!  8  the length of each payload, u32
//!     the payloads
//! ```
//!
//! Numbers are little-endian. Kafka checksums its messages itself (CRC-32C).

use bytes::Bytes;

use super::{super::AppendError, position::PAYLOADS_MAX};

const MAGIC: [u8; 4] = *b"JQB\x01";
const HEAD_BYTES: usize = 8;
const LEN_BYTES: usize = 4;

/// The message of `payloads`, of at most `bytes_max` bytes.
pub(super) fn encode(payloads: &[Bytes], bytes_max: usize) -> Result<Vec<u8>, AppendError> {
    let mut bytes = HEAD_BYTES;
    for (index, payload) in payloads.iter().enumerate() {
        bytes += LEN_BYTES + payload.len();
        if bytes > bytes_max || index >= PAYLOADS_MAX {
            return Err(AppendError::TooLarge { index, bytes, max_bytes: bytes_max });
        }
    }
    let mut message = Vec::with_capacity(bytes);
    message.extend_from_slice(&MAGIC);
    // Both fit, as the whole does.
    message.extend_from_slice(&(payloads.len() as u32).to_le_bytes());
    for payload in payloads {
        message.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    }
    for payload in payloads {
        message.extend_from_slice(payload);
    }
    Ok(message)
}

/// The payloads of a message, sharing its bytes; `None` where it is none of ours.
pub(super) fn decode(message: &Bytes) -> Option<Vec<Bytes>> {
    let (magic, rest) = message.split_first_chunk::<4>()?;
    if *magic != MAGIC {
        return None;
    }
    let (count, rest) = rest.split_first_chunk::<4>()?;
    let count = u32::from_le_bytes(*count) as usize;
    let lens = rest.get(..count.checked_mul(LEN_BYTES)?)?;
    let mut at = HEAD_BYTES + lens.len();
    let mut payloads = Vec::with_capacity(count);
    for len in lens.chunks_exact(LEN_BYTES) {
        let end = at.checked_add(u32::from_le_bytes(len.try_into().ok()?) as usize)?;
        if end > message.len() {
            return None;
        }
        payloads.push(message.slice(at..end));
        at = end;
    }
    (at == message.len()).then_some(payloads)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn payloads_come_back(payloads: Vec<Vec<u8>>) {
            let payloads: Vec<Bytes> = payloads.into_iter().map(Bytes::from).collect();
            let message = encode(&payloads, usize::MAX).unwrap();
            prop_assert_eq!(decode(&message.into()), Some(payloads));
        }

        #[test]
        fn what_is_cut_or_foreign_is_refused(payloads: Vec<Vec<u8>>, cut: prop::sample::Index) {
            let payloads: Vec<Bytes> = payloads.into_iter().map(Bytes::from).collect();
            let message = encode(&payloads, usize::MAX).unwrap();
            let cut = cut.index(message.len());
            prop_assert_eq!(decode(&Bytes::copy_from_slice(&message[..cut])), None);
            let longer = [&message[..], b"x"].concat();
            prop_assert_eq!(decode(&longer.into()), None);
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes: Vec<u8>) {
            decode(&Bytes::from([&MAGIC[..], &bytes].concat()));
        }
    }

    #[test]
    fn what_is_too_large_is_named() {
        let payloads = vec![Bytes::from_static(b"ab"), Bytes::from(vec![0; 100])];
        let refused = encode(&payloads, 60);
        assert!(
            matches!(refused, Err(AppendError::TooLarge { index: 1, bytes: 118, max_bytes: 60 })),
            "{refused:?}"
        );
        let many = vec![Bytes::new(); PAYLOADS_MAX + 1];
        let refused = encode(&many, usize::MAX);
        assert!(matches!(refused, Err(AppendError::TooLarge { index: PAYLOADS_MAX, .. })));
        assert!(encode(&many[1..], usize::MAX).is_ok());
    }
}
