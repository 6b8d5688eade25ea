//! Records as lines.

use sha2::{Digest as _, Sha256};

use super::Record;

/// What comes after the bytes that are hashed.
const HASH_KEY: &str = ",\"hash\":\"";

/// The hash before the first record.
pub(super) const FIRST: [u8; 32] = [0; 32];

/// The line of `record`, whose `prev` is set, with its end, and its hash.
pub(super) fn write(record: &Record) -> serde_json::Result<(String, [u8; 32])> {
    let mut line = serde_json::to_string(record)?;
    // The closing brace, which goes behind the hash.
    line.pop();
    let hash: [u8; 32] = Sha256::digest(line.as_bytes()).into();
    line.push_str(HASH_KEY);
    line.push_str(&hex(&hash));
    line.push_str("\"}\n");
    Ok((line, hash))
}

/// The record of a line without its end. Says what is wrong with one that is none, or whose
/// hash is another than its bytes'.
pub(super) fn read(line: &[u8]) -> Result<(Record, [u8; 32]), &'static str> {
    let tail = HASH_KEY.len() + 64 + 2;
    let cut = line.len().checked_sub(tail).ok_or("it is no record")?;
    let (hashed, tail) = line.split_at(cut);
    let digits = tail
        .strip_prefix(HASH_KEY.as_bytes())
        .and_then(|rest| rest.strip_suffix(b"\"}"))
        .ok_or("it is no record")?;
    let hash: [u8; 32] = Sha256::digest(hashed).into();
    if digits != hex(&hash).as_bytes() {
        return Err("its bytes are not those that its hash was made of");
    }
    let record: Record = serde_json::from_slice(line).map_err(|_| "it is no record")?;
    Ok((record, hash))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    if !bytes.len().is_multiple_of(2) || !bytes.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    bytes
        .chunks_exact(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}
