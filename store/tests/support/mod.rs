//! What the tests of the index and the hunt share: a decoder of a small JSON format, events,
//! scopes, and a place to index in.

#![allow(clippy::unwrap_used, reason = "a test ends where something it needs is not there")]
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses a part of it")]

use std::{future::Future, path::Path, sync::Arc, task::Poll, time::Duration};

use bytes::Bytes;
use event::{
    BusId, CommuneId, Decode, Event, EventBuilder, EventId, FeedId, FormatName, Record, Timestamp,
};
use store::{
    Scope,
    auth::{Caller, DataDir},
    db::{CursorName, Database},
    hunt::{Hunt as _, HuntRequest, Hunter, HunterConfig},
    index::{Index, IndexConfig},
    split::SplitStorage,
};

pub const BUS: BusId = BusId::from_bytes([7; 16]);

/// Records are flat or nested JSON objects with ECS names; `@timestamp` is the time.
pub struct JsonDecode;

impl Decode for JsonDecode {
    fn decode(&self, record: Record, id: EventId) -> Event {
        let mut builder = EventBuilder::new(record, id);
        let raw = builder.raw().clone();
        match serde_json::from_slice::<serde_json::Value>(&raw) {
            Ok(serde_json::Value::Object(map)) => {
                for (key, value) in &map {
                    if key == "@timestamp" {
                        if let Some(time) = value.as_str().and_then(Timestamp::parse) {
                            builder.set_timestamp(time);
                        }
                    } else {
                        builder.push_json("", key, value);
                    }
                }
                builder.build()
            }
            _ => builder.build_pipeline_error("it is no JSON object"),
        }
    }
}

pub fn commune(name: &str) -> CommuneId {
    CommuneId::new(name).unwrap()
}

/// When the event at offset 0 was received.
pub const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// The event at `offset`, received `offset` ms after a fixed start.
pub fn event(offset: u64, of: &str, raw: &str) -> Arc<Event> {
    let received = START.plus(Duration::from_millis(offset));
    event_by(offset, of, &format!("{of}-pc"), received, raw)
}

/// The event at `offset` by a feed, received then.
pub fn event_by(offset: u64, of: &str, feed: &str, received: Timestamp, raw: &str) -> Arc<Event> {
    let record = Record {
        commune: commune(of),
        feed: FeedId::new(feed).unwrap(),
        format: FormatName::new("json").unwrap(),
        received,
        raw: Bytes::copy_from_slice(raw.as_bytes()),
        context: None,
    };
    let id = EventId::of(BUS, 0, offset, record.received);
    Arc::new(JsonDecode.decode(record, id))
}

/// A folder with a database, a split storage and an index.
pub struct Place {
    pub dir: tempfile::TempDir,
    pub scope: Scope,
    held: DataDir,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let held = DataDir::hold(&dir.path().join("data")).unwrap();
        let scope = Caller::operator(&held).scope().clone();
        Self { dir, scope, held }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn config(&self) -> IndexConfig {
        IndexConfig { writer_memory_bytes: 16 << 20, ..IndexConfig::new(self.path().join("work")) }
    }

    pub async fn db(&self) -> Arc<dyn Database> {
        let url = format!("sqlite://{}", self.path().join("db.sqlite").display());
        let db = store::db::connect(&url).await.unwrap();
        for of in ["dijon", "talant", "longvic"] {
            let commune =
                event::Commune { id: commune(of), name: of.into(), created: Timestamp::now() };
            // It is there already when the database is opened again.
            let _ = db.add_commune(commune).await;
        }
        db
    }

    pub fn storage(&self) -> Arc<SplitStorage> {
        let url = format!("file://{}", self.path().join("splits").display());
        Arc::new(SplitStorage::connect(&url, &self.path().join("cache")).unwrap())
    }

    pub async fn index(&self) -> Arc<Index> {
        self.index_over(self.config(), self.storage(), self.db().await).await
    }

    pub async fn index_over(
        &self,
        config: IndexConfig,
        storage: Arc<SplitStorage>,
        db: Arc<dyn Database>,
    ) -> Arc<Index> {
        Index::open(config, storage, db, Arc::new(JsonDecode)).await.unwrap()
    }
}

pub fn hunter(index: &Arc<Index>) -> Hunter {
    Hunter::new(Arc::clone(index), HunterConfig::default())
}

pub fn request(query: &str) -> HuntRequest {
    HuntRequest { query: query.into(), limit: 1000, ..HuntRequest::default() }
}

/// Ids of all events that answer `query`, page by page, newest first.
pub async fn all(hunter: &Hunter, scope: &Scope, query: &str) -> Vec<EventId> {
    let mut ids = Vec::new();
    let mut cursor = None;
    loop {
        let answer = hunter.hunt(scope, HuntRequest { cursor, ..request(query) }).await.unwrap();
        assert!(answer.warnings.is_empty(), "{query}: {:?}", answer.warnings);
        ids.extend(answer.events.iter().map(Event::id));
        cursor = answer.next_cursor;
        if cursor.is_none() {
            return ids;
        }
    }
}

/// Adds `events` as the offsets from `first`, and shows them.
pub async fn add(index: &Index, first: u64, events: Vec<Arc<Event>>) {
    let next = first + events.len() as u64;
    index.add(0, first, events, next).await.unwrap();
    index.refresh().await.unwrap();
}

pub async fn cursor(db: &dyn Database) -> u64 {
    db.cursor(CursorName::Index, BUS, 0).await.unwrap().unwrap_or(0)
}

/// Drops `future` after it went `polls` times from one wait to the next: `None` where it had not
/// finished by then.
pub async fn cut_short<T>(future: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut future = Box::pin(future);
    let mut left = polls;
    std::future::poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

/// Runs `life` as one process would live: when it is over, nothing of it goes on.
pub fn live<T>(life: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(life)
}
