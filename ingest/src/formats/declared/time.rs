//! Times in the ways that vendors write them.

use event::Timestamp;
use jiff::{civil, fmt::strtime::BrokenDownTime, tz};

use crate::formats::text;

/// How a time is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    /// RFC 3339, date and time without zone, or a count since 1970 whose size says its unit.
    Auto,
    /// A count of this many nanoseconds since 1970, with or without a fraction.
    Epoch(i64),
    /// A pattern of `strptime`.
    Pattern(Box<str>),
}

impl Clock {
    /// Reads `text`; where it says no zone, `zone` is asked, then UTC is taken. A pattern
    /// without a year takes that of `received`.
    pub(super) fn read(
        &self,
        text: &str,
        zone: Option<&str>,
        received: Timestamp,
    ) -> Option<Timestamp> {
        let text = text.trim();
        match self {
            Self::Epoch(unit) => count(text, *unit),
            Self::Auto => auto(text, zone),
            Self::Pattern(pattern) => self::pattern(pattern, text, zone, received),
        }
    }
}

/// A count with an optional fraction.
fn count(text: &str, unit: i64) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut nanos = whole.parse::<i64>().ok()?.checked_mul(unit)?;
    let mut digit_unit = unit;
    for digit in fraction.chars() {
        digit_unit /= 10;
        nanos = nanos.checked_add(i64::from(digit.to_digit(10)?) * digit_unit)?;
    }
    Some(Timestamp::from_nanos(nanos))
}

fn auto(text: &str, zone: Option<&str>) -> Option<Timestamp> {
    let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
    if !whole.is_empty() && whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return count(
            text,
            match whole.len() {
                ..=11 => 1_000_000_000,
                12..=14 => 1_000_000,
                15..=17 => 1_000,
                _ => 1,
            },
        );
    }
    if !text.as_bytes().first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    if let Some(zone) = zone
        && !text::is_zoned(text)
        && let Ok(time) = text.parse::<civil::DateTime>()
    {
        return at(time, &zone_of(zone)?);
    }
    Timestamp::parse(text).or_else(|| {
        // `+0200` without a colon, which RFC 3339 does not know.
        let at = text.len().checked_sub(5)?;
        let (time, offset) = (text.get(..at)?, text.get(at..)?);
        offset.starts_with(['+', '-']).then_some(())?;
        let time = time.trim_end().parse::<civil::DateTime>().ok()?;
        self::at(time, &zone_of(offset)?)
    })
}

fn at(time: civil::DateTime, zone: &tz::TimeZone) -> Option<Timestamp> {
    let nanos = zone.to_timestamp(time).ok()?.as_nanosecond();
    i64::try_from(nanos).ok().map(Timestamp::from_nanos)
}

/// `+0200`, `+02:00`, `-03`, `Z`, `UTC`, `UTC+2`, `GMT-3`.
fn zone_of(text: &str) -> Option<tz::TimeZone> {
    let text = text.trim().trim_matches('"');
    let rest = text.strip_prefix("UTC").or_else(|| text.strip_prefix("GMT")).unwrap_or(text);
    if rest.is_empty() || rest.eq_ignore_ascii_case("z") {
        return Some(tz::TimeZone::UTC);
    }
    let (sign, digits) = match rest.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some((hours, minutes)) => (hours, minutes),
        None if digits.len() > 2 => digits.split_at_checked(digits.len() - 2)?,
        None => (digits, "0"),
    };
    // An offset has two digits each; more is no offset, whatever it would come to.
    let part = |digits: &str| (digits.len() <= 2).then(|| digits.parse::<u8>().ok())?;
    let seconds = i32::from(part(hours)?) * 3_600 + i32::from(part(minutes)?) * 60;
    tz::Offset::from_seconds(sign * seconds).ok().map(tz::Offset::to_time_zone)
}

/// Where a year is missing, a time this far ahead of the receipt belongs to last year.
const AHEAD_S_MAX: i64 = 7 * 24 * 3_600;

fn pattern(
    pattern: &str,
    text: &str,
    zone: Option<&str>,
    received: Timestamp,
) -> Option<Timestamp> {
    let mut parsed = BrokenDownTime::parse(pattern, text).ok()?;
    if let Ok(stamp) = parsed.to_timestamp() {
        return i64::try_from(stamp.as_nanosecond()).ok().map(Timestamp::from_nanos);
    }
    let zone = match zone {
        Some(zone) => zone_of(zone)?,
        None => tz::TimeZone::UTC,
    };
    if parsed.year().is_some() {
        return at(parsed.to_datetime().ok()?, &zone);
    }
    let year = jiff::Timestamp::from_nanosecond(received.as_nanos().into()).ok()?;
    let year = year.to_zoned(tz::TimeZone::UTC).year();
    parsed.set_year(Some(year)).ok()?;
    let time = at(parsed.to_datetime().ok()?, &zone)?;
    if time.as_nanos() - received.as_nanos() <= AHEAD_S_MAX * 1_000_000_000 {
        return Some(time);
    }
    parsed.set_year(Some(year - 1)).ok()?;
    at(parsed.to_datetime().ok()?, &zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(clock: &Clock, text: &str, zone: Option<&str>) -> Option<String> {
        let received = Timestamp::parse("2026-01-02T00:00:00Z").unwrap();
        clock.read(text, zone, received).map(|time| time.to_string())
    }

    #[test]
    fn counts_say_their_unit_by_their_size() {
        for text in ["1700000000", "1700000000000", "1700000000000000", "1700000000000000000"] {
            assert_eq!(read(&Clock::Auto, text, None).as_deref(), Some("2023-11-14T22:13:20Z"));
        }
        let fraction = read(&Clock::Auto, "1700000000.25", None);
        assert_eq!(fraction.as_deref(), Some("2023-11-14T22:13:20.25Z"));
        assert_eq!(
            read(&Clock::Epoch(1_000_000), "5", None).as_deref(),
            Some("1970-01-01T00:00:00.005Z")
        );
        assert_eq!(read(&Clock::Auto, "99999999999999999999999", None), None);
    }

    #[test]
    fn zones_come_from_the_text_or_from_beside_it() {
        for (text, zone) in [
            ("2024-03-06 22:06:03", Some("+0100")),
            ("2024-03-06 22:06:03", Some("UTC+1")),
            ("2024-03-06T22:06:03+01:00", Some("+0500")),
            ("2024-03-06 22:06:03+0100", None),
        ] {
            assert_eq!(read(&Clock::Auto, text, zone).as_deref(), Some("2024-03-06T21:06:03Z"));
        }
        for zone in ["+1:99999999", "+999999999", "-99:99", "UTC+", "Mars", "+-1"] {
            assert_eq!(read(&Clock::Auto, "2024-03-06 22:06:03", Some(zone)), None, "{zone}");
        }
    }

    #[test]
    fn a_missing_year_is_the_one_that_makes_sense() {
        let clock = Clock::Pattern("%b %e %H:%M:%S".into());
        assert_eq!(read(&clock, "Dec 31 23:00:00", None).as_deref(), Some("2025-12-31T23:00:00Z"));
        assert_eq!(read(&clock, "Jan  1 10:00:00", None).as_deref(), Some("2026-01-01T10:00:00Z"));
        assert_eq!(read(&clock, "nonsense", None), None);
        let zoned = Clock::Pattern("%d/%b/%Y:%H:%M:%S %z".into());
        let time = read(&zoned, "06/Mar/2024:22:06:03 +0100", None);
        assert_eq!(time.as_deref(), Some("2024-03-06T21:06:03Z"));
    }
}
