//! Events in, searchable splits out.
//!
//! What enters: decoded events in the order of the bus. What leaves: a view that each event is
//! in exactly once, from the next [`refresh`](Index::refresh) after it was added, and sealed
//! splits in the split storage, registered in the catalog together with the reader's position.
//! Deliberately ignored: the bus itself, and queries (those are in [`crate::hunt`]).
//!
//! An event is first held in memory, where hunts look at it as it is. When memory runs to its
//! bound, the largest commune's events become a part: a small tantivy segment in the work
//! folder. A checkpoint seals each commune's parts into one split. Nothing before the checkpoint
//! needs to survive a crash, as the bus has it; so nothing before it is synced to disk.

use std::{
    collections::{HashMap, VecDeque},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use event::{Decode, Event};

use crate::{
    Scope,
    db::{Database, DbError},
    split::{BundleSum, SplitError, SplitFile, SplitStorage},
};

mod checkpoint;
pub(crate) mod document;
pub(crate) mod fold;
mod garbage;
mod keep;
mod merge;
pub(crate) mod part;
pub(crate) mod schema;
mod tail;
pub(crate) mod view;

pub use keep::{Dropped, Keep};
pub use schema::FORMAT_VERSION;

use part::Part;
use tail::{Range, State};
use view::{Sealed, View};

/// Bounds and places of an [`Index`].
#[derive(Clone, Debug)]
pub struct IndexConfig {
    /// Where parts are kept until they are sealed; emptied at every start.
    pub work_dir: PathBuf,
    /// A checkpoint is due after so many events,
    pub checkpoint_events_max: u64,
    /// or so many bytes of their originals,
    pub checkpoint_bytes_max: u64,
    /// or so long after the first of them.
    pub checkpoint_age_max: Duration,
    /// Bytes of events held in memory, over all communes.
    pub hot_bytes_max: usize,
    /// Bytes of working memory that writing a part begins with.
    pub writer_memory_bytes: usize,
    /// Parts that are written at once, of one commune's events too.
    pub writers: usize,
    /// Splits that are kept open for hunts.
    pub open_splits_max: usize,
    /// So many splits of like size become one.
    pub merge_splits_min: usize,
    /// Bytes past which a split is not merged further.
    pub merge_bytes_max: u64,
    /// A merged split holds what was received in one such stretch of time, as a split is dropped
    /// when the last of its events is old enough.
    pub merge_span: Duration,
}

impl IndexConfig {
    /// The defaults, with the work folder.
    pub fn new(work_dir: impl Into<PathBuf>) -> Self {
        Self {
            work_dir: work_dir.into(),
            checkpoint_events_max: 500_000,
            checkpoint_bytes_max: 1 << 30,
            checkpoint_age_max: Duration::from_secs(300),
            hot_bytes_max: 96 << 20,
            writer_memory_bytes: 64 << 20,
            writers: std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4)),
            open_splits_max: 512,
            merge_splits_min: 10,
            merge_bytes_max: 1 << 30,
            merge_span: Duration::from_secs(7 * 86_400),
        }
    }
}

/// Events that are worth a part of their own where several are written at once.
const PART_EVENTS_MIN: usize = 1_000;

/// Why events could not be indexed. The texts complete "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// tantivy failed.
    #[error("the index failed: {0}")]
    Tantivy(#[from] tantivy::TantivyError),
    /// The work folder failed.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A part or split is not what this version reads.
    #[error("a part of the index is damaged: {0}")]
    Damaged(String),
    /// The split storage failed.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// The catalog failed.
    #[error(transparent)]
    Database(#[from] DbError),
    /// Offsets were given twice.
    #[error(
        "offsets {first} to {next} of partition {partition} overlap with what was added up to {known}; seek the reader to the committed cursor"
    )]
    Overlap {
        /// The partition.
        partition: u32,
        /// First offset given.
        first: u64,
        /// One past the last offset given.
        next: u64,
        /// One past the last offset known.
        known: u64,
    },
    /// Events could not be selected.
    #[error(transparent)]
    Select(#[from] crate::hunt::HuntError),
    /// A worker thread died.
    #[error("a worker of the index died: {0}")]
    Worker(#[from] tokio::task::JoinError),
}

impl IndexError {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.display().to_string(), source }
    }
}

