//! What the correlate stage saves: detections not yet on the bus, and the correlator's snapshot.
//!
//! `JQCS`, the number of detections, each as key and payload with their lengths before them, then
//! the snapshot. Numbers are 32 bits, little endian.

use anyhow::{Context as _, ensure};
use bytes::Bytes;

use super::correlate::Fired;

const MAGIC: &[u8; 4] = b"JQCS";

/// The bytes to save.
pub(super) fn seal(outbox: &[Fired], snapshot: &[u8]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    let length = |out: &mut Vec<u8>, length: usize| {
        out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    };
    length(&mut out, outbox.len());
    for fired in outbox {
        for part in [fired.key.as_bytes(), &fired.payload] {
            length(&mut out, part.len());
            out.extend_from_slice(part);
        }
    }
    out.extend_from_slice(snapshot);
    out
}

/// The reverse of [`seal`].
pub(super) fn open(state: &[u8]) -> anyhow::Result<(Vec<Fired>, &[u8])> {
    let (magic, mut rest) = state.split_at_checked(MAGIC.len()).context("it is cut short")?;
    ensure!(magic == MAGIC, "it does not begin as a saved state does");
    let count = number(&mut rest)?;
    let mut outbox = Vec::new();
    for _ in 0..count {
        let key = String::from_utf8(part(&mut rest)?.to_vec()).context("a key is not UTF-8")?;
        outbox.push(Fired { key, payload: Bytes::copy_from_slice(part(&mut rest)?) });
    }
    Ok((outbox, rest))
}

fn number(rest: &mut &[u8]) -> anyhow::Result<usize> {
    let (bytes, after) = rest.split_first_chunk::<4>().context("it is cut short")?;
    *rest = after;
    Ok(usize::try_from(u32::from_le_bytes(*bytes))?)
}

fn part<'s>(rest: &mut &'s [u8]) -> anyhow::Result<&'s [u8]> {
    let length = number(rest)?;
    let (part, after) = rest.split_at_checked(length).context("it is cut short")?;
    *rest = after;
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_and_nothing_else_does() {
        let outbox = [("dijon", "{}"), ("metropole", "[1]")]
            .map(|(key, payload)| Fired { key: key.to_owned(), payload: Bytes::from(payload) });
        let state = seal(&outbox, b"snapshot");
        let (opened, snapshot) = open(&state).unwrap();
        assert_eq!(snapshot, b"snapshot");
        let parts = |fired: &[Fired]| {
            fired.iter().map(|f| (f.key.clone(), f.payload.clone())).collect::<Vec<_>>()
        };
        assert_eq!(parts(&opened), parts(&outbox));
        for end in 0..state.len() - snapshot.len() {
            assert!(open(&state[..end]).is_err(), "{end}");
        }
    }
}
