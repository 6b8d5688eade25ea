//! What goes into the audit trail of a request, and when.
//!
//! A change is written down before it is made, and again with how it ended; a read once, after
//! the answer is made and before anybody gets it. Where the trail cannot be written nothing is
//! changed and nothing shown.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::ConnectInfo,
    http::{Method, StatusCode, request::Parts},
};
use serde_json::Value;
use store::{
    audit::{Entry, Phase, Trail},
    auth::Caller,
};

use crate::{
    ask::Ask,
    problem::{Kind, Problem},
    routes::RouteInfo,
    surround::RequestId,
};

/// Wrong tokens from one address become one entry per this time.
const FAILURES_FOLDED: Duration = Duration::from_mins(1);

/// Addresses whose wrong tokens are counted each by itself at once.
const ADDRESSES_MAX: usize = 10_000;

/// Callers and addresses that are known to have been written down today.
const USES_MAX: usize = 10_000;

/// Characters of a text in a body that are kept.
const TEXT_CHARS_MAX: usize = 200;

/// Bytes of a body that are kept, as it is written down; a change of a thousand incidents has some
/// 40 kB.
const BODY_BYTES_MAX: usize = 64 << 10;

/// Characters of parameters and of a path's id that are kept.
const QUERY_CHARS_MAX: usize = 4_000;

/// The trail, and what is remembered so that it does not grow with every request.
#[derive(Clone)]
pub struct Audit {
    trail: Arc<Trail>,
    memory: Arc<Mutex<Memory>>,
}

#[derive(Default)]
struct Memory {
    /// Wrong tokens by address since their entry.
    failures: HashMap<String, u64>,
    /// Who used their token from where, and the day that this is about.
    uses: HashSet<(String, String)>,
    day: i64,
}

impl Audit {
    /// Writes into `trail`.
    pub fn new(trail: Arc<Trail>) -> Self {
        Self { trail, memory: Arc::default() }
    }

    /// The trail.
    pub(crate) fn trail(&self) -> &Arc<Trail> {
        &self.trail
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn write(&self, entry: Entry) -> Result<(), Problem> {
        match self.trail.append(entry).await {
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::error!(%error, "failed to write to the audit trail; a request is refused");
                let detail = "the audit trail cannot be written, so that nothing is answered or \
                              changed until it can; the server's log says why";
                Err(Problem::new(Kind::NotReady, detail))
            }
        }
    }

    /// A token that opens nothing was shown. Told of once a minute and address, with how often;
    /// the caller's answer does not wait for it.
    pub(crate) fn wrong_token(&self, parts: &Parts) {
        let mut from = address(parts);
        {
            let mut memory = self.memory();
            if let Some(count) = memory.failures.get_mut(&from) {
                *count += 1;
                return;
            }
            if memory.failures.len() >= ADDRESSES_MAX {
                "others".clone_into(&mut from);
                if let Some(count) = memory.failures.get_mut(&from) {
                    *count += 1;
                    return;
                }
            }
            memory.failures.insert(from.clone(), 0);
        }
        let (audit, request) = (self.clone(), request_id(parts));
        tokio::spawn(async move {
            let entry = |count| Entry {
                action: "auth.failed".to_owned(),
                from: from.clone(),
                status: Some(401),
                count,
                ..Entry::default()
            };
            // A trail that cannot be written says so in the log, and refuses what matters.
            let _ = audit.write(Entry { request, ..entry(None) }).await;
            tokio::time::sleep(FAILURES_FOLDED).await;
            let more = audit.memory().failures.remove(&from).unwrap_or_default();
            if more > 0 {
                let _ = audit.write(entry(Some(more))).await;
            }
        });
    }

    /// A token opened something: told of once a day for each address that uses it.
    pub(crate) async fn used(&self, caller: &Caller, parts: &Parts) -> Result<(), Problem> {
        let from = address(parts);
        let day = event::Timestamp::now().as_nanos() / 86_400_000_000_000;
        let is_new = {
            let mut memory = self.memory();
            if memory.day != day || memory.uses.len() >= USES_MAX {
                memory.uses.clear();
                memory.day = day;
            }
            memory.uses.insert((caller.name.clone(), from.clone()))
        };
        if !is_new {
            return Ok(());
        }
        let entry = Entry {
            action: "auth.used".to_owned(),
            by: caller.name.clone(),
            role: Some(caller.role),
            from,
            request: request_id(parts),
            ..Entry::default()
        };
        self.write(entry).await
    }
}

/// What is written of one request to an audited route.
pub(crate) struct Account {
    audit: Audit,
    is_change: bool,
    entry: Entry,
}

impl Account {
    /// `None` where the route is not audited.
    pub(crate) fn of(
        audit: &Audit,
        route: &RouteInfo,
        caller: &Caller,
        parts: &Parts,
    ) -> Option<Self> {
        let action = route.audit?.to_owned();
        let query = parts.uri.query().filter(|query| !query.is_empty());
        let entry = Entry {
            action,
            by: caller.name.clone(),
            role: Some(caller.role),
            from: address(parts),
            query: query.map(|query| clipped(query, QUERY_CHARS_MAX)),
            request: request_id(parts),
            ..Entry::default()
        };
        Some(Self { audit: audit.clone(), is_change: route.method != Method::GET, entry })
    }

    /// It is about to be done.
    pub(crate) async fn asked(&mut self, ask: &Ask) -> Result<(), Problem> {
        let id = Some(ask.id_text()).filter(|id| !id.is_empty());
        self.entry.object = id.map(|id| clipped(id, QUERY_CHARS_MAX));
        self.entry.body = ask.fields.shown().map(|body| bounded(without_long_texts(body)));
        if !self.is_change {
            return Ok(());
        }
        let entry = Entry { phase: Phase::Asked, ..self.entry.clone() };
        // What was asked for stands in this entry; the next one says how it ended.
        self.entry.body = None;
        self.audit.write(entry).await
    }

    /// It was done, or refused, and nobody heard of it yet.
    pub(crate) async fn done(self, status: StatusCode) -> Result<(), Problem> {
        self.audit.write(Entry { status: Some(status.as_u16()), ..self.entry }).await
    }
}

/// The address that a request came from; the local socket has none.
fn address(parts: &Parts) -> String {
    match parts.extensions.get::<ConnectInfo<SocketAddr>>() {
        Some(ConnectInfo(peer)) => peer.ip().to_canonical().to_string(),
        None => "local".to_owned(),
    }
}

fn request_id(parts: &Parts) -> String {
    parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default()
}

/// A record's line has a bound, whatever somebody sends.
fn bounded(body: Value) -> Value {
    let bytes = body.to_string().len();
    if bytes <= BODY_BYTES_MAX { body } else { Value::String(format!("… ({bytes} bytes)")) }
}

fn without_long_texts(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(clipped(&text, TEXT_CHARS_MAX)),
        Value::Array(items) => items.into_iter().map(without_long_texts).collect(),
        Value::Object(members) => Value::Object(
            members.into_iter().map(|(name, value)| (name, without_long_texts(value))).collect(),
        ),
        other => other,
    }
}

fn clipped(text: &str, chars_max: usize) -> String {
    let chars = text.chars().count();
    if chars <= chars_max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars_max).collect();
    format!("{kept}… ({chars} characters)")
}
