//! What is sent of an incident.
//!
//! It crosses networks and screens that are not the service's, so it says as much as PDIS IV.2.3
//! lets such a message say: which ticket and how severe, nothing of events, rules or machines.

use event::Timestamp;
use serde_json::json;
use store::db::Notice;

/// A message, ready to be signed.
pub(crate) struct Message {
    /// The same for each try, so that a receiver knows one that comes twice.
    pub(crate) id: String,
    pub(crate) body: String,
}

impl Message {
    /// Of a notice, as its incident is now.
    pub(crate) fn of(notice: &Notice) -> Self {
        let mut body = json!({
            "type": format!("incident.{}", notice.kind.as_str()),
            "timestamp": notice.made,
            "data": {
                "id": notice.incident,
                "reference": format!("{}-{}", notice.commune.as_str().to_uppercase(), notice.number),
                "commune": notice.commune,
                "severity": notice.severity,
                "status": notice.status,
            },
        });
        if let Some(clock) = notice.clock {
            body["data"]["clock"] = json!(clock);
            body["data"]["due"] = json!(notice.clock_due);
        }
        // A restored database counts anew from before, so the number alone would not do.
        let id = format!("msg_{}_{}", notice.incident, notice.id);
        Self { id, body: body.to_string() }
    }
}

/// A message that says that messages arrive.
pub(crate) fn test_message(now: Timestamp) -> Message {
    let body = json!({"type": "test", "timestamp": now, "data": {}});
    Message { id: format!("msg_test_{}", now.as_nanos()), body: body.to_string() }
}
