//! Ranges and networks, and which values lie within.

use std::{
    cmp::Ordering,
    net::{IpAddr, Ipv6Addr},
};

use event::Timestamp;

use super::ast::Edge;
use crate::index::{document::as_v6, fold::fold};

/// Characters of a value that could be a number, an address or a time.
const SCALAR_BYTES_MAX: usize = 64;

/// What the ends of a range are, which decides how values are compared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Bounds {
    /// Values that spell numbers, compared as numbers.
    Number { low: Option<(Number, bool)>, high: Option<(Number, bool)> },
    /// Values that spell times, in ns, both ends included.
    Time { from: i64, to: i64 },
    /// Values that spell addresses, compared as IPv6 ones.
    Address { low: Option<(Ipv6Addr, bool)>, high: Option<(Ipv6Addr, bool)> },
    /// Values that spell addresses of a network.
    Net(Net),
    /// Any other value, folded, compared as text.
    Text { low: Option<(String, bool)>, high: Option<(String, bool)> },
}

/// A number as precise as it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Whole(i128),
    Real(f64),
}

impl Number {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text.len() > SCALAR_BYTES_MAX {
            return None;
        }
        if let Ok(whole) = text.parse() {
            return Some(Self::Whole(whole));
        }
        // "inf" and "nan" are words, not numbers.
        let starts = |c: char| c.is_ascii_digit() || "+-.".contains(c);
        let real: f64 = text.starts_with(starts).then(|| text.parse().ok()).flatten()?;
        real.is_finite().then_some(Self::Real(real))
    }

    fn compare(self, other: Self) -> Ordering {
        let real = |number| match number {
            Self::Whole(whole) => whole as f64,
            Self::Real(real) => real,
        };
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => a.cmp(&b),
            (a, b) => real(a).total_cmp(&real(b)),
        }
    }
}

/// A network, as bounds of IPv6 addresses; IPv4 is mapped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Net {
    first: Ipv6Addr,
    last: Ipv6Addr,
}

impl Net {
    /// `address/bits`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let bits: u32 = bits.parse().ok()?;
        let host_bits = match address {
            IpAddr::V4(_) => 32u32.checked_sub(bits)?,
            IpAddr::V6(_) => 128u32.checked_sub(bits)?,
        };
        let host = u128::MAX.checked_shl(host_bits).map_or(u128::MAX, |network| !network);
        let number = u128::from(as_v6(address));
        Some(Self { first: (number & !host).into(), last: (number | host).into() })
    }

    pub(crate) fn single(address: IpAddr) -> Self {
        Self { first: as_v6(address), last: as_v6(address) }
    }
}

/// The bounds in ns, both included. The error is the text that is no time.
pub(crate) fn time_bounds(low: Option<&Edge>, high: Option<&Edge>) -> Result<(i64, i64), String> {
    let mut bounds = (Timestamp::MIN.as_nanos(), Timestamp::MAX.as_nanos());
    if let Some(edge) = low {
        let (first, last) = instant(&edge.text).ok_or_else(|| edge.text.clone())?;
        bounds.0 = if edge.inclusive { first } else { last.saturating_add(1) };
    }
    if let Some(edge) = high {
        let (first, last) = instant(&edge.text).ok_or_else(|| edge.text.clone())?;
        bounds.1 = if edge.inclusive { last } else { first.saturating_sub(1) };
    }
    Ok(bounds)
}

/// First and last ns of what `text` names: a day, or an instant.
fn instant(text: &str) -> Option<(i64, i64)> {
    if text.len() > SCALAR_BYTES_MAX || Number::parse(text).is_some() {
        return None;
    }
    let first = Timestamp::parse(text)?.as_nanos();
    let is_day = text.trim().len() == 10 && !text.contains(':');
    let last = if is_day { first.saturating_add(86_400_000_000_000 - 1) } else { first };
    Some((first, last))
}

