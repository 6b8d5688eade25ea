//! `/api/v1/events/{id}/process-tree`: what started an event's process, and what that started.

use std::{collections::HashSet, time::Duration};

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use event::{Event, EventId, Timestamp};
use futures::{FutureExt as _, future::BoxFuture};
use serde_json::{Value, json};
use store::{Scope, hunt::HuntRequest};

use crate::{
    App,
    around::{device, quoted, text_at},
    ask::Ask,
    problem::Problem,
};

/// How long before and after an event its processes are looked for, where the request does not say.
const WINDOW: Duration = Duration::from_hours(24);
const WINDOW_MAX: Duration = Duration::from_hours(24 * 31);

/// Parents of parents.
const ANCESTORS_MAX: usize = 32;
/// Children of children.
const DEPTH_MAX: usize = 16;
/// Processes below the event's.
const DESCENDANTS_MAX: usize = 200;

/// The start of a process, as the formats say it.
const START: &str = "event.category:process and event.type:start";

/// What names a process on its device.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    /// For ever.
    Entity(String),
    /// Until it ends, and another one gets it.
    Pid(String),
}

impl Key {
    /// Of the process at `path`, e.g. `process.parent`; the surer name.
    fn at(document: &Value, path: &str) -> Option<Self> {
        let entity = text_at(document, &format!("{path}.entity_id")).map(Self::Entity);
        entity.or_else(|| text_at(document, &format!("{path}.pid")).map(Self::Pid))
    }

    /// The condition that a process at `path` is it.
    fn query(&self, path: &str) -> String {
        match self {
            Self::Entity(id) => format!("{path}.entity_id:{}", quoted(id)),
            Self::Pid(pid) => format!("{path}.pid:{}", quoted(pid)),
        }
    }
}

/// A process and the event that it was seen in.
struct Process {
    key: Key,
    /// The event of its start; where that is not known, one that names it.
    document: Value,
    /// Where in it the process is.
    path: &'static str,
    is_start: bool,
    time: Timestamp,
}

impl Process {
    fn of_start(key: Key, event: &Event) -> Self {
        let (document, time) = (event.to_json(), event.timestamp());
        Self { key, document, path: "process", is_start: true, time }
    }

    /// What is told of it.
    fn described(&self) -> Value {
        let field = |name: &str| text_at(&self.document, &format!("{}.{name}", self.path));
        let user = if self.path == "process" { text_at(&self.document, "user.name") } else { None };
        json!({
            "entity_id": field("entity_id"),
            "pid": field("pid"),
            "executable": field("executable").or_else(|| field("name")),
            "command_line": field("command_line"),
            "user": user,
            "started": self.is_start.then_some(self.time),
            "event": self.is_start.then(|| text_at(&self.document, "event.id")).flatten(),
        })
    }
}

/// Looks for processes of one device.
struct Search<'a> {
    app: &'a App,
    scope: Scope,
    device: String,
    from: Timestamp,
    to: Timestamp,
    /// Processes that may still be added below.
    left: usize,
    seen: HashSet<(Key, Timestamp)>,
    is_cut: bool,
    warnings: Vec<String>,
}