/// The index of all communes. Shared; every method may be called at any time.
pub struct Index {
    config: IndexConfig,
    storage: Arc<SplitStorage>,
    db: Arc<dyn Database>,
    decode: Arc<dyn Decode>,
    state: Mutex<State>,
    view: ArcSwap<View>,
    /// Held while events are taken in, parts written, or tails set aside.
    adding: tokio::sync::Mutex<()>,
    /// Held while tails are sealed and published.
    sealing: tokio::sync::Mutex<()>,
    /// Held while splits are merged.
    merging: tokio::sync::Mutex<()>,
    /// Open splits, oldest first.
    opened: Mutex<VecDeque<Arc<Sealed>>>,
    /// Replaced and dropped splits, whose objects go once no hunt looks into them.
    condemned: Mutex<Vec<Arc<Sealed>>>,
    /// What is due of splits that have nothing of it, so that they are not looked into again.
    looked: Mutex<HashMap<event::SplitId, String>>,
}

impl Index {
    /// Opens the index: reads the catalog, empties the work folder, and removes objects that an
    /// interrupted checkpoint or merge left unpublished.
    pub async fn open(
        config: IndexConfig,
        storage: Arc<SplitStorage>,
        db: Arc<dyn Database>,
        decode: Arc<dyn Decode>,
    ) -> Result<Arc<Self>, IndexError> {
        let work_dir = config.work_dir.clone();
        tokio::task::spawn_blocking(move || garbage::empty(&work_dir)).await??;
        let splits = db.all_splits().await?;
        garbage::collect(&storage, &*db, &splits).await?;
        let mut state = State::default();
        state.register(splits, &[]);
        let view = state.view();
        Ok(Arc::new(Self {
            config,
            storage,
            db,
            decode,
            state: Mutex::new(state),
            view: ArcSwap::from_pointee(view),
            adding: tokio::sync::Mutex::default(),
            sealing: tokio::sync::Mutex::default(),
            merging: tokio::sync::Mutex::default(),
            opened: Mutex::default(),
            condemned: Mutex::default(),
            looked: Mutex::default(),
        }))
    }

    /// Takes in the events of the offsets `first..next` of `partition`. They are searchable
    /// after the next [`refresh`](Self::refresh). Offsets that were added before are passed
    /// over. Waits while memory is full and a part is written; where that fails, the events
    /// are in nevertheless and need not be added again.
    pub async fn add(
        &self,
        partition: u32,
        first: u64,
        events: Vec<Arc<Event>>,
        next: u64,
    ) -> Result<(), IndexError> {
        let _adding = self.adding.lock().await;
        {
            let mut state = self.state();
            let range = state.ranges.entry(partition).or_insert(Range { first, next: first });
            if next <= range.next {
                return Ok(());
            }
            if first < range.next {
                return Err(IndexError::Overlap { partition, first, next, known: range.next });
            }
            range.next = next;
            state.push(partition, events);
        }
        while self.state().hot_bytes > self.config.hot_bytes_max {
            self.write_part().await?;
        }
        Ok(())
    }

    /// Turns the largest tail's events in memory into parts. `adding` is held.
    async fn write_part(&self) -> Result<(), IndexError> {
        let (key, tail) = {
            let state = self.state();
            let largest = state.tails.iter().max_by_key(|(_, tail)| tail.hot_bytes);
            let Some((key, tail)) = largest.filter(|(_, tail)| !tail.hot.is_empty()) else {
                return Ok(());
            };
            (key.clone(), tail.clone())
        };
        let parts = self.build_parts(&key.1, &tail).await?;
        let mut state = self.state();
        if let Some(live) = state.tails.get_mut(&key) {
            live.hot.drain(..tail.hot.len());
            live.hot_bytes -= tail.hot_bytes;
            live.parts.extend(parts);
            state.hot_bytes = state.hot_bytes.saturating_sub(tail.hot_bytes);
        }
        self.show(&mut state);
        Ok(())
    }