impl Bounds {
    /// What these ends are; `None` where neither is given.
    pub(crate) fn new(low: Option<&Edge>, high: Option<&Edge>) -> Option<Self> {
        if low.is_none() && high.is_none() {
            return None;
        }
        if let (Some(low), Some(high)) = (ends(low, Number::parse), ends(high, Number::parse)) {
            return Some(Self::Number { low, high });
        }
        let address = |text: &str| text.parse::<IpAddr>().ok().map(as_v6);
        if let (Some(low), Some(high)) = (ends(low, address), ends(high, address)) {
            return Some(Self::Address { low, high });
        }
        if let Ok((from, to)) = time_bounds(low, high) {
            return Some(Self::Time { from, to });
        }
        let text = |text: &str| Some(fold(text));
        Some(Self::Text { low: ends(low, text)?, high: ends(high, text)? })
    }

    /// Whether a value, folded, lies within.
    pub(crate) fn hold(&self, folded: &str) -> bool {
        match self {
            Self::Number { low, high } => Number::parse(folded)
                .is_some_and(|value| between(low, high, |bound| value.compare(*bound))),
            Self::Time { from, to } => {
                let time = instant(folded).map(|(first, _)| first);
                time.is_some_and(|time| (*from..=*to).contains(&time))
            }
            Self::Address { low, high } => {
                address(folded).is_some_and(|value| between(low, high, |bound| value.cmp(bound)))
            }
            Self::Net(net) => {
                address(folded).is_some_and(|value| net.first <= value && value <= net.last)
            }
            Self::Text { low, high } => {
                between(low, high, |bound: &String| folded.cmp(bound.as_str()))
            }
        }
    }
}

fn address(text: &str) -> Option<Ipv6Addr> {
    let text = text.trim();
    (text.len() <= SCALAR_BYTES_MAX).then(|| text.parse::<IpAddr>().ok().map(as_v6)).flatten()
}

type End<T> = Option<(T, bool)>;

/// An end that is given must parse; outer `None` where it does not.
fn ends<T>(edge: Option<&Edge>, parse: impl Fn(&str) -> Option<T>) -> Option<End<T>> {
    match edge {
        None => Some(None),
        Some(edge) => parse(&edge.text).map(|value| Some((value, edge.inclusive))),
    }
}

fn between<T>(low: &End<T>, high: &End<T>, compare: impl Fn(&T) -> Ordering) -> bool {
    let above = low.as_ref().is_none_or(|(low, inclusive)| match compare(low) {
        Ordering::Greater => true,
        Ordering::Equal => *inclusive,
        Ordering::Less => false,
    });
    above
        && high.as_ref().is_none_or(|(high, inclusive)| match compare(high) {
            Ordering::Less => true,
            Ordering::Equal => *inclusive,
            Ordering::Greater => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(text: &str, inclusive: bool) -> Edge {
        Edge { text: text.into(), inclusive }
    }

    fn holds(low: &str, high: &str, value: &str) -> bool {
        let of = |text: &str| (text != "*").then(|| edge(text, true));
        Bounds::new(of(low).as_ref(), of(high).as_ref()).unwrap().hold(value)
    }

    #[test]
    fn values_compare_as_what_the_bounds_are() {
        assert!(holds("5", "10", "7") && !holds("5", "10", "70") && holds("5", "*", "70"));
        assert!(!holds("5", "10", "abc") && holds("1.5", "*", "18446744073709551616"));
        assert!(holds("10.0.0.9", "10.0.0.20", "10.0.0.10"));
        assert!(holds("2026-01-01", "2026-01-02", "2026-01-02t23:59:59z"));
        assert!(holds("a", "c", "bzz") && !holds("a", "c", "d"));
    }

    #[test]
    fn networks_hold_their_addresses() {
        for (net, address_in, out) in [
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("fe80::/10", "fe80::1", "ff00::1"),
            ("::/0", "10.0.0.1", "x"),
            ("10.1.2.3/32", "::ffff:10.1.2.3", "10.1.2.4"),
        ] {
            let net = Bounds::Net(Net::parse(net).unwrap());
            assert!(net.hold(address_in) && !net.hold(out), "{net:?}");
        }
        for bad in ["10.0.0.0/33", "::/129", "10.0.0/8", "a/b", "1.1.1.1/-1"] {
            assert!(Net::parse(bad).is_none(), "{bad}");
        }
    }
}