impl Search<'_> {
    /// Starts that match, newest first.
    async fn starts(
        &mut self,
        query: &str,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Vec<Event>, Problem> {
        let query = format!("{START} and {} and {query}", self.device);
        let request = HuntRequest { query, from, to, cursor: None, limit };
        let found = self.app.hunt.hunt(&self.scope, request).await.map_err(Problem::of_hunt)?;
        for warning in found.warnings {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
        self.is_cut |= found.next_cursor.is_some() && limit > 1;
        Ok(found.events)
    }

    /// The process `key` as it was at `time`, by its start.
    async fn find(&mut self, key: &Key, time: Timestamp) -> Result<Option<Process>, Problem> {
        let to = match key {
            Key::Entity(_) => self.to,
            Key::Pid(_) => time,
        };
        let found = self.starts(&key.query("process"), self.from, to, 1).await?;
        Ok(found.first().map(|event| Process::of_start(key.clone(), event)))
    }

    /// What started `process`, the first of all first.
    async fn ancestors(&mut self, process: &Process) -> Result<Vec<Process>, Problem> {
        let mut chain: Vec<Process> = Vec::new();
        let mut known = HashSet::from([process.key.clone()]);
        while chain.len() < ANCESTORS_MAX {
            let child = chain.last().unwrap_or(process);
            // Of one whose start is not known, so is its parent; but for the event's own process.
            if !child.is_start && !chain.is_empty() {
                break;
            }
            let Some(key) = Key::at(&child.document, "process.parent") else { break };
            let (document, time) = (child.document.clone(), child.time);
            if matches!(key, Key::Entity(_)) && !known.insert(key.clone()) {
                break;
            }
            let parent = match self.find(&key, time).await? {
                // A number that was given again says nothing of who had it before.
                Some(parent) if (&parent.key, parent.time) == (&child.key, child.time) => break,
                Some(parent) => parent,
                // Named by its child alone.
                None => Process { key, document, path: "process.parent", is_start: false, time },
            };
            chain.push(parent);
        }
        chain.reverse();
        Ok(chain)
    }

    /// What `process` started, oldest first, each with what it started.
    fn children<'a>(
        &'a mut self,
        process: &'a Process,
        depth: usize,
    ) -> BoxFuture<'a, Result<Vec<Value>, Problem>> {
        async move {
            if depth == DEPTH_MAX || self.left == 0 {
                self.is_cut = true;
                return Ok(Vec::new());
            }
            let mut to = self.to;
            if matches!(process.key, Key::Pid(_)) {
                // Until another process has its number.
                let after = process.time.plus(Duration::from_nanos(1));
                let own = process.key.query("process");
                let next = self.starts(&own, after, to, 1_000).await?;
                to = next.last().map_or(to, Event::timestamp);
            }
            let from = if process.is_start { process.time } else { self.from };
            let parent = process.key.query("process.parent");
            let mut found = self.starts(&parent, from, to, self.left).await?;
            found.reverse();
            let mut children = Vec::new();
            for event in &found {
                let document = event.to_json();
                let Some(key) = Key::at(&document, "process") else { continue };
                // Two sensors may tell of one start, and nothing is its own child.
                let is_itself = key == process.key && event.timestamp() == process.time;
                if is_itself || !self.seen.insert((key.clone(), event.timestamp())) {
                    continue;
                }
                if self.left == 0 {
                    self.is_cut = true;
                    break;
                }
                self.left -= 1;
                let child = Process::of_start(key, event);
                let mut described = child.described();
                described["children"] = self.children(&child, depth + 1).await?.into();
                children.push(described);
            }
            Ok(children)
        }
        .boxed()
    }
}

/// The process of an event, what started it, and what it started.
pub(crate) async fn get(app: App, ask: Ask) -> Result<Response, Problem> {
    let window = match ask.params.span("window")? {
        None => WINDOW,
        Some(window) if !window.is_zero() && window <= WINDOW_MAX => window,
        Some(_) => {
            return Err(Problem::parameter("window", "window is a span above 0, at most 31d"));
        }
    };
    let id: EventId = ask.id("event")?;
    let found = app.hunt.event(ask.scope(), id).await.map_err(Problem::of_hunt)?;
    let event = found.ok_or_else(|| Problem::not_found("event", ask.id_text()))?;
    let document = event.to_json();
    let (Some((field, name)), Some(key)) = (device(&document), Key::at(&document, "process"))
    else {
        let warning = "the event names no device or no process, so that there is no tree";
        return Ok(Json(json!({
            "device": null, "ancestors": [], "process": null, "truncated": false,
            "warnings": [warning],
        }))
        .into_response());
    };
    let time = event.timestamp();
    let mut search = Search {
        app: &app,
        // A device of that name in another commune is another.
        scope: ask.scope().narrowed(event.commune()),
        device: format!("{field}:{}", quoted(name)),
        from: time.minus(window),
        to: time.plus(window),
        left: DESCENDANTS_MAX,
        seen: HashSet::new(),
        is_cut: false,
        warnings: Vec::new(),
    };
    let shown = json!({"field": field, "value": name});
    let process = match search.find(&key, time).await? {
        Some(process) => process,
        None => Process { key, document, path: "process", is_start: false, time },
    };
    let ancestors = search.ancestors(&process).await?;
    let mut described = process.described();
    described["children"] = search.children(&process, 0).await?.into();
    Ok(Json(json!({
        "device": shown,
        "ancestors": ancestors.iter().map(Process::described).collect::<Vec<_>>(),
        "process": described,
        "truncated": search.is_cut,
        "warnings": search.warnings,
    }))
    .into_response())
}
