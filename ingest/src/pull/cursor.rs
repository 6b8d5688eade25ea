//! Where a stream of objects is.

use std::{collections::BTreeMap, time::Duration};

use event::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    OVERLAP,
    page::{Item, Version},
};

/// Versions that are remembered at most. More than so many within the overlap come again after a
/// pause, which is safer than forgetting where to go on.
const SEEN_MAX: usize = 200_000;

/// Where a stream is, kept from one start to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// The time of the newest object that was handed on.
    newest: Option<Timestamp>,
    /// The versions that were handed on and may come again, by their times.
    seen: BTreeMap<Version, Timestamp>,
}

impl Cursor {
    /// Where a round begins, `lookback` ago where nothing came yet. In whole milliseconds, as no
    /// vendor is known to refuse three digits.
    pub(super) fn from(&self, now: Timestamp, lookback: Duration) -> Timestamp {
        let from = self.newest.map_or_else(|| now.minus(lookback), |newest| newest.minus(OVERLAP));
        Timestamp::from_millis(from.as_millis())
    }

    /// Those of `items` that were not handed on, once each.
    pub(super) fn news(&self, items: Vec<Item>) -> Vec<Item> {
        let mut taken = std::collections::HashSet::new();
        items
            .into_iter()
            .filter(|item| !self.seen.contains_key(&item.version) && taken.insert(item.version))
            .collect()
    }

    /// Notes that `items` were handed on. A time later than `now` counts as now.
    pub(super) fn passed(&mut self, items: &[Item], now: Timestamp) {
        for item in items {
            let at = item.at.map_or(now, |at| at.min(now));
            self.seen.insert(item.version, at);
            if item.at.is_some() {
                self.newest = Some(self.newest.map_or(at, |newest| newest.max(at)));
            }
        }
        // An object without a time may come as long as the vendor lists it.
        if let Some(newest) = self.newest {
            let kept = newest.minus(OVERLAP);
            self.seen.retain(|_, at| *at >= kept);
        }
        while self.seen.len() > SEEN_MAX {
            let oldest = self.seen.iter().min_by_key(|(_, at)| **at).map(|(version, _)| *version);
            let Some(oldest) = oldest else { break };
            self.seen.remove(&oldest);
        }
    }
}

impl Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:032x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map(Self).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::value::RawValue;

    use super::*;

    fn item(id: &str, at: i64) -> Item {
        let raw = RawValue::from_string(format!("{{\"id\":\"{id}\"}}")).unwrap();
        Item::new(&raw, Some(id), Some(Timestamp::from_secs(at)))
    }

    #[test]
    fn a_version_comes_once_and_a_change_again() {
        let now = Timestamp::from_secs(10_000);
        let mut cursor = Cursor::default();
        assert_eq!(cursor.from(now, Duration::from_secs(60)), Timestamp::from_secs(9_940));
        let odd = Timestamp::from_nanos(10_000_123_456_789);
        assert_eq!(cursor.from(odd, Duration::ZERO), Timestamp::from_millis(10_000_123));
        let first = cursor.news(vec![item("a", 9_000), item("b", 9_000), item("a", 9_000)]);
        assert_eq!(first.len(), 2);
        cursor.passed(&first, now);
        assert_eq!(cursor.from(now, Duration::ZERO), Timestamp::from_secs(8_700));
        let again = cursor.news(vec![item("a", 9_000), item("b", 9_001)]);
        assert_eq!(again.len(), 1);
        cursor.passed(&again, now);
        let kept: Cursor = serde_json::from_str(&serde_json::to_string(&cursor).unwrap()).unwrap();
        assert_eq!(kept, cursor);
    }

    #[test]
    fn what_can_no_longer_come_is_forgotten_and_the_future_hides_nothing() {
        let now = Timestamp::from_secs(10_000);
        let mut cursor = Cursor::default();
        cursor.passed(&[item("old", 1_000), item("new", 9_999)], now);
        assert_eq!(cursor.seen.len(), 1);
        cursor.passed(&[item("future", 99_999)], now);
        assert_eq!(cursor.from(now, Duration::ZERO), now.minus(OVERLAP));
        assert!(cursor.news(vec![item("future", 99_999)]).is_empty());
    }
}
