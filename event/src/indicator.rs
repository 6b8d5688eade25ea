//! Known-bad values: what intelligence sources tell and events are compared with.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{
    IndicatorSourceId, Level, RuleRef, Timestamp,
    ids::{hash16, stamp},
};

/// Characters of a value that a rule's name repeats.
const NAME_CHARS_MAX: usize = 200;

/// Makes an enum of words: its JSON, SQL, command line and messages use the same spelling.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant),*
        }

        impl $name {
            /// All of them, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word used in JSON and messages.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text).ok_or_else(|| {
                    let known: Vec<_> = Self::ALL.iter().map(|word| word.as_str()).collect();
                    format!("{text:?} is no {}; use {}", $what, known.join(", "))
                })
            }
        }
    };
}

words! {
    /// What sort of value an indicator is. Each sort is compared with its own ECS fields.
    IndicatorType, "type of indicator" {
        /// An IPv4 or IPv6 address, or a network in CIDR notation.
        Ip = "ip",
        /// A domain name.
        Domain = "domain",
        /// A URL.
        Url = "url",
        /// MD5, SHA-1 or SHA-256 of a file, hexadecimal.
        Hash = "hash",
        /// An e-mail address.
        Email = "email",
        /// A browser's or tool's `User-Agent`.
        UserAgent = "user_agent",
        /// MD5, SHA-1 or SHA-256 of an X.509 certificate, hexadecimal.
        Certificate = "certificate",
        /// A file's name without its folder.
        FileName = "file_name",
        /// JA3 or JA3S: the MD5 of a TLS handshake.
        Ja3 = "ja3",
    }
}

words! {
    /// The Traffic Light Protocol 2.0: with whom an indicator may be shared.
    Tlp, "TLP" {
        /// With everybody.
        Clear = "clear",
        /// Within the community.
        Green = "green",
        /// Within the organisation and its clients.
        Amber = "amber",
        /// Within the organisation only.
        AmberStrict = "amber+strict",
        /// With those addressed only.
        Red = "red",
    }
}

impl Tlp {
    /// From the spellings in use: `TLP:AMBER+STRICT`, `tlp:white`, `amber`.
    pub fn from_label(label: &str) -> Option<Self> {
        let label = label.trim().to_ascii_lowercase();
        match label.strip_prefix("tlp:").unwrap_or(&label) {
            "white" => Some(Self::Clear),
            word => word.parse().ok(),
        }
    }
}

/// A known-bad value as its source tells it. STIX `indicator`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Indicator {
    /// What sort of value it is.
    #[serde(rename = "type")]
    pub kind: IndicatorType,
    /// The value as the source spells it.
    pub value: String,
    /// The source's own id of it, e.g. `indicator--…` or a MISP attribute's UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// From when it holds; always where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Timestamp>,
    /// The first moment at which it no longer holds; never where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    /// How sure the source is, 0 to 100, on STIX's scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<u8>,
    /// With whom it may be shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tlp: Option<Tlp>,
    /// What it is part of, as Sigma's tags: `attack.t1566.002`, `attack.command-and-control`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// What the source calls it or where it comes from: a campaign, an event's title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where to read more, a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

impl Indicator {
    /// An indicator of which nothing but its value is known.
    pub fn new(kind: IndicatorType, value: impl Into<String>) -> Self {
        Self {
            kind,
            value: value.into(),
            id: None,
            valid_from: None,
            valid_until: None,
            confidence: None,
            tlp: None,
            tags: Vec::new(),
            description: None,
            reference: None,
        }
    }

    /// Whether it holds at `at`: from `valid_from`, before `valid_until`.
    pub fn holds_at(&self, at: Timestamp) -> bool {
        self.valid_from.is_none_or(|from| from <= at)
            && self.valid_until.is_none_or(|until| at < until)
    }
}

/// The indicator that a detection rests on, and whose word it is. ECS `threat.indicator.*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndicatorRef {
    /// The source's name in this installation.
    pub source: IndicatorSourceId,
    /// The indicator.
    #[serde(flatten)]
    pub indicator: Indicator,
}

impl IndicatorRef {
    /// The rule that a hit is under, as [`Detection::rule`](crate::Detection::rule) names rules.
    /// Its id comes from source, type and value alone, so the same word of the same source stays
    /// the same rule however often it is fetched; its version from everything that is known.
    pub fn rule_ref(&self, level: Level) -> RuleRef {
        let Indicator { kind, value, tags, .. } = &self.indicator;
        let parts = [self.source.as_str().as_bytes(), kind.as_str().as_bytes(), value.as_bytes()];
        let id = Uuid::from_bytes(stamp(hash16("indicator", &parts), 8));
        // Nothing in it fails to become JSON.
        let text = serde_json::to_vec(self).unwrap_or_default();
        let digest = Sha256::digest(&text);
        let shown: String = value.chars().take(NAME_CHARS_MAX).collect();
        RuleRef {
            id: id.to_string(),
            name: format!("Indicator: {kind} {shown} ({})", self.source),
            level,
            version: digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect(),
            tags: tags.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_as_they_print() {
        for kind in IndicatorType::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert!("ipv4".parse::<IndicatorType>().unwrap_err().contains("use ip, domain"));
        assert_eq!(Tlp::from_label("TLP:AMBER+STRICT"), Some(Tlp::AmberStrict));
        assert_eq!(Tlp::from_label("tlp:white"), Some(Tlp::Clear));
        assert_eq!(Tlp::from_label("tlp:mauve"), None);
    }

    #[test]
    fn validity_begins_with_its_first_moment_and_ends_before_its_last() {
        let at = Timestamp::from_secs;
        let mut indicator = Indicator::new(IndicatorType::Ip, "192.0.2.1");
        assert!(indicator.holds_at(at(0)));
        (indicator.valid_from, indicator.valid_until) = (Some(at(10)), Some(at(20)));
        let held: Vec<_> =
            [9, 10, 19, 20].into_iter().filter(|s| indicator.holds_at(at(*s))).collect();
        assert_eq!(held, [10, 19]);
    }

    #[test]
    fn what_is_unknown_is_left_out_of_json() {
        let found = IndicatorRef {
            source: IndicatorSourceId::new("list").unwrap(),
            indicator: Indicator::new(IndicatorType::Domain, "evil.example"),
        };
        let json = serde_json::to_value(&found).unwrap();
        let short =
            serde_json::json!({"source": "list", "type": "domain", "value": "evil.example"});
        assert_eq!(json, short);
        assert_eq!(serde_json::from_value::<IndicatorRef>(json).unwrap(), found);
    }
}
