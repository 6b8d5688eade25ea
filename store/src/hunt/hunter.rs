//! Answers hunts from the index.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use event::{Event, EventId, FieldId, Timestamp, fields};
use tokio::sync::Semaphore;

use super::{
    FieldStatistics, Hunt, HuntAnswer, HuntError, HuntRequest, Statistics, StatisticsRequest,
    budget::Budget,
    page::{Key, Newest},
    parse::parse,
    plan::{field_named, plan},
    search::{Search, SearchError, by_id},
    statistics::{BUCKETS_MAX, HistogramError},
};
use crate::{
    Scope,
    index::{
        Index, IndexError,
        part::Part,
        view::{Selection, Span},
    },
};

const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1000;

/// Bounds of a [`Hunter`].
#[derive(Clone, Copy, Debug)]
pub struct HunterConfig {
    /// A hunt that takes longer is refused.
    pub time_max: Duration,
    /// Hunts that run at once; more wait, and their time runs.
    pub concurrent_max: usize,
}

impl Default for HunterConfig {
    fn default() -> Self {
        Self { time_max: Duration::from_secs(30), concurrent_max: 4 }
    }
}

/// Answers hunts over an [`Index`].
pub struct Hunter {
    index: Arc<Index>,
    config: HunterConfig,
    running: Arc<Semaphore>,
}

/// Stops the hunt when whoever asked has gone.
struct CancelOnDrop(Arc<Budget>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// What a hunt looks into, open.
struct Opened {
    selection: Selection,
    /// Parts of the selection and its splits that could be opened.
    parts: Vec<Arc<Part>>,
    warnings: Vec<String>,
}

impl Hunter {
    /// Over `index`.
    pub fn new(index: Arc<Index>, config: HunterConfig) -> Self {
        let running = Arc::new(Semaphore::new(config.concurrent_max.max(1)));
        Self { index, config, running }
    }

    async fn open(&self, scope: &Scope, wanted: impl Fn(&Span) -> bool) -> Opened {
        let selection = self.index.view().select(scope, wanted);
        let mut parts = selection.parts.clone();
        let mut warnings = Vec::new();
        for sealed in &selection.sealed {
            match self.index.open_sealed(scope, sealed).await {
                Ok(part) => parts.push(part),
                Err(error) => {
                    tracing::error!(split = %sealed.meta.id, %error, "a split cannot be searched");
                    warnings.push(unsearched(sealed.meta.events, &error));
                }
            }
        }
        Opened { selection, parts, warnings }
    }

    /// Runs `work` on a thread that may block, within the bounds of this hunter.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Budget) -> Result<T, HuntError> + Send + 'static,
    ) -> Result<T, HuntError> {
        let budget = Arc::new(Budget::new(self.config.time_max));
        let _cancel = CancelOnDrop(Arc::clone(&budget));
        let too_long = || HuntError::TooLong(self.config.time_max.as_secs());
        let permit =
            tokio::time::timeout(self.config.time_max, Arc::clone(&self.running).acquire_owned())
                .await
                .map_err(|_| too_long())?
                .map_err(|error| HuntError::Storage(error.to_string()))?;
        let inner = Arc::clone(&budget);
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work(&inner)
        })
        .await
        .map_err(|error| HuntError::Storage(format!("a worker died: {error}")))?
    }
}

fn unsearched(events: u64, error: &IndexError) -> String {
    format!("{events} events were not searched: {error}")
}

#[async_trait]
impl Hunt for Hunter {
    async fn hunt(&self, scope: &Scope, request: HuntRequest) -> Result<HuntAnswer, HuntError> {
        let ast = parse(&request.query)?;
        let after = request.cursor.as_deref().map(Key::from_cursor).transpose()?;
        let limit = match request.limit {
            0 => LIMIT_DEFAULT,
            limit => limit.min(LIMIT_MAX),
        };
        let (from, to) = (request.from, request.to);
        let opened = self.open(scope, |span| span.time.0 <= to && span.time.1 >= from).await;
        let decode = Arc::clone(self.index.decode());
        self.blocking(move |budget| {
            let Opened { selection, parts, mut warnings } = opened;
            know_names(&parts)?;
            let mut planned = plan(&ast)?;
            warnings.append(&mut planned.warnings);
            let search = Search { plan: &planned.plan, from, to, decode: &*decode, budget };
            // One more than asked for says whether there is a next page.
            let mut newest = Newest::new(limit + 1, after);
            let mut failed = Vec::new();
            let total = search
                .run(&selection.hot, &parts, &mut newest, &mut failed)
                .map_err(|error| hunt_error(error, budget))?;
            for (index, error) in failed {
                warnings.push(unsearched(parts[index].extent().events, &error.into()));
            }
            let mut hits = newest.into_hits();
            let more = hits.len() > limit;
            hits.truncate(limit);
            let next_cursor = hits.last().filter(|_| more).map(|(key, _)| key.to_cursor());
            let events = search.fetch(&parts, hits).map_err(|error| hunt_error(error, budget))?;
            Ok(HuntAnswer { events, next_cursor, total, splits: parts.len(), warnings })
        })
        .await
    }