    /// Writes the events of `tail` that are in memory, in order, as one part or, where there are
    /// many, as several at once: writing them is most of what indexing takes.
    async fn build_parts(
        &self,
        commune: &event::CommuneId,
        tail: &tail::Tail,
    ) -> Result<Vec<Arc<Part>>, IndexError> {
        let events = tail.hot_events();
        let writers = self.config.writers.min(events.len() / PART_EVENTS_MIN).max(1);
        let mut writing = Vec::with_capacity(writers);
        for share in events.chunks(events.len().div_ceil(writers).max(1)) {
            let (commune, events) = (commune.clone(), share.to_vec());
            let (work_dir, memory) =
                (self.config.work_dir.clone(), self.config.writer_memory_bytes);
            writing.push(tokio::task::spawn_blocking(move || {
                Part::build(&schema::EventSchema::get(), &work_dir, &commune, &events, memory)
            }));
        }
        let mut parts = Vec::with_capacity(writers);
        for part in writing {
            parts.push(Arc::new(part.await??));
        }
        Ok(parts)
    }

    /// Makes what was added searchable. Cheap.
    #[expect(clippy::unused_async, reason = "a distributed index will have to wait here")]
    pub async fn refresh(&self) -> Result<(), IndexError> {
        let mut state = self.state();
        if state.dirty {
            self.show(&mut state);
        }
        Ok(())
    }

    /// Swaps the view for what `state` has, at once.
    fn show(&self, state: &mut MutexGuard<'_, State>) {
        self.view.store(Arc::new(state.view()));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock leaves the state half changed, so a poisoned one is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is searchable now.
    pub(crate) fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    pub(crate) fn decode(&self) -> &Arc<dyn Decode> {
        &self.decode
    }

    /// Opens a split, or gives it where it is open. Every byte is verified the first time.
    pub(crate) async fn open_sealed(
        &self,
        scope: &Scope,
        sealed: &Arc<Sealed>,
    ) -> Result<Arc<Part>, IndexError> {
        if !scope.allows(&sealed.meta.commune) {
            return Err(SplitError::Missing(sealed.meta.id).into());
        }
        if let Some(part) = sealed.part() {
            return Ok(part);
        }
        let opened = self.read_sealed(scope, sealed).await;
        if matches!(
            &opened,
            Err(IndexError::Damaged(_) | IndexError::Split(SplitError::Damaged { .. }))
        ) {
            sealed.set_damaged();
        }
        let part = opened?;
        sealed.set_part(Some(Arc::clone(&part)));
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.push_back(Arc::clone(sealed));
        while opened.len() > self.config.open_splits_max {
            if let Some(oldest) = opened.pop_front() {
                oldest.set_part(None);
            }
        }
        Ok(part)
    }

    async fn read_sealed(
        &self,
        scope: &Scope,
        sealed: &Arc<Sealed>,
    ) -> Result<Arc<Part>, IndexError> {
        let file = self.storage.open(scope, &sealed.meta).await?;
        match self.read_file(file, sealed).await {
            Err(
                damaged @ (IndexError::Damaged(_) | IndexError::Split(SplitError::Damaged { .. })),
            ) => match self.storage.open_anew(scope, &sealed.meta).await? {
                // Only the copy may have been.
                Some(file) => self.read_file(file, sealed).await,
                None => Err(damaged),
            },
            read => read,
        }
    }

    /// Verifies and opens what was fetched.
    async fn read_file(
        &self,
        file: SplitFile,
        sealed: &Arc<Sealed>,
    ) -> Result<Arc<Part>, IndexError> {
        let sum = BundleSum { bytes: sealed.meta.bytes, crc32c: sealed.meta.crc32c };
        let name = sealed.meta.object_path();
        let part = tokio::task::spawn_blocking(move || {
            file.verify()?;
            Part::open(file.bundle(), sum).map_err(|error| match error {
                IndexError::Damaged(reason) => {
                    SplitError::Damaged { object: name.display().to_string(), reason }.into()
                }
                other => other,
            })
        });
        let part: Part = part.await??;
        if part.commune() != &sealed.meta.commune {
            let object = sealed.meta.object_path().display().to_string();
            let reason = format!("it holds events of {}", part.commune());
            return Err(SplitError::Damaged { object, reason }.into());
        }
        Ok(Arc::new(part))
    }
}
