//! Randomness, for what must differ from installation to installation.

use std::{
    fs::File,
    io::{self, Read as _},
};

use event::BusId;

/// Bytes from the system's source.
pub(super) fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut random = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(random)
}

/// A new id, as UUID version 4, variant 1 (RFC 9562).
pub(super) fn bus_id() -> io::Result<BusId> {
    let mut id = bytes::<16>()?;
    id[6] = id[6] & 0x0f | 0x40;
    id[8] = id[8] & 0x3f | 0x80;
    Ok(BusId::from_bytes(id))
}
