//! What a rule asks of one value, after all modifiers are applied.

use std::{cmp::Ordering, net::IpAddr, sync::Arc};

use event::{FieldId, Timestamp, ValueRef};
use regex::Regex;

use crate::pattern::Pattern;

/// A question about the values of a field.
#[derive(Clone, Debug)]
pub(crate) enum Test {
    /// A value's text looks like this.
    Text(Pattern),
    /// A value is this number, or text that spells it.
    Number(Number),
    /// A value is this truth value, or text that spells it.
    Bool(bool),
    /// The field is missing or has only nulls.
    Null,
    /// A value's text holds a match.
    Regex(Arc<Regex>),
    /// A value is an address in this network.
    Cidr(Cidr),
    /// A value is a number that compares so with this one.
    Compare(Op, Num),
    /// A value is a time, and this part of it compares so with this number.
    Time(TimePart, Op, i64),
    /// The field is there, or is not; null counts as there.
    Exists(bool),
    /// A value relates so to a value of another field.
    FieldRef(FieldRef),
}

/// Another field whose values are compared with.
#[derive(Clone, Debug)]
pub(crate) struct FieldRef {
    pub(crate) fields: Vec<FieldId>,
    pub(crate) anchor: Anchor,
    pub(crate) cased: bool,
}

/// Where in the value the rule's text is expected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Anchor {
    #[default]
    Whole,
    Contains,
    Starts,
    Ends,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Eq,
    Lt,
    Lte,
    Gt,
    Gte,
}

impl Op {
    pub(crate) fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Eq => ordering == Ordering::Equal,
            Self::Lt => ordering == Ordering::Less,
            Self::Lte => ordering != Ordering::Greater,
            Self::Gt => ordering == Ordering::Greater,
            Self::Gte => ordering != Ordering::Less,
        }
    }
}

/// A number, whole ones exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Num {
    Int(i128),
    /// Finite.
    Float(f64),
}

impl Num {
    /// Decimal text, as events write numbers.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(n) = text.parse::<i128>() {
            return Some(Self::Int(n));
        }
        // "inf" and "nan" parse as f64, but are no numbers here.
        if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
            return None;
        }
        text.parse::<f64>().ok().filter(|n| n.is_finite()).map(Self::Float)
    }

    /// A YAML plain scalar that is a number by the 1.2 core schema, `0x1f` and `0o17` too.
    pub(crate) fn parse_yaml(text: &str) -> Option<Self> {
        if let Some(hex) = text.strip_prefix("0x") {
            return i128::from_str_radix(hex, 16)
                .ok()
                .filter(|_| !hex.starts_with(['+', '-']))
                .map(Self::Int);
        }
        if let Some(octal) = text.strip_prefix("0o") {
            return i128::from_str_radix(octal, 8)
                .ok()
                .filter(|_| !octal.starts_with(['+', '-']))
                .map(Self::Int);
        }
        Self::parse(text)
    }

    pub(crate) fn of(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::I64(n) => Some(Self::Int(n.into())),
            ValueRef::U64(n) => Some(Self::Int(n.into())),
            ValueRef::F64(n) => Some(Self::Float(n)).filter(|_| n.is_finite()),
            ValueRef::Str(text) => Self::parse(text),
            ValueRef::Null | ValueRef::Bool(_) => None,
        }
    }

    pub(crate) fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(&b),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(&b),
            (Self::Int(a), Self::Float(b)) => compare_mixed(a, b),
            (Self::Float(a), Self::Int(b)) => compare_mixed(b, a).reverse(),
        }
    }
}

/// Exact: a double beyond `i128` is beyond every whole number here, one within it has a whole
/// part that `i128` holds.
#[expect(clippy::cast_possible_truncation, reason = "bounded by the comparisons before")]
fn compare_mixed(a: i128, b: f64) -> Ordering {
    if b >= 1.7e38 {
        return Ordering::Less;
    }
    if b <= -1.7e38 {
        return Ordering::Greater;
    }
    let floor = b.floor();
    a.cmp(&(floor as i128)).then(if b > floor { Ordering::Less } else { Ordering::Equal })
}

/// A number that a rule compares for equality.
#[derive(Clone, Debug)]
pub(crate) struct Number {
    pub(crate) num: Num,
    /// Texts that spell it, folded: decimal, and as the rule wrote it (`0x1`, `007`).
    pub(crate) texts: Vec<String>,
}

