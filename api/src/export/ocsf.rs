//! Incidents as OCSF 1.5 "Incident Finding" (class 2005): <https://schema.ocsf.io/1.5.0/classes/incident_finding>.

use event::{Commune, EntityKind, Level};
use serde_json::{Value, json};
use store::db::{Incident, IncidentStatus, Verdict};

use super::{name_of, reference, techniques};

const CLASS: u64 = 2005;

/// One finding.
pub(super) fn finding(incident: &Incident, communes: &[Commune]) -> Value {
    let (activity, activity_name) = match incident.status {
        IncidentStatus::Closed => (3, "Close"),
        _ if incident.version == 1 => (1, "Create"),
        _ => (2, "Update"),
    };
    let (status, status_name) = match incident.status {
        IncidentStatus::New => (1, "New"),
        IncidentStatus::Acknowledged | IncidentStatus::InProgress => (2, "In Progress"),
        IncidentStatus::Resolved => (4, "Resolved"),
        IncidentStatus::Closed => (5, "Closed"),
    };
    let (severity, severity_name) = match incident.severity {
        Level::Informational => (1, "Informational"),
        Level::Low => (2, "Low"),
        Level::Medium => (3, "Medium"),
        Level::High => (4, "High"),
        Level::Critical => (5, "Critical"),
    };
    let observables: Vec<Value> = incident
        .entities
        .iter()
        .map(|entity| {
            let (kind, name) = match entity.kind {
                EntityKind::User => (4, "User Name"),
                _ => (1, "Hostname"),
            };
            json!({"name": entity.kind.as_str(), "type": name, "type_id": kind, "value": entity.name})
        })
        .collect();
    let attacks: Vec<Value> = techniques(incident).map(|technique| attack(&technique)).collect();
    let millis = |at: event::Timestamp| at.as_millis();
    let mut finding = json!({
        "class_uid": CLASS,
        "class_name": "Incident Finding",
        "category_uid": 2,
        "category_name": "Findings",
        "activity_id": activity,
        "activity_name": activity_name,
        "type_uid": CLASS * 100 + activity,
        "time": millis(incident.updated),
        "start_time": millis(incident.first_event),
        "end_time": millis(incident.last_event),
        "severity_id": severity,
        "severity": severity_name,
        "status_id": status,
        "status": status_name,
        "desc": incident.title,
        "count": incident.detections,
        "metadata": {
            "version": "1.5.0",
            "profiles": ["incident"],
            "uid": format!("{}-{}", incident.id, incident.version),
            "correlation_uid": incident.id,
            "tenant_uid": incident.commune,
            "product": {"name": "Jacquemart", "vendor_name": "Jacquemart", "version": env!("CARGO_PKG_VERSION")},
        },
        "finding_info_list": [{
            "uid": incident.id,
            "uid_alt": reference(incident),
            "title": incident.title,
            "created_time": millis(incident.created),
            "modified_time": millis(incident.updated),
            "first_seen_time": millis(incident.first_event),
            "last_seen_time": millis(incident.last_event),
            "related_events_count": incident.detections,
        }],
        "observables": observables,
        "attacks": attacks,
        "enrichments": [{
            "name": "organization", "value": incident.commune, "type": "commune",
            "data": {"id": incident.commune, "name": name_of(incident, communes)},
        }],
    });
    // One of the two must be there.
    match &incident.assignee {
        Some(name) => finding["assignee"] = json!({"name": name}),
        None => finding["assignee_group"] = json!({"name": "SOC"}),
    }
    if let Some(verdict) = incident.verdict {
        let (id, name) = match verdict {
            Verdict::FalsePositive => (1, "False Positive"),
            Verdict::TruePositive => (2, "True Positive"),
            Verdict::BenignTruePositive => (5, "Benign"),
            Verdict::Undetermined => (7, "Insufficient Data"),
        };
        finding["verdict_id"] = id.into();
        finding["verdict"] = name.into();
    }
    finding
}

/// `T1003.001` is a subtechnique of `T1003`.
fn attack(technique: &str) -> Value {
    match technique.split_once('.') {
        None => json!({"technique": {"uid": technique}}),
        Some((of, _)) => json!({"technique": {"uid": of}, "sub_technique": {"uid": technique}}),
    }
}
