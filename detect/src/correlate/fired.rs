//! What a correlation saw when it fired, and the detection of it.

use std::sync::Arc;

use event::{
    CommuneId, ContributingRule, Correlated, Detection, DetectionId, Entity, EventId, MatchedField,
    Timestamp,
};

use super::{
    compile::{Compiled, Way},
    correlator::find,
    hold::Held,
    origin::{Origin, Origins},
    state::Entry,
};

/// Events that a detection names.
const EVENTS_MAX: usize = 100;
/// Devices and users that a detection names.
const ENTITIES_MAX: usize = 32;
/// A condition that became true.
pub(super) struct Fired {
    key: [u64; 2],
    end: i64,
    value: f64,
    rules: Vec<ContributingRule>,
    events: Vec<EventId>,
    events_total: u64,
    pub(super) origin: Origin,
}

impl Fired {
    pub(super) fn new(
        compiled: &Compiled,
        key: [u64; 2],
        end: i64,
        value: f64,
        entries: &[Entry],
        origins: &Origins,
    ) -> Self {
        let mut matches = vec![0_u64; compiled.members.len()];
        let mut numbers: Vec<u32> = Vec::new();
        for entry in entries {
            if let Some(count) = matches.get_mut(usize::from(entry.member)) {
                *count += 1;
            }
            if numbers.last() != Some(&entry.origin) {
                numbers.push(entry.origin);
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        let found = || numbers.iter().filter_map(|number| origins.get(*number));
        let mut communes: Vec<CommuneId> =
            found().flat_map(|origin| origin.communes.iter().cloned()).collect();
        communes.sort_unstable();
        communes.dedup();
        let mut entities: Vec<Entity> =
            found().flat_map(|origin| origin.entities.iter().cloned()).collect();
        entities.sort_unstable();
        entities.dedup();
        entities.truncate(ENTITIES_MAX);
        let rules = compiled
            .members
            .iter()
            .zip(matches)
            .filter(|(_, matches)| *matches > 0)
            .map(|(member, matches)| ContributingRule {
                id: member.id.to_string(),
                name: member.title.to_string(),
                matches,
            })
            .collect();
        let shown = entries.len().saturating_sub(EVENTS_MAX);
        Self {
            key,
            end,
            value,
            rules,
            events: entries[shown..].iter().map(|e| EventId::from_bytes(e.event)).collect(),
            events_total: entries.len() as u64,
            origin: Origin { communes, entities },
        }
    }

    /// The detection, of the match that completed it.
    pub(super) fn detection(
        self,
        compiled: &Compiled,
        way: &Way,
        held: &Held,
        metropole: Option<&CommuneId>,
        clock: i64,
    ) -> Detection {
        let contribution = &held.contribution;
        let commune = match metropole {
            Some(metropole) if compiled.spans_communes => metropole.clone(),
            _ => contribution.commune.clone(),
        };
        let value_of = |name: &Arc<str>| find(contribution, name).unwrap_or_default().to_owned();
        let group: Vec<MatchedField> = compiled
            .group_by
            .iter()
            .zip(&way.group)
            .map(|(shown, name)| MatchedField { field: shown.to_string(), value: value_of(name) })
            .collect();
        let end = Timestamp::from_nanos(self.end);
        let id = DetectionId::of_correlation(&compiled.rule.id, &commune, self.group_bytes(), end);
        let mut matched = group.clone();
        matched.sort_unstable();
        let correlated = Correlated {
            kind: compiled.kind.word().to_owned(),
            group,
            from: Timestamp::from_nanos(self.end.saturating_sub(compiled.timespan_ns)),
            to: end,
            timespan_s: compiled.document.timespan_s,
            condition: compiled.condition.to_string(),
            value: self.value,
            rules: self.rules,
            events: self.events,
            events_total: self.events_total,
            communes: if compiled.spans_communes { self.origin.communes } else { Vec::new() },
        };
        Detection {
            id,
            commune,
            feed: contribution.feed.clone(),
            format: contribution.format.clone(),
            rule: (*compiled.rule).clone(),
            event_id: contribution.event_id,
            timestamp: end,
            received: contribution.received,
            detected: Timestamp::from_nanos(clock),
            entities: self.origin.entities,
            matched,
            event: serde_json::json!({
                "@timestamp": end,
                "event": { "id": contribution.event_id, "kind": "signal" },
            }),
            values: Vec::new(),
            correlation: Some(Box::new(correlated)),
            indicator: None,
        }
    }

    fn group_bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.key[0].to_le_bytes());
        bytes[8..].copy_from_slice(&self.key[1].to_le_bytes());
        bytes
    }
}
