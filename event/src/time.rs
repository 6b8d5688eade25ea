//! Points in time.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// A point in time, UTC, in nanoseconds since 1970-01-01; years 1678 to 2262.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The smallest representable time.
    pub const MIN: Self = Self(i64::MIN);
    /// The largest representable time.
    pub const MAX: Self = Self(i64::MAX);

    /// The wall clock, now.
    pub fn now() -> Self {
        match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
            Ok(d) => Self(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)),
            Err(_) => Self(0),
        }
    }

    /// From nanoseconds since the epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From milliseconds since the epoch, saturating.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// From seconds since the epoch, saturating.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Milliseconds since the epoch, rounded towards negative infinity.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Parses RFC 3339, with `T` or a space, and with `Z` or a numeric offset. A time
    /// without an offset is taken as UTC.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let stamp = match text.parse::<jiff::Timestamp>() {
            Ok(stamp) => stamp,
            Err(_) => jiff::tz::TimeZone::UTC
                .to_timestamp(text.parse::<jiff::civil::DateTime>().ok()?)
                .ok()?,
        };
        i64::try_from(stamp.as_nanosecond()).ok().map(Self)
    }

    /// Time from `earlier` to `self`; zero where `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// `self` moved back by `duration`, saturating.
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// `self` moved forward by `duration`, saturating.
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }
}

/// RFC 3339 in UTC with `Z`, and as many fractional digits as the value needs.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(stamp) => stamp.fmt(f),
            Err(_) => Err(fmt::Error),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "{text:?} is no RFC 3339 time, e.g. 2026-01-31T08:00:00Z"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_prints_rfc_3339() {
        for (text, printed) in [
            ("2025-11-27T07:40:10.165324Z", "2025-11-27T07:40:10.165324Z"),
            ("2025-11-27 07:40:10.1653241", "2025-11-27T07:40:10.1653241Z"),
            ("2025-11-27T09:40:10+02:00", "2025-11-27T07:40:10Z"),
        ] {
            assert_eq!(Timestamp::parse(text).unwrap().to_string(), printed);
        }
        assert_eq!(Timestamp::parse("yesterday"), None);
    }
}
