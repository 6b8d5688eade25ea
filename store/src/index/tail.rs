//! What was added but not published yet.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Instant,
};

use event::{CommuneId, Event};

use super::{
    part::{Extent, Part},
    view::{Hot, Sealed, SealedMap, TailView, View},
};
use crate::db::SplitMeta;

/// One commune's events from one partition: the newest in memory, those before in parts of the
/// work folder.
#[derive(Clone, Default)]
pub(crate) struct Tail {
    pub(crate) parts: Vec<Arc<Part>>,
    pub(crate) hot: Hot,
    pub(crate) hot_bytes: usize,
}

impl Tail {
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.hot.is_empty()
    }

    /// All events in memory, in order.
    pub(crate) fn hot_events(&self) -> Vec<Arc<Event>> {
        self.hot.iter().flat_map(|batch| batch.iter().cloned()).collect()
    }

    fn view(&self, commune: &CommuneId) -> TailView {
        TailView { commune: commune.clone(), parts: self.parts.clone(), hot: self.hot.clone() }
    }
}

/// Offsets of one partition: `first..next`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) first: u64,
    pub(crate) next: u64,
}

/// What tails became, and what that is registered as.
pub(crate) type SealedParts = Vec<(SplitMeta, Arc<Part>)>;

/// The tails of one partition while they are sealed and published.
#[derive(Clone)]
pub(crate) struct Frozen {
    pub(crate) range: Range,
    pub(crate) tails: BTreeMap<CommuneId, Tail>,
    /// Once each tail is one part: what is published, again and again until it worked.
    pub(crate) sealed: Option<Arc<SealedParts>>,
}

/// Everything that changes, behind one lock that is never held across waiting.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) ranges: BTreeMap<u32, Range>,
    pub(crate) tails: BTreeMap<(u32, CommuneId), Tail>,
    pub(crate) frozen: BTreeMap<u32, Frozen>,
    pub(crate) sealed: Arc<SealedMap>,
    pub(crate) hot_bytes: usize,
    /// Since when, and how much, waits for the next checkpoint.
    pub(crate) since: Option<Instant>,
    pub(crate) events: u64,
    pub(crate) raw_bytes: u64,
    /// Whether somebody waits for a checkpoint.
    pub(crate) is_wanted: bool,
    /// Whether something was added that the view does not show.
    pub(crate) dirty: bool,
}

impl State {
    /// Takes `events` of `partition` in.
    pub(crate) fn push(&mut self, partition: u32, events: Vec<Arc<Event>>) {
        let mut by_commune: HashMap<CommuneId, Vec<Arc<Event>>> = HashMap::new();
        let mut extent = Extent::EMPTY;
        for event in events {
            extent.add(&event);
            match by_commune.get_mut(event.commune()) {
                Some(batch) => batch.push(event),
                None => {
                    by_commune.insert(event.commune().clone(), vec![event]);
                }
            }
        }
        for (commune, batch) in by_commune {
            let bytes: usize = batch.iter().map(|event| event.size_bytes()).sum();
            let tail = self.tails.entry((partition, commune)).or_default();
            tail.hot.push(batch.into());
            tail.hot_bytes += bytes;
            self.hot_bytes += bytes;
        }
        self.events += extent.events;
        self.raw_bytes += extent.raw_bytes;
        self.since.get_or_insert_with(Instant::now);
        self.dirty = true;
    }

    /// Sets everything that was added aside, to be sealed.
    pub(crate) fn freeze(&mut self) {
        let mut frozen: BTreeMap<u32, Frozen> = BTreeMap::new();
        for (partition, range) in &mut self.ranges {
            if range.next > range.first && !self.frozen.contains_key(partition) {
                let set_aside = Frozen { range: *range, tails: BTreeMap::new(), sealed: None };
                frozen.insert(*partition, set_aside);
                range.first = range.next;
            }
        }
        for ((partition, commune), tail) in std::mem::take(&mut self.tails) {
            match frozen.get_mut(&partition) {
                Some(frozen) => {
                    self.hot_bytes = self.hot_bytes.saturating_sub(tail.hot_bytes);
                    frozen.tails.insert(commune, tail);
                }
                None => {
                    self.tails.insert((partition, commune), tail);
                }
            }
        }
        self.frozen.append(&mut frozen);
        if self.tails.is_empty() {
            self.since = None;
            self.events = 0;
            self.raw_bytes = 0;
        }
    }

    /// What is searchable now.
    pub(crate) fn view(&mut self) -> View {
        self.dirty = false;
        let frozen = self.frozen.values().flat_map(|frozen| &frozen.tails);
        let live = self.tails.iter().map(|((_, commune), tail)| (commune, tail));
        View {
            sealed: Arc::clone(&self.sealed),
            tails: frozen
                .chain(live)
                .filter(|(_, tail)| !tail.is_empty())
                .map(|(commune, tail)| tail.view(commune))
                .collect(),
        }
    }

    /// Enters published splits and forgets `removed`, which are returned.
    pub(crate) fn register(
        &mut self,
        added: impl IntoIterator<Item = SplitMeta>,
        removed: &[event::SplitId],
    ) -> Vec<Arc<Sealed>> {
        let mut gone = Vec::new();
        let map = Arc::make_mut(&mut self.sealed);
        if !removed.is_empty() {
            for splits in map.values_mut() {
                let (mut out, kept): (Vec<_>, Vec<_>) =
                    std::mem::take(splits).into_iter().partition(|s| removed.contains(&s.meta.id));
                *splits = kept;
                gone.append(&mut out);
            }
        }
        for meta in added {
            let splits = map.entry(meta.commune.clone()).or_default();
            splits.retain(|split| split.meta.id != meta.id);
            splits.push(Sealed::new(meta));
        }
        gone
    }
}
