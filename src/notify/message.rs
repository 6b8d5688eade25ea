//! What is sent of an incident.
//!
//! It crosses networks and screens that are not the service's, so it says as much as PDIS IV.2.3
//! lets such a message say: which ticket and how severe, nothing of events, rules or machines.

use event::Timestamp;
use serde_json::json;
use store::db::{Notice, NoticeKind};

use crate::{config::MailContent, french};

/// What is told, whatever the way.
pub(crate) enum Message<'a> {
    /// Of an incident, as it is now.
    Notice(&'a Notice),
    /// That messages arrive.
    Test(Timestamp),
}

impl Message<'_> {
    /// The same for each try, so that a receiver knows one that comes twice.
    pub(crate) fn id(&self) -> String {
        match self {
            // A restored database counts anew from before, so the number alone would not do.
            Self::Notice(notice) => format!("msg_{}_{}", notice.incident, notice.id),
            Self::Test(now) => format!("msg_test_{}", now.as_nanos()),
        }
    }

    /// As JSON.
    pub(super) fn json(&self) -> String {
        let notice = match self {
            Self::Notice(notice) => notice,
            Self::Test(now) => {
                return json!({"type": "test", "timestamp": now, "data": {}}).to_string();
            }
        };
        let mut body = json!({
            "type": format!("incident.{}", notice.kind.as_str()),
            "timestamp": notice.made,
            "data": {
                "id": notice.incident,
                "reference": reference(notice),
                "commune": notice.commune,
                "severity": notice.severity,
                "status": notice.status,
            },
        });
        if let Some(clock) = notice.clock {
            body["data"]["clock"] = json!(clock);
            body["data"]["due"] = json!(notice.clock_due);
        }
        body.to_string()
    }

    /// As a mail's subject and text.
    pub(super) fn text(&self, content: MailContent) -> (String, String) {
        let notice = match self {
            Self::Notice(notice) => notice,
            Self::Test(_) => {
                return (
                    "Jacquemart : essai".to_owned(),
                    "Ceci est un essai : les messages de Jacquemart arrivent.\n\n\
                     This is a test: Jacquemart's messages arrive.\n"
                        .to_owned(),
                );
            }
        };
        let reference = reference(notice);
        if content == MailContent::Number {
            let text = format!(
                "Du nouveau sur l'incident {reference}. Le détail se lit dans Jacquemart.\n\n\
                 There is news of incident {reference}. Read it in Jacquemart.\n"
            );
            return (format!("Jacquemart : {reference}"), text);
        }
        let (what, what_en) = happening(notice.kind);
        let severity = french::severity(notice.severity.as_str());
        let status = french::status(notice.status.as_str());
        let mut text =
            format!("Incident {reference} : {what}.\nGravité : {severity}. État : {status}.\n");
        let mut english = format!(
            "Incident {reference}: {what_en}. Severity: {}. Status: {}.",
            notice.severity.as_str(),
            notice.status.as_str(),
        );
        if let (Some(name), Some(due)) = (notice.clock, notice.clock_due) {
            let due = minute(due);
            text.push_str(&format!("Échéance : {}, {due}.\n", french::clock(name.as_str())));
            english.push_str(&format!(" Clock: {}, {due}.", name.as_str()));
        }
        text.push_str(&format!(
            "\nLe détail se lit dans Jacquemart : jacquemart incident show {reference}\n\n{english}\n"
        ));
        (format!("Jacquemart : {reference}, gravité {severity} : {what}"), text)
    }
}

fn reference(notice: &Notice) -> String {
    format!("{}-{}", notice.commune.as_str().to_uppercase(), notice.number)
}

/// To the minute, for people.
fn minute(at: Timestamp) -> String {
    let text = at.to_string();
    let (day, time) = (text.get(..10).unwrap_or_default(), text.get(11..16).unwrap_or_default());
    format!("{day} {time} UTC")
}

const fn happening(kind: NoticeKind) -> (&'static str, &'static str) {
    match kind {
        NoticeKind::Opened => ("incident ouvert", "opened"),
        NoticeKind::Severity => ("incident plus grave", "more severe"),
        NoticeKind::Unacknowledged => {
            ("personne ne l'a pris en charge", "nobody has acknowledged it")
        }
        NoticeKind::ClockWarning => ("une échéance approche", "a clock is about to break"),
        NoticeKind::ClockBroken => ("une échéance est passée", "a clock is broken"),
        NoticeKind::Closed => ("incident fermé", "closed"),
        NoticeKind::Reopened => ("incident rouvert", "reopened"),
    }
}
