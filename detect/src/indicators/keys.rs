//! Values as keys: compact, found by hash, networks by their prefix.

use std::{hash::BuildHasher as _, net::IpAddr};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// What sort of value a key is; its first byte. A file's hash and a certificate's with the same
/// digits are different keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Sort {
    Ip,
    Domain,
    Url,
    Hash,
    Email,
    UserAgent,
    Certificate,
    FileName,
    Ja3,
}

/// A set of keys, each known by its place: the order in which it was first inserted.
///
/// A key is its sort and its canonical bytes, one after another in one buffer; the table holds
/// places only. That is some 18 bytes a key beside the bytes themselves, and a look-up that finds
/// nothing touches one line of the table's control bytes in most cases.
#[derive(Debug, Default)]
pub(super) struct Keys {
    bytes: Vec<u8>,
    /// Where each key ends.
    ends: Vec<u32>,
    table: HashTable<u32>,
    hasher: RandomState,
    v4: Lengths<33>,
    v6: Lengths<129>,
}

/// Which prefix lengths some network has.
#[derive(Debug)]
struct Lengths<const N: usize> {
    present: [bool; N],
    /// The same, longest first.
    sorted: Vec<u8>,
}

impl<const N: usize> Default for Lengths<N> {
    fn default() -> Self {
        Self { present: [false; N], sorted: Vec::new() }
    }
}

impl<const N: usize> Lengths<N> {
    fn insert(&mut self, length: u8) {
        if let Some(present) = self.present.get_mut(usize::from(length))
            && !std::mem::replace(present, true)
        {
            self.sorted.push(length);
            self.sorted.sort_unstable_by(|a, b| b.cmp(a));
        }
    }
}

/// Past so many bytes of keys their ends no longer fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Keys {
    /// The place of `key`, entered where it is new.
    pub(super) fn insert(&mut self, key: &[u8]) -> Result<u32, Full> {
        if let Some(place) = self.find(key) {
            return Ok(place);
        }
        let end = u32::try_from(self.bytes.len() + key.len()).map_err(|_| Full)?;
        let place = u32::try_from(self.ends.len()).map_err(|_| Full)?;
        self.bytes.extend_from_slice(key);
        self.ends.push(end);
        let Self { bytes, ends, table, hasher, .. } = self;
        let hash = hasher.hash_one(key);
        table.insert_unique(hash, place, |place| hasher.hash_one(slice(bytes, ends, *place)));
        match *key {
            [sort, length, _, _, _, _] if sort == Sort::Ip as u8 => self.v4.insert(length),
            [sort, length, ..] if sort == Sort::Ip as u8 => self.v6.insert(length),
            _ => {}
        }
        Ok(place)
    }

    /// The place of `key`.
    pub(super) fn find(&self, key: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        self.table.find(hash, |place| self.get(*place) == key).copied()
    }

    /// Calls `found` with the place of every address and network that `ip` lies in.
    ///
    /// Invariant: a network of length `n` contains the address exactly where the address cut to
    /// `n` bits is the network's own; so one look-up a length that occurs finds all of them.
    pub(super) fn containing(&self, ip: IpAddr, mut found: impl FnMut(u32)) {
        let (lengths, mut key) = match ip {
            IpAddr::V4(_) => (&self.v4.sorted, [0; 18]),
            IpAddr::V6(_) => (&self.v6.sorted, [0; 18]),
        };
        for length in lengths {
            let used = ip_key(ip, *length, &mut key);
            if let Some(place) = self.find(&key[..used]) {
                found(place);
            }
        }
    }

    /// The key at `place`.
    pub(super) fn get(&self, place: u32) -> &[u8] {
        slice(&self.bytes, &self.ends, place)
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Gives spare memory back.
    pub(super) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
        let Self { bytes, ends, table, hasher, .. } = self;
        table.shrink_to_fit(|place| hasher.hash_one(slice(bytes, ends, *place)));
    }

    /// Bytes of memory held.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes.capacity()
            + self.ends.capacity() * size_of::<u32>()
            + self.table.allocation_size()
    }
}

fn slice<'a>(bytes: &'a [u8], ends: &[u32], place: u32) -> &'a [u8] {
    let place = place as usize;
    let end = ends.get(place).map_or(0, |end| *end as usize);
    let start =
        place.checked_sub(1).and_then(|before| ends.get(before)).map_or(0, |end| *end as usize);
    bytes.get(start..end).unwrap_or_default()
}

/// Writes the key of the network of `length` bits that `ip` lies in; how many bytes it has.
pub(super) fn ip_key(ip: IpAddr, length: u8, key: &mut [u8; 18]) -> usize {
    key[0] = Sort::Ip as u8;
    key[1] = length;
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
            key[2..6].copy_from_slice(&(ip.to_bits() & mask).to_be_bytes());
            6
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0);
            key[2..18].copy_from_slice(&(ip.to_bits() & mask).to_be_bytes());
            18
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_where_it_was_put() {
        let mut keys = Keys::default();
        let all: Vec<Vec<u8>> =
            (0..5_000_u32).map(|n| [&[1], n.to_string().as_bytes()].concat()).collect();
        for (place, key) in (0..).zip(&all) {
            assert_eq!(keys.insert(key), Ok(place));
            assert_eq!(keys.insert(key), Ok(place));
        }
        keys.shrink();
        for (place, key) in (0..).zip(&all) {
            assert_eq!((keys.find(key), keys.get(place)), (Some(place), key.as_slice()));
        }
        assert_eq!((keys.len(), keys.find(b"\x0112x")), (5_000, None));
    }

    #[test]
    fn every_network_around_an_address_is_found() {
        let mut keys = Keys::default();
        let mut key = [0; 18];
        let networks = ["10.1.2.3/32", "10.1.0.0/16", "0.0.0.0/0", "10.2.0.0/16", "2001:db8::/32"];
        for network in networks {
            let (ip, length) = network.split_once('/').unwrap();
            let used = ip_key(ip.parse().unwrap(), length.parse().unwrap(), &mut key);
            keys.insert(&key[..used]).unwrap();
        }
        let around = |ip: &str| {
            let mut found = Vec::new();
            keys.containing(ip.parse().unwrap(), |place| found.push(place));
            found
        };
        assert_eq!(around("10.1.2.3"), [0, 1, 2]);
        assert_eq!(around("10.2.9.9"), [3, 2]);
        assert_eq!(around("2001:db8:1::9"), [4]);
        assert_eq!(around("2001:db9::"), [0_u32; 0]);
    }
}
