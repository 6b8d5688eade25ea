//! How a feed does, live, as server-sent events.

use std::{convert::Infallible, time::Duration};

use axum::{http::HeaderMap, response::Response, response::sse::Event};
use event::FeedId;
use store::Scope;
use tokio::time::Instant;

use crate::{
    App,
    ask::Ask,
    auth,
    devices::{self, Inventory},
    feeds,
    problem::Problem,
    stream::{self, Held, LOOK_EVERY},
};

/// How often it is looked whether the feed does otherwise: what is counted is in memory.
const OFTEN: Duration = Duration::from_millis(500);

/// For how long a count of devices is told again.
const COUNTED: Duration = Duration::from_secs(10);

/// How the feed does, at once and whenever that changes. Each event is all there is to know, so
/// that nothing is missed by a client that comes again.
pub(crate) async fn health(app: App, ask: Ask) -> Result<Response, Problem> {
    let feed = feeds::find(&app, &ask).await?.id;
    let held = stream::hold(&app, &ask)?;
    let scope = ask.scope().clone();
    let watching = Watching {
        app,
        scope,
        feed,
        headers: ask.headers,
        told: String::new(),
        looked: None,
        counted: None,
        tried: Instant::now(),
        _held: held,
    };
    Ok(stream::respond(futures::stream::unfold(watching, Watching::next)))
}

struct Watching {
    app: App,
    scope: Scope,
    feed: FeedId,
    headers: HeaderMap,
    /// What was said last.
    told: String,
    /// When that was looked at.
    looked: Option<Instant>,
    /// What was counted of its devices, and when.
    counted: Option<(Instant, Option<Inventory>)>,
    tried: Instant,
    _held: Held,
}

impl Watching {
    /// How its devices stand to its inventory, at most [`COUNTED`] ago: to count them reads all.
    async fn inventory(&mut self) -> Option<Option<Inventory>> {
        if let Some((at, inventory)) = self.counted
            && at.elapsed() < COUNTED
        {
            return Some(inventory);
        }
        let devices = devices::of(&self.app, &self.scope, &self.feed).await.ok()?;
        let inventory = Inventory::of(&devices);
        self.counted = Some((Instant::now(), inventory));
        Some(inventory)
    }

    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            if let Some(looked) = self.looked {
                tokio::select! {
                    () = self.app.stopping.cancelled() => return None,
                    () = tokio::time::sleep_until(looked + OFTEN) => {}
                }
            }
            self.looked = Some(Instant::now());
            if self.tried.elapsed() >= LOOK_EVERY {
                self.tried = Instant::now();
                if !auth::still(&self.app, &self.headers).await.unwrap_or(false) {
                    return None;
                }
            }
            let feed = self.app.db.feed(&self.scope, &self.feed).await.ok().flatten()?;
            let inventory = self.inventory().await?;
            let health = feeds::with_health(&self.app, &self.scope, &feed, inventory);
            let health = serde_json::to_string(&health).ok()?;
            if health != self.told {
                self.told.clone_from(&health);
                return Some((Ok(Event::default().event("health").data(health)), self));
            }
        }
    }
}
