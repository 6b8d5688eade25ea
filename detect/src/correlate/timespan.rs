//! `timespan: 5m`.

/// Seconds of a month and a year, the Gregorian calendar's mean, as in pySigma.
const MONTH_S: u64 = 2_629_746;
const YEAR_S: u64 = 31_556_952;
/// The longest timespan, in seconds: ten years.
const TIMESPAN_S_MAX: u64 = 10 * YEAR_S;

/// Seconds of a timespan: a whole number and one of `s m h d w M y`.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || {
        format!(
            "timespan {text:?} is none; write a whole number and s, m, h, d, w, M (months) or y, e.g. 90m"
        )
    };
    let mut chars = text.chars();
    let unit_s = match chars.next_back() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3_600,
        Some('d') => 86_400,
        Some('w') => 604_800,
        Some('M') => MONTH_S,
        Some('y') => YEAR_S,
        _ => return Err(wrong()),
    };
    let digits = chars.as_str();
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let count: u64 = digits.parse().map_err(|_| wrong())?;
    match count.checked_mul(unit_s) {
        Some(0) => Err(format!("timespan {text:?} is no time at all; nothing could fall into it")),
        Some(seconds) if seconds <= TIMESPAN_S_MAX => Ok(seconds),
        _ => Err(format!("timespan {text:?} is longer than ten years")),
    }
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn every_unit_and_what_is_none() {
        for (text, expected) in [
            ("10s", 10),
            ("5m", 300),
            ("1h", 3_600),
            ("2d", 172_800),
            ("1w", 604_800),
            ("1M", 2_629_746),
            ("1y", 31_556_952),
        ] {
            assert_eq!(seconds(text), Ok(expected));
        }
        for text in ["", "5", "m", "5 m", "1.5h", "-1h", "5H", "0s", "11y", "99999999999999999999s"]
        {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
