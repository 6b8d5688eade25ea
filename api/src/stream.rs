//! The live stream of incidents, as server-sent events.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue},
    response::{
        IntoResponse as _, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::Stream;
use store::{Scope, db::DbError};
use tokio::{sync::watch, time::Instant};

use crate::{
    App,
    ask::Ask,
    auth, communes,
    problem::{Kind, Problem},
};

/// Streams that one caller may hold at once: a wall of screens, no leak.
const STREAMS_PER_CALLER_MAX: usize = 16;

/// Streams that all callers may hold at once.
const STREAMS_MAX: usize = 512;

/// Incidents read at once; further ones wait in the database.
const AT_ONCE: usize = 100;

/// How often is looked where nothing tells of a change, and how often the token is tried anew:
/// a revoked one ends its streams within this.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How often a line goes out where nothing happens, so that proxies keep the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Who holds how many streams.
#[derive(Clone, Debug, Default)]
pub struct Streams(Arc<Mutex<HashMap<String, usize>>>);

impl Streams {
    fn hold(&self, caller: &str) -> Option<Held> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.values().sum::<usize>() >= STREAMS_MAX {
            return None;
        }
        let count = all.entry(caller.to_owned()).or_default();
        if *count >= STREAMS_PER_CALLER_MAX {
            return None;
        }
        *count += 1;
        Some(Held { streams: self.clone(), caller: caller.to_owned() })
    }
}

/// One stream, given back when it ends.
pub(crate) struct Held {
    streams: Streams,
    caller: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut all = self.streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = all.entry(std::mem::take(&mut self.caller)) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// Each incident as it changes from now on, or from the event that the client had last.
pub(crate) async fn incidents(app: App, ask: Ask) -> Result<Response, Problem> {
    let had = last_event_id(&ask)?;
    let (scope, _) = communes::narrowed(&app, ask.scope(), &ask.params).await?;
    let held = hold(&app, &ask)?;
    // Told of changes from before the first look, so that none falls between.
    let told = app.db.incident_changes();
    let last = app.db.last_change().await.map_err(Problem::of_db)?;
    let mut ready = VecDeque::new();
    let after = match had {
        // Another database, or one that was set back: what the client knows may be wrong.
        Some(had) if had > last => {
            ready.push_back(Event::default().event("reset").id(last.to_string()).data("{}"));
            last
        }
        Some(had) => had,
        None => last,
    };
    let following = Following {
        app,
        scope,
        headers: ask.headers,
        told,
        after,
        ready,
        tried: Instant::now(),
        _held: held,
    };
    Ok(respond(futures::stream::unfold(following, Following::next)))
}

/// A place among the streams for whoever asks.
pub(crate) fn hold(app: &App, ask: &Ask) -> Result<Held, Problem> {
    app.streams.hold(&ask.caller().name).ok_or_else(|| {
        let detail = format!(
            "there are {STREAMS_PER_CALLER_MAX} streams of yours or {STREAMS_MAX} of all callers \
             open; close one"
        );
        Problem::new(Kind::TooMany, detail).header(axum::http::header::RETRY_AFTER, "5")
    })
}

/// The answer whose body the events are, as they come.
pub(crate) fn respond(
    events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static,
) -> Response {
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    let no_buffer =
        [(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"))];
    (no_buffer, Sse::new(events).keep_alive(keep_alive)).into_response()
}

/// The event that the client had last: by the header that browsers send, or by a parameter.
fn last_event_id(ask: &Ask) -> Result<Option<u64>, Problem> {
    let wrong = |name: &str| {
        let detail =
            format!("{name} is the id of an event of this stream; leave it out to begin now");
        Problem::parameter(name, detail)
    };
    if let Some(value) = ask.headers.get(&LAST_EVENT_ID) {
        let id = value.to_str().ok().and_then(|text| text.parse().ok());
        return id.map(Some).ok_or_else(|| wrong("Last-Event-ID"));
    }
    let id = ask.params.text("last_event_id").map(str::parse).transpose();
    id.map_err(|_| wrong("last_event_id"))
}

/// One client's place in the changes. What a slow client has not read yet stays in the
/// database, and it gets each incident once, as it is then.
struct Following {
    app: App,
    scope: Scope,
    headers: HeaderMap,
    told: watch::Receiver<()>,
    after: u64,
    ready: VecDeque<Event>,
    tried: Instant,
    _held: Held,
}

impl Following {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some((Ok(event), self));
            }
            if self.app.stopping.is_cancelled() || !self.may_go_on().await {
                return None;
            }
            let looked = self.look().await;
            if let Err(error) = looked {
                // The client comes again with the id it had last, and misses nothing.
                tracing::warn!(%error, "failed to read what changed; a stream ends");
                return None;
            }
            if self.ready.is_empty() {
                self.wait().await;
            }
        }
    }

    async fn look(&mut self) -> Result<(), DbError> {
        self.told.mark_unchanged();
        let changes = self.app.db.incidents_changed(&self.scope, self.after, AT_ONCE).await?;
        for (number, incident) in changes.incidents {
            let event = Event::default().event("incident").id(number.to_string());
            // An incident is always JSON.
            self.ready.push_back(event.json_data(&incident).unwrap_or_default());
        }
        self.after = changes.next;
        Ok(())
    }

    async fn wait(&mut self) {
        let stopping = self.app.stopping.clone();
        tokio::select! {
            // A sender that is gone says nothing any more, so time tells.
            Ok(()) = self.told.changed() => {}
            () = stopping.cancelled() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }

    /// Whether the token still opens what it did. One that cannot be tried ends the stream, too.
    async fn may_go_on(&mut self) -> bool {
        if self.tried.elapsed() < LOOK_EVERY {
            return true;
        }
        self.tried = Instant::now();
        auth::still(&self.app, &self.headers).await.unwrap_or(false)
    }
}
