//! Identifiers, each a type of its own so that none can stand in for another.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::Timestamp;

/// Why a text is no valid id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no valid {what}: {rule}")]
pub struct InvalidId {
    what: &'static str,
    text: String,
    rule: &'static str,
}

const SLUG_RULE: &str = "1 to 63 of a-z, 0-9 and '-', beginning and ending with a letter or digit";

/// Formats are known by other products' names too, which have `_` and `.` in them.
const NAME_RULE: &str =
    "1 to 63 of a-z, 0-9, '-', '_' and '.', beginning and ending with a letter or digit";

fn is_slug(text: &str, rule: &str) -> bool {
    let inner: &[u8] = if rule == NAME_RULE { b"-_." } else { b"-" };
    let bytes = text.as_bytes();
    let is_edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(|byte| is_edge(*byte) || inner.contains(byte))
        && is_edge(bytes[0])
        && is_edge(bytes[bytes.len() - 1])
}

macro_rules! slug {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and wraps a slug.
            pub fn new(text: &str) -> Result<Self, InvalidId> {
                if is_slug(text, $rule) {
                    Ok(Self(text.into()))
                } else {
                    Err(InvalidId { what: $what, text: text.chars().take(80).collect(), rule: $rule })
                }
            }

            /// The slug itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::new(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

slug! {
    /// A tenant: one commune, or the Métropole itself. ECS `organization.id`.
    CommuneId, "commune id", SLUG_RULE
}
slug! {
    /// A commune's configured source, unique in the installation.
    FeedId, "feed id", SLUG_RULE
}
slug! {
    /// A source of indicators of compromise, unique in the installation.
    IndicatorSourceId, "name of a source of indicators", SLUG_RULE
}
slug! {
    /// The decoder of one vendor shape, e.g. `windows` or `pradeo-mtd`.
    FormatName, "format name", NAME_RULE
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// From its 16 bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// Its 16 bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId {
                    what: $what,
                    text: text.chars().take(80).collect(),
                    rule: "a UUID such as 01890a5d-ac96-774b-bcce-b302099a8057",
                })
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

uuid_id! {
    /// One incarnation of a bus, drawn at random when it is created, so that events of
    /// two installations never share an id.
    BusId, "bus id"
}
uuid_id! {
    /// An event, derived from its place on the bus: decoding a record again gives the same
    /// id. UUID version 7 shape: 48 bits of receipt time in ms, then a hash, so ids sort by
    /// receipt and tell nothing of other communes' volumes.
    EventId, "event id"
}
uuid_id! {
    /// A detection, derived from its rule and event: matching again gives the same id.
    DetectionId, "detection id"
}
uuid_id! {
    /// An incident, derived from the detection that opened it.
    IncidentId, "incident id"
}
uuid_id! {
    /// A sealed split.
    SplitId, "split id"
}

pub(crate) fn hash16(domain: &str, parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = Sha256::new();
    hasher.update(domain.as_bytes());
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut out = [0; 16];
    out.copy_from_slice(&hasher.finalize()[..16]);
    out
}

pub(crate) fn stamp(mut bytes: [u8; 16], version: u8) -> [u8; 16] {
    bytes[6] = (bytes[6] & 0x0f) | (version << 4);
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    bytes
}

impl EventId {
    /// The id of the record at `partition` and `offset` of topic `records` of `bus`,
    /// received at `received`.
    pub fn of(bus: BusId, partition: u32, offset: u64, received: Timestamp) -> Self {
        let mut bytes =
            hash16("event", &[bus.as_bytes(), &partition.to_le_bytes(), &offset.to_le_bytes()]);
        let millis = u64::try_from(received.as_millis()).unwrap_or(0);
        bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
        Self::from_bytes(stamp(bytes, 7))
    }

    /// Receipt time in the id, to the millisecond.
    pub fn received(&self) -> Timestamp {
        let mut millis = [0; 8];
        millis[2..].copy_from_slice(&self.as_bytes()[..6]);
        Timestamp::from_millis(i64::try_from(u64::from_be_bytes(millis)).unwrap_or(i64::MAX))
    }
}

impl DetectionId {
    /// The id of `rule` having fired on `event`.
    pub fn of(rule: &str, event: EventId) -> Self {
        Self::from_bytes(stamp(hash16("detection", &[rule.as_bytes(), event.as_bytes()]), 8))
    }
}

impl DetectionId {
    /// The id of the correlation `rule` having fired in `commune` for the group whose values
    /// hash to `group`, in the window that ends at `end`.
    pub fn of_correlation(
        rule: &str,
        commune: &CommuneId,
        group: [u8; 16],
        end: Timestamp,
    ) -> Self {
        let end = end.as_nanos().to_le_bytes();
        let parts = [rule.as_bytes(), commune.as_str().as_bytes(), &group, &end];
        Self::from_bytes(stamp(hash16("correlation", &parts), 8))
    }
}

impl IncidentId {
    /// The id of the incident that `detection` opens.
    pub fn of(detection: DetectionId) -> Self {
        Self::from_bytes(stamp(hash16("incident", &[detection.as_bytes()]), 8))
    }
}

impl SplitId {
    /// The id of the split that holds what `commune` received from the records that begin
    /// at `partition` and `first_offset` of `bus`.
    pub fn of(bus: BusId, commune: &CommuneId, partition: u32, first_offset: u64) -> Self {
        Self::from_bytes(stamp(
            hash16(
                "split",
                &[
                    bus.as_bytes(),
                    commune.as_str().as_bytes(),
                    &partition.to_le_bytes(),
                    &first_offset.to_le_bytes(),
                ],
            ),
            8,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_id_is_the_same_each_time_and_carries_its_receipt() {
        let bus = BusId::from_bytes([7; 16]);
        let received = Timestamp::parse("2026-03-01T03:00:00.123456Z").unwrap();
        let id = EventId::of(bus, 0, 42, received);
        assert_eq!(id, EventId::of(bus, 0, 42, received));
        assert_ne!(id, EventId::of(bus, 0, 43, received));
        assert_ne!(id, EventId::of(bus, 1, 42, received));
        assert_eq!(id.received().as_millis(), received.as_millis());
        assert_eq!(id.to_string().parse::<EventId>().unwrap(), id);
    }

    #[test]
    fn slugs_are_checked() {
        assert!(CommuneId::new("chenove").is_ok());
        for bad in ["", "Chenôve", "-a", "a-", "a/b", "..", &"a".repeat(64)] {
            assert!(CommuneId::new(bad).is_err(), "{bad:?}");
        }
    }
}
