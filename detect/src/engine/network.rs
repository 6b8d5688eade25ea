//! Networks that an address is looked up in, all at once.
//!
//! Invariant: an address is in a network exactly where, cut to the network's length, it is the
//! network. So one look-up for each length that some network has finds all that contain it, as a
//! walk down a trie of bits would.

use std::net::IpAddr;

use super::index::Index;
use crate::test::{Cidr, address_of};

/// Lengths that an address can be cut to.
const LENGTHS: usize = 129;

/// Values by network.
#[derive(Debug)]
pub(super) struct Networks<V> {
    by_network: Index<(Cidr, V)>,
    /// Bit n: some network of that family is n bits long.
    lengths: [[u64; LENGTHS.div_ceil(64)]; 2],
}

/// A number that equal networks have alike.
fn key(network: &Cidr) -> u64 {
    let (family, bits) = match network.network() {
        IpAddr::V4(v4) => (0, u128::from(v4.to_bits())),
        IpAddr::V6(v6) => (1, v6.to_bits()),
    };
    #[expect(clippy::cast_possible_truncation, reason = "both halves count")]
    let halves = (bits as u64) ^ ((bits >> 64) as u64).rotate_left(29);
    (halves ^ (u64::from(network.bits()) << 1 | family) << 56).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl<V> Networks<V> {
    pub(super) fn new(pairs: Vec<(Cidr, V)>) -> Self {
        let mut lengths = [[0; _]; 2];
        for (network, _) in &pairs {
            let bits = usize::from(network.bits());
            lengths[usize::from(network.network().is_ipv6())][bits / 64] |= 1 << (bits % 64);
        }
        let keyed = pairs.into_iter().map(|(network, value)| (key(&network), (network, value)));
        Self { by_network: Index::new(keyed.collect()), lengths }
    }

    /// Calls `found` with the values of all networks that hold the address that `text` is, until
    /// it says that this is enough.
    pub(super) fn find(&self, text: &str, mut found: impl FnMut(&V) -> bool) {
        let Some(address) = address_of(text) else { return };
        // An IPv4 address written as IPv6 is in networks of both kinds.
        let canonical = address.to_canonical();
        if !self.find_cut(address, &mut found) && canonical != address {
            self.find_cut(canonical, &mut found);
        }
    }

    fn find_cut(&self, address: IpAddr, found: &mut impl FnMut(&V) -> bool) -> bool {
        for (word, lengths) in self.lengths[usize::from(address.is_ipv6())].iter().enumerate() {
            let mut lengths = *lengths;
            while lengths != 0 {
                let bits = word * 64 + lengths.trailing_zeros() as usize;
                lengths &= lengths - 1;
                let network = Cidr::around(address, u8::try_from(bits).unwrap_or(u8::MAX));
                for (other, value) in self.by_network.get(key(&network)) {
                    if *other == network && found(value) {
                        return true;
                    }
                }
            }
        }
        false
    }

    pub(super) fn contains(&self, text: &str) -> bool {
        let mut contains = false;
        self.find(text, |_| {
            contains = true;
            true
        });
        contains
    }

    pub(super) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.by_network.memory_bytes()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address() -> impl Strategy<Value = String> {
        prop_oneof![
            (0..3_u8, 0..3_u8, any::<u8>()).prop_map(|(a, b, c)| format!("10.{a}.{b}.{c}")),
            (0..3_u8, any::<u8>()).prop_map(|(a, b)| format!("::ffff:10.0.{a}.{b}")),
            (0..3_u16, any::<u16>()).prop_map(|(a, b)| format!("2001:db8:{a}::{b:x}")),
            any::<u32>().prop_map(|a| std::net::Ipv4Addr::from(a).to_string()),
            Just("fe80::1%eth0".to_owned()),
            Just("no address".to_owned()),
            Just(" 10.0.0.1 ".to_owned()),
        ]
    }

    proptest! {
        /// The simple form: every network asked in turn.
        #[test]
        fn finds_every_network_that_holds_the_address(
            networks in prop::collection::vec((address(), 0..=128_u8), 0..40),
            asked in prop::collection::vec(address(), 1..20),
        ) {
            let networks: Vec<Cidr> = networks
                .iter()
                .filter_map(|(address, bits)| {
                    let address = address_of(address)?;
                    Some(Cidr::around(address, if address.is_ipv4() { bits % 33 } else { *bits }))
                })
                .collect();
            let set = Networks::new(networks.iter().copied().zip(0_usize..).collect());
            for text in &asked {
                let mut got = Vec::new();
                set.find(text, |place| {
                    got.push(*place);
                    false
                });
                got.sort_unstable();
                let meant: Vec<usize> =
                    (0..networks.len()).filter(|place| networks[*place].contains(text)).collect();
                prop_assert_eq!(set.contains(text), !meant.is_empty());
                prop_assert_eq!(got, meant);
            }
        }
    }
}
