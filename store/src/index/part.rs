//! One searchable segment: built from events, merged from others, opened from its bundle.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use event::{CommuneId, Event, FieldId, Timestamp, fields};
use tantivy::{
    BitSet, Index, ReloadPolicy, Searcher, SegmentReader, SingleSegmentIndexWriter,
    TantivyDocument,
    directory::{Directory, MmapDirectory, OwnedBytes, RamDirectory},
    fastfield::{AliveBitSet, write_alive_bitset},
};

use super::{
    IndexError,
    document::Documents,
    schema::{EventSchema, FORMAT_VERSION, column},
};
use crate::hunt::{Docs, Originals};
use crate::split::{Bundle, BundleDirectory, BundleInfo, BundleSum, write_bundle};

/// What some events span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) min_time: Timestamp,
    pub(crate) max_time: Timestamp,
    pub(crate) min_received: Timestamp,
    pub(crate) max_received: Timestamp,
    pub(crate) events: u64,
    pub(crate) raw_bytes: u64,
}

impl Extent {
    pub(crate) const EMPTY: Self = Self {
        min_time: Timestamp::MAX,
        max_time: Timestamp::MIN,
        min_received: Timestamp::MAX,
        max_received: Timestamp::MIN,
        events: 0,
        raw_bytes: 0,
    };

    pub(crate) fn add(&mut self, event: &Event) {
        self.join(&Self {
            min_time: event.timestamp(),
            max_time: event.timestamp(),
            min_received: event.received(),
            max_received: event.received(),
            events: 1,
            raw_bytes: event.original().len() as u64,
        });
    }

    pub(crate) fn join(&mut self, other: &Self) {
        self.min_time = self.min_time.min(other.min_time);
        self.max_time = self.max_time.max(other.max_time);
        self.min_received = self.min_received.min(other.min_received);
        self.max_received = self.max_received.max(other.max_received);
        self.events += other.events;
        self.raw_bytes += other.raw_bytes;
    }

    pub(crate) fn of_info(info: &BundleInfo) -> Self {
        Self {
            min_time: info.min_time,
            max_time: info.max_time,
            min_received: info.min_received,
            max_received: info.max_received,
            events: info.events,
            raw_bytes: info.raw_bytes,
        }
    }

    fn info(&self, commune: &CommuneId) -> BundleInfo {
        BundleInfo {
            commune: commune.clone(),
            min_time: self.min_time,
            max_time: self.max_time,
            min_received: self.min_received,
            max_received: self.max_received,
            events: self.events,
            raw_bytes: self.raw_bytes,
            format_version: FORMAT_VERSION,
        }
    }
}

/// A file of the work folder, removed when nobody needs it any more.
#[derive(Debug)]
pub(crate) struct WorkFile(PathBuf);

