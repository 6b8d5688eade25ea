//! Page cursors: where a listing goes on, as text that only this server makes.
//!
//! A cursor is the hexadecimal of a version, the sort key of the last object and a checksum over
//! both and what the listing is of. It carries no right: whoever alters one gets
//! [`DbError::Cursor`], and whoever forges one still reads only what the scope allows.

use event::Timestamp;

use super::DbError;

const VERSION: u8 = 1;
const KEY_BYTES: usize = 1 + 8 + 16;
const CURSOR_BYTES: usize = KEY_BYTES + 4;

/// The sort key of the last object on a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct After {
    pub(super) time: Timestamp,
    pub(super) id: [u8; 16],
}

impl After {
    /// The cursor's text. `listing` names what is listed, so that the cursor of one listing
    /// is none of another.
    pub(super) fn to_cursor(self, listing: &[u8]) -> String {
        let mut bytes = Vec::with_capacity(CURSOR_BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.time.as_nanos().to_be_bytes());
        bytes.extend_from_slice(&self.id);
        let sum = checksum(listing, &bytes);
        bytes.extend_from_slice(&sum.to_be_bytes());
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads a cursor back.
    pub(super) fn from_cursor(text: &str, listing: &[u8]) -> Result<Self, DbError> {
        let bytes = unhex(text).ok_or(DbError::Cursor)?;
        let (key, sum) = bytes.split_at(KEY_BYTES);
        if sum != checksum(listing, key).to_be_bytes() || key[0] != VERSION {
            return Err(DbError::Cursor);
        }
        let (mut time, mut id) = ([0; 8], [0; 16]);
        time.copy_from_slice(&key[1..9]);
        id.copy_from_slice(&key[9..]);
        Ok(Self { time: Timestamp::from_nanos(i64::from_be_bytes(time)), id })
    }
}

fn checksum(listing: &[u8], key: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(listing), key)
}

/// Lower-case digits only, so that one position has one text.
fn unhex(text: &str) -> Option<[u8; CURSOR_BYTES]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * CURSOR_BYTES {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; CURSOR_BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// How many objects a page has, where `limit` were asked for.
pub(super) fn page_size(limit: usize, default: usize) -> usize {
    match limit {
        0 => default,
        limit => limit.min(PAGE_MAX),
    }
}

/// The most objects on a page.
pub(super) const PAGE_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn cursors_come_back_and_altered_ones_do_not(
            nanos: i64, id: [u8; 16], at in 0usize..58, with in "[ -~é]"
        ) {
            let after = After { time: Timestamp::from_nanos(nanos), id };
            let cursor = after.to_cursor(b"a");
            prop_assert_eq!(After::from_cursor(&cursor, b"a").unwrap(), after);
            prop_assert!(After::from_cursor(&cursor, b"b").is_err());
            let altered = format!("{}{with}{}", &cursor[..at], &cursor[at + 1..]);
            if altered != cursor {
                prop_assert!(After::from_cursor(&altered, b"a").is_err());
            }
        }

        #[test]
        fn no_text_panics(text: String) {
            prop_assert!(After::from_cursor(&text, b"a").is_err());
        }
    }
}