impl Number {
    pub(crate) fn new(num: Num, written: &str) -> Self {
        let mut texts = vec![match num {
            Num::Int(n) => n.to_string(),
            Num::Float(n) => n.to_string(),
        }];
        let written = crate::fold::fold(written);
        if written != texts[0] {
            texts.push(written);
        }
        Self { num, texts }
    }

    /// Whether every value that is this number is spelled by one of the texts once it is
    /// text. A double may spell itself in ways that the texts do not know.
    pub(crate) fn is_spelled(&self) -> bool {
        matches!(self.num, Num::Int(n) if n.unsigned_abs() < 1 << 53)
    }

    pub(crate) fn matches(&self, value: ValueRef<'_>) -> bool {
        match value {
            ValueRef::Str(text) => self.texts.iter().any(|t| t.eq_ignore_ascii_case(text)),
            value => Num::of(value).is_some_and(|num| num.compare(self.num) == Ordering::Equal),
        }
    }
}

/// A network. An IPv4 address written as IPv6 (`::ffff:192.0.2.1`) counts as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Cidr {
    network: IpAddr,
    bits: u8,
}

impl Cidr {
    /// `address/bits`, or an address alone; `Err` says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let network: IpAddr = address.parse().map_err(|_| {
            format!("{text:?} is no network; write it like 192.0.2.0/24 or 2001:db8::/32")
        })?;
        let width = if network.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => width,
            Some(bits) => bits
                .parse::<u8>()
                .ok()
                .filter(|b| *b <= width && bits.bytes().all(|c| c.is_ascii_digit()))
                .ok_or_else(|| format!("{text:?} needs a prefix length from 0 to {width}"))?,
        };
        let cidr = Self { network: masked(network, bits), bits };
        if cidr.network != network {
            return Err(format!(
                "{text:?} has bits set behind its prefix; the network is {}/{bits}",
                cidr.network
            ));
        }
        Ok(cidr)
    }

    /// The network of so many bits that `address` is in.
    pub(crate) fn around(address: IpAddr, bits: u8) -> Self {
        Self { network: masked(address, bits), bits }
    }

    pub(crate) fn network(&self) -> IpAddr {
        self.network
    }

    pub(crate) fn bits(&self) -> u8 {
        self.bits
    }

    pub(crate) fn contains(&self, text: &str) -> bool {
        let Some(address) = address_of(text) else { return false };
        let address = if self.network.is_ipv4() { address.to_canonical() } else { address };
        address.is_ipv4() == self.network.is_ipv4() && masked(address, self.bits) == self.network
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.network, self.bits)
    }
}

