//! What is never a hit, whoever calls it bad.

use std::net::IpAddr;

use event::IndicatorType;

use super::{
    canonical,
    keys::{Keys, Sort, ip_key},
    set::Unusable,
};

/// Networks that say nothing of an attacker: private, local, shared, multicast, reserved.
const NETWORKS: &[(&str, u8)] = &[
    ("0.0.0.0", 8),
    ("10.0.0.0", 8),
    ("100.64.0.0", 10),
    ("127.0.0.0", 8),
    ("169.254.0.0", 16),
    ("172.16.0.0", 12),
    ("192.168.0.0", 16),
    ("224.0.0.0", 4),
    ("240.0.0.0", 4),
    ("::", 127),
    ("fc00::", 7),
    ("fe80::", 10),
    ("ff00::", 8),
];

/// The hashes of no bytes at all, which many lists of malware carry.
const EMPTY_FILE: &[&str] = &[
    "d41d8cd98f00b204e9800998ecf8427e",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
];

/// Values that are never a hit. An entry covers what the event has, not the indicator: with
/// `dijon.example` allowed, `www.dijon.example` fires nothing, though some list has it. A
/// domain's entry covers the names below it, a network's the addresses in it; a URL on an allowed
/// host still fires, as attackers use good hosts.
#[derive(Debug, Default)]
pub struct AllowList {
    keys: Keys,
}

impl AllowList {
    /// One with private and reserved networks and the hashes of the empty file.
    pub fn builtin() -> Self {
        let mut list = Self::default();
        for (network, length) in NETWORKS {
            let mut key = [0; 18];
            if let Ok(ip) = network.parse::<IpAddr>() {
                let used = ip_key(ip, *length, &mut key);
                // An empty set of keys has room.
                let _ = list.keys.insert(&key[..used]);
            }
        }
        for hash in EMPTY_FILE {
            // Constants; the test looks them up.
            let _ = list.add(IndicatorType::Hash, hash);
        }
        list
    }

    /// Adds a value of `kind`.
    pub fn add(&mut self, kind: IndicatorType, value: &str) -> Result<(), Unusable> {
        let mut key = Vec::new();
        canonical::key(kind, value, &mut key).map_err(Unusable)?;
        self.keys.insert(&key)?;
        Ok(())
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn has_address(&self, ip: IpAddr) -> bool {
        let mut found = false;
        self.keys.containing(ip, |_| found = true);
        found
    }

    /// `name` in canonical spelling.
    pub(super) fn has_domain(&self, name: &str) -> bool {
        let mut key = Vec::new();
        above(name).any(|name| {
            canonical::write(Sort::Domain, name.as_bytes(), &mut key);
            self.keys.find(&key).is_some()
        })
    }

    pub(super) fn has_key(&self, key: &[u8]) -> bool {
        self.keys.find(key).is_some()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.keys.memory_bytes()
    }
}

/// `name` and the names above it, of at least two labels, the longest first.
pub(super) fn above(name: &str) -> impl Iterator<Item = &str> {
    let mut next = Some(name).filter(|name| name.contains('.'));
    std::iter::from_fn(move || {
        let name = next?;
        next = name.split_once('.').map(|(_, rest)| rest).filter(|rest| rest.contains('.'));
        Some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_and_the_empty_file_are_always_allowed() {
        let list = AllowList::builtin();
        for ip in [
            "10.9.8.7",
            "192.168.1.1",
            "127.0.0.1",
            "::1",
            "fe80::1",
            "172.31.0.1",
            "255.255.255.255",
        ] {
            assert!(list.has_address(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["192.0.2.1", "8.8.8.8", "172.32.0.1", "2001:db8::1", "::2"] {
            assert!(!list.has_address(ip.parse().unwrap()), "{ip}");
        }
        assert_eq!(list.len(), NETWORKS.len() + EMPTY_FILE.len());
    }

    #[test]
    fn a_domain_covers_the_names_below_it() {
        let mut list = AllowList::default();
        list.add(IndicatorType::Domain, "Dijon.example").unwrap();
        assert!(list.has_domain("dijon.example") && list.has_domain("a.b.dijon.example"));
        assert!(!list.has_domain("notdijon.example") && !list.has_domain("example"));
        assert_eq!(above("a.b.c").collect::<Vec<_>>(), ["a.b.c", "b.c"]);
    }
}
