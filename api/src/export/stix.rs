//! Incidents as a STIX 2.1 bundle, marked with TLP 2.0:
//! <https://docs.oasis-open.org/cti/stix/v2.1/os/stix-v2.1-os.html>.
//!
//! Every id is made of what it names (UUID version 5), so that an incident that is exported again is
//! the same object, modified.

use std::collections::BTreeMap;

use event::{Commune, Entity, EntityKind, Timestamp, Tlp};
use serde_json::{Value, json};
use store::db::Incident;
use uuid::Uuid;

use super::{name_of, reference, techniques};

/// What our own ids are made under.
const NAMESPACE: Uuid = Uuid::from_u128(0x8d1c_5f0e_3b0a_4a57_9c55_6a61_6371_7565);
/// What ids of observed things are made under (STIX 2.1, 2.9).
const OBSERVED: Uuid = Uuid::from_u128(0x00ab_edb4_aa42_466c_9c01_fed2_3315_a9b7);
/// The extension that defines TLP 2.0's markings.
const TLP_2: &str = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d";
/// When what has no time of its own was made: this format's beginning.
const EPOCH: Timestamp = Timestamp::from_secs(1_767_225_600);

/// The incidents, what they concern and how they hang together.
pub(super) fn bundle(incidents: &[Incident], communes: &[Commune], tlp: Tlp) -> Value {
    let mut objects = Objects::new(tlp);
    for incident in incidents {
        objects.add_incident(incident, communes);
    }
    let marking = objects.marking.clone();
    let mut all: Vec<Value> = vec![marking_definition(&marking, tlp)];
    let names: String = objects.by_id.keys().map(String::as_str).collect::<Vec<_>>().join(" ");
    all.extend(objects.by_id.into_values());
    json!({
        "type": "bundle",
        "id": format!("bundle--{}", Uuid::new_v5(&NAMESPACE, names.as_bytes())),
        "objects": all,
    })
}

struct Objects {
    marking: String,
    /// By id, so that each is there once and in the same order.
    by_id: BTreeMap<String, Value>,
}

impl Objects {
    fn new(tlp: Tlp) -> Self {
        Self { marking: marking_id(tlp).to_owned(), by_id: BTreeMap::new() }
    }

    fn add_incident(&mut self, incident: &Incident, communes: &[Commune]) {
        let id = made("incident", &incident.id.to_string());
        let [created, modified] = [incident.created, incident.updated].map(stamp);
        let times = [created.as_str(), modified.as_str()];
        let mut labels = vec![
            format!("severity:{}", incident.severity),
            format!("status:{}", incident.status.as_str()),
        ];
        labels.extend(incident.verdict.map(|verdict| format!("verdict:{}", verdict.as_str())));
        labels.extend(incident.labels.iter().cloned());
        let commune = name_of(incident, communes);
        self.add(
            "incident",
            &id,
            times,
            json!({
                "name": incident.title,
                "description": format!(
                    "{}, {commune}: {} detections from {} to {}, severity {}, risk score {}.",
                    reference(incident), incident.detections, stamp(incident.first_event),
                    stamp(incident.last_event), incident.severity, incident.risk_score,
                ),
                "labels": labels,
                "external_references": [
                    {"source_name": "jacquemart", "external_id": reference(incident)},
                ],
            }),
        );
        let fixed = stamp(EPOCH);
        let own = [fixed.as_str(), fixed.as_str()];
        let of = made("identity", &format!("commune {}", incident.commune));
        self.add(
            "identity",
            &of,
            own,
            json!({
                "name": commune, "identity_class": "organization", "sectors": ["government-local"],
            }),
        );
        self.relate(&id, &of, times);
        for technique in techniques(incident) {
            let pattern = made("attack-pattern", &technique);
            self.add("attack-pattern", &pattern, own, json!({
                "name": technique,
                "external_references": [{"source_name": "mitre-attack", "external_id": technique}],
            }));
            self.relate(&id, &pattern, times);
        }
        let mut seen = Vec::new();
        for entity in &incident.entities {
            match entity.kind {
                EntityKind::User => seen.push(self.add_account(entity)),
                _ => {
                    // Machines of two communes may have the same name.
                    let of =
                        format!("{} {} {}", incident.commune, entity.kind.as_str(), entity.name);
                    let machine = made("identity", &of);
                    self.add(
                        "identity",
                        &machine,
                        own,
                        json!({
                            "name": entity.name, "identity_class": "system",
                        }),
                    );
                    self.relate(&id, &machine, times);
                }
            }
        }
        if !seen.is_empty() {
            let data = made("observed-data", &incident.id.to_string());
            let (first, last) =
                (incident.first_event, incident.last_event.max(incident.first_event));
            self.add(
                "observed-data",
                &data,
                times,
                json!({
                    "first_observed": stamp(first),
                    "last_observed": stamp(last),
                    "number_observed": incident.detections.clamp(1, 999_999_999),
                    "object_refs": seen,
                }),
            );
            self.relate(&id, &data, times);
        }
    }