/// The address that a value is, if it is one.
pub(crate) fn address_of(text: &str) -> Option<IpAddr> {
    // An IPv6 zone (`fe80::1%eth0`) is not part of the address.
    text.trim().split('%').next().unwrap_or_default().parse().ok()
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimePart {
    Minute,
    Hour,
    /// Of the month.
    Day,
    /// ISO 8601's week of the year.
    Week,
    Month,
    Year,
}

impl TimePart {
    /// The least and the greatest value that the part can have.
    pub(crate) fn range(self) -> (i64, i64) {
        match self {
            Self::Minute => (0, 59),
            Self::Hour => (0, 23),
            Self::Day => (1, 31),
            Self::Week => (1, 53),
            Self::Month => (1, 12),
            Self::Year => (0, 9999),
        }
    }

    /// The part of the time that `value` is, in UTC. Text is RFC 3339 or alike; a number is
    /// seconds since 1970, or milliseconds where it is beyond the year 5138 in seconds.
    pub(crate) fn of(self, value: ValueRef<'_>) -> Option<i64> {
        let stamp = match value {
            ValueRef::I64(n) => epoch(n),
            ValueRef::Str(text) => Timestamp::parse(text).or_else(|| {
                let digits = text.len() >= 9 && text.bytes().all(|b| b.is_ascii_digit());
                digits.then(|| text.parse().ok()).flatten().map(epoch)
            })?,
            _ => return None,
        };
        let zoned = jiff::Timestamp::from_nanosecond(stamp.as_nanos().into())
            .ok()?
            .to_zoned(jiff::tz::TimeZone::UTC);
        Some(match self {
            Self::Minute => zoned.minute().into(),
            Self::Hour => zoned.hour().into(),
            Self::Day => zoned.day().into(),
            Self::Week => zoned.date().iso_week_date().week().into(),
            Self::Month => zoned.month().into(),
            Self::Year => zoned.year().into(),
        })
    }
}

fn epoch(n: i64) -> Timestamp {
    if n.unsigned_abs() >= 100_000_000_000 {
        Timestamp::from_millis(n)
    } else {
        Timestamp::from_secs(n)
    }
}

impl Test {
    /// Whether `value`, which is not null, satisfies the test by the letter. `FieldRef` and
    /// the tests about presence are the caller's.
    pub(crate) fn matches(&self, value: ValueRef<'_>) -> bool {
        if value == ValueRef::Null {
            return false;
        }
        match self {
            Self::Text(pattern) => pattern.matches(&value.to_text()),
            Self::Regex(regex) => regex.is_match(&value.to_text()),
            other => other.matches_typed(value),
        }
    }

    /// [`matches`](Self::matches) for the tests that are the same in the plain evaluator and
    /// in the engine.
    pub(crate) fn matches_typed(&self, value: ValueRef<'_>) -> bool {
        match self {
            Self::Number(number) => number.matches(value),
            Self::Bool(wanted) => match value {
                ValueRef::Bool(b) => b == *wanted,
                ValueRef::Str(text) => {
                    text.eq_ignore_ascii_case(if *wanted { "true" } else { "false" })
                }
                _ => false,
            },
            Self::Cidr(cidr) => value.as_str().is_some_and(|text| cidr.contains(text)),
            Self::Compare(op, than) => {
                Num::of(value).is_some_and(|num| op.holds(num.compare(*than)))
            }
            Self::Time(part, op, than) => part.of(value).is_some_and(|n| op.holds(n.cmp(than))),
            Self::Text(_) | Self::Regex(_) | Self::Null | Self::Exists(_) | Self::FieldRef(_) => {
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_exactly() {
        let big = Num::Int(9_007_199_254_740_993);
        assert_eq!(big.compare(Num::Float(9_007_199_254_740_992.0)), Ordering::Greater);
        assert_eq!(Num::Float(1.5).compare(Num::Int(1)), Ordering::Greater);
        assert_eq!(Num::Float(-1.5).compare(Num::Int(-1)), Ordering::Less);
        assert_eq!(Num::Int(3).compare(Num::Float(3.0)), Ordering::Equal);
        assert_eq!(Num::parse("nan"), None);
        assert_eq!(Num::parse_yaml("0x1F"), Some(Num::Int(31)));
        let n = Number::new(Num::parse_yaml("0x1F").unwrap(), "0x1F");
        for value in
            [ValueRef::I64(31), ValueRef::Str("31"), ValueRef::Str("0X1f"), ValueRef::F64(31.0)]
        {
            assert!(n.matches(value), "{value:?}");
        }
        assert!(!n.matches(ValueRef::Str("031")));
    }

    #[test]
    fn networks_hold_what_they_should() {
        let cidr = Cidr::parse("192.168.0.0/16").unwrap();
        assert!(cidr.contains("192.168.255.1") && cidr.contains("::ffff:192.168.0.9"));
        assert!(!cidr.contains("192.169.0.1") && !cidr.contains("-") && !cidr.contains("::1"));
        assert!(Cidr::parse("0.0.0.0/0").unwrap().contains("8.8.8.8"));
        assert!(Cidr::parse("fe80::/10").unwrap().contains("fe80::1%12"));
        assert!(Cidr::parse("::1").unwrap().contains("0:0:0:0:0:0:0:1"));
        for bad in ["192.168.1.1/16", "x", "10.0.0.0/33", "10.0.0.0/+8", ""] {
            assert!(Cidr::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_have_parts() {
        let at = ValueRef::Str("2026-01-01 22:07:03.5");
        assert_eq!(TimePart::Hour.of(at), Some(22));
        assert_eq!(TimePart::Week.of(at), Some(1));
        assert_eq!(TimePart::Year.of(ValueRef::I64(1_767_225_600)), Some(2026));
        assert_eq!(TimePart::Month.of(ValueRef::Str("1767225600000")), Some(1));
        assert_eq!(TimePart::Day.of(ValueRef::Str("soon")), None);
    }
}
