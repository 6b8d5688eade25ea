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
        if let Some(time) = parse_plain(text.as_bytes()) {
            return Some(time);
        }
        let stamp = match text.parse::<jiff::Timestamp>() {
            Ok(stamp) => stamp,
            Err(_) => jiff::tz::TimeZone::UTC
                .to_timestamp(text.parse::<jiff::civil::DateTime>().ok()?)
                .ok()?,
        };
        i64::try_from(stamp.as_nanosecond()).ok().map(Self)
    }

    /// Appends what [`Display`](fmt::Display) prints.
    pub fn write(self, out: &mut String) {
        let (seconds, nanos) =
            (self.0.div_euclid(NANOS_PER_SECOND), self.0.rem_euclid(NANOS_PER_SECOND));
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        // Years are 1677 to 2262: an i64 of nanoseconds holds no others.
        digits(&mut text[0..4], year);
        digits(&mut text[5..7], month);
        digits(&mut text[8..10], day);
        digits(&mut text[11..13], second / 3_600);
        digits(&mut text[14..16], second / 60 % 60);
        digits(&mut text[17..19], second % 60);
        digits(&mut text[20..29], nanos);
        let mut end = 29;
        while text[end - 1] == b'0' && end > 20 {
            end -= 1;
        }
        // Without a fraction there is no dot either.
        end = if end == 20 { 19 } else { end };
        text[end] = b'Z';
        // All of it is ASCII.
        out.push_str(std::str::from_utf8(&text[..=end]).unwrap_or_default());
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

    /// The same day and time of the next month, UTC; its last day where it has no such day.
    pub fn next_month(self) -> Self {
        let later = jiff::Timestamp::from_nanosecond(self.0.into())
            .and_then(|stamp| {
                stamp.to_zoned(jiff::tz::TimeZone::UTC).checked_add(jiff::Span::new().months(1))
            })
            .map(|zoned| zoned.timestamp().as_nanosecond());
        later.ok().and_then(|nanos| i64::try_from(nanos).ok()).map_or(Self::MAX, Self)
    }
}

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// `number` in decimal, as many digits as there is room for.
fn digits(room: &mut [u8], mut number: i64) {
    for digit in room.iter_mut().rev() {
        // A remainder of 10 is a digit.
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
/// Eras of 400 years begin on the first of March, so that leap days come last.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// The reverse of [`civil`], for a month of 1 to 12 and a day of 1 to 31.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// `2026-01-31T08:00:00.123Z`, also with a space and without zone or fraction: what nearly
/// every source writes. `None` leaves a text to jiff, which knows the rest of RFC 3339 and
/// what is wrong; both agree wherever this one answers.
fn parse_plain(text: &[u8]) -> Option<Timestamp> {
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0i64, |number, digit| {
            digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
        })
    };
    let head: &[u8; 19] = text.first_chunk()?;
    let shape =
        [head[4], head[7], head[13], head[16]] == *b"--::" && matches!(head[10], b'T' | b' ');
    let rest = &text[19..];
    let rest = rest.strip_suffix(b"Z").unwrap_or(rest);
    let nanos = match rest {
        [] => 0,
        [b'.', fraction @ ..] if (1..=9).contains(&fraction.len()) => {
            number(fraction)? * 10i64.pow(9 - u32::try_from(fraction.len()).ok()?)
        }
        _ => return None,
    };
    let (year, month, day) = (number(&head[..4])?, number(&head[5..7])?, number(&head[8..10])?);
    let (hour, minute) = (number(&head[11..13])?, number(&head[14..16])?);
    let second = number(&head[17..19])?;
    let days = days(year, month, day);
    // A day that its month does not have comes back as one of the next.
    if !shape || hour > 23 || minute > 59 || second > 59 || civil(days) != (year, month, day) {
        return None;
    }
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second;
    seconds.checked_mul(NANOS_PER_SECOND)?.checked_add(nanos).map(Timestamp)
}

/// RFC 3339 in UTC with `Z`, and as many fractional digits as the value needs.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(30);
        self.write(&mut text);
        f.write_str(&text)
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
    use proptest::prelude::*;

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

    fn by_jiff(text: &str) -> Option<Timestamp> {
        let civil = || jiff::tz::TimeZone::UTC.to_timestamp(text.parse().ok()?).ok();
        let stamp = text.parse::<jiff::Timestamp>().ok().or_else(civil)?;
        i64::try_from(stamp.as_nanosecond()).ok().map(Timestamp)
    }

    proptest! {
        #[test]
        fn prints_as_jiff_does_and_reads_it_back(nanos in any::<i64>(), whole in any::<bool>()) {
            let nanos = if whole { nanos / NANOS_PER_SECOND * NANOS_PER_SECOND } else { nanos };
            let text = Timestamp(nanos).to_string();
            let jiff = jiff::Timestamp::from_nanosecond(i128::from(nanos)).unwrap();
            prop_assert_eq!(&text, &jiff.to_string());
            prop_assert_eq!(Timestamp::parse(&text), Some(Timestamp(nanos)));
        }

        #[test]
        fn reads_as_jiff_does(
            text in "[0-2][0-9]{3}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,10})?(Z|z|\\+01:00|)",
        ) {
            prop_assert_eq!(Timestamp::parse(&text), by_jiff(&text));
        }

        #[test]
        fn reads_anything_as_jiff_does(text in "[0-9TZ:. -]{0,32}") {
            prop_assert_eq!(Timestamp::parse(&text), by_jiff(text.trim()));
        }
    }
}
