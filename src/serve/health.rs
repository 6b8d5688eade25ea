//! Whether every part works.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use api::Check;
use async_trait::async_trait;
use ingest::bus::Bus;
use store::{audit::Trail, db::Database};

use crate::rules::Keeper;

/// Looks at the parts when asked.
pub(crate) struct Health {
    bus: Option<Arc<dyn Bus>>,
    db: Arc<dyn Database>,
    trail: Arc<Trail>,
    rules: Arc<Keeper>,
    ended: Mutex<Vec<(&'static str, String)>>,
    /// What does not work now and is tried again.
    troubles: Mutex<BTreeMap<&'static str, String>>,
}

impl Health {
    pub(crate) fn new(
        bus: Option<Arc<dyn Bus>>,
        db: Arc<dyn Database>,
        trail: Arc<Trail>,
        rules: Arc<Keeper>,
    ) -> Self {
        Self { bus, db, trail, rules, ended: Mutex::default(), troubles: Mutex::default() }
    }

    /// Notes what does not work in `part`, or that all does again.
    pub(crate) fn trouble(&self, part: &'static str, why: Option<String>) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        match why {
            Some(why) => troubles.insert(part, why),
            None => troubles.remove(part),
        };
    }

    /// Notes that a stage runs no more.
    pub(crate) fn ended(&self, stage: &'static str, outcome: &anyhow::Result<()>) {
        let why = match outcome {
            Ok(()) => "stopped".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).push((stage, why));
    }
}

#[async_trait]
impl api::Health for Health {
    async fn ready(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        let database = self.db.ping().await;
        checks.push(Check {
            name: "database".to_owned(),
            ok: database.is_ok(),
            detail: database.err().map_or_else(|| "answers".to_owned(), |error| error.to_string()),
        });
        let trail = self.trail.trouble();
        checks.push(Check {
            name: "audit trail".to_owned(),
            ok: trail.is_none(),
            detail: trail.unwrap_or_else(|| "can be written".to_owned()),
        });
        if let Some(bus) = &self.bus {
            let status = bus.status().await;
            checks.push(Check {
                name: "bus".to_owned(),
                ok: status.stopped.is_none(),
                detail: status.stopped.unwrap_or_else(|| "takes records".to_owned()),
            });
            checks.push(Check {
                name: "bus damage".to_owned(),
                ok: status.quarantined.is_empty(),
                detail: if status.quarantined.is_empty() {
                    "none".to_owned()
                } else {
                    status.quarantined.join("; ")
                },
            });
        }
        let rules = self.rules.status();
        // A bad file is no reason to send requests elsewhere, so this never fails.
        checks.push(Check {
            name: "rules".to_owned(),
            ok: true,
            detail: format!(
                "{} in force, {} refused, {} kept as they were",
                rules.loaded,
                rules.refused.len(),
                rules.kept.len()
            ),
        });
        // Records are taken and matched all the same, so this is no reason either.
        for (part, why) in self.troubles.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            checks.push(Check { name: (*part).to_owned(), ok: true, detail: why.clone() });
        }
        for (stage, why) in self.ended.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            checks.push(Check { name: (*stage).to_owned(), ok: false, detail: why.clone() });
        }
        checks
    }
}