    async fn statistics(
        &self,
        scope: &Scope,
        request: StatisticsRequest,
    ) -> Result<Statistics, HuntError> {
        let ast = parse(&request.query)?;
        let (from, to) = (request.from, request.to);
        let opened = self.open(scope, |span| span.time.0 <= to && span.time.1 >= from).await;
        let decode = Arc::clone(self.index.decode());
        self.blocking(move |budget| {
            let Opened { selection, parts, mut warnings } = opened;
            know_names(&parts)?;
            let mut planned = plan(&ast)?;
            warnings.append(&mut planned.warnings);
            let mut fields = Vec::new();
            for name in &request.fields {
                fields.push((name, countable(name)?));
            }
            let search = Search { plan: &planned.plan, from, to, decode: &*decode, budget };
            let failed = |error| hunt_error(error, budget);
            let mut unread = Vec::new();
            let found = search.all(&selection.hot, &parts, &mut unread).map_err(failed)?;
            for (index, error) in unread {
                warnings.push(unsearched(parts[index].extent().events, &error.into()));
            }
            let extent = search.extent(&parts, &found).map_err(failed)?;
            let histogram = match (request.interval, extent) {
                (Some(interval), Some(extent)) => {
                    let drawn = search.histogram(&parts, &found, extent, interval);
                    Some(drawn.map_err(|error| match error {
                        HistogramError::TooMany => HuntError::Bars(BUCKETS_MAX),
                        HistogramError::Search(error) => failed(error),
                    })?)
                }
                _ => None,
            };
            let top = request.top.min(LIMIT_MAX);
            let mut counted = Vec::new();
            for (name, field) in fields {
                counted.push(match field {
                    Some(field) => search.values(&parts, &found, field, top).map_err(failed)?,
                    None => {
                        let field = name.clone();
                        warnings.push(format!("no event is known to have a field {field}"));
                        FieldStatistics { field, ..FieldStatistics::default() }
                    }
                });
            }
            Ok(Statistics { total: found.total(), extent, histogram, fields: counted, warnings })
        })
        .await
    }

    async fn event(&self, scope: &Scope, id: EventId) -> Result<Option<Event>, HuntError> {
        // The id has the receipt to the millisecond.
        let first = id.received();
        let last = first.plus(Duration::from_millis(1));
        let in_span = |span: &Span| span.received.0 <= last && span.received.1 >= first;
        let opened = self.open(scope, in_span).await;
        let decode = Arc::clone(self.index.decode());
        self.blocking(move |budget| {
            let found = by_id(id, &opened.selection.hot, &opened.parts, &*decode, budget);
            match found {
                Ok(None) => match opened.warnings.into_iter().next() {
                    // It could be in what cannot be read, so absence would be a guess.
                    Some(warning) => Err(HuntError::Storage(warning)),
                    None => Ok(None),
                },
                Ok(found) => Ok(found),
                Err(_) if budget.is_over() => Err(HuntError::TooLong(budget.time_max().as_secs())),
                Err(error) => Err(HuntError::Storage(error.to_string())),
            }
        })
        .await
    }
}

/// The field of `name`, where its values are counted; `None` where no event is known to have it.
fn countable(name: &str) -> Result<Option<FieldId>, HuntError> {
    let field = field_named(name)?;
    let refused =
        |reason: &str| Err(HuntError::Field { name: name.to_owned(), reason: reason.to_owned() });
    match field {
        Some(fields::TIMESTAMP | fields::EVENT_INGESTED) => {
            refused("times are counted by the histogram")
        }
        Some(fields::EVENT_ID | fields::EVENT_ORIGINAL) => refused("every event has another"),
        field => Ok(field),
    }
}

/// Enters the names of fields in sealed splits into the table of names, so that a query knows
/// them after a restart too.
/// Makes the fields of `parts` known, so that a query can name them. Blocks.
pub(super) fn know_names(parts: &[Arc<Part>]) -> Result<(), HuntError> {
    for part in parts {
        let names = part.names().map_err(|error| HuntError::Storage(error.to_string()))?;
        for name in names {
            // Where the table is full, the name stays unknown, which the query will say.
            let _ = FieldId::intern(name);
        }
    }
    Ok(())
}

fn hunt_error(error: SearchError, budget: &Budget) -> HuntError {
    match error {
        SearchError::Stored(reason) if !budget.is_over() => HuntError::Storage(reason),
        _ => HuntError::TooLong(budget.time_max().as_secs()),
    }
}

/// Everything, for requests without bounds.
impl Default for HuntRequest {
    fn default() -> Self {
        Self {
            query: String::new(),
            from: Timestamp::MIN,
            to: Timestamp::MAX,
            cursor: None,
            limit: 0,
        }
    }
}
