//! What is searchable at one moment.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use event::{CommuneId, Event, Timestamp};

use super::part::Part;
use crate::{Scope, db::SplitMeta};

/// A published split, opened when it is first needed.
pub(crate) struct Sealed {
    pub(crate) meta: SplitMeta,
    part: Mutex<Option<Arc<Part>>>,
    damaged: AtomicBool,
}

impl Sealed {
    pub(crate) fn new(meta: SplitMeta) -> Arc<Self> {
        Arc::new(Self { meta, part: Mutex::default(), damaged: AtomicBool::new(false) })
    }

    /// The open part, where it is open.
    pub(crate) fn part(&self) -> Option<Arc<Part>> {
        self.part.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_part(&self, part: Option<Arc<Part>>) {
        *self.part.lock().unwrap_or_else(PoisonError::into_inner) = part;
    }

    /// Whether it could not be opened because of damage.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    pub(crate) fn set_damaged(&self) {
        self.damaged.store(true, Ordering::Relaxed);
    }
}

/// Events in memory, in batches as they came.
pub(crate) type Hot = Vec<Arc<Vec<Arc<Event>>>>;

/// What of a commune is not sealed yet.
#[derive(Clone)]
pub(crate) struct TailView {
    pub(crate) commune: CommuneId,
    pub(crate) parts: Vec<Arc<Part>>,
    pub(crate) hot: Hot,
}

pub(crate) type SealedMap = BTreeMap<CommuneId, Vec<Arc<Sealed>>>;

/// Everything that is searchable: each event is in exactly one place. A hunt takes one view
/// and stays with it, whatever is sealed or merged meanwhile.
#[derive(Default)]
pub(crate) struct View {
    pub(crate) sealed: Arc<SealedMap>,
    pub(crate) tails: Vec<TailView>,
}

/// What of a view a hunt looks into.
#[derive(Default)]
pub(crate) struct Selection {
    pub(crate) sealed: Vec<Arc<Sealed>>,
    pub(crate) parts: Vec<Arc<Part>>,
    pub(crate) hot: Hot,
}

impl View {
    /// What `scope` allows and `wanted` needs. `wanted` is given the earliest and latest
    /// `@timestamp` and receipt of each candidate.
    pub(crate) fn select(&self, scope: &Scope, wanted: impl Fn(&Span) -> bool) -> Selection {
        let mut selection = Selection::default();
        let sealed = self.sealed.iter().filter(|(commune, _)| scope.allows(commune));
        for split in sealed.flat_map(|(_, splits)| splits) {
            let meta = &split.meta;
            let span = Span {
                time: (meta.min_time, meta.max_time),
                received: (meta.min_received, meta.max_received),
            };
            if wanted(&span) {
                selection.sealed.push(Arc::clone(split));
            }
        }
        for tail in self.tails.iter().filter(|tail| scope.allows(&tail.commune)) {
            let parts = tail.parts.iter().filter(|part| {
                let extent = part.extent();
                wanted(&Span {
                    time: (extent.min_time, extent.max_time),
                    received: (extent.min_received, extent.max_received),
                })
            });
            selection.parts.extend(parts.cloned());
            selection.hot.extend(tail.hot.iter().cloned());
        }
        selection
    }
}

/// Earliest and latest times of some events.
pub(crate) struct Span {
    pub(crate) time: (Timestamp, Timestamp),
    pub(crate) received: (Timestamp, Timestamp),
}