impl WorkFile {
    /// A name in `folder` that no other file of this process has.
    pub(crate) fn new_in(folder: &Path) -> Self {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(folder.join(format!("{}-{number}.part", std::process::id())))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for WorkFile {
    fn drop(&mut self) {
        // The work folder is emptied at every start, so a file that stays costs little.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// An open segment of one commune's events.
pub(crate) struct Part {
    commune: CommuneId,
    extent: Extent,
    sum: BundleSum,
    index: Index,
    searcher: Searcher,
    names: OnceLock<Vec<String>>,
    file: Option<WorkFile>,
}

impl Part {
    /// Indexes `events` (not empty, of one commune) into a file of `work_dir`. Blocks.
    pub(crate) fn build(
        schema: &EventSchema,
        work_dir: &Path,
        commune: &CommuneId,
        events: &[Arc<Event>],
        memory_bytes: usize,
    ) -> Result<Self, IndexError> {
        let mut extent = Extent::EMPTY;
        let directory = RamDirectory::create();
        let mut writer: SingleSegmentIndexWriter<TantivyDocument> =
            schema.builder().single_segment_index_writer(directory.clone(), memory_bytes)?;
        let mut documents = Documents::new(schema);
        for event in side_by_side(events) {
            extent.add(event);
            writer.add_document(documents.make(event))?;
        }
        let index = writer.finalize()?;
        Self::seal(&index, &directory, work_dir, commune, extent)
    }

    /// Makes one part of several (not empty, of one commune). Blocks.
    pub(crate) fn merge(work_dir: &Path, parts: &[Arc<Self>]) -> Result<Self, IndexError> {
        let mut extent = Extent::EMPTY;
        for part in parts {
            extent.join(&part.extent);
        }
        let folder = merge_folder(work_dir)?;
        let directory = MmapDirectory::open(folder.path()).map_err(tantivy::TantivyError::from)?;
        let indexes: Vec<Index> = parts.iter().map(|part| part.index.clone()).collect();
        let index = tantivy::indexer::merge_indices(&indexes, directory.clone())?;
        Self::seal(&index, &directory, work_dir, &parts[0].commune, extent)
    }

    /// What is left of `part` with the documents of `keep` alone, which are some of it. Nothing of
    /// the others is in it: neither their records, nor terms that none but they have. Blocks.
    pub(crate) fn keep(work_dir: &Path, part: &Self, keep: &Docs) -> Result<Self, IndexError> {
        let segment = part.segment().ok_or_else(|| {
            IndexError::Damaged("a part that events are taken from is empty".to_owned())
        })?;
        let extent = extent_of(segment, keep)?;
        let mut alive = BitSet::with_max_value(segment.max_doc());
        for doc in keep.iter() {
            alive.insert(doc);
        }
        let mut written = Vec::new();
        write_alive_bitset(&alive, &mut written)
            .map_err(|error| IndexError::io(work_dir, error))?;
        let alive = AliveBitSet::open(OwnedBytes::new(written));
        let folder = merge_folder(work_dir)?;
        let directory = MmapDirectory::open(folder.path()).map_err(tantivy::TantivyError::from)?;
        let index = tantivy::indexer::merge_filtered_segments(
            &part.index.searchable_segments()?,
            part.index.settings().clone(),
            vec![Some(alive)],
            directory.clone(),
        )?;
        Self::seal(&index, &directory, work_dir, &part.commune, extent)
    }

    fn seal(
        index: &Index,
        directory: &dyn Directory,
        work_dir: &Path,
        commune: &CommuneId,
        extent: Extent,
    ) -> Result<Self, IndexError> {
        let mut files: Vec<(String, OwnedBytes)> = vec![(
            "meta.json".to_owned(),
            OwnedBytes::new(
                directory
                    .atomic_read(Path::new("meta.json"))
                    .map_err(tantivy::TantivyError::from)?,
            ),
        )];
        let mut paths: Vec<PathBuf> = index.directory().list_managed_files().into_iter().collect();
        paths.sort_unstable();
        for path in paths.iter().filter(|path| *path != Path::new("meta.json")) {
            if directory.exists(path).map_err(tantivy::TantivyError::from)? {
                let bytes = directory
                    .open_read(path)
                    .map_err(tantivy::TantivyError::from)?
                    .read_bytes()
                    .map_err(|error| IndexError::io(path, error))?;
                files.push((path.display().to_string(), bytes));
            }
        }
        let file = WorkFile::new_in(work_dir);
        let sum = write_bundle(file.path(), &extent.info(commune), files)
            .map_err(|error| IndexError::io(file.path(), error))?;
        let bytes = crate::split::map_file(file.path())
            .map_err(|error| IndexError::io(file.path(), error))?;
        let bundle = Bundle::open(bytes).map_err(IndexError::Damaged)?;
        Self::open_with(&bundle, sum, Some(file))
    }

    /// Opens a bundle that was verified. Blocks.
    pub(crate) fn open(bundle: &Bundle, sum: BundleSum) -> Result<Self, IndexError> {
        Self::open_with(bundle, sum, None)
    }

    fn open_with(
        bundle: &Bundle,
        sum: BundleSum,
        file: Option<WorkFile>,
    ) -> Result<Self, IndexError> {
        let info = bundle.info();
        if info.format_version != FORMAT_VERSION {
            return Err(IndexError::Damaged(format!(
                "it has index format {}, this jacquemart reads {FORMAT_VERSION}",
                info.format_version
            )));
        }
        let index = Index::open(BundleDirectory::new(bundle.clone()))?;
        if index.schema() != *EventSchema::get().tantivy() {
            return Err(IndexError::Damaged("its schema is not the one of its format".to_owned()));
        }
        let searcher = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()
            .map(|reader: tantivy::IndexReader| reader.searcher())?;
        Ok(Self {
            commune: info.commune.clone(),
            extent: Extent::of_info(info),
            sum,
            index,
            searcher,
            names: OnceLock::new(),
            file,
        })
    }

    pub(crate) fn commune(&self) -> &CommuneId {
        &self.commune
    }

    pub(crate) fn extent(&self) -> &Extent {
        &self.extent
    }

    pub(crate) fn sum(&self) -> BundleSum {
        self.sum
    }

    /// Its one segment; `None` where it is empty.
    pub(crate) fn segment(&self) -> Option<&SegmentReader> {
        self.searcher.segment_readers().first()
    }

    /// Where its file is, while it is one of the work folder.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(WorkFile::path)
    }

    /// The names of the fields in it, sorted. Blocks the first time.
    pub(crate) fn names(&self) -> tantivy::Result<&[String]> {
        if let Some(names) = self.names.get() {
            return Ok(names);
        }
        let names = match self.segment() {
            Some(segment) => crate::hunt::field_names(segment)?,
            None => Vec::new(),
        };
        Ok(self.names.get_or_init(|| names))
    }
}

fn merge_folder(work_dir: &Path) -> Result<tempfile::TempDir, IndexError> {
    tempfile::Builder::new()
        .prefix("merge-")
        .tempdir_in(work_dir)
        .map_err(|error| IndexError::io(work_dir, error))
}

/// What the documents of `docs` span.
fn extent_of(segment: &SegmentReader, docs: &Docs) -> Result<Extent, IndexError> {
    let columns = segment.fast_fields();
    let [times, receipts] = [columns.i64(column::TIME)?, columns.i64(column::RECEIVED)?];
    let mut originals = Originals::open(segment)?;
    let mut extent = Extent::EMPTY;
    for doc in docs.iter() {
        let [time, received] = [&times, &receipts].map(|column| {
            column
                .first(doc)
                .map(Timestamp::from_nanos)
                .ok_or_else(|| IndexError::Damaged(format!("document {doc} has no times")))
        });
        let (time, received) = (time?, received?);
        extent.join(&Extent {
            min_time: time,
            max_time: time,
            min_received: received,
            max_received: received,
            events: 1,
            raw_bytes: originals.record(doc)?.raw.len() as u64,
        });
    }
    Ok(extent)
}

/// `events` with those of one kind (dataset and code) side by side, kinds in the order of their
/// first event. Alike originals compress far better together, and their terms are in the
/// cache.
fn side_by_side(events: &[Arc<Event>]) -> Vec<&Event> {
    let mut kinds: HashMap<[Option<&str>; 2], usize> = HashMap::new();
    let mut keyed: Vec<(usize, &Event)> = events
        .iter()
        .map(|event| {
            let kind = [fields::EVENT_DATASET, fields::EVENT_CODE]
                .map(|field: FieldId| event.get_str(field));
            let next = kinds.len();
            (*kinds.entry(kind).or_insert(next), &**event)
        })
        .collect();
    keyed.sort_by_key(|(kind, _)| *kind);
    keyed.into_iter().map(|(_, event)| event).collect()
}