    fn add_account(&mut self, entity: &Entity) -> String {
        let named = json!({"account_login": entity.name}).to_string();
        let id = format!("user-account--{}", Uuid::new_v5(&OBSERVED, named.as_bytes()));
        let account = json!({
            "type": "user-account", "spec_version": "2.1", "id": id, "account_login": entity.name,
            "object_marking_refs": [self.marking],
        });
        self.by_id.insert(id.clone(), account);
        id
    }

    fn relate(&mut self, from: &str, to: &str, times: [&str; 2]) {
        let id = made("relationship", &format!("{from} {to}"));
        self.add(
            "relationship",
            &id,
            times,
            json!({
                "relationship_type": "related-to", "source_ref": from, "target_ref": to,
            }),
        );
    }

    fn add(&mut self, kind: &str, id: &str, [created, modified]: [&str; 2], mut object: Value) {
        object["type"] = kind.into();
        object["spec_version"] = "2.1".into();
        object["id"] = id.into();
        object["created"] = created.into();
        object["modified"] = modified.into();
        object["object_marking_refs"] = json!([self.marking]);
        self.by_id.insert(id.to_owned(), object);
    }
}

fn made(kind: &str, of: &str) -> String {
    format!("{kind}--{}", Uuid::new_v5(&NAMESPACE, format!("{kind} {of}").as_bytes()))
}

/// To the millisecond, which is what STIX tells versions apart by.
fn stamp(at: Timestamp) -> String {
    let text = Timestamp::from_millis(at.as_millis()).to_string();
    let whole = text.trim_end_matches('Z');
    let (seconds, fraction) = whole.split_once('.').unwrap_or((whole, ""));
    format!("{seconds}.{fraction:0<3}Z")
}

/// The ids that OASIS gave TLP 2.0's markings.
const fn marking_id(tlp: Tlp) -> &'static str {
    match tlp {
        Tlp::Clear => "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
        Tlp::Green => "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
        Tlp::Amber => "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
        Tlp::AmberStrict => "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
        Tlp::Red => "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
    }
}

fn marking_definition(id: &str, tlp: Tlp) -> Value {
    json!({
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": id,
        "created": "2022-10-01T00:00:00.000Z",
        "name": format!("TLP:{}", tlp.as_str().to_uppercase()),
        "extensions": {
            TLP_2: {"extension_type": "property-extension", "tlp_2_0": tlp.as_str()},
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_milliseconds() {
        for (nanos, text) in [
            (1_767_225_600_000_000_000, "2026-01-01T00:00:00.000Z"),
            (1_767_225_600_500_000_999, "2026-01-01T00:00:00.500Z"),
            (1_767_225_600_012_345_678, "2026-01-01T00:00:00.012Z"),
        ] {
            assert_eq!(stamp(Timestamp::from_nanos(nanos)), text);
        }
    }
}
