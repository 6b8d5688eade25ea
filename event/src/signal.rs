//! What travels on topic `detections`.

use serde::{Deserialize, Serialize};

use crate::{
    CommuneId, Detection, Entity, EventId, FeedId, FormatName, MatchedField, RuleRef, Timestamp,
};

/// What correlations read of a match, and all that travels of a match that raises nothing of
/// its own: no event, no matched fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contribution {
    /// The id of the rule that matched.
    pub rule: String,
    /// Whose event it was.
    pub commune: CommuneId,
    /// The feed that the event came by.
    pub feed: FeedId,
    /// The event's format.
    pub format: FormatName,
    /// The event.
    pub event_id: EventId,
    /// When the event happened, by its own account.
    pub timestamp: Timestamp,
    /// When the event was received.
    pub received: Timestamp,
    /// The devices and users concerned, sorted, without duplicates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entities: Vec<Entity>,
    /// The values that correlations group by and count, under the names they use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<MatchedField>,
}

impl From<&Detection> for Contribution {
    fn from(detection: &Detection) -> Self {
        Self {
            rule: detection.rule.id.clone(),
            commune: detection.commune.clone(),
            feed: detection.feed.clone(),
            format: detection.format.clone(),
            event_id: detection.event_id,
            timestamp: detection.timestamp,
            received: detection.received,
            entities: detection.entities.clone(),
            values: detection.values.clone(),
        }
    }
}

/// One payload of topic `detections`.
#[derive(Clone, Debug, PartialEq)]
pub enum Signal {
    /// A detection to be raised; correlations read it too.
    Detection(Box<Detection>),
    /// A match for correlations alone.
    Contribution(Contribution),
    /// The passing of time while nothing else came, so that whoever reads the topic again sees
    /// it pass at the same place.
    Tick(Timestamp),
}

/// The first bytes of a quiet match.
const CONTRIBUTION: &[u8] = b"{\"contribution\":";
/// The first bytes of a tick.
const TICK: &[u8] = b"{\"tick\":";

#[derive(Serialize, Deserialize)]
struct Quiet<T> {
    contribution: T,
}

#[derive(Serialize, Deserialize)]
struct Tick {
    tick: Timestamp,
}

/// The parts of a detection that correlations read.
#[derive(Deserialize)]
struct Heard {
    commune: CommuneId,
    feed: FeedId,
    format: FormatName,
    rule: RuleRef,
    event_id: EventId,
    timestamp: Timestamp,
    received: Timestamp,
    entities: Vec<Entity>,
    #[serde(default)]
    values: Vec<MatchedField>,
    #[serde(default)]
    correlation: Option<serde::de::IgnoredAny>,
}

impl Signal {
    /// The payload as JSON. A detection is itself; the others are an object with one key.
    pub fn to_vec(&self) -> serde_json::Result<Vec<u8>> {
        match self {
            Self::Detection(detection) => serde_json::to_vec(detection),
            Self::Contribution(contribution) => serde_json::to_vec(&Quiet { contribution }),
            Self::Tick(tick) => serde_json::to_vec(&Tick { tick: *tick }),
        }
    }

    /// The detection in a payload that has one to raise; `None` for the other kinds.
    pub fn detection(payload: &[u8]) -> serde_json::Result<Option<Detection>> {
        if payload.starts_with(CONTRIBUTION) || payload.starts_with(TICK) {
            return Ok(None);
        }
        serde_json::from_slice(payload).map(Some)
    }

    /// What correlations hear of a payload, without the cost of the event in it. `None` for
    /// the detections that correlations made themselves.
    pub fn heard(payload: &[u8]) -> serde_json::Result<Option<Self>> {
        if payload.starts_with(CONTRIBUTION) {
            let quiet: Quiet<Contribution> = serde_json::from_slice(payload)?;
            return Ok(Some(Self::Contribution(quiet.contribution)));
        }
        if payload.starts_with(TICK) {
            let tick: Tick = serde_json::from_slice(payload)?;
            return Ok(Some(Self::Tick(tick.tick)));
        }
        let heard: Heard = serde_json::from_slice(payload)?;
        if heard.correlation.is_some() {
            return Ok(None);
        }
        Ok(Some(Self::Contribution(Contribution {
            rule: heard.rule.id,
            commune: heard.commune,
            feed: heard.feed,
            format: heard.format,
            event_id: heard.event_id,
            timestamp: heard.timestamp,
            received: heard.received,
            entities: heard.entities,
            values: heard.values,
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BusId, DetectionId, Level};

    fn contribution() -> Contribution {
        Contribution {
            rule: "r".into(),
            commune: CommuneId::new("dijon").unwrap(),
            feed: FeedId::new("f").unwrap(),
            format: FormatName::new("windows").unwrap(),
            event_id: EventId::of(BusId::from_bytes([1; 16]), 0, 7, Timestamp::from_secs(5)),
            timestamp: Timestamp::from_secs(4),
            received: Timestamp::from_secs(5),
            entities: vec![],
            values: vec![MatchedField { field: "User".into(), value: "ana".into() }],
        }
    }

    fn detection() -> Detection {
        let c = contribution();
        Detection {
            id: DetectionId::of("r", c.event_id),
            commune: c.commune,
            feed: c.feed,
            format: c.format,
            rule: RuleRef {
                id: c.rule,
                name: "R".into(),
                level: Level::Low,
                version: "0".into(),
                tags: vec![],
            },
            event_id: c.event_id,
            timestamp: c.timestamp,
            received: c.received,
            detected: c.received,
            entities: c.entities,
            matched: vec![],
            event: serde_json::json!({"a": 1}),
            values: c.values,
            correlation: None,
            indicator: None,
        }
    }

    #[test]
    fn each_kind_is_told_apart_by_its_first_bytes() {
        let quiet = Signal::Contribution(contribution());
        let tick = Signal::Tick(Timestamp::from_secs(9));
        for signal in [quiet.clone(), tick] {
            let bytes = signal.to_vec().unwrap();
            assert_eq!(Signal::heard(&bytes).unwrap(), Some(signal));
            assert_eq!(Signal::detection(&bytes).unwrap(), None);
        }
        let bytes = Signal::Detection(Box::new(detection())).to_vec().unwrap();
        assert_eq!(Signal::detection(&bytes).unwrap(), Some(detection()));
        assert_eq!(Signal::heard(&bytes).unwrap(), Some(quiet));
    }

    #[test]
    fn correlations_do_not_hear_themselves() {
        let mut detection = detection();
        detection.correlation = Some(Box::new(crate::Correlated {
            kind: "event_count".into(),
            group: vec![],
            from: Timestamp::from_secs(0),
            to: Timestamp::from_secs(4),
            timespan_s: 4,
            condition: "gte 1".into(),
            value: 1.0,
            rules: vec![],
            events: vec![],
            events_total: 1,
            communes: vec![],
        }));
        let bytes = Signal::Detection(Box::new(detection)).to_vec().unwrap();
        assert_eq!(Signal::heard(&bytes).unwrap(), None);
    }
}
